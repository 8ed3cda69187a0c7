//! A call on its way, to whatever end.

use crate::flusher::Flusher;
use crate::flusher::lane::Call;
use crate::flusher::report::Tally;
use crate::store::Ledger;
use crate::store::{Applied, ShardIndex, StoreError};

/// A call on its way. Dropped before it landed (the flush ran out of time, or panicked) it counts as
/// failed, so that nobody waits for it for ever.
pub(super) struct Flight<'a, S: Ledger> {
    flusher: &'a Flusher<S>,
    shard: ShardIndex,
    call: &'a Call,
    landed: bool,
}

impl<'a, S: Ledger> Flight<'a, S> {
    pub(super) fn new(flusher: &'a Flusher<S>, shard: ShardIndex, call: &'a Call) -> Self {
        Self { flusher, shard, call, landed: false }
    }

    pub(super) fn answered(&mut self, applied: &Applied, tally: &mut Tally) {
        let now = self.flusher.clock.now();
        let learned = {
            let mut state = self.flusher.lock();
            let learned = state.lanes[self.shard].answered(self.call, applied, now);
            state.counters.answered(self.call, applied, learned, now.since(self.call.asked));
            learned
        };
        tally.learn(learned, applied);
        for rejected in &applied.rejected {
            let (shard, visits_rejected) = (self.flusher.ring.name(self.shard).as_str(), rejected.visits);
            let page = rejected.page.as_str();
            let reason = rejected.reason.as_str();
            tally.lines.write(|| {
                tracing::error!(shard, page, visits_rejected, reason, "a page's key cannot be counted up");
            });
        }
        self.land();
    }

    pub(super) fn failed(&mut self, error: &StoreError) {
        tracing::warn!(%error, batches = self.call.apply.batches.len(), "a flush failed; its batches are kept");
        self.fail();
    }

    fn fail(&mut self) {
        let now = self.flusher.clock.now();
        {
            let mut state = self.flusher.lock();
            state.lanes[self.shard].failed(self.call, now);
            state.counters.failures += 1;
        }
        self.land();
    }

    fn land(&mut self) {
        self.landed = true;
        self.flusher.landed[self.shard].notify_waiters();
    }
}

impl<S: Ledger> Drop for Flight<'_, S> {
    fn drop(&mut self) {
        if !self.landed {
            self.fail();
        }
    }
}
