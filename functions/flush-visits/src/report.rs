//! The outcome of a run: its answer, its lines in the log, and its metrics.

use serde::Serialize;
use std::time::Duration;
use visits_core::fold::Folded;
use visits_core::handoff::Delivery;
use visits_core::rehome::Rehome;
use visits_core::rollup::Rollup;
use visits_core::sweep::Summary;
use visits_core::telemetry::metrics::{self, Figures};

/// The outcome of a run: the answer, and a line in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    pub(crate) sweep: Summary,
    #[serde(flatten)]
    pub(crate) delivery: Delivery,
    #[serde(flatten)]
    pub(crate) folded: Folded,
    #[serde(flatten)]
    pub(crate) rehome: Rehome,
    #[serde(flatten)]
    pub(crate) rollup: Rollup,
}

/// Logs figures of parts of a report by their names, those of 0 left out, besides a field that is always there.
macro_rules! log {
    ($text:literal $(, $field:ident = $value:expr)?; $($part:ident: $($figure:ident)+);+) => {
        tracing::info!($($field = $value,)? $($($figure = some($part.$figure),)+)+ $text)
    };
}

impl Report {
    /// Logs what it did, without figures of 0, and how long it took: nothing where it did nothing. At debug level all of it.
    pub(crate) fn log(&self, took: Duration) {
        let Self { sweep, delivery, folded, rehome, rollup } = self;
        let micros = took.as_micros();
        if (sweep, delivery) != (&Summary::default(), &Delivery::default()) {
            log!("delivered and swept", micros = micros;
                sweep: writers_known writers_answered visits_flushed rounds invocations invocations_failed sets_removed
                    shards_failed;
                delivery: copies_tried visits_delivered visits_lost copies_removed copies_set_aside pages_delivered
                    moves_waiting owners_waiting calls_failed);
        }
        if *folded != Folded::default() {
            log!("folded";
                folded: entries_folded visits_folded pieces visits_too_old entries_set_aside statistics_skipped
                    days_rejected fold_calls_failed oldest_entry_seconds);
        }
        if *rehome != (Rehome { ring_settled: true, ..Rehome::default() }) {
            log!("re-homed", ring_settled = rehome.ring_settled;
                rehome: pages_scanned pages_taken records_rejected rehoming_calls_failed);
        }
        if *rollup != (Rollup { days_rolled_up: true, ..Rollup::default() }) {
            log!("rolled up", days_rolled_up = rollup.days_rolled_up;
                rollup: sketches_counted sketches_moved sketches_rejected records_dropped secrets_destroyed
                    rollup_calls_failed);
        }
        tracing::debug!(micros, report = serde_json::to_string(self).unwrap_or_default(), "the whole report");
    }

    /// The figures of a run. `memory`: how full the fullest server is, in percent.
    pub(crate) fn figures(&self, memory: Option<u64>) -> Figures {
        let Report { sweep, delivery, folded, rehome, rollup } = self;
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
}

/// A figure; `None`, which is not logged, if it is 0.
fn some<N: Default + PartialEq>(figure: N) -> Option<N> {
    (figure != N::default()).then_some(figure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_support::Logs;

    fn idle() -> Report {
        Report {
            sweep: Summary::default(),
            delivery: Delivery::default(),
            folded: Folded::default(),
            rehome: Rehome { ring_settled: true, ..Rehome::default() },
            rollup: Rollup { days_rolled_up: true, ..Rollup::default() },
        }
    }

    fn logged(report: &Report) -> String {
        let logs = Logs::capture();
        report.log(Duration::from_millis(3));
        logs.text().lines().filter(|line| !line.contains("DEBUG")).collect()
    }

    #[test]
    fn an_idle_minute_logs_nothing_and_another_one_what_happened() {
        assert_eq!(logged(&idle()), "");
        let mut report = idle();
        report.delivery.visits_delivered = 7;
        let line = logged(&report);
        assert!(line.contains("delivered and swept micros=3000 visits_delivered=7") && !line.contains("=0"), "{line}");
        report = idle();
        report.rehome.ring_settled = false;
        assert!(logged(&report).ends_with("re-homed ring_settled=false"), "{}", logged(&report));
    }
}
