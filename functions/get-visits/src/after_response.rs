//! A line of metrics after a response, at most one an interval: what the cache has done since the last.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use visits_core::cache::CountCache;
use visits_core::clock::{Clock, Moment};
use visits_core::config::Config;
use visits_core::lambda::AfterResponse;
use visits_core::telemetry::metrics::Metrics;

/// Writes the lines.
#[derive(Clone)]
pub(crate) struct Lines(Arc<State>);

struct State {
    cache: Arc<CountCache>,
    metrics: Metrics,
    interval: Duration,
    clock: Clock,
    last: Mutex<Option<Moment>>,
}

impl Lines {
    pub(crate) fn new(cache: Arc<CountCache>, metrics: Metrics, config: &Config, clock: Clock) -> Self {
        Self(Arc::new(State { cache, metrics, interval: config.flush_interval, clock, last: Mutex::default() }))
    }

    /// Whether a line is due; from here on, the next one is in an interval.
    fn is_due(&self) -> bool {
        let now = self.0.clock.now();
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| now.since(last) >= self.0.interval);
        if due {
            *last = Some(now);
        }
        due
    }
}

impl AfterResponse for Lines {
    async fn run(self, _: u64) {
        if self.0.metrics.are_on() && self.is_due() {
            self.0.metrics.write(|| self.0.cache.take_figures());
        }
    }
}

#[cfg(test)]
mod tests;
