//! What a run did.

use serde::Serialize;
use std::time::Duration;
use visits_core::parking::Delivery;
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
    pub(crate) rehome: Rehome,
    #[serde(flatten)]
    pub(crate) rollup: Rollup,
}

impl Report {
    /// Logs it, and how long it took.
    pub(crate) fn log(&self, took: Duration) {
        let Summary { writers_known, writers_answered, visits_flushed, rounds, .. } = self.sweep;
        let Summary { invocations, invocations_failed, sets_removed, shards_failed, .. } = self.sweep;
        let Delivery { copies_tried, visits_delivered, copies_removed, copies_set_aside, .. } = self.delivery;
        let Delivery { owners_waiting, calls_failed, .. } = self.delivery;
        tracing::info!(
            writers_known,
            writers_answered,
            visits_flushed,
            rounds,
            invocations,
            invocations_failed,
            sets_removed,
            shards_failed,
            copies_tried,
            visits_delivered,
            copies_removed,
            copies_set_aside,
            owners_waiting,
            calls_failed,
            micros = took.as_micros(),
            "delivered and swept"
        );
        let Rehome { ring_settled, pages_scanned, pages_taken, pages_delivered, moves_waiting, .. } = self.rehome;
        let Rehome { moves_removed, moves_set_aside, records_rejected, rehoming_calls_failed, .. } = self.rehome;
        tracing::info!(
            ring_settled,
            pages_scanned,
            pages_taken,
            pages_delivered,
            moves_waiting,
            moves_removed,
            moves_set_aside,
            records_rejected,
            rehoming_calls_failed,
            "re-homed"
        );
        let Rollup { days_rolled_up, sketches_counted, sketches_copied, sketches_moved, .. } = self.rollup;
        let Rollup { sketches_rejected, records_dropped, secrets_destroyed, rollup_calls_failed, .. } = self.rollup;
        tracing::info!(
            days_rolled_up,
            sketches_counted,
            sketches_copied,
            sketches_moved,
            sketches_rejected,
            records_dropped,
            secrets_destroyed,
            rollup_calls_failed,
            "rolled up"
        );
    }
}
