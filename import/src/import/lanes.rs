//! The way to each shard: numbers its batches, and sends those that it has not got.

use super::{Import, ImportError, Imported, begin};
use crate::retry::Patience;
use crate::summary::{BAD_KEPT, Summary};
use crate::tally::Block;
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::time::Duration;
use visits_core::applied::AppliedSet;
use visits_core::batch::{Batch, Increment, MAX_BATCH_PAGES, Sequence, WriterId};
use visits_core::clock::Moment;
use visits_core::config::Config;
use visits_core::ring::{Fingerprint, Ring};
use visits_core::store::imports::{ImportRecord, Imports};
use visits_core::store::{Apply, Rejected, ShardIndex, Standing, StoreError};

/// All ways of one pass over an input.
pub(super) struct Lanes<'a, S> {
    caller: Caller<'a, S>,
    ring: Ring,
    all: Vec<Lane>,
}

/// Who calls.
struct Caller<'a, S> {
    store: &'a S,
    writer: WriterId,
    /// The ring of the first attempt, which places all batches. Pages that it misplaces by now are brought home later.
    ring: Fingerprint,
    patience: Patience,
}

/// One shard of the ring.
struct Lane {
    shard: ShardIndex,
    name: String,
    /// What the shard had at the beginning of the pass.
    applied: AppliedSet,
    /// Batches made so far; their numbers are 1 to this.
    batches: u64,
    visits: u64,
    sent: u64,
    rejected: Vec<Rejected>,
    visits_rejected: u64,
}

impl<'a, S: Imports> Lanes<'a, S> {
    /// Asks each shard what it has.
    pub(super) async fn open(
        store: &'a S,
        config: &Config,
        import: &Import,
        record: &ImportRecord,
    ) -> Result<Self, ImportError> {
        let places = begin::places(config, record)?;
        // A record's ring was checked when it was read; the configured one when the settings were.
        let ring = record.placing().map_err(|_| ImportError::Conflict)?;
        let writer = import.id.writer(&config.namespace);
        let caller = Caller { store, writer, ring: ring.fingerprint(), patience: import.patience };
        let ask = |(shard, (name, _)): (ShardIndex, &(_, _))| Lane::open(&caller, shard, ToString::to_string(name));
        let lanes = try_join_all(places.into_iter().zip(&record.ring).map(ask)).await?;
        Ok(Self { caller, ring, all: lanes })
    }

    /// Cuts a block into each shard's batches and sends them, to all shards at once, to each one after the other.
    /// Says how many were sent, and how many the shards had, since the pass began.
    pub(super) async fn send(&mut self, block: Block) -> Result<(u64, u64), StoreError> {
        let mut shares: Vec<Block> = self.all.iter().map(|_| Block::new()).collect();
        for increment in block {
            shares[self.ring.owner(increment.page.as_str())].push(increment);
        }
        let (caller, lanes) = (&self.caller, self.all.iter_mut());
        try_join_all(lanes.zip(shares).map(|(lane, share)| lane.send(caller, share))).await?;
        Ok(self.batches())
    }

    fn batches(&self) -> (u64, u64) {
        let sum = |of: fn(&Lane) -> u64| self.all.iter().map(of).sum::<u64>();
        (sum(|lane| lane.sent), sum(|lane| lane.batches - lane.sent))
    }

    /// Whether every shard has all of its batches, and nothing else of this writer's.
    pub(super) async fn have_all(&mut self) -> Result<bool, ImportError> {
        let caller = &self.caller;
        let have = try_join_all(self.all.iter_mut().map(|lane| lane.has_all(caller))).await?;
        Ok(have.into_iter().all(|has| has))
    }

    pub(super) fn into_imported(self, summary: Summary) -> Imported {
        let (batches_sent, batches_found) = self.batches();
        let visits_rejected = self.all.iter().map(|lane| lane.visits_rejected).sum();
        let rejected = self.all.into_iter().flat_map(|lane| lane.rejected).take(BAD_KEPT).collect();
        Imported { summary, batches_sent, batches_found, visits_rejected, rejected }
    }
}

impl<S: Imports> Caller<'_, S> {
    async fn apply(&self, shard: ShardIndex, batch: Option<Batch>) -> Result<(AppliedSet, Vec<Rejected>), StoreError> {
        // No age: an import may be repeated after any time, and its applied set is kept as long.
        let batches = batch.map(|batch| (Arc::new(batch), Duration::ZERO)).into_iter().collect();
        let (base, ring) = (Sequence::FIRST, Some(self.ring));
        let call = Apply { writer: self.writer, base, batches, standing: Standing::Import, ring };
        let answer = self.patience.answer(async || self.store.apply(shard, &call).await).await?;
        Ok((answer.set, answer.rejected))
    }
}

impl Lane {
    async fn open<S: Imports>(caller: &Caller<'_, S>, shard: ShardIndex, name: String) -> Result<Self, StoreError> {
        let (applied, _) = caller.apply(shard, None).await?;
        let rejected = Vec::new();
        Ok(Self { shard, name, applied, batches: 0, visits: 0, sent: 0, rejected, visits_rejected: 0 })
    }

    async fn send<S: Imports>(&mut self, caller: &Caller<'_, S>, share: Block) -> Result<(), StoreError> {
        for pages in share.chunks(MAX_BATCH_PAGES) {
            let sequence = Sequence::FIRST.plus(self.batches);
            self.batches += 1;
            self.visits += pages.iter().map(|one| one.visits).sum::<u64>();
            if !self.applied.contains(sequence) {
                self.sent += 1;
                let (_, rejected) = caller.apply(self.shard, Some(seal(sequence, pages))).await?;
                let room = BAD_KEPT - self.rejected.len();
                self.rejected.extend(rejected.into_iter().take(room));
            }
        }
        Ok(())
    }

    async fn has_all<S: Imports>(&mut self, caller: &Caller<'_, S>) -> Result<bool, ImportError> {
        let (set, _) = caller.apply(self.shard, None).await?;
        self.visits_rejected = set.rejected;
        // They are sent in order, so none of ours lies above the floor for long.
        let newest = set.above.last().copied().unwrap_or(set.floor);
        let missing = set.floor < self.batches;
        if newest > self.batches || (!missing && set.visits != self.visits) {
            return Err(ImportError::Diverged(self.name.clone()));
        }
        Ok(!missing)
    }
}

fn seal(sequence: Sequence, pages: &[Increment]) -> Batch {
    // The moment of sealing is for writers that let batches grow old.
    Batch::seal(sequence, pages.to_vec(), Moment::new(Duration::ZERO, Duration::ZERO))
}
