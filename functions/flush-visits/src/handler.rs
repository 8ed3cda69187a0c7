//! Maps a schedule's event to a sweep and the sweep's summary to the answer.

use lambda_runtime::Error;
use serde_json::Value;
use std::time::Duration;
use visits_core::clock::Clock;
use visits_core::config::Config;
use visits_core::ring::Ring;
use visits_core::store::Store;
use visits_core::sweep::{self, Environments, Settings, Summary};

/// Left free before the invocation's deadline: the last round and the tidying end within it.
const MARGIN: Duration = Duration::from_secs(15);

/// Longest time in which rounds are begun: the next sweep comes in a minute.
const LONGEST: Duration = Duration::from_secs(30);

pub(crate) struct Handler<S, E> {
    store: S,
    environments: E,
    ring: Ring,
    clock: Clock,
    interval: Duration,
    concurrency: usize,
}

impl<S: Store, E: Environments> Handler<S, E> {
    pub(crate) fn new(store: S, environments: E, config: &Config, clock: Clock) -> Self {
        Self {
            store,
            environments,
            ring: config.ring(),
            clock,
            interval: config.flush_interval,
            concurrency: config.sweep_concurrency,
        }
    }

    /// Sweeps: for a schedule's event the writers that have been idle for an interval, for an empty one,
    /// which somebody sends by hand, all. `deadline`: milliseconds since the Unix epoch; one that is long
    /// past is the local emulator's, and means none.
    pub(crate) async fn handle(&self, event: &Value, deadline: u64) -> Result<Summary, Error> {
        let interval = if is_scheduled(event)? { self.interval } else { Duration::ZERO };
        let left = match self.clock.now() {
            now if deadline < now.epoch_millis() => LONGEST,
            now => now.until_epoch_millis(deadline).saturating_sub(MARGIN).min(LONGEST),
        };
        let settings = Settings { interval, concurrency: self.concurrency, budget: left };
        let started = self.clock.now();
        let summary = sweep::sweep(&self.store, &self.ring, &self.environments, &self.clock, settings).await;
        log(&summary, self.clock.now().since(started));
        Ok(summary)
    }
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

fn log(summary: &Summary, took: Duration) {
    let Summary { writers_known, writers_answered, visits_flushed, rounds, .. } = *summary;
    let Summary { invocations, invocations_failed, sets_removed, shards_failed, .. } = *summary;
    tracing::info!(
        writers_known,
        writers_answered,
        visits_flushed,
        rounds,
        invocations,
        invocations_failed,
        sets_removed,
        shards_failed,
        micros = took.as_micros(),
        "swept"
    );
}

#[cfg(test)]
mod tests;
