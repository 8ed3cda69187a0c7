//! The scheduled delivery: brings parked copies of batches to owners that are back.
//!
//! Whoever brings a batch second finds a duplicate, so several deliverers and the writer itself may do so at
//! once. A copy is deleted only when a later run, a minute on, finds it *still* in its owner's applied set:
//! an owner that crashed in between may have lost it again, and the writer that sealed it may be gone.

mod copies;

use crate::budget::Budget;
use crate::clock::{Clock, Moment};
use crate::ring::{Fingerprint, Ring};
use crate::store::parking::ParkedCopy;
use crate::store::{Ledger, ShardIndex, StoreError};
use crate::telemetry::Lines;
use crate::timing::Timing;
use copies::deliver_page;
use futures_util::future::{join, join_all};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use tokio::sync::mpsc;

/// What a delivery did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Copies found whose owner could be asked.
    pub copies_tried: usize,
    /// Visits in them that were counted only now.
    pub visits_delivered: u64,
    /// Those of them that had been delivered before and were lost by their owner.
    pub visits_healed: u64,
    /// Visits that will not be counted: in copies that were set aside, or at keys that cannot be counted up.
    pub visits_lost: u64,
    /// Visits of new pages in them that `VISITS_NEW_PAGES_A_DAY` refused.
    pub visits_refused: u64,
    /// Age of the oldest copy found that its owner is not known to have, in seconds.
    pub oldest_copy_seconds: u64,
    /// Copies deleted, since their owner has had them for long enough.
    pub copies_removed: usize,
    /// Copies set aside: damaged, of an unknown version, or too old. An operator must look at them.
    pub copies_set_aside: usize,
    /// Owners whose copies had to be left for the next run.
    pub owners_waiting: usize,
    /// Calls that failed.
    pub calls_failed: usize,
}

/// What the parts of a delivery share.
struct Run<'a, S> {
    store: &'a S,
    ring: &'a Ring,
    fingerprint: Fingerprint,
    clock: &'a Clock,
    timing: Timing,
    started: Moment,
    budget: Budget,
    /// Owners that did not answer: each is tried once a run, however many shards hold copies for it.
    down: HashSet<ShardIndex>,
    /// Shards that hold copies, with the owners for whom not all of them were tried.
    waiting: HashSet<(ShardIndex, ShardIndex)>,
    done: Delivery,
    lines: Lines,
}

/// Delivers once, within `budget`.
///
/// The order changes with each minute: what does not fit into one run, or an owner that is silent, keeps nothing else
/// from its turn.
pub async fn deliver<S: Ledger>(
    store: &S,
    ring: &Ring,
    clock: &Clock,
    timing: Timing,
    budget: impl Into<Budget>,
) -> Delivery {
    let (budget, started) = (budget.into(), clock.now());
    let mut run = Run {
        store,
        ring,
        fingerprint: ring.fingerprint(),
        clock,
        timing,
        started,
        budget,
        down: HashSet::new(),
        waiting: HashSet::new(),
        done: Delivery::default(),
        lines: Lines::default(),
    };
    budget.cut_off("delivery", run.deliver_all()).await;
    run.done.owners_waiting = run.waiting.iter().map(|(_, owner)| owner).collect::<HashSet<_>>().len();
    if run.done.visits_refused > 0 {
        let visits_refused = run.done.visits_refused;
        tracing::warn!(visits_refused, "visits of new pages over VISITS_NEW_PAGES_A_DAY, in parked copies");
    }
    run.done
}

impl<S: Ledger> Run<'_, S> {
    async fn deliver_all(&mut self) {
        let (store, (listed, mut lists)) = (self.store, mpsc::unbounded_channel());
        // Beside the deliveries: a list that is not polled while it connects keeps its shard from every other call.
        let listing = join_all((0..self.ring.len()).map(|shard| {
            let listed = listed.clone();
            async move { listed.send((shard, store.parked_owners(shard).await)).ok() }
        }));
        drop(listed);
        // By what answers first: a silent shard's list is waited for last.
        let delivering = async {
            while let Some((shard, owners)) = lists.recv().await {
                self.deliver_from(shard, owners).await;
            }
        };
        join(listing, delivering).await;
    }

    /// Delivers what `shard` holds for the owners that it lists.
    async fn deliver_from(&mut self, shard: ShardIndex, listed: Result<Vec<(String, u64)>, StoreError>) {
        let mut owners = self.owners(shard, listed);
        let minute = usize::try_from(self.started.epoch_millis() / 60_000).unwrap_or(0);
        let first = minute % owners.len().max(1);
        owners.rotate_left(first);
        self.waiting.extend(owners.iter().map(|owner| (shard, *owner)));
        for owner in owners {
            if self.deliver_for(shard, owner).await {
                self.waiting.remove(&(shard, owner));
            }
        }
    }

    /// The shards that `shard` holds copies for, as far as they are configured.
    fn owners(&mut self, shard: ShardIndex, listed: Result<Vec<(String, u64)>, StoreError>) -> Vec<ShardIndex> {
        let mut owners = Vec::new();
        for (owner, _) in self.answer(listed).unwrap_or_default() {
            if let Some(owner) = self.ring.index(&owner) {
                owners.push(owner);
            } else {
                let shard = self.ring.name(shard).as_str();
                self.lines.write(|| tracing::error!(shard, owner, "copies for a shard that is not configured"));
            }
        }
        owners.sort_unstable();
        owners
    }

    fn is_over(&self) -> bool {
        self.budget.is_over(self.started, self.clock.now())
    }

    /// Delivers what `shard` holds for `owner`; whether all of it was tried.
    async fn deliver_for(&mut self, shard: ShardIndex, owner: ShardIndex) -> bool {
        let mut cursor = 0;
        loop {
            let down = self.down.contains(&owner);
            if self.is_over() || (down && cursor != 0) {
                return false;
            }
            let page = self.store.parked(shard, self.ring.name(owner), cursor).await;
            let Some(page) = self.answer(page) else { return false };
            if down {
                // For their age only.
                self.note_waiting(&page.copies);
                return false;
            }
            cursor = page.next;
            let all_tried = deliver_page(self, shard, owner, page).await;
            if cursor == 0 || !all_tried {
                return all_tried;
            }
        }
    }

    /// Takes note of copies that their owner does not take now.
    fn note_waiting(&mut self, copies: &[ParkedCopy]) {
        let undelivered = copies.iter().filter(|copy| copy.delivered.is_none());
        let oldest = undelivered.map(|copy| copy.age.as_secs()).max().unwrap_or_default();
        self.done.oldest_copy_seconds = self.done.oldest_copy_seconds.max(oldest);
    }

    /// The answer, or nothing for an error, which is counted and logged.
    fn answer<T>(&mut self, answer: Result<T, StoreError>) -> Option<T> {
        answer.inspect_err(|error| self.failed(error)).ok()
    }

    fn failed(&mut self, error: &StoreError) {
        self.done.calls_failed += 1;
        tracing::warn!(%error, "a delivery failed");
    }
}

#[cfg(test)]
mod tests;
