//! Maps a schedule's event to a delivery, some steps of re-homing, a roll-up of finished days and a sweep, and what they
//! did to the answer.

use crate::metrics::figures;
use crate::report::Report;
use lambda_runtime::Error;
use serde_json::Value;
use std::time::Duration;
use visits_core::clock::{Clock, Moment};
use visits_core::config::Config;
use visits_core::parking;
use visits_core::rehome;
use visits_core::ring::Ring;
use visits_core::rollup::{self, Rollup};
use visits_core::store::rehoming::Rehoming;
use visits_core::store::rollup::RollUp;
use visits_core::store::watch::{Watch, fullest};
use visits_core::sweep::{self, Environments, Settings};
use visits_core::telemetry::metrics::Metrics;
use visits_core::timing::Timing;

/// Left free before the invocation's deadline: the last round and the tidying end within it.
const MARGIN: Duration = Duration::from_secs(15);

/// Longest time in which rounds are begun: the next sweep comes in a minute.
const LONGEST: Duration = Duration::from_secs(30);

/// Longest time in which deliveries are begun, so that a backlog leaves the sweep its share.
const LONGEST_DELIVERY: Duration = Duration::from_secs(10);

/// Longest time in which steps of re-homing are begun.
const LONGEST_REHOMING: Duration = Duration::from_secs(10);

/// Longest time in which steps of the roll-up are begun. As a rule there are none.
const LONGEST_ROLLUP: Duration = Duration::from_secs(5);

pub(crate) struct Handler<S, E> {
    store: S,
    environments: E,
    ring: Ring,
    clock: Clock,
    interval: Duration,
    concurrency: usize,
    timing: Timing,
    history_days: u32,
    metrics: Metrics,
}

impl<S: Rehoming + RollUp + Watch, E: Environments> Handler<S, E> {
    pub(crate) fn new(store: S, environments: E, config: &Config, clock: Clock) -> Self {
        Self {
            store,
            environments,
            ring: config.ring(),
            clock,
            interval: config.flush_interval,
            concurrency: config.sweep_concurrency,
            timing: config.testing.timing,
            history_days: config.history_days,
            metrics: Metrics::default(),
        }
    }

    /// The same, which writes a line of metrics in each run.
    pub(crate) fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Delivers parked batches, brings pages to their owners, rolls finished days up, then sweeps: for a schedule's event the
    /// writers that have been idle for an interval, for an empty one, which somebody sends by hand, all. `deadline`:
    /// milliseconds since the Unix epoch; one that is long past is the local emulator's, and means none.
    pub(crate) async fn handle(&self, event: &Value, deadline: u64) -> Result<Report, Error> {
        let interval = if is_scheduled(event)? { self.interval } else { Duration::ZERO };
        let started = self.clock.now();
        let budget = time_left(started, deadline).min(LONGEST_DELIVERY);
        let delivery = parking::deliver(&self.store, &self.ring, &self.clock, self.timing, budget).await;
        let budget = time_left(self.clock.now(), deadline).min(LONGEST_REHOMING);
        let rehome = rehome::rehome(&self.store, &self.ring, &self.clock, self.timing, budget).await;
        let rollup = self.roll_up(deadline).await;
        let settings =
            Settings { interval, concurrency: self.concurrency, budget: time_left(self.clock.now(), deadline) };
        let sweep = sweep::sweep(&self.store, &self.ring, &self.environments, &self.clock, settings).await;
        let report = Report { sweep, delivery, rehome, rollup };
        report.log(self.clock.now().since(started));
        if self.metrics.are_on() {
            let memory = fullest(&self.store, self.ring.len()).await;
            self.metrics.write(|| figures(&report, memory));
        }
        // Last, so that what can be done is done: whoever runs it must hear of it.
        report.rehome.refusal().map_or(Ok(report), |refusal| Err(refusal.into()))
    }

    async fn roll_up(&self, deadline: u64) -> Rollup {
        let budget = time_left(self.clock.now(), deadline).min(LONGEST_ROLLUP);
        let settings = rollup::Settings { history_days: self.history_days, timing: self.timing, budget };
        rollup::roll_up(&self.store, &self.ring, &self.clock, settings).await
    }
}

fn time_left(now: Moment, deadline: u64) -> Duration {
    if deadline < now.epoch_millis() {
        return LONGEST;
    }
    now.until_epoch_millis(deadline).saturating_sub(MARGIN).min(LONGEST)
}

/// Whether a schedule sent this event. What is neither that nor empty is refused: somebody has wired the
/// wrong function.
fn is_scheduled(event: &Value) -> Result<bool, String> {
    let accepted = "flush-visits takes the event of an EventBridge schedule, or {}";
    match event {
        Value::Object(fields) if fields.is_empty() => Ok(false),
        Value::Object(fields) if fields.contains_key("detail-type") => Ok(true),
        Value::Object(_) => Err(format!("{accepted}; this is an event of another kind")),
        _ => Err(format!("{accepted}; this is not a JSON object")),
    }
}

#[cfg(test)]
mod tests;
