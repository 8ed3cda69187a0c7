//! What a run did.

use serde::Serialize;
use std::time::Duration;
use visits_core::fold::Folded;
use visits_core::handoff::Delivery;
use visits_core::rehome::Rehome;
use visits_core::rollup::Rollup;
use visits_core::sweep::Summary;

/// What a run did: the answer, and a line in the log.
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

impl Report {
    /// Logs what it did, without figures of 0, and how long it took: nothing where it did nothing. At debug level all of it.
    pub(crate) fn log(&self, took: Duration) {
        let Self { sweep, delivery, folded, rehome, rollup } = self;
        let micros = took.as_micros();
        if (sweep, delivery) != (&Summary::default(), &Delivery::default()) {
            tracing::info!(
                writers_known = some(sweep.writers_known),
                writers_answered = some(sweep.writers_answered),
                visits_flushed = some(sweep.visits_flushed),
                rounds = some(sweep.rounds),
                invocations = some(sweep.invocations),
                invocations_failed = some(sweep.invocations_failed),
                sets_removed = some(sweep.sets_removed),
                shards_failed = some(sweep.shards_failed),
                copies_tried = some(delivery.copies_tried),
                visits_delivered = some(delivery.visits_delivered),
                visits_lost = some(delivery.visits_lost),
                copies_removed = some(delivery.copies_removed),
                copies_set_aside = some(delivery.copies_set_aside),
                pages_delivered = some(delivery.pages_delivered),
                moves_waiting = some(delivery.moves_waiting),
                owners_waiting = some(delivery.owners_waiting),
                calls_failed = some(delivery.calls_failed),
                micros,
                "delivered and swept"
            );
        }
        if *folded != Folded::default() {
            tracing::info!(
                entries_folded = some(folded.entries_folded),
                visits_folded = some(folded.visits_folded),
                pieces = some(folded.pieces),
                visits_too_old = some(folded.visits_too_old),
                entries_set_aside = some(folded.entries_set_aside),
                statistics_skipped = some(folded.statistics_skipped),
                days_rejected = some(folded.days_rejected),
                fold_calls_failed = some(folded.fold_calls_failed),
                oldest_entry_seconds = some(folded.oldest_entry_seconds),
                "folded"
            );
        }
        if *rehome != (Rehome { ring_settled: true, ..Rehome::default() }) {
            tracing::info!(
                ring_settled = rehome.ring_settled,
                pages_scanned = some(rehome.pages_scanned),
                pages_taken = some(rehome.pages_taken),
                records_rejected = some(rehome.records_rejected),
                rehoming_calls_failed = some(rehome.rehoming_calls_failed),
                "re-homed"
            );
        }
        if *rollup != (Rollup { days_rolled_up: true, ..Rollup::default() }) {
            tracing::info!(
                days_rolled_up = rollup.days_rolled_up,
                sketches_counted = some(rollup.sketches_counted),
                sketches_moved = some(rollup.sketches_moved),
                sketches_rejected = some(rollup.sketches_rejected),
                records_dropped = some(rollup.records_dropped),
                secrets_destroyed = some(rollup.secrets_destroyed),
                rollup_calls_failed = some(rollup.rollup_calls_failed),
                "rolled up"
            );
        }
        tracing::debug!(micros, report = serde_json::to_string(self).unwrap_or_default(), "the whole report");
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
        assert!(line.contains("delivered and swept visits_delivered=7 micros=3000") && !line.contains("=0"), "{line}");
        report = idle();
        report.rehome.ring_settled = false;
        assert!(logged(&report).ends_with("re-homed ring_settled=false"), "{}", logged(&report));
    }
}
