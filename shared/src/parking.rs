//! The scheduled delivery: brings parked copies of batches to owners that are back.
//!
//! Whoever brings a batch second finds a duplicate, so several deliverers and the writer itself may do so at
//! once. A copy is deleted only when a later run, a minute on, finds it *still* in its owner's applied set:
//! an owner that crashed in between may have lost it again, and the writer that sealed it may be gone.

mod copies;

use crate::clock::{Clock, Moment};
use crate::ring::{Fingerprint, Ring};
use crate::store::parking::{ParkedCopy, Parking};
use crate::store::{ShardIndex, StoreError};
use crate::timing::Timing;
use copies::deliver_page;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::time::Duration;

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
    timing: Timing,
    /// Owners that did not answer: each is tried once a run, however many shards hold copies for it.
    down: HashSet<ShardIndex>,
    done: Delivery,
}

/// Delivers once. Begins nothing after `budget`.
pub async fn deliver<S: Parking>(store: &S, ring: &Ring, clock: &Clock, timing: Timing, budget: Duration) -> Delivery {
    let started = clock.now();
    let mut run =
        Run { store, ring, fingerprint: ring.fingerprint(), timing, down: HashSet::new(), done: Delivery::default() };
    let lists = join_all((0..ring.len()).map(|shard| store.parked_owners(shard))).await;
    let mut waiting = HashSet::new();
    for (shard, owners) in lists.into_iter().enumerate() {
        for (name, _) in run.answer(owners).unwrap_or_default() {
            let Some(owner) = ring.index(&name) else {
                tracing::error!(
                    shard = ring.name(shard).as_str(),
                    owner = name,
                    "copies for a shard that is not configured"
                );
                continue;
            };
            if !run.deliver_for(shard, owner, || over(started, clock.now(), budget)).await {
                waiting.insert(owner);
            }
        }
    }
    run.done.owners_waiting = waiting.len();
    run.done
}

fn over(started: Moment, now: Moment, budget: Duration) -> bool {
    now.since(started) >= budget
}

impl<S: Parking> Run<'_, S> {
    /// Delivers what `shard` holds for `owner`; whether all of it was tried.
    async fn deliver_for(&mut self, shard: ShardIndex, owner: ShardIndex, over: impl Fn() -> bool) -> bool {
        let mut cursor = 0;
        loop {
            let down = self.down.contains(&owner);
            if over() || (down && cursor != 0) {
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
            deliver_page(self, shard, owner, page).await;
            if cursor == 0 {
                return !self.down.contains(&owner);
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
