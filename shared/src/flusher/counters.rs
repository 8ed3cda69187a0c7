//! What has happened since the last line of metrics. It is counted where it is learned, under the flusher's lock: what a flush
//! that is cut off has learned goes with the next line.

use super::lane::Call;
use crate::outbox::Learned;
use crate::store::Applied;
use crate::telemetry::metrics;
use crate::telemetry::metrics::Figures;
use crate::telemetry::metrics::Samples;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Visits taken into memory.
    pub(super) visits: u64,
    /// Copies of batches stored on another shard.
    pub(super) parked: u64,
    /// Acknowledged visits that will not be counted.
    pub(super) lost: u64,
    /// Calls that brought no answer, or an error.
    pub(super) failures: u64,
    flushed: u64,
    healed: u64,
    gaps: u64,
    batches: u64,
    duplicates: u64,
    latencies: Samples,
    age: Option<Duration>,
}

impl Counters {
    /// Takes an answer that came `latency` after its call.
    pub(super) fn answered(&mut self, call: &Call, applied: &Applied, learned: Learned, latency: Duration) {
        self.flushed += learned.applied - learned.healed;
        self.healed += learned.healed;
        self.gaps += learned.gaps;
        self.lost += learned.expired + learned.lost + applied.visits_rejected();
        let sent = call.apply.batches.len() as u64;
        self.batches += sent;
        self.duplicates += sent.saturating_sub((applied.fresh.len() + applied.expired.len()) as u64);
        self.latencies.add(latency);
    }

    /// Takes the age of the oldest visit in memory as a flush begins.
    pub(super) fn begins_with(&mut self, oldest: Option<Duration>) {
        self.age = self.age.max(oldest);
    }

    /// The figures of a line. From here on everything is counted anew.
    pub(super) fn take(&mut self) -> Figures {
        let counted = std::mem::take(self);
        let mut figures = Figures::default();
        for (metric, count) in [
            (metrics::VISITS, counted.visits),
            (metrics::VISITS_FLUSHED, counted.flushed),
            (metrics::BATCHES, counted.batches),
            (metrics::DUPLICATE_BATCHES, counted.duplicates),
            (metrics::GAPS, counted.gaps),
            (metrics::HEALED, counted.healed),
            (metrics::PARKED, counted.parked),
            (metrics::VISITS_LOST, counted.lost),
            (metrics::FLUSH_FAILURES, counted.failures),
        ] {
            figures.count(metric, count);
        }
        figures.durations(metrics::REDIS_LATENCY, &counted.latencies);
        if let Some(age) = counted.age {
            figures.level(metrics::BUFFER_AGE, u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        }
        figures
    }
}
