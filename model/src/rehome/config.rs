//! The bounds of one check.

use super::design::Design;
use super::state::{Ring, SHARDS};

/// A visit that may be applied: once on its shard, by any sender, and again if a crash took it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The shard that its writer's ring chose.
    pub shard: usize,
    /// The ring of who brings it.
    pub ring: Ring,
    /// Whether it is there, and on disk, from the beginning.
    pub initial: bool,
}

/// Bounds of one check. Progress is never bounded.
#[derive(Clone, Debug)]
pub struct Config {
    /// A short name for reports.
    pub name: &'static str,
    /// The protocol.
    pub design: Design,
    /// Shards in use.
    pub shards: usize,
    /// The ring in force at the beginning on each shard, 0 for none.
    pub rings: [Ring; SHARDS],
    /// The visits.
    pub visits: &'static [Visit],
    /// The ring of each flusher at work.
    pub flushers: &'static [Ring],
    /// The ring of the flushers that remain in the end.
    pub last_ring: Ring,
    /// Times that a flusher's ring may be announced on a shard where another one is in force, for each ring.
    pub announcements: [u8; 4],
    /// A flusher reads the records of all shards at once, to keep the states few where much else goes on.
    pub looks_at_once: bool,
    /// Crashes of each shard.
    pub crashes: [u8; SHARDS],
    /// Whether a crash may take what an earlier one left.
    pub deep_crashes: bool,
    /// Reads that ask one shard after the other.
    pub reads: u8,
    /// Demand that everything the model is about happens.
    pub witness: bool,
}

impl Config {
    /// One page on the first shard that belongs on the second from now on, one flusher, no faults.
    pub const BASE: Self = Self {
        name: "base",
        design: Design::Meant,
        shards: 2,
        rings: [1, 1, 0],
        visits: &[INITIAL],
        flushers: &[2],
        last_ring: 2,
        announcements: [u8::MAX; 4],
        looks_at_once: false,
        crashes: [0; SHARDS],
        deep_crashes: false,
        reads: 0,
        witness: false,
    };
}

/// A visit from before the change.
pub const INITIAL: Visit = Visit { shard: 0, ring: 1, initial: true };
/// A visit of a writer with the old ring.
pub const OLD: Visit = Visit { shard: 0, ring: 1, initial: false };
/// A visit of a writer with the new ring.
pub const NEW: Visit = Visit { shard: 1, ring: 2, initial: false };
