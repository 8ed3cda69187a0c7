//! One shard's way from the buffer to the shard and back: what is pending, what is on its way, and when
//! to try again. Pure: no I/O, and time is an argument.

mod call;
mod parking;
mod sealing;

use super::backoff::Backoff;
use crate::batch::{Batch, MAX_BATCH_PAGES, Sequence, WriterId};
use crate::buffer::Buffer;
use crate::clock::Moment;
use crate::day::Day;
use crate::outbox::{Learned, Outbox};
use crate::page::PageId;
use crate::policy::Pending;
use crate::ring::Fingerprint;
use crate::store::{Applied, Apply, Standing};
use crate::timing::Timing;
use crate::visit::{Refusal, Secret, Secrets, Visit};
pub(super) use call::{Call, Place, Want};
use parking::Parking;
use std::sync::Arc;
use std::time::Duration;

/// The state of one shard. See the module's text.
#[derive(Debug)]
pub(super) struct Lane {
    buffer: Buffer,
    /// When the oldest visit in the buffer came.
    since: Option<Moment>,
    /// Under which visitors are sealed.
    secrets: Secrets,
    outbox: Outbox,
    timing: Timing,
    /// The ring that places the pages in this lane.
    ring: Fingerprint,
    /// The sequence that the oldest open batch will get.
    next: Sequence,
    begun: u64,
    answered: u64,
    in_flight: Option<u64>,
    failed: Option<Failure>,
    backoff: Backoff,
    parking: Parking,
    /// The shard has the writer on the sweep's list.
    listed: bool,
}

/// A call that brought no answer.
#[derive(Clone, Copy, Debug)]
struct Failure {
    call: u64,
    covered: Option<Sequence>,
}

impl Lane {
    /// A shard with nothing pending, whose pages `ring` places there. `can_park`: there is another one for copies.
    pub(super) fn new(timing: Timing, ring: Fingerprint, can_park: bool) -> Self {
        Self {
            buffer: Buffer::default(),
            since: None,
            secrets: Secrets::default(),
            outbox: Outbox::default(),
            timing,
            ring,
            next: Sequence::FIRST,
            begun: 0,
            answered: 0,
            in_flight: None,
            failed: None,
            backoff: Backoff::default(),
            parking: Parking::new(can_park),
            listed: false,
        }
    }

    /// Takes one visit of `now` and returns the batch that it will be sealed in; `None` without room.
    pub(super) fn add(&mut self, visit: Visit, day: Option<Day>, room: bool, now: Moment) -> Option<Sequence> {
        let batches = self.buffer.add(visit, day, room)?;
        self.since.get_or_insert(now);
        Some(self.next.plus(batches))
    }

    /// Whether a visit of this page needs no more room.
    pub(super) fn knows(&self, page: &PageId, day: Option<Day>) -> bool {
        self.buffer.knows(page, day)
    }

    /// Takes note of a visit that was refused.
    pub(super) fn add_refusal(&mut self, refusal: Refusal, day: Day) {
        self.buffer.add_refusal(refusal, day);
    }

