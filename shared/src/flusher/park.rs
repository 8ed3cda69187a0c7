//! The writer's side of parking: copies of what a shard does not take are stored on another shard. They are
//! an insurance only: the writer goes on trying.

use super::Flusher;
use super::report::Tally;
use crate::batch::{Batch, Sequence, WriterId};
use crate::outbox::Refuge;
use crate::store::parking::{Park, Parked};
use crate::store::{Ledger, ShardIndex, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// How copies are to be stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Urgency {
    /// Seal open batches up to this one, to be stored too.
    pub(super) seal_up_to: Option<Sequence>,
    /// Also while the shard is not known to fail: it is merely silent, and time is short.
    pub(super) impatient: bool,
    /// Give a shard that is to take copies no longer than this.
    pub(super) patience: Duration,
}

impl<S: Ledger> Flusher<S> {
    /// Stores copies of all that `owner` has not taken, on the first other shard that takes them.
    pub(super) async fn park(&self, owner: ShardIndex, urgency: Urgency, tally: &mut Tally) {
        loop {
            let (writer, batches) = {
                let (now, mut state) = (self.clock.now(), self.lock());
                let Some(writer) = state.writer else { return };
                let lane = &mut state.lanes[owner];
                let Some(batches) = lane.begin_parking(urgency.seal_up_to, urgency.impatient, now) else { return };
                (writer, batches)
            };
            let mut turn = Turn { flusher: self, owner, taken: false };
            let park = Park { owner: self.ring.name(owner).clone(), writer, batches };
            let Some(refuge) = self.first_that_takes(owner, &park, urgency.patience).await else {
                tracing::warn!(shard = park.owner.as_str(), "no other shard takes copies of its batches");
                return;
            };
            turn.taken = true;
            tally.parked += park.batches.len() as u64;
            self.lock().counters.parked += park.batches.len() as u64;
            let (shard, refuge, batches) = (park.owner.as_str(), self.ring.name(refuge).as_str(), park.batches.len());
            tracing::info!(shard, refuge, batches, "parked copies of batches");
        }
    }

    async fn first_that_takes(&self, owner: ShardIndex, park: &Park, patience: Duration) -> Option<ShardIndex> {
        let batches: Vec<Arc<Batch>> = park.batches.iter().map(|(batch, _)| Arc::clone(batch)).collect();
        for refuge in self.refuges(owner, park.writer) {
            let answer = tokio::time::timeout(patience, self.store.park(refuge, park)).await;
            match answer {
                Ok(Ok(Parked::Taken { incarnation, server_time })) => {
                    let taken = Some(Refuge { shard: refuge, incarnation, server_time });
                    self.lock().lanes[owner].parked(&batches, taken, self.clock.now());
                    return Some(refuge);
                }
                // It may have them all the same.
                Err(_) | Ok(Err(StoreError::Unknown { .. })) => {
                    self.lock().lanes[owner].parked(&batches, None, self.clock.now());
                }
                Ok(Ok(Parked::Full) | Err(_)) => {}
            }
            let refuge = self.ring.name(refuge).as_str();
            tracing::warn!(shard = park.owner.as_str(), refuge, ?answer, "copies of batches could not be parked");
        }
        None
    }

    /// The shards to park on, best first: by rendezvous order of owner and writer, so that the writers of one
    /// shard spread over the others; not those that are draining; those of the owner's own endpoint after them, since
    /// that is likely what is down, and in a cluster those of its own node last.
    pub(super) fn refuges(&self, owner: ShardIndex, writer: WriterId) -> Vec<ShardIndex> {
        let order = self.ring.preference(&format!("{} {writer}", self.ring.name(owner)));
        let common = |shard| [self.store.share_endpoint(shard, owner), self.store.share_node(shard, owner)];
        let shares = [[false, false], [true, false], [true, true]].into_iter();
        let sharing = |share| order.iter().copied().filter(move |&shard| shard != owner && common(shard) == share);
        shares.flat_map(sharing).collect()
    }
}

/// Copies under way. However this ends, others may park again, and visits that wait look again.
struct Turn<'a, S: Ledger> {
    flusher: &'a Flusher<S>,
    owner: ShardIndex,
    taken: bool,
}

impl<S: Ledger> Drop for Turn<'_, S> {
    fn drop(&mut self) {
        let now = self.flusher.clock.now();
        self.flusher.lock().lanes[self.owner].end_parking(self.taken, now);
        self.flusher.landed[self.owner].notify_waiters();
    }
}
