//! Running the calls of a flush.

use super::lane::{Call, Want};
use super::report::{FlushReport, Tally};
use super::{Flusher, State};
use crate::policy::{self, Reason};
use crate::store::{Applied, ShardIndex, Standing, Store, StoreError};
use futures_util::future::join_all;
use std::time::Duration;

/// What a flush lets keep it from calling a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// A call on its way, and the pause after a failed one.
    OneAtATime,
    /// A call on its way.
    NoPause,
    /// Nothing.
    None,
}

impl<S: Store> Flusher<S> {
    /// Sends what the shards have pending, all that take part at once, within `budget`.
    pub(super) async fn flush(&self, reason: Reason, budget: Duration, patience: Patience) -> FlushReport {
        let started = self.clock.now();
        let shards: Vec<ShardIndex> = {
            let mut state = self.lock();
            let takes_part = |shard: &usize| policy::takes_part(state.lanes[*shard].pending(started), reason);
            let shards: Vec<ShardIndex> = (0..state.lanes.len()).filter(takes_part).collect();
            if shards.len() == state.lanes.len() {
                state.last_flush = Some(started);
            }
            shards
        };
        let shards = shards.into_iter().map(|shard| async move {
            let mut tally = Tally::default();
            let sent = self.send(shard, reason, patience, &mut tally);
            if tokio::time::timeout(budget, sent).await.is_err() {
                tally.failed += 1;
                tracing::warn!(shard = self.ring.name(shard).as_str(), ?budget, "the flush ran out of time");
            }
            tally
        });
        let tally = join_all(shards).await.into_iter().sum();
        let report = FlushReport::new(&self.lock(), tally);
        report.log(reason, self.clock.now().since(started));
        report
    }

    /// Sends what one shard has pending: the leader of a group of waiting visits does this.
    pub(super) async fn flush_shard(&self, shard: ShardIndex, reason: Reason, patience: Patience) {
        let started = self.clock.now();
        let mut tally = Tally::default();
        self.send(shard, reason, patience, &mut tally).await;
        let report = FlushReport::new(&self.lock(), tally);
        report.log_debug(reason, self.clock.now().since(started));
    }

    /// Takes the writer off the sweep's list on every shard that has it there. Returns whether it is off
    /// all of them.
    pub(super) async fn settle(&self, budget: Duration) -> bool {
        let listed: Vec<ShardIndex> = {
            let mut state = self.lock();
            state.last_flush = None;
            (0..state.lanes.len()).filter(|&shard| state.lanes[shard].is_listed()).collect()
        };
        let settled = listed.into_iter().map(|shard| async move {
            let want = |state: &State| Want {
                // Whatever came in since is not sealed by this call; if something did, do not settle.
                seal_up_to: crate::batch::Sequence::FIRST,
                confirm: true,
                impatient: false,
                standing: if state.lanes[shard].is_clean() { Standing::Settled } else { Standing::Active },
            };
            let mut tally = Tally::default();
            let settled = self.call(shard, want, &mut tally);
            let _ = tokio::time::timeout(budget, settled).await;
        });
        join_all(settled).await;
        self.lock().lanes.iter().all(|lane| !lane.is_listed())
    }

    /// Calls one shard until what was pending at the start is sent, or a call fails.
    async fn send(&self, shard: ShardIndex, reason: Reason, patience: Patience, tally: &mut Tally) {
        let seal_up_to = self.lock().lanes[shard].last_open();
        let mut confirm = matches!(reason, Reason::Interval | Reason::Sweep | Reason::Shutdown);
        let want = |state: &State, confirm: bool| {
            let lane = &state.lanes[shard];
            let ask = if reason == Reason::Shutdown { lane.is_listed() } else { lane.unconfirmed() > 0 };
            let skip_pause = patience == Patience::NoPause && !lane.pending(self.clock.now()).in_flight;
            Want {
                seal_up_to,
                confirm: confirm && ask,
                impatient: patience == Patience::None || skip_pause,
                standing: if reason == Reason::Shutdown { Standing::Gone } else { Standing::Active },
            }
        };
        while self.call(shard, |state| want(state, confirm), tally).await {
            confirm = false;
        }
    }

    /// Makes one call to a shard, if there is one to make. Returns whether it was made and answered.
    async fn call(&self, shard: ShardIndex, want: impl FnOnce(&State) -> Want, tally: &mut Tally) -> bool {
        let call = {
            let mut state = self.lock();
            let (Some(writer), want) = (state.writer, want(&state)) else { return false };
            state.lanes[shard].begin(writer, want, self.clock.now())
        };
        let Some(call) = call else { return false };
        tally.begin(&call);
        let mut flight = Flight { flusher: self, shard, call: &call, landed: false };
        let answer = self.store.apply(shard, &call.apply).await;
        match answer {
            Ok(applied) => {
                flight.answered(&applied, tally);
                true
            }
            Err(error) => {
                tally.failed += 1;
                flight.failed(&error);
                false
            }
        }
    }
}

/// A call on its way. Dropped before it landed (the flush ran out of time, or panicked) it counts as
/// failed, so that nobody waits for it for ever.
struct Flight<'a, S: Store> {
    flusher: &'a Flusher<S>,
    shard: ShardIndex,
    call: &'a Call,
    landed: bool,
}

impl<S: Store> Flight<'_, S> {
    fn answered(&mut self, applied: &Applied, tally: &mut Tally) {
        let now = self.flusher.clock.now();
        let learned = self.flusher.lock().lanes[self.shard].answered(self.call, applied, now);
        tally.learn(learned, applied);
        for rejected in &applied.rejected {
            let (shard, visits_rejected) = (self.flusher.ring.name(self.shard).as_str(), rejected.visits);
            let page = rejected.page.as_str();
            tracing::error!(
                shard,
                page,
                visits_rejected,
                reason = rejected.reason,
                "a page's key cannot be counted up"
            );
        }
        self.land();
    }

    fn failed(&mut self, error: &StoreError) {
        tracing::warn!(%error, batches = self.call.apply.batches.len(), "a flush failed; its batches are kept");
        self.fail();
    }

    fn fail(&mut self) {
        let now = self.flusher.clock.now();
        self.flusher.lock().lanes[self.shard].failed(self.call, now);
        self.land();
    }

    fn land(&mut self) {
        self.landed = true;
        self.flusher.landed[self.shard].notify_waiters();
    }
}

impl<S: Store> Drop for Flight<'_, S> {
    fn drop(&mut self) {
        if !self.landed {
            self.fail();
        }
    }
}
