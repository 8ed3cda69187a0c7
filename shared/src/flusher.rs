//! The writing side: takes visits into memory and pushes them to their shards, each exactly once.
//!
//! [`Flusher`] is the handle that the function and its layers share. Its state lies behind one plain
//! mutex that is never held across an await; calls to shards run outside of it (`call`). Everything that
//! decides is pure and elsewhere: [`crate::policy`] when, `lane` what, [`crate::outbox`] what is known.

mod backoff;
mod call;
mod counters;
mod lane;
mod park;
mod record;
mod report;
mod secrets;

use crate::batch::WriterId;
use crate::clock::{Clock, Moment};
use crate::config::Config;
use crate::policy::{self, Reason};
use crate::ring::Ring;
use crate::store::Ledger;
use crate::store::ShardIndex;
use crate::telemetry::metrics::Metrics;
use crate::timing::Timing;
use call::Patience;
use counters::Counters;
use lane::Lane;
pub use record::RecordError;
pub use report::FlushReport;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Time for everything that is done at SIGTERM, the day's secret included. Lambda sends SIGKILL after 500 ms.
pub const SHUTDOWN_BUDGET: Duration = Duration::from_millis(450);

/// The settings that a flusher needs.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time between two flushes of a busy environment.
    pub interval: Duration,
    /// Most pages held in memory that are not known to be applied.
    pub pages: usize,
    /// The protocol's durations.
    pub timing: Timing,
    /// Whether visits are told apart by days.
    pub days: bool,
}

impl From<&Config> for Limits {
    fn from(config: &Config) -> Self {
        Self {
            interval: config.flush_interval,
            pages: config.buffer_pages,
            timing: config.testing.timing,
            days: config.history_days > 0,
        }
    }
}

/// Buffer and outboxes of one environment, and the shards that they go to.
#[derive(Debug)]
pub struct Flusher<S> {
    store: Arc<S>,
    ring: Ring,
    clock: Clock,
    limits: Limits,
    metrics: Metrics,
    state: Mutex<State>,
    /// Shard whose batches carry the visits that were refused.
    refusals: ShardIndex,
    /// For each shard: a call of it has ended.
    landed: Vec<Notify>,
}

#[derive(Debug)]
struct State {
    writer: Option<WriterId>,
    lanes: Vec<Lane>,
    counters: Counters,
    last_flush: Option<Moment>,
    /// Time between two flushes of a busy environment.
    interval: Duration,
    stopping: bool,
    /// When a day's secret could not be read.
    no_secret: Option<Moment>,
}

impl<S: Ledger> Flusher<S> {
    /// A flusher with nothing pending. The ring's shards are the store's, in the same order.
    pub fn new(store: Arc<S>, ring: Ring, clock: Clock, limits: Limits) -> Self {
        let shards = ring.len();
        let others = |owner| ring.preference("").into_iter().any(|shard| shard != owner);
        let fingerprint = ring.fingerprint();
        let lanes = (0..shards).map(|owner| Lane::new(limits.timing, fingerprint, others(owner))).collect();
        let state = State {
            writer: None,
            lanes,
            counters: Counters::default(),
            last_flush: None,
            interval: limits.interval,
            stopping: false,
            no_secret: None,
        };
        let state = Mutex::new(state);
        let landed = (0..shards).map(|_| Notify::new()).collect();
        let refusals = ring.owner("refusals");
        Self { store, ring, clock, limits, metrics: Metrics::default(), state, refusals, landed }
    }

    /// The same, which writes a line of metrics with each flush.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Flushes at intervals of at most `interval` from now on.
    pub fn flush_within(&self, interval: Duration) {
        let mut state = self.lock();
        state.interval = state.interval.min(interval);
    }

    /// Flushes if it is time to. To be called after every response, and by a timer where nothing freezes.
    pub async fn flush_if_due(&self, budget: Duration) -> Option<FlushReport> {
        let now = self.clock.now();
        let reason = {
            let state = self.lock();
            let shards = state.lanes.iter().map(|lane| lane.pending(now));
            policy::due(shards, state.last_flush, state.interval, now)?
        };
        // Boxed, since most visits end here: a future is moved about with all that its rarest branch may need.
        Some(Box::pin(self.flush(reason, budget, Patience::OneAtATime)).await)
    }

    /// Flushes everything because the scheduled sweep asks for it. If then nothing is left to send or to
    /// confirm, the writer leaves the sweep's list; its next visit flushes at once and lists it again.
    pub async fn sweep(&self, budget: Duration) -> FlushReport {
        let end = Instant::now() + budget;
        let mut report = self.flush(Reason::Sweep, budget, Patience::NoPause).await;
        if self.lock().is_clean() {
            report.unregistered = self.settle(end.saturating_duration_since(Instant::now())).await;
        }
        report
    }

    /// Flushes everything because the environment ends; from now on visits are refused. What can be neither
    /// sent nor parked within [`SHUTDOWN_BUDGET`] is lost with the environment, and logged as such.
    pub async fn shutdown(&self) -> FlushReport {
        let end = Instant::now() + SHUTDOWN_BUDGET;
        self.learn_secrets(secrets::AT_SIGTERM).await;
        let now = self.clock.now();
        {
            let mut state = self.lock();
            state.stopping = true;
            for lane in &mut state.lanes {
                lane.seal_up_to(lane.last_open(), now);
            }
        }
        let left = end.saturating_duration_since(Instant::now());
        let mut report = self.flush(Reason::Shutdown, left, Patience::None).await;
        let visits_lost = report.visits_held - report.visits_parked;
        if visits_lost > 0 {
            tracing::error!(visits_lost, "the environment ends with visits that it could neither send nor park");
        }
        report.visits_lost += visits_lost;
        self.lock().counters.lost += visits_lost;
        self.write_metrics();
        report
    }

    /// Flushes when due until the task ends. Only for where nothing freezes: see [`Config::timer`].
    pub async fn run_timer(&self, budget: Duration) {
        loop {
            let tick = (self.lock().interval / 10).clamp(Duration::from_millis(50), Duration::from_secs(1));
            tokio::time::sleep(tick).await;
            self.flush_if_due(budget).await;
        }
    }

    /// Writes what was counted since the last line.
    fn write_metrics(&self) {
        self.metrics.write(|| self.lock().counters.take());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held has left counts that are whole: each change is a few
        // assignments. Losing the buffer to a poisoned lock would be worse than anything in it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn held_pages(&self) -> usize {
        self.lanes.iter().map(Lane::held_pages).sum()
    }

    fn is_clean(&self) -> bool {
        self.lanes.iter().all(Lane::is_clean)
    }
}

#[cfg(test)]
mod tests;
