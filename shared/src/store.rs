//! Calls of the services to a shard, and what they carry.

pub mod imports;
pub mod redis;

use crate::batch::{Batch, BatchId, MAX_BATCH_PAGES, Sequence, WriterId};
use crate::clock::Timing;
use crate::day::Day;
use crate::handoff::{EnvelopePage, Landed, Mailbox, Park, Parked, Records, Update};
use crate::page::PageId;
use crate::record::{self, PageRecord};
use crate::ring::{Fingerprint, Ring};
use crate::shard::ShardName;
use crate::visit::Secret;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// Index of a shard in the order of `REDIS_ENDPOINTS`.
pub type ShardIndex = usize;

/// Which run of a server an answer comes from. It changes when the server restarts or another takes its place,
/// which is when acknowledged data may be lost: what was seen before such a change proves nothing after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServerRun(pub u64);

impl ServerRun {
    /// A run of its own, for a connection to a server that does not tell which run of it this is: what was seen over it
    /// proves nothing over another one.
    pub(crate) fn of_one_connection() -> Self {
        // Without randomness no writer begins either.
        WriterId::random().map_or_else(|_| Self::default(), |id| Self(xxh3_64(id.to_string().as_bytes())))
    }
}

/// One call of a writer to a shard: apply these batches, each exactly once, and say what is applied.
#[derive(Clone, Debug)]
pub struct Apply {
    /// Writer that sealed the batches.
    pub writer: WriterId,
    /// The lowest sequence that may still be sent for this writer; the shard forgets what is below. A
    /// deliverer knows of none: it says [`Sequence::FIRST`].
    pub base: Sequence,
    /// The batches with their age since sealing. None: only ask.
    pub batches: Vec<(Arc<Batch>, Duration)>,
    /// Status of the writer from now on.
    pub status: WriterStatus,
    /// The ring that placed the pages here. None: the present one would not. A shard notes what comes by another
    /// ring than the one in force, since it must be brought to its owner.
    pub ring: Option<Fingerprint>,
}

/// Status of a writer, as it tells a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriterStatus {
    /// The writer may have more to send: the sweep visits it.
    Active,
    /// The writer ends: the sweep has nothing to find, but copies of its batches may still arrive.
    Gone,
    /// The writer has nothing to send and nothing to confirm: the sweep leaves it alone until its next visit,
    /// and its set is kept only for [`Timing::settled_set_kept`].
    Settled,
    /// The caller is not the writer, but delivers a parked copy: nothing is known of the writer. The
    /// sweep's list stays as it is, and the set is kept no shorter than it was to be.
    Delivered,
    /// The writer is an import: the same batches may be sent again at any time, even after years, so the set is kept
    /// for ever. The sweep's list stays as it is: nothing waits anywhere for a sweep.
    Import,
}

impl WriterStatus {
    /// Returns the time for which the shard keeps the writer's applied set.
    pub fn set_kept(self, timing: &Timing) -> Duration {
        match self {
            Self::Settled => timing.settled_set_kept,
            Self::Import => Duration::MAX,
            Self::Active | Self::Gone | Self::Delivered => timing.set_kept,
        }
    }
}

/// The applied set of a writer on a shard, as it stood when a call was answered: all sequences up to a
/// floor and a few above it, kept like TCP's selective acknowledgements (RFC 2018), and sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppliedSet {
    /// Every sequence up to this number is applied, or will never be sent again. 0: none.
    pub floor: u64,
    /// The applied sequences above the floor.
    pub above: BTreeSet<u64>,
    /// Visits in all batches applied, as the shard added them up.
    pub visits: u64,
    /// Visits among them that met a key which could not be counted up.
    pub rejected: u64,
}

impl AppliedSet {
    /// Whether the batch with this number is applied.
    pub fn contains(&self, sequence: Sequence) -> bool {
        sequence.get() <= self.floor || self.above.contains(&sequence.get())
    }

