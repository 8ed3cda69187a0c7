//! What a flush did, for the log and for the sweep's answer.

use super::State;
use super::lane::{Call, Lane};
use crate::batch::WriterId;
use crate::outbox::Learned;
use crate::policy::Reason;
use crate::store::Applied;
use crate::telemetry::Lines;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// What was done with one or more shards.
#[derive(Debug, Default)]
pub(super) struct Tally {
    calls: u64,
    pub(super) failed: u64,
    batches: u64,
    pages: u64,
    pub(super) parked: u64,
    learned: Learned,
    rejected: u64,
    refused: u64,
    /// The flush's lines that name pages; all tallies of a flush share them.
    pub(super) lines: Arc<Lines>,
}

impl Tally {
    /// A tally of nothing whose lines are written with those of others.
    pub(super) fn with_lines(lines: &Arc<Lines>) -> Self {
        Self { lines: Arc::clone(lines), ..Self::default() }
    }

    pub(super) fn begin(&mut self, call: &Call) {
        self.calls += 1;
        self.batches += call.apply.batches.len() as u64;
        self.pages += call.apply.batches.iter().map(|(batch, _)| batch.pages() as u64).sum::<u64>();
    }

    pub(super) fn learn(&mut self, learned: Learned, applied: &Applied) {
        self.learned = self.learned.plus(learned);
        self.rejected += applied.visits_rejected();
        self.refused += applied.refused;
    }

    pub(super) fn add(&mut self, more: &Self) {
        self.calls += more.calls;
        self.failed += more.failed;
        self.batches += more.batches;
        self.pages += more.pages;
        self.parked += more.parked;
        self.learned = self.learned.plus(more.learned);
        self.rejected += more.rejected;
        self.refused += more.refused;
    }
}

/// The outcome of a flush of all shards. This is also what `record-visit` answers to the sweep: during a deployment, from
/// a version that knows other figures than this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FlushReport {
    /// Who flushed; nobody, if this environment has had no visit yet.
    pub writer: Option<WriterId>,
    /// Calls made to shards.
    pub calls: u64,
    /// Calls among them that brought no answer, or an error.
    pub failed: u64,
    /// Batches sent.
    pub batches: u64,
    /// Pages in them.
    pub pages: u64,
    /// Batches of which copies were parked on another shard.
    pub parked: u64,
    /// Visits that are now known to be applied and were not before.
    pub visits: u64,
    /// Visits skipped because of bad data at their page's key.
    pub visits_rejected: u64,
    /// Visits of pages that were refused as one new page too many.
    pub visits_refused: u64,
    /// Visits that a shard had lost again and that are sent once more.
    pub visits_healing: u64,
    /// Visits given up because their batch was too old to be applied.
    pub visits_expired: u64,
    /// Visits forgotten for room before they were confirmed.
    pub visits_unconfirmed: u64,
    /// Visits that a shard had applied and lost again, and that nobody remembers.
    pub visits_lost: u64,
    /// Visits not known to be applied yet.
    pub visits_held: u64,
    /// Those of them of which a copy is parked.
    pub visits_parked: u64,
    /// Batches of which the shard must be asked: applied and to be confirmed, or to be delivered by others.
    pub unconfirmed: usize,
    /// The writer has left the sweep's list.
    pub unregistered: bool,
}

impl FlushReport {
    pub(super) fn new(state: &State, tally: &Tally) -> Self {
        let Tally { calls, failed, batches, pages, parked, learned, rejected, refused, .. } = *tally;
        Self {
            writer: state.writer,
            calls,
            failed,
            batches,
            pages,
            parked,
            visits: learned.applied,
            visits_rejected: rejected,
            visits_refused: refused,
            visits_healing: learned.healing,
            visits_expired: learned.expired,
            visits_unconfirmed: learned.unconfirmed,
            visits_lost: learned.lost,
            visits_held: state.lanes.iter().map(Lane::held_visits).sum(),
            visits_parked: state.lanes.iter().map(Lane::parked_visits).sum(),
            unconfirmed: state.lanes.iter().map(Lane::unconfirmed).sum(),
            unregistered: false,
        }
    }

    /// Writes one line for a flush, at debug level where an interval's flush only asked a shard for confirmation.
    pub(super) fn log(&self, reason: Reason, took: Duration) {
        if reason == Reason::Interval && (self.batches, self.failed, self.parked) == (0, 0, 0) {
            tracing::debug!(calls = self.calls, "asked for confirmation");
        } else {
            let Self { calls, failed, batches, pages, parked, visits, visits_held, visits_parked, .. } = *self;
            let micros = took.as_micros();
            tracing::info!(
                %reason, calls, failed, batches, pages, parked, visits, visits_held, visits_parked, micros, "flushed"
            );
        }
        self.log_losses();
    }

    /// What went wrong with data, each kind on a line of its own.
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
            tracing::error!(visits_lost = self.visits_lost, "a shard had lost visits that nobody remembers");
        }
    }

    /// The same for `direct`, where it would be a line for each visit.
    pub(super) fn log_debug(&self, reason: Reason, took: Duration) {
        let Self { calls, failed, batches, pages, visits, .. } = *self;
        let micros = took.as_micros();
        tracing::debug!(%reason, calls, failed, batches, pages, visits, micros, "flushed");
        self.log_losses();
    }
}
