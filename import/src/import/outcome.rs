//! What an import tells: how far it is, how it ended, and why it stopped.

use crate::read::ReadError;
use crate::summary::Summary;
use std::io;
use visits_core::shard::ShardName;
use visits_core::store::{Rejected, StoreError};

/// How far an import is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Bytes read in this stage.
    pub bytes: u64,
    /// Bytes of the input; known once it was read for the first time.
    pub total_bytes: Option<u64>,
    /// Records (lines) read.
    pub records: u64,
    /// Records that could not be read.
    pub bad: u64,
    /// Visits read.
    pub visits: u64,
    /// Batches that were sent, and that the shards had already.
    pub batches_sent: u64,
    /// Batches that were not sent: the shards had them from an earlier attempt.
    pub batches_found: u64,
}

impl Progress {
    pub(super) fn read(&mut self, summary: &Summary) {
        (self.bytes, self.records) = (summary.bytes, summary.records);
        (self.bad, self.visits) = (summary.bad, summary.visits);
    }
}

/// The two stages of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// The input is read for its digest, and to see that something in it counts.
    #[default]
    Checking,
    /// It is read again, and counted.
    Importing,
}

/// How an import ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is in the shards.
    Imported(Imported),
    /// The same input was imported under this id before: nothing was changed.
    AlreadyImported,
}

/// What was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// What was read.
    pub summary: Summary,
    /// Batches that this attempt sent.
    pub batches_sent: u64,
    /// Batches that the shards had from an earlier attempt.
    pub batches_found: u64,
    /// Visits that no page could take, since its key holds something else or would overflow; of all attempts.
    pub visits_rejected: u64,
    /// The first of them in this attempt.
    pub rejected: Vec<Rejected>,
}

/// Why an import stopped. Nothing was counted twice, whatever it is.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The input cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Nothing in it counts. Nothing was sent, and the import's id is still free.
    #[error("nothing in the input counts; are its format and the options right? ({} records, {} of them bad)", .0.records, .0.bad)]
    Nothing(Summary),
    /// A shard did not answer for as long as patience lasted, or cannot be used.
    #[error("{0}; what is imported so far stays: repeat the same command to go on where it stopped")]
    Store(#[from] StoreError),
    /// Something else was imported, or begun, under this id.
    #[error(
        "under this import id another input was begun: it had {then} bytes, this one has {now}, or it was read with other \
         options or by another version of this program. Repeat the import with exactly that input and those options (of \
         a file that has only grown: `head -c {then}`), or give the new input an id of its own"
    )]
    OtherInput {
        /// Bytes of the input that was begun first.
        then: u64,
        /// Bytes of this input.
        now: u64,
    },
    /// The shards disagree on what was begun under this id: two imports began at the same moment.
    #[error(
        "the shards know different imports under this id: two were begun at once. Repeat the command; if this stays, give \
         the import another id"
    )]
    Conflict,
    /// The import's pages were placed on a shard that is not configured now.
    #[error(
        "this import was begun when shard {0} was configured, and goes on only with it: add it to REDIS_ENDPOINTS, with \
         ;weight=0 if it shall own nothing any more"
    )]
    ShardMissing(ShardName),
    /// The input was another one when it was read again.
    #[error(
        "the input was changed while it was imported, so that counts of both may be in the shards under this id; import \
         a file that nobody writes to (a copy, or a log that was rotated)"
    )]
    Changed,
    /// A shard has more or other batches of this import than its input makes.
    #[error("shard {0} holds batches of this import that its input does not make: the import cannot be completed")]
    Diverged(String),
    /// Shards went on losing what they had acknowledged.
    #[error("the shards lost what they had taken, several times over; see to them and repeat the same command")]
    Losing,
}

impl From<io::Error> for ImportError {
    fn from(error: io::Error) -> Self {
        Self::Read(error.into())
    }
}
