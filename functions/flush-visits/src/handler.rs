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
    pub(crate) fn new(store: S, environments: E, config: &Config) -> Self {
        Self {
            store,
            environments,
            ring: config.ring(),
            clock: Clock::system(),
            interval: config.flush_interval,
            concurrency: config.sweep_concurrency,
        }
    }

    /// Sweeps for a schedule's event, or for an empty one. `deadline`: milliseconds since the Unix epoch;
    /// one that is long past is the local emulator's, and means none.
    pub(crate) async fn handle(&self, event: &Value, deadline: u64) -> Result<Summary, Error> {
        check(event)?;
        let left = match self.clock.now() {
            now if deadline < now.epoch_millis() => LONGEST,
            now => now.until_epoch_millis(deadline).saturating_sub(MARGIN).min(LONGEST),
        };
        let settings = Settings { interval: self.interval, concurrency: self.concurrency, budget: left };
        let started = self.clock.now();
        let summary = sweep::sweep(&self.store, &self.ring, &self.environments, &self.clock, settings).await;
        let (seconds, json) = (self.clock.now().since(started).as_secs_f64(), serde_json::to_string(&summary)?);
        tracing::info!(seconds, summary = json, "swept");
        Ok(summary)
    }
}

/// Refuses what no schedule sends: somebody has wired the wrong function.
fn check(event: &Value) -> Result<(), String> {
    let accepted = "flush-visits takes the event of an EventBridge schedule, or {}";
    match event {
        Value::Object(fields) if fields.is_empty() || fields.contains_key("detail-type") => Ok(()),
        Value::Object(_) => Err(format!("{accepted}; this is an event of another kind")),
        _ => Err(format!("{accepted}; this is not a JSON object")),
    }
}

#[cfg(test)]
mod tests;
