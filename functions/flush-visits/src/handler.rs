//! Maps a schedule's event to a delivery, a sweep, a fold of journals, a roll-up of finished days and some steps of
//! re-homing, and what they did to the answer. The order is that of what waiting costs; each step has its share of the invocation's time.

use crate::report::Report;
use lambda_runtime::Error;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use visits_core::budget::Budget;
use visits_core::clock::{Clock, Moment};
use visits_core::config::Config;
use visits_core::fold;
use visits_core::handoff;
use visits_core::rehome;
use visits_core::ring::Ring;
use visits_core::rollup;
use visits_core::store::redis::RedisStore;
use visits_core::sweep::{self, Environments, Settings};
use visits_core::telemetry::metrics::Metrics;

/// Longest time of all steps: the next run comes in a minute.
const LONGEST: Duration = Duration::from_secs(30);

/// A run with no more time than this is refused. One delivery is a list, a page of copies, a call of their owner and a
/// note, each of which may need a new connection.
const TOO_SHORT: Duration = Duration::from_secs(3);

/// Longest time left free before the invocation's deadline.
const LONGEST_RESERVE: Duration = Duration::from_secs(15);

/// Deadlines so far in the past are the local emulator's, which has none.
const LONG_PAST: Duration = Duration::from_hours(1);

pub(crate) struct Handler<E> {
    store: Arc<RedisStore>,
    environments: E,
    config: Config,
    ring: Ring,
    clock: Clock,
    metrics: Metrics,
}

impl<E: Environments> Handler<E> {
    pub(crate) fn new(store: Arc<RedisStore>, environments: E, config: &Config, clock: Clock) -> Self {
        let (config, ring) = (config.clone(), config.ring());
        Self { store, environments, config, ring, clock, metrics: Metrics::default() }
    }

    /// Has each run write a line of metrics.
    pub(crate) fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Delivers parked batches, sweeps, folds journals into days, rolls finished days up, and brings pages to their owners. A schedule's event sweeps
    /// the writers that have been idle for an interval, an empty one, which is sent by hand, all. `deadline`:
    /// milliseconds since the Unix epoch; one that is long past is the local emulator's, and means none.
    pub(crate) async fn handle(&self, event: &Value, deadline: u64) -> Result<Report, Error> {
        let interval = if is_scheduled(event)? { self.config.flush_interval } else { Duration::ZERO };
        let (store, ring, clock, timing) = (&*self.store, &self.ring, &self.clock, self.config.testing.timing);
        let (concurrency, history_days) = (self.config.sweep_concurrency, self.config.history_days);
        let time = RunTime::new(clock.now(), deadline)?;
        let delivery = handoff::deliver(store, ring, clock, timing, time.until(2, clock.now())).await;
        let settings = Settings { interval, concurrency, budget: time.until(3, clock.now()) };
        let sweep = sweep::sweep(store, ring, &self.environments, clock, settings).await;
        let settings = fold::Settings::new(history_days, time.until(4, clock.now()));
        let folded = fold::fold(store, ring, clock, settings, 0..ring.len()).await;
        let rollup = rollup::roll_up(store, ring, clock, history_days, time.until(5, clock.now())).await;
        let rehome = rehome::rehome(store, ring, clock, timing, time.until(6, clock.now())).await;
        let report = Report { sweep, delivery, folded, rehome, rollup };
        report.log(clock.now().since(time.started));
        if self.metrics.are_on() {
            let memory = tokio::time::timeout(time.reserve / 2, store.fullest_memory()).await.ok().flatten();
            self.metrics.write(|| report.figures(memory));
        }
        // Last, so that what can be done is done; the caller must hear of it.
        report.rehome.refusal().map_or(Ok(report), |refusal| Err(refusal.into()))
    }
}

/// The time of a run. Each step ends at a fixed share of it, so that none takes what the next one needs.
#[derive(Clone, Copy, Debug)]
struct RunTime {
    started: Moment,
    steps: Duration,
    reserve: Duration,
}

impl RunTime {
    /// Divides the time until the deadline: a fifth of it, at most [`LONGEST_RESERVE`], stays free.
    fn new(started: Moment, deadline: u64) -> Result<Self, String> {
        if deadline < started.before(LONG_PAST).epoch_millis() {
            return Ok(Self { started, steps: LONGEST, reserve: LONGEST_RESERVE });
        }
        let left = started.until_epoch_millis(deadline);
        if left <= TOO_SHORT {
            return Err(format!(
                "flush-visits has {left:?}, and needs more than {TOO_SHORT:?} to deliver anything: nothing was begun; set \
                 the function's timeout to 60 s (aws lambda update-function-configuration --timeout 60)"
            ));
        }
        let reserve = (left / 5).min(LONGEST_RESERVE);
        Ok(Self { started, steps: left.saturating_sub(reserve).min(LONGEST), reserve })
    }

    /// The budget of a step that ends when so many sixths of the time are over.
    fn until(self, sixths: u32, now: Moment) -> Budget {
        Budget::within((self.steps * sixths / 6).saturating_sub(now.since(self.started)))
    }
}

/// Whether a schedule sent this event. Any other event is refused, unless it is empty: it was wired to the
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
