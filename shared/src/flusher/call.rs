//! Running the calls of a flush.

mod flight;

use super::lane::Want;
use super::park::Urgency;
use super::report::{FlushReport, Tally};
use super::{Flusher, State, secrets};
use crate::policy::{self, Reason};
use crate::store::Ledger;
use crate::store::{ShardIndex, Standing};
use crate::telemetry::traces;
use flight::Flight;
use futures_util::future::{Either, join_all, select};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// At SIGTERM: a shard that is silent for this long has its batches parked, and one that is to take copies is
/// given no longer. So an owner and two further shards may be mute within [`super::SHUTDOWN_BUDGET`].
const SILENCE: Duration = Duration::from_millis(120);

/// At SIGTERM: time between two attempts to bring the same batches to safety.
const BREATH: Duration = Duration::from_millis(20);

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

impl<S: Ledger> Flusher<S> {
    /// Sends what the shards have pending, all that take part at once, within `budget`.
    pub(super) fn flush(
        &self,
        reason: Reason,
        budget: Duration,
        patience: Patience,
    ) -> impl Future<Output = FlushReport> {
        traces::flush(reason.as_str(), self.flush_all(reason, budget, patience))
    }

    async fn flush_all(&self, reason: Reason, budget: Duration, patience: Patience) -> FlushReport {
        let (started, end) = (self.clock.now(), Instant::now() + budget);
        if reason != Reason::Shutdown {
            self.learn_secrets(secrets::PATIENCE.min(budget / 4)).await;
        }
        let shards: Vec<ShardIndex> = {
            let mut state = self.lock();
            let oldest = state.lanes.iter().filter_map(|lane| lane.oldest(started)).max();
            state.counters.begins_with(oldest);
            let takes_part = |shard: &usize| policy::takes_part(state.lanes[*shard].pending(started), reason);
            let shards: Vec<ShardIndex> = (0..state.lanes.len()).filter(takes_part).collect();
            if shards.len() == state.lanes.len() {
                state.last_flush = Some(started);
            }
            shards
        };
        let lines = Arc::default();
        let shards = shards.into_iter().map(async |shard| {
            let mut tally = Tally::with_lines(&lines);
            let sent = self.send_or_park(shard, reason, patience, &mut tally);
            if tokio::time::timeout_at(end, sent).await.is_err() {
                tally.failed += 1;
                tracing::warn!(shard = self.ring.name(shard).as_str(), ?budget, "the flush ran out of time");
            }
            tally
        });
        let mut tally = Tally::default();
        join_all(shards).await.iter().for_each(|shard| tally.add(shard));
        let report = FlushReport::new(&self.lock(), &tally);
        report.log(reason, self.clock.now().since(started));
        self.write_metrics();
        report
    }

    /// Sends what one shard has pending: the leader of a group of waiting visits does this.
    pub(super) async fn flush_shard(&self, shard: ShardIndex, reason: Reason, patience: Patience) {
        let started = self.clock.now();
        self.learn_secrets(secrets::PATIENCE).await;
        let mut tally = Tally::default();
        self.send_or_park(shard, reason, patience, &mut tally).await;
        let report = FlushReport::new(&self.lock(), &tally);
        report.log_debug(reason, self.clock.now().since(started));
    }

    /// Sends what one shard has pending, and parks copies of what it does not take.
    async fn send_or_park(&self, shard: ShardIndex, reason: Reason, patience: Patience, tally: &mut Tally) {
        if reason == Reason::Shutdown {
            while !self.send_or_park_at_once(shard, tally).await {
                tokio::time::sleep(BREATH).await;
            }
            return;
        }
        let last = self.lock().lanes[shard].last_open();
        let seal_up_to = (reason != Reason::Retry).then_some(last);
        self.send(shard, reason, patience, tally).await;
        self.park(shard, Urgency { seal_up_to, impatient: false, patience: Duration::MAX }, tally).await;
    }

    /// At SIGTERM: sends, and parks as soon as the shard has been silent for [`SILENCE`]. Whether all is safe.
    async fn send_or_park_at_once(&self, shard: ShardIndex, tally: &mut Tally) -> bool {
        let urgency = Urgency { seal_up_to: None, impatient: true, patience: SILENCE };
        let mut parking = Tally::default();
        {
            let mut sending = pin!(self.send(shard, Reason::Shutdown, Patience::None, tally));
            if tokio::time::timeout(SILENCE, &mut sending).await.is_err() {
                // What is parked is safe: then the shard's answer need not be waited for.
                let parked = pin!(self.park(shard, urgency, &mut parking));
                let first = select(&mut sending, parked).await;
                if matches!(first, Either::Right(_)) && !self.is_safe(shard) {
                    sending.await;
                }
            }
        }
        self.park(shard, urgency, &mut parking).await;
        tally.add(&parking);
        self.is_safe(shard)
    }

    /// Whether each visit of a shard is applied, or parked.
    fn is_safe(&self, shard: ShardIndex) -> bool {
        let lane = &self.lock().lanes[shard];
        lane.held_visits() == lane.parked_visits()
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
                standing: match &state.lanes[shard] {
                    lane if lane.is_clean() => lane.farewell(),
                    _ => Standing::Active,
                },
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
                standing: match reason {
                    Reason::Shutdown if lane.is_clean() => lane.farewell(),
                    Reason::Shutdown => Standing::Gone,
                    _ => Standing::Active,
                },
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
        let mut flight = Flight::new(self, shard, &call);
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