    /// Adds `sequence` and lets the floor rise over what is now without a gap.
    pub fn insert(&mut self, sequence: Sequence) {
        if !self.contains(sequence) {
            self.above.insert(sequence.get());
            self.raise(self.floor);
        }
    }

    /// Moves the floor up to at least `floor`, and over all that follows it without a gap.
    pub fn raise(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        while self.above.remove(&(self.floor + 1)) {
            self.floor += 1;
        }
        self.above = self.above.split_off(&(self.floor + 1));
    }
}

/// The shard's answer to [`Apply`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The writer's applied set after the call.
    pub set: AppliedSet,
    /// The run of the server that answered.
    pub server_run: ServerRun,
    /// When it answered by its own clock, since the Unix epoch.
    pub server_time: Duration,
    /// The batches among those sent that this call has applied; the others were there before, or expired.
    pub fresh: Vec<Sequence>,
    /// Increments that were skipped because their key holds something else or would overflow.
    pub rejected: Vec<Rejected>,
    /// Batches refused because of their age.
    pub expired: Vec<Sequence>,
    /// Visits of pages that were refused as one new page too many: not counted, as `VISITS_NEW_PAGES_A_DAY` asks.
    pub refused: u64,
}

impl Applied {
    /// Visits in increments that were skipped.
    pub fn visits_rejected(&self) -> u64 {
        self.rejected.iter().map(|rejected| rejected.visits).sum()
    }
}

/// A shard's count of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Visits counted here.
    pub total: u64,
    /// Visits among them by bots.
    pub bots: u64,
    /// The ring under which every page is where it belongs, as far as this shard knows: then the owner's total is
    /// the page's count. None while pages move.
    pub settled: Option<Fingerprint>,
}

/// A shard's knowledge of where a page's visits are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Its record of the page.
    pub record: PageRecord,
    /// The shards that may hold something of any page, as far as this shard knows.
    pub members: Vec<ShardName>,
}

impl Traces {
    /// Returns a page's visits, and those of them by bots, from the traces of all shards in the order of the ring. None, and an
    /// error in the log, where a shard that may hold some of them is not in the ring.
    pub(crate) fn count(ring: &Ring, traces: &[Self]) -> Option<(u64, u64)> {
        let mut members = traces.iter().flat_map(|traces| &traces.members);
        if let Some(missing) = members.find(|name| ring.index(name.as_str()).is_none()) {
            let shard = missing.as_str();
            tracing::error!(
                shard,
                "REDIS_ENDPOINTS does not name a shard that may still hold counts: list it with ;weight=0"
            );
            return None;
        }
        Some(record::count(ring.shards().iter().zip(traces.iter().map(|traces| &traces.record))))
    }
}

/// An increment that the shard could not add, with the reason it gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The page.
    pub page: PageId,
    /// The visits that were not counted.
    pub visits: u64,
    /// Reason that the shard gave, for the log.
    pub reason: String,
}

/// Why a call to a shard brought no answer. Whatever it is, a writer keeps its batches.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No connection could be made: nothing was sent.
    #[error("shard {shard} cannot be reached: {reason}")]
    Unreachable {
        /// The shard's name.
        shard: String,
        /// Reason, for the log only.
        reason: String,
    },
    /// The call was sent and no answer came: it may have been applied, or be applied later.
    #[error("shard {shard} did not answer: {reason}")]
    Unknown {
        /// The shard's name.
        shard: String,
        /// Reason, for the log only.
        reason: String,
    },
    /// The shard answered with an error, so the call was not applied.
    #[error("shard {shard} refused: {reason}")]
    Refused {
        /// The shard's name.
        shard: String,
        /// Reason that it gave, for the log only.
        reason: String,
    },
    /// The server is not the one that this shard's name stands for, or would not keep what it is given.
    #[error("the server of shard {shard} cannot be used: {reason}")]
    UnfitServer {
        /// The shard's name.
        shard: String,
        /// Finding, and what to do about it.
        reason: String,
    },
}

