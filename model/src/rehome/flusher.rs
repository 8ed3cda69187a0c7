//! A flusher, between its steps.

use super::shard::Move;
use super::state::{Ring, Round, SHARDS, Tag};

/// What a flusher has read of the shards so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct View {
    /// Bits: the shards read.
    pub seen: u8,
    /// The highest round.
    pub round: Round,
    /// Bits: what was found.
    pub found: u8,
    /// The tags.
    pub tags: [Tag; SHARDS],
}

impl View {
    /// There are different rounds.
    pub const MIXED: u8 = 1;
    /// In the highest round some shard has another ring, or was written to late and is at its end.
    pub const DUE: u8 = 2;
    /// In that round some shard is done, or settled.
    pub const ENDED: u8 = 4;
    /// Some shard is being taken from.
    pub const TAKING: u8 = 8;
    /// Some shard is neither done nor settled, nor cleaned for 60 s.
    pub const UNCLEANED: u8 = 16;
    /// Some shard is neither done nor settled.
    pub const UNDONE: u8 = 32;
    /// Some shard is done, and not settled.
    pub const DONE: u8 = 64;

    /// Notes something, if it is so.
    pub fn note(&mut self, what: u8, is_so: bool) {
        self.found |= if is_so { what } else { 0 };
    }

    /// Whether it was found.
    pub fn has(self, what: u8) -> bool {
        self.found & what != 0
    }
}

/// What a flusher is at, and what it has read so far. It acts on that, however old it is by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Nothing.
    #[default]
    Idle,
    /// It reads all shards' records, one after the other.
    Looking(View),
    /// It marks all shards, then takes.
    Marking {
        /// The round that it marks them for.
        round: Round,
        /// Bits: the shards that it marked, or found marked.
        seen: u8,
    },
    /// It found every shard cleaned for 60 s, or farther.
    Cleaning {
        /// In this round.
        round: Round,
        /// Their tags.
        tags: [Tag; SHARDS],
    },
    /// It found every shard done.
    Settling {
        /// In this round.
        round: Round,
    },
    /// It has read a move, to deliver it.
    Carrying {
        /// Where it was read.
        from: usize,
        /// The move.
        it: Move,
    },
    /// It delivered a move, which is to be marked.
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
    /// It found a move delivered for good, which is to be deleted.
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
    /// What it is at.
    pub stage: Stage,
}
