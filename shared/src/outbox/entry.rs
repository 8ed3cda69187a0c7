//! One batch of an outbox, and what its writer knows of it.

use crate::batch::{Batch, Sequence};
use crate::clock::Moment;
use crate::store::{Applied, Incarnation, ShardIndex};
use crate::timing::Timing;
use std::sync::Arc;
use std::time::Duration;

/// Whether a copy of a batch waits on another shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copy {
    /// None was ever sent there.
    No,
    /// One was sent, and no answer came.
    Maybe,
    /// One is there since an answer of its shard.
    Parked {
        /// The shard, at that answer.
        refuge: Refuge,
        /// When that answer came.
        since: Moment,
        /// When the last one came from the same run of the shard.
        asked: Moment,
    },
    /// One has been there for long enough to be on disk.
    Old,
}

/// A shard that has taken a copy, in one run of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refuge {
    /// The shard.
    pub shard: ShardIndex,
    /// The run of its server.
    pub incarnation: Incarnation,
    /// When it answered, by its server's clock.
    pub server_time: Duration,
}

impl Refuge {
    fn is_same_run(self, other: Self) -> bool {
        (self.shard, self.incarnation) == (other.shard, other.incarnation)
    }
}

/// A batch seen in the applied set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    at: Moment,
    server_time: Duration,
    incarnation: Incarnation,
}

/// Whether the time to confirm something has passed, by the clock here and by the server's. Either may have been set
/// forward; too late is always safe.
fn is_confirmed(here: Duration, server: (Duration, Duration), timing: &Timing) -> bool {
    let (first, last) = server;
    here >= timing.confirm_after && last.saturating_sub(first) >= timing.confirm_after
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) sequence: Sequence,
    pub(super) visits: u64,
    /// `None` once it left memory for room: then only its parked copy can bring it to its shard.
    pub(super) batch: Option<Arc<Batch>>,
    /// The first sight of the batch in the applied set; `None` while its outcome is not known.
    pub(super) seen: Option<Sight>,
    pub(super) copy: Copy,
    /// When its oldest visit came.
    pub(super) since: Moment,
    /// It was applied, and the shard has lost it.
    was_lost: bool,
    /// The shard's time at its first answer without the batch, of which only a copy is left.
    missing_since: Option<Duration>,
}

/// What becomes of an entry after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    /// It is applied for good.
    Confirmed,
    /// It is too old and never applied any more.
    Expired,
}

/// What an answer of the shard taught.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// Visits now known to be applied.
    pub applied: u64,
    /// Those among them that had been applied before and were lost.
    pub healed: u64,
    /// Visits that were applied and are lost again, to be sent once more.
    pub healing: u64,
    /// Their batches.
    pub gaps: u64,
    /// Visits whose batch was forgotten for room before it was confirmed.
    pub unconfirmed: u64,
    /// Visits in batches that are too old to be applied, now given up.
    pub expired: u64,
    /// Visits that the shard had applied, has lost again, and that nobody remembers.
    pub lost: u64,
}

impl Learned {
    /// Both taken together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            applied: self.applied + other.applied,
            healed: self.healed + other.healed,
            healing: self.healing + other.healing,
            gaps: self.gaps + other.gaps,
            unconfirmed: self.unconfirmed + other.unconfirmed,
            expired: self.expired + other.expired,
            lost: self.lost + other.lost,
        }
    }
}

impl Entry {
    pub(super) fn new(batch: Batch, since: Moment) -> Self {
        Self {
            sequence: batch.sequence(),
            visits: batch.visits(),
            batch: Some(Arc::new(batch)),
            seen: None,
            copy: Copy::No,
            since,
            was_lost: false,
            missing_since: None,
        }
    }

    /// The batch, if its outcome is not known and it is here to be sent.
    pub(super) fn sendable(&self) -> Option<&Arc<Batch>> {
        if self.seen.is_none() { self.batch.as_ref() } else { None }
    }

    /// The batch, if it must be sent and a copy of it is to be stored elsewhere: none is known to be there, or
    /// it has not been there for long enough to outlive a crash. Storing it once more tells.
    pub(super) fn unparked(&self, now: Moment, timing: &Timing) -> Option<&Arc<Batch>> {
        match self.copy {
            Copy::Old => None,
            Copy::Parked { asked, .. } if now.since(asked) < timing.confirm_after => None,
            _ => self.sendable(),
        }
    }

    /// Takes note that a copy was sent elsewhere, and that a shard has it if `refuge` says so.
    pub(super) fn parked(&mut self, refuge: Option<Refuge>, now: Moment, timing: &Timing) {
        self.copy = match (self.copy, refuge) {
            (Copy::Old, _) => Copy::Old,
            // One run of one server has had it since; if for long enough, it is there for good.
            (Copy::Parked { refuge, since, .. }, Some(again)) if refuge.is_same_run(again) => {
                let server = (refuge.server_time, again.server_time);
                let confirmed = is_confirmed(now.since(since), server, timing);
                if confirmed { Copy::Old } else { Copy::Parked { refuge, since, asked: now } }
            }
            (_, Some(refuge)) => Copy::Parked { refuge, since: now, asked: now },
            (Copy::Parked { .. }, None) => self.copy,
            (_, None) => Copy::Maybe,
        };
    }

    /// A copy is known to wait elsewhere.
    pub(super) fn is_parked(&self) -> bool {
        matches!(self.copy, Copy::Parked { .. } | Copy::Old)
    }

    /// Memory that the batch takes here, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.batch.as_ref().map_or(0, |batch| batch.bytes())
    }

    /// Takes an answer to a call that was begun at `asked`.
    pub(super) fn learn(
        &mut self,
        answer: &Applied,
        asked: Moment,
        now: Moment,
        timing: &Timing,
        learned: &mut Learned,
    ) -> Fate {
        let (server_time, incarnation) = (answer.server_time, answer.incarnation);
        let sight = Sight { at: now, server_time, incarnation };
        match (self.seen, answer.set.contains(self.sequence)) {
            (None, true) => {
                learned.applied += self.visits;
                if std::mem::take(&mut self.was_lost) {
                    learned.healed += self.visits;
                }
                self.seen = Some(sight);
                self.missing_since = None;
                // Switched off by a test: not even a first answer is waited out.
                if timing.confirm_after.is_zero() { Fate::Confirmed } else { Fate::Stays }
            }
            // It may have been lost in between and applied again a moment ago, by a copy or a late call.
            (Some(seen), true) if seen.incarnation != answer.incarnation => {
                self.seen = Some(sight);
                Fate::Stays
            }
            (Some(seen), true)
                if is_confirmed(asked.since(seen.at), (seen.server_time, answer.server_time), timing) =>
            {
                Fate::Confirmed
            }
            (Some(_), false) => {
                learned.healing += self.visits;
                learned.gaps += 1;
                (self.seen, self.was_lost) = (None, true);
                Fate::Stays
            }
            (None, false) if self.is_too_old(answer, timing) => {
                learned.expired += self.visits;
                Fate::Expired
            }
            _ => Fate::Stays,
        }
    }

    /// Whether the batch is never applied any more. Content that has left memory is not sent, so no shard says so: it is
    /// given up after the longest time for which a copy is delivered.
    fn is_too_old(&mut self, answer: &Applied, timing: &Timing) -> bool {
        let missing_too_long = self.batch.is_none() && {
            let first = *self.missing_since.get_or_insert(answer.server_time);
            answer.server_time.saturating_sub(first) > timing.max_batch_age
        };
        missing_too_long || answer.expired.contains(&self.sequence)
    }
}