    /// Days with visitors that cannot be sealed yet, since the day's secret is not known.
    pub(super) fn secrets_wanted(&self) -> impl Iterator<Item = Day> + '_ {
        self.buffer.days().filter(|day| self.secrets.of(*day).is_none())
    }

    /// Takes the secret of a day.
    pub(super) fn learn_secret(&mut self, day: Day, secret: Secret) {
        self.secrets.learn(day, secret);
    }

    /// Pages held in memory because they are not known to be applied.
    pub(super) fn held_pages(&self) -> usize {
        self.buffer.pages() + self.outbox.unresolved_pages()
    }

    /// Visits not known to be applied.
    pub(super) fn held_visits(&self) -> u64 {
        self.buffer.visits() + self.outbox.unresolved_visits()
    }

    /// Batches of which the shard must still be asked.
    pub(super) fn unconfirmed(&self) -> usize {
        self.outbox.unconfirmed()
    }

    /// Nothing to send and nothing to confirm.
    pub(super) fn is_clean(&self) -> bool {
        self.buffer.batches() == 0 && self.outbox.is_empty()
    }

    /// The shard has this writer on the sweep's list.
    pub(super) fn is_listed(&self) -> bool {
        self.listed
    }

    pub(super) fn pending(&self, now: Moment) -> Pending {
        Pending {
            // What is to be added to the site alone counts as a page: it must go out, too.
            pages: self.buffer.pages().max(self.buffer.batches().min(1)),
            unresolved: self.outbox.unresolved(),
            unparked: self.outbox.unparked(now, &self.timing),
            unconfirmed: self.outbox.unconfirmed(),
            in_flight: self.in_flight.is_some(),
            pausing: self.pause(now).is_some(),
            can_park: self.can_park(now),
        }
    }

    /// What is left of the pause after a failed call; `None` if calls may be made.
    pub(super) fn pause(&self, now: Moment) -> Option<Duration> {
        self.backoff.left(now, &self.timing)
    }

    /// Number of the last call begun.
    pub(super) fn calls_begun(&self) -> u64 {
        self.begun
    }

    /// The last open batch, as what is pending now will be sealed.
    pub(super) fn last_open(&self) -> Sequence {
        self.next.plus((self.buffer.batches() as u64).saturating_sub(1))
    }

    /// Where the visit stands that will be or was sealed as `sequence`; of failed calls, only one begun
    /// after call number `since` counts.
    pub(super) fn place(&self, sequence: Sequence, since: u64, now: Moment) -> Place {
        if sequence < self.next && self.outbox.is_safe(sequence) {
            return Place::Safe;
        }
        let failed = self.failed.is_some_and(|f| f.call > since && f.covered >= Some(sequence));
        match self.in_flight {
            _ if self.parking.under_way => Place::Wait,
            _ if failed => Place::Failed,
            Some(_) => Place::Wait,
            None if self.pause(now).is_some() && !self.can_park(now) => Place::Failed,
            None => Place::Begin,
        }
    }

    /// Chooses the next call, seals what it needs, and counts it as on its way. What failed before goes
    /// first, unchanged; new visits are sealed only when nothing older is to be sent.
    pub(super) fn begin(&mut self, writer: WriterId, want: Want, now: Moment) -> Option<Call> {
        if !want.impatient && (self.in_flight.is_some() || self.pause(now).is_some()) {
            return None;
        }
        if self.outbox.unresolved() == 0 && self.next <= want.seal_up_to {
            self.seal_next(now);
        }
        let batches = self.outbox.next_to_send(MAX_BATCH_PAGES);
        if batches.is_empty() && !want.confirm {
            return None;
        }
        self.begun += 1;
        self.in_flight = Some(self.begun);
        let base = self.outbox.base(self.next);
        let (batches, ring) = (aged(batches, now), Some(self.ring));
        let apply = Apply { writer, base, batches, standing: want.standing, ring };
        Some(Call { number: self.begun, asked: now, apply })
    }

    /// Takes an answer. One that a newer call's answer has overtaken teaches nothing: what it shows is
    /// older than what is known, and would look like lost data.
    pub(super) fn answered(&mut self, call: &Call, applied: &Applied, now: Moment) -> Learned {
        self.landed(call.number);
        if call.number < self.answered {
            return Learned::default();
        }
        self.answered = call.number;
        self.failed = None;
        self.backoff.succeeded();
        self.listed = call.apply.standing == Standing::Active;
        let learned = self.outbox.learn(applied, call.asked, now, &self.timing);
        if call.apply.standing == Standing::Settled {
            self.outbox.settle();
        }
        learned
    }

    /// Takes note that a call failed, or was given up: its batches stay unresolved.
    pub(super) fn failed(&mut self, call: &Call, now: Moment) {
        self.landed(call.number);
        self.failed = Some(Failure { call: call.number, covered: call.covers() });
        self.backoff.failed(now);
    }

    fn landed(&mut self, call: u64) {
        if self.in_flight == Some(call) {
            self.in_flight = None;
        }
    }
}

fn aged(batches: Vec<Arc<Batch>>, now: Moment) -> Vec<(Arc<Batch>, Duration)> {
    batches
        .into_iter()
        .map(|batch| {
            let age = now.since(batch.sealed_at());
            (batch, age)
        })
        .collect()
}

#[cfg(test)]
mod tests;
