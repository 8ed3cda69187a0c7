//! The bounds of one check.

use crate::design::Design;
use crate::state::{SHARDS, WRITERS};

/// Bounds of one check. Only faults and visits are bounded; progress never is.
#[derive(Clone, Debug)]
pub struct Config {
    /// A short name for reports.
    pub name: &'static str,
    /// The protocol.
    pub design: Design,
    /// Batches that each writer seals for each shard: `batches[writer][shard]`.
    pub batches: [[u8; SHARDS]; WRITERS],
    /// Deliverers at work at the same time, at most [`crate::state::DELIVERERS`].
    pub deliverers: usize,
    /// The faults that may happen.
    pub faults: Faults,
    /// Record what happened ([`crate::state::Witness`]) and demand that everything did.
    pub witness: bool,
}

/// Faults of each kind that may still happen. Part of the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// Calls given up by a writer or a deliverer. What such a call carries arrives late, or never.
    pub give_ups: u8,
    /// Calls that arrive twice.
    pub duplicates: u8,
    /// Crashes of each shard that lose what was not saved.
    pub crashes: [u8; SHARDS],
    /// Writers that die.
    pub deaths: u8,
    /// Calls that park a copy.
    pub parks: u8,
    /// Batches whose content leaves a writer's memory.
    pub evictions: u8,
}

impl Config {
    /// Two idle writers, one deliverer and no faults: to be filled in with struct update syntax.
    pub const BASE: Self = Self {
        name: "base",
        design: Design::Meant,
        batches: [[0; SHARDS]; WRITERS],
        deliverers: 1,
        faults: Faults { give_ups: 0, duplicates: 0, crashes: [0; SHARDS], deaths: 0, parks: 0, evictions: 0 },
        witness: false,
    };

    /// Returns these bounds for another protocol.
    #[must_use]
    pub fn with(self, design: Design) -> Self {
        Self { design, ..self }
    }
}