/// Nearness of two shards: the nearer they are, the likelier they are down together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    /// They have addresses of their own.
    Apart,
    /// They live at one address, on different nodes of its cluster.
    OneEndpoint,
    /// They were last found on one server.
    OneServer,
}

/// The calls of writers and deliverers to the shards of a deployment. All are safe to repeat; none is retried in here, other
/// than over a connection that turned out to be closed.
pub trait Ledger: Send + Sync + 'static {
    /// Applies batches exactly once and returns the writer's applied set.
    fn apply(&self, shard: ShardIndex, call: &Apply) -> impl Future<Output = Result<Applied, StoreError>> + Send;

    /// Returns the secret of a day: the one that this shard keeps, or else `offer`, which it keeps from now on. None: it keeps
    /// none, and none was offered.
    fn secret(
        &self,
        shard: ShardIndex,
        day: Day,
        offer: Option<Secret>,
    ) -> impl Future<Output = Result<Option<Secret>, StoreError>> + Send;

    /// Stores copies of batches. One that is there already stays as it is: a batch never changes.
    fn park(&self, shard: ShardIndex, park: &Park) -> impl Future<Output = Result<Parked, StoreError>> + Send;

    /// Returns the names of the mailboxes on this shard, with the bytes in them.
    fn outgoing(&self, shard: ShardIndex) -> impl Future<Output = Result<Vec<(String, u64)>, StoreError>> + Send;

    /// Returns a page of the envelopes in a mailbox, from `cursor` on (0: the beginning).
    fn envelopes(
        &self,
        shard: ShardIndex,
        mailbox: &Mailbox,
        cursor: u64,
    ) -> impl Future<Output = Result<EnvelopePage, StoreError>> + Send;

    /// Writes down what was found of envelopes. Returns of each finding whether its envelope was there, with the note asked for.
    fn update(
        &self,
        shard: ShardIndex,
        mailbox: &Mailbox,
        updates: &[Update],
    ) -> impl Future<Output = Result<Vec<bool>, StoreError>> + Send;

    /// Delivers records from shard `source` to this shard, their owner, exactly once. `id` is their envelope's, and `ring` the
    /// one in force, if they all belong here by it.
    fn land(
        &self,
        shard: ShardIndex,
        source: &ShardName,
        id: BatchId,
        records: &Records,
        ring: Option<Fingerprint>,
    ) -> impl Future<Output = Result<Landed, StoreError>> + Send;

    /// Returns how near two shards live to each other, as far as is known.
    fn nearness(&self, one: ShardIndex, other: ShardIndex) -> Nearness;
}

/// Most writers that [`RedisStore::writers`](redis::RedisStore::writers) returns; a sweep does not get through more in a minute.
pub const WRITERS_AT_ONCE: usize = 10_000;

/// Most sets that one [`RedisStore::tidy`](redis::RedisStore::tidy) deletes, to keep the shard free for visits in between.
pub const TIDY_AT_ONCE: usize = MAX_BATCH_PAGES;

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(number: u64) -> Sequence {
        Sequence::new(number).unwrap()
    }

    #[test]
    fn the_floor_rises_only_over_what_has_no_gap() {
        let mut set = AppliedSet::default();
        set.insert(sequence(1));
        set.insert(sequence(3));
        assert_eq!((set.floor, set.contains(sequence(2)), set.contains(sequence(3))), (1, false, true));
        set.insert(sequence(2));
        assert_eq!((set.floor, set.above.len()), (3, 0));
    }

    #[test]
    fn raising_the_floor_forgets_what_is_below_and_joins_what_follows() {
        let mut set = AppliedSet { floor: 1, above: [3, 6, 9].into(), ..AppliedSet::default() };
        set.raise(5);
        assert_eq!((set.floor, set.above), (6, [9].into()));
    }
}
