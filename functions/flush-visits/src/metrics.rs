//! What a run tells as metrics.

use crate::report::Report;
use visits_core::telemetry::metrics::{self, Figures};

/// The figures of a run. `memory`: how full the fullest server is, in percent.
pub(crate) fn figures(report: &Report, memory: Option<u64>) -> Figures {
    let Report { sweep, delivery, folded, rehome, rollup } = report;
    let failures = [
        sweep.shards_failed,
        sweep.invocations_failed,
        delivery.calls_failed,
        rehome.rehoming_calls_failed,
        rollup.rollup_calls_failed,
        folded.fold_calls_failed,
    ];
    let mut figures = Figures::default();
    // A copy that brings again what its owner had lost is not delivered twice.
    figures.count(metrics::DELIVERED, delivery.visits_delivered - delivery.visits_healed);
    figures.count(metrics::HEALED, delivery.visits_healed);
    figures.count(metrics::VISITS_LOST, delivery.visits_lost);
    figures.count(metrics::STATISTICS_SKIPPED, folded.statistics_skipped);
    figures.count(metrics::FLUSH_FAILURES, failures.iter().map(|calls| *calls as u64).sum());
    figures.level(metrics::PARKED_AGE, delivery.oldest_copy_seconds);
    if let Some(memory) = memory {
        figures.level(metrics::REDIS_MEMORY, memory);
    }
    figures
}
