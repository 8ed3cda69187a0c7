//! The result of a flush: added up call by call, logged, answered to the sweep, and written as metrics.

use crate::batch::WriterId;
use crate::lane::Reason;
use crate::telemetry::metrics::{self, Figures};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The outcome of a flush. This is also what `record-visit` answers to the sweep: during a deployment, from a version that
/// knows other figures than this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FlushReport {
    /// The writer that flushed; none if its environment has had no visit yet.
    pub writer: Option<WriterId>,
    /// Calls made to shards.
    pub calls: u64,
    /// Calls among them that brought no answer, or an error.
    pub failed: u64,
    /// Batches that shards have answered for.
    pub batches: u64,
    /// Pages in them.
    pub pages: u64,
    /// Batches among them that the shards had already.
    pub duplicates: u64,
    /// Batches of which copies were parked on another shard.
    pub parked: u64,
    /// Visits that are now known to be applied and were not before.
    pub visits: u64,
    /// Visits among them that had been applied before and were lost.
    pub visits_healed: u64,
    /// Visits skipped because of bad data at their page's key.
    pub visits_rejected: u64,
    /// Visits of pages that were refused as one new page too many.
    pub visits_refused: u64,
    /// Visits that a shard had lost again and that are sent once more.
    pub visits_healing: u64,
    /// Their batches.
    pub gaps: u64,
    /// Visits given up because their batch was too old to be applied.
    pub visits_expired: u64,
    /// Visits forgotten for room before they were confirmed.
    pub visits_unconfirmed: u64,
    /// Visits that a shard had applied and lost again, and that no writer remembers.
    pub visits_lost: u64,
    /// Visits not known to be applied yet.
    pub visits_held: u64,
    /// Visits among them of which a copy is parked.
    pub visits_parked: u64,
    /// Batches of which the shard must be asked: applied and to be confirmed, or to be delivered by others.
    pub unconfirmed: usize,
    /// The writer has left the sweep's list.
    pub unregistered: bool,
}

impl FlushReport {
    /// Adds what happened in another part of the flush. What is held in the end is no sum, and stays.
    pub fn add(&mut self, more: &Self) {
        for (sum, more) in [
            (&mut self.calls, more.calls),
            (&mut self.failed, more.failed),
            (&mut self.batches, more.batches),
            (&mut self.pages, more.pages),
            (&mut self.duplicates, more.duplicates),
            (&mut self.parked, more.parked),
            (&mut self.visits, more.visits),
            (&mut self.visits_healed, more.visits_healed),
            (&mut self.visits_rejected, more.visits_rejected),
            (&mut self.visits_refused, more.visits_refused),
            (&mut self.visits_healing, more.visits_healing),
            (&mut self.gaps, more.gaps),
            (&mut self.visits_expired, more.visits_expired),
            (&mut self.visits_unconfirmed, more.visits_unconfirmed),
            (&mut self.visits_lost, more.visits_lost),
        ] {
            *sum += more;
        }
    }

    /// Writes one line for a flush: at debug level where an interval's flush only asked a shard for confirmation, and for
    /// `direct`, where it would be a line for each visit.
    pub(crate) fn log(&self, reason: Reason, took: Duration) {
        let Self { calls, failed, batches, pages, parked, visits, visits_held, visits_parked, .. } = *self;
        let micros = took.as_micros();
        if reason == Reason::Interval && (batches, failed, parked) == (0, 0, 0) {
            tracing::debug!(calls, "asked for confirmation");
        } else if reason == Reason::Direct {
            tracing::debug!(%reason, calls, failed, batches, pages, visits, micros, "flushed");
        } else {
            tracing::info!(
                %reason, calls, failed, batches, pages, parked, visits, visits_held, visits_parked, micros, "flushed"
            );
        }
        self.log_losses();
    }

    /// Writes what went wrong with data, each kind on a line of its own.
    fn log_losses(&self) {
        if self.visits_refused > 0 {
            tracing::warn!(visits_refused = self.visits_refused, "visits of new pages over VISITS_NEW_PAGES_A_DAY");
        }
        if self.visits_healing > 0 {
            tracing::warn!(visits_healing = self.visits_healing, "a shard had lost visits; they are sent again");
        }
        if self.visits_expired > 0 {
            tracing::error!(visits_expired = self.visits_expired, "batches were too old to be applied");
        }
        if self.visits_unconfirmed > 0 {
            tracing::info!(visits_unconfirmed = self.visits_unconfirmed, "applied batches were forgotten for room");
        }
        if self.visits_lost > 0 {
            tracing::error!(visits_lost = self.visits_lost, "a shard had lost visits that no writer remembers");
        }
    }

    /// The figures of a line of metrics.
    pub(crate) fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        for (metric, count) in [
            (metrics::VISITS_FLUSHED, self.visits - self.visits_healed),
            (metrics::BATCHES, self.batches),
            (metrics::DUPLICATE_BATCHES, self.duplicates),
            (metrics::GAPS, self.gaps),
            (metrics::HEALED, self.visits_healed),
            (metrics::PARKED, self.parked),
            (metrics::VISITS_LOST, self.visits_expired + self.visits_lost + self.visits_rejected),
            (metrics::FLUSH_FAILURES, self.failed),
        ] {
            figures.count(metric, count);
        }
        figures
    }
}
