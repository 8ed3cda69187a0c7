//! Copies of batches that wait on one shard for another, their owner (hinted handoff, as in Amazon's Dynamo,
//! SOSP 2007).

use super::Incarnation;
use crate::batch::{Batch, BatchId, WriterId};
use crate::shard::ShardName;
use std::sync::Arc;
use std::time::Duration;

/// Most bytes of copies that one shard takes for one owner: some 300,000 pages, minutes of a busy site.
pub const PARKED_BYTES: u64 = 64 * 1024 * 1024;

/// A call to park copies.
#[derive(Clone, Debug)]
pub struct Park {
    /// The shard that the batches are addressed to.
    pub owner: ShardName,
    /// Who sealed them.
    pub writer: WriterId,
    /// The batches with their age since sealing.
    pub batches: Vec<(Arc<Batch>, Duration)>,
}

/// The answer to [`Park`]: all of it or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parked {
    /// The shard has the copies, those that were there before included.
    Taken {
        /// The run of its server.
        incarnation: Incarnation,
        /// When it answered by its own clock, since the Unix epoch.
        server_time: Duration,
    },
    /// It has [`PARKED_BYTES`] of this owner's already, and took none.
    Full,
}

/// A parked copy as a deliverer reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedCopy {
    /// Which batch it is.
    pub id: BatchId,
    /// Its content.
    pub batch: Arc<Batch>,
    /// Time since it was sealed, by the parking shard's clock.
    pub age: Duration,
    /// When a deliverer first found it in its owner's applied set, if one has.
    pub delivered: Option<Mark>,
}

/// A note at a copy that its owner has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When it was made, in milliseconds of the parking shard's clock.
    pub at: u64,
    /// The run of the owner's server that the batch was found on.
    pub owner: Incarnation,
    /// How long ago that was when the copy was read.
    pub age: Duration,
}

/// Something among the copies that is none: damaged, or of an unknown version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its name there, as it is.
    pub field: Vec<u8>,
    /// What is wrong with it.
    pub reason: String,
}

/// Some of the copies that one shard holds for one owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParkedPage {
    /// The copies.
    pub copies: Vec<ParkedCopy>,
    /// What else was found.
    pub unreadable: Vec<Unreadable>,
    /// Where to read on; 0: this was the last page.
    pub next: u64,
}
