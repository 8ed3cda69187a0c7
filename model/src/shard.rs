//! A shard: what it has counted, its applied sets, and the copies parked on it.

use crate::design::Design;
use crate::state::{SEQUENCES, Sequence, WRITERS, bit, sequences_in};

/// One writer's applied set on a shard, and its counts there. Sequences begin at 0 here, so that each is a
/// bit; `floor` is therefore the number of sequences below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Applied {
    /// Every sequence below is applied, or will never be sent again.
    pub floor: u8,
    /// Bits: the applied sequences above the floor.
    pub above: u8,
    /// Bits: visits counted at least once.
    pub counted: u8,
    /// Bits: visits counted more than once.
    pub twice: u8,
}

impl Applied {
    /// Whether the batch is applied, for all that the set tells.
    pub fn contains(&self, sequence: Sequence) -> bool {
        sequence < self.floor || self.above & bit(sequence) != 0
    }

    /// Bits: all sequences that the set holds.
    pub fn held(&self) -> u8 {
        (bit(self.floor) - 1) | self.above
    }

    /// The one atomic call: counts what is not in the set, inserts it, raises the floor to `base`. Returns
    /// the bits of what was applied freshly.
    pub fn apply(&mut self, design: Design, batches: u8, base: u8) -> u8 {
        let mut fresh = 0;
        for sequence in sequences_in(batches) {
            if self.contains(sequence) {
                continue;
            }
            self.count(design, sequence);
            fresh |= bit(sequence);
            if design == Design::HighWaterMark {
                self.floor = sequence + 1;
            } else {
                self.above |= bit(sequence);
            }
        }
        self.raise(base);
        fresh
    }

    fn count(&mut self, design: Design, sequence: Sequence) {
        // Merged back, the one visit goes out again under another sequence.
        let visit = if design == Design::MergeBack { bit(0) } else { bit(sequence) };
        self.twice |= self.counted & visit;
        self.counted |= visit;
    }

    fn raise(&mut self, base: u8) {
        self.floor = self.floor.max(base);
        while self.above & bit(self.floor) != 0 {
            self.floor += 1;
        }
        self.above &= !(bit(self.floor) - 1);
    }
}

/// The copy of one batch on another shard than its owner, and its `delivered` mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// No copy.
    #[default]
    Empty,
    /// Not known to be delivered.
    Unmarked,
    /// Known to be in the owner's set, in this incarnation of the owner, for less than 60 s.
    Fresh(u8),
    /// Known to be in the owner's set, in this incarnation of the owner, for more than 60 s.
    Old(u8),
}

/// Everything that a crash rolls back together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Data {
    /// The applied set of each writer.
    pub applied: [Applied; WRITERS],
    /// `copies[writer][sequence]`: parked here for the other shard.
    pub copies: [[Slot; SEQUENCES]; WRITERS],
}

/// A shard now, and what would be left of it after a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shard {
    /// The data that calls see.
    pub live: Data,
    /// The last saved state. Empty once the shard cannot crash any more: then `live` is as good as saved.
    pub saved: Data,
    /// Number of crashes so far. Redis: `run_id`.
    pub incarnation: u8,
    /// Number of crashes to come, at most.
    pub crashes_left: u8,
}

impl Shard {
    /// Returns the data that no crash can take away.
    pub fn durable(&self) -> &Data {
        if self.crashes_left == 0 { &self.live } else { &self.saved }
    }

    /// Whether a sight of `incarnation` can be 60 s old, if this is what must have been saved since: all
    /// that is older than 60 s was saved, unless a crash came first.
    pub fn may_be_old(&self, incarnation: u8, saved: impl Fn(&Data) -> bool) -> bool {
        self.crashes_left == 0 || self.incarnation > incarnation || saved(&self.saved)
    }

    /// Loses everything that is not saved.
    pub fn crash(&mut self) {
        self.live = self.saved;
        self.incarnation += 1;
        self.crashes_left -= 1;
        if self.crashes_left == 0 {
            self.saved = Data::default();
        }
    }
}
