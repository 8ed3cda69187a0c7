//! What the cache has done since the last line of metrics.

use crate::telemetry::metrics;
use crate::telemetry::metrics::Figures;
use crate::telemetry::metrics::Samples;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Relaxed: each figure stands for itself.
#[derive(Debug, Default)]
pub(super) struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    latencies: Mutex<Samples>,
}

impl Counters {
    /// Takes note of a count that was answered from memory, stale ones included.
    pub(super) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes note of counts that a shard is asked for.
    pub(super) fn missed(&self, counts: usize) {
        self.misses.fetch_add(counts as u64, Ordering::Relaxed);
    }

    /// Takes note of an answer that came `latency` after its call.
    pub(super) fn answered(&self, latency: Duration) {
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).add(latency);
    }

    /// The figures of a line. From here on everything is counted anew.
    pub(super) fn take(&self) -> Figures {
        let mut figures = Figures::default();
        figures.count(metrics::CACHE_HITS, self.hits.swap(0, Ordering::Relaxed));
        figures.count(metrics::CACHE_MISSES, self.misses.swap(0, Ordering::Relaxed));
        let latencies = std::mem::take(&mut *self.latencies.lock().unwrap_or_else(PoisonError::into_inner));
        figures.durations(metrics::REDIS_LATENCY, &latencies);
        figures
    }
}
