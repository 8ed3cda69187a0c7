//! One batch of an outbox, and what its writer knows of it.

use crate::batch::{Batch, Sequence};
use crate::clock::Moment;
use crate::store::{Applied, Incarnation, ShardIndex};
use crate::timing::Timing;
use std::sync::Arc;

/// Whether a copy of a batch waits on another shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copy {
    /// None was ever sent there.
    No,
    /// One was sent, and no answer came.
    Maybe,
    /// One is there since that answer.
    Parked(Refuge, Moment),
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
}

/// A batch seen in the applied set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    at: Moment,
    incarnation: Incarnation,
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
    sealed_at: Moment,
    /// It was applied, and the shard has lost it.
    was_lost: bool,
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
            sealed_at: batch.sealed_at(),
            batch: Some(Arc::new(batch)),
            seen: None,
            copy: Copy::No,
            since,
            was_lost: false,
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
            Copy::Parked(_, since) if now.since(since) < timing.confirm_after => None,
            _ => self.sendable(),
        }
    }

    /// Takes note that a copy was sent elsewhere, and that a shard has it if `refuge` says so.
    pub(super) fn parked(&mut self, refuge: Option<Refuge>, now: Moment, timing: &Timing) {
        self.copy = match (self.copy, refuge) {
            (Copy::Old, _) => Copy::Old,
            // The same run of the same server has it, and has had it for long enough.
            (Copy::Parked(before, since), Some(refuge)) if before == refuge => {
                if now.since(since) < timing.confirm_after { self.copy } else { Copy::Old }
            }
            (_, Some(refuge)) => Copy::Parked(refuge, now),
            (Copy::Parked(..), None) => self.copy,
            (_, None) => Copy::Maybe,
        };
    }

    /// A copy is known to wait elsewhere.
    pub(super) fn is_parked(&self) -> bool {
        matches!(self.copy, Copy::Parked(..) | Copy::Old)
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
        let sight = Sight { at: now, incarnation: answer.incarnation };
        match (self.seen, answer.set.contains(self.sequence)) {
            (None, true) => {
                learned.applied += self.visits;
                if std::mem::take(&mut self.was_lost) {
                    learned.healed += self.visits;
                }
                self.seen = Some(sight);
                // Switched off by a test: not even a first answer is waited out.
                if timing.confirm_after.is_zero() { Fate::Confirmed } else { Fate::Stays }
            }
            // It may have been lost in between and applied again a moment ago, by a copy or a late call.
            (Some(seen), true) if seen.incarnation != answer.incarnation => {
                self.seen = Some(sight);
                Fate::Stays
            }
            (Some(seen), true) if asked.since(seen.at) >= timing.confirm_after => Fate::Confirmed,
            (Some(_), false) => {
                learned.healing += self.visits;
                learned.gaps += 1;
                (self.seen, self.was_lost) = (None, true);
                Fate::Stays
            }
            (None, false) if self.is_too_old(answer, now, timing) => {
                learned.expired += self.visits;
                Fate::Expired
            }
            _ => Fate::Stays,
        }
    }

    /// What is not here any more is not sent either, so that no shard would ever say so.
    fn is_too_old(&self, answer: &Applied, now: Moment, timing: &Timing) -> bool {
        let given_up = self.batch.is_none() && now.since(self.sealed_at) > timing.max_batch_age;
        given_up || answer.expired.contains(&self.sequence)
    }
}
