//! A flusher, between its steps.

use super::shard::Move;
use super::state::{Ring, Round};

/// The shards' records that a flusher has read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct View {
    /// Bits: the shards read.
    pub seen: u8,
    /// The highest round.
    pub round: Round,
    /// Bits: what was found.
    pub found: u8,
    /// Bits: shards whose server has begun another run since they were read.
    pub void: u8,
}

impl View {
    /// There are different rounds.
    pub const MIXED: u8 = 1;
    /// In the highest round some shard has another ring, or was written to late since its first stage.
    pub const DUE: u8 = 2;
    /// In that round some shard is settled.
    pub const ENDED: u8 = 4;
    /// Some shard is being taken from.
    pub const TAKING: u8 = 8;
    /// Some shard is neither settled, nor cleaned for 60 s, or with nothing taken.
    pub const UNCLEANED: u8 = 16;
    /// Some shard is not settled.
    pub const UNSETTLED: u8 = 32;

    /// Notes something, if it is so.
    pub fn note(&mut self, what: u8, is_so: bool) {
        self.found |= if is_so { what } else { 0 };
    }

    /// Returns whether `what` was found.
    pub fn has(self, what: u8) -> bool {
        self.found & what != 0
    }
}

/// The stage of a flusher, with what it has read so far. It acts on that, however old it is by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Nothing.
    #[default]
    Idle,
    /// Reads all shards' records, one after the other.
    Looking(View),
    /// Marks all shards, then takes.
    Marking {
        /// The round that it marks them for.
        round: Round,
        /// Bits: the shards that it marked, or found marked.
        seen: u8,
    },
    /// Found every shard cleaned for 60 s, or farther: deletes `in:` fields on all, then settles each.
    Cleaning {
        /// In this round.
        round: Round,
        /// Bits: shards on which they are deleted.
        seen: u8,
        /// Bits: shards whose server has begun another run since they were read.
        void: u8,
    },
    /// Has read a move, to deliver it.
    Carrying {
        /// Where it was read.
        from: usize,
        /// The move.
        it: Move,
    },
    /// Delivered a move, which is to be marked.
    Marks {
        /// Where it was read.
        from: usize,
        /// Its writer.
        writer: u8,
        /// Its destination.
        to: usize,
        /// The run in which it was delivered is over.
        void: bool,
    },
    /// Found a move delivered for good, which is to be deleted.
    Deletes {
        /// Where it was read.
        from: usize,
        /// Its writer.
        writer: u8,
    },
}

/// A flusher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flusher {
    /// Its configuration's ring.
    pub ring: Ring,
    /// The present stage.
    pub stage: Stage,
}
