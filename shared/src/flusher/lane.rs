//! One shard's way from the buffer to the shard and back: what is pending, what is on its way, and when
//! to try again. Pure: no I/O, and time is an argument.

use crate::batch::{Batch, MAX_BATCH_PAGES, Sequence, WriterId};
use crate::buffer::Buffer;
use crate::clock::Moment;
use crate::outbox::{Learned, Outbox};
use crate::page::PageId;
use crate::policy::Pending;
use crate::store::{Applied, Apply, Standing};
use std::time::Duration;

/// Pause after a shard's first failed call; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Longest pause: a shard that is back is noticed within half a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How a call is to be chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    /// Seal open batches up to this one; those sealed before are always sent.
    pub(super) seal_up_to: Sequence,
    /// With nothing to send, ask whether applied batches are still there.
    pub(super) confirm: bool,
    /// Do not wait for a call in flight or for the end of a pause.
    pub(super) impatient: bool,
    /// What the writer tells the shard about itself.
    pub(super) standing: Standing,
}

/// A call to the shard, from begin to end.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) asked: Moment,
    pub(super) apply: Apply,
}

impl Call {
    fn covers(&self) -> Option<Sequence> {
        self.apply.batches.last().map(|(batch, _)| batch.sequence())
    }
}

/// Where a visit that waits for its batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its batch is applied.
    Applied,
    /// A call that carried its batch failed, or the shard pauses after one that did not.
    Failed,
    /// A call is on its way; another one may be begun after it.
    Wait,
    /// Nothing is on its way: begin a call.
    Begin,
}

/// The state of one shard. See the module's text.
#[derive(Debug)]
pub(super) struct Lane {
    buffer: Buffer,
    outbox: Outbox,
    /// The sequence that the oldest open batch will get.
    next: Sequence,
    begun: u64,
    answered: u64,
    in_flight: Option<u64>,
    failed: Option<Failure>,
    /// The shard has the writer on the sweep's list.
    listed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    call: u64,
    covered: Option<Sequence>,
    at: Moment,
    in_a_row: u32,
}

impl Failure {
    fn pause(&self) -> Duration {
        FIRST_PAUSE.saturating_mul(1 << (self.in_a_row - 1).min(16)).min(LONGEST_PAUSE)
    }
}

impl Lane {
    pub(super) fn new() -> Self {
        Self {
            buffer: Buffer::default(),
            outbox: Outbox::default(),
            next: Sequence::FIRST,
            begun: 0,
            answered: 0,
            in_flight: None,
            failed: None,
            listed: false,
        }
    }

    /// Takes one visit and returns the batch that it will be sealed in; `None` without room.
    pub(super) fn add(&mut self, page: PageId, room: bool) -> Option<Sequence> {
        self.buffer.add(page, room).map(|batches| self.next.plus(batches))
    }

    /// Pages held in memory because they are not known to be applied.
    pub(super) fn held_pages(&self) -> usize {
        self.buffer.pages() + self.outbox.unresolved_pages()
    }

    /// Visits held in memory because they are not known to be applied.
    pub(super) fn held_visits(&self) -> u64 {
        self.buffer.visits() + self.outbox.unresolved_visits()
    }

    /// Applied batches that wait to be confirmed.
    pub(super) fn unconfirmed(&self) -> usize {
        self.outbox.unconfirmed()
    }

    /// Nothing to send and nothing to confirm.
    pub(super) fn is_clean(&self) -> bool {
        self.held_pages() == 0 && self.unconfirmed() == 0
    }

    /// The shard has this writer on the sweep's list.
    pub(super) fn is_listed(&self) -> bool {
        self.listed
    }

    pub(super) fn pending(&self, now: Moment) -> Pending {
        Pending {
            pages: self.buffer.pages(),
            unresolved: self.outbox.unresolved(),
            unconfirmed: self.outbox.unconfirmed(),
            in_flight: self.in_flight.is_some(),
            pausing: self.pause(now).is_some(),
        }
    }

    /// What is left of the pause after a failed call; `None` if calls may be made.
    pub(super) fn pause(&self, now: Moment) -> Option<Duration> {
        let failure = self.failed.as_ref()?;
        let left = failure.pause().saturating_sub(now.since(failure.at));
        (!left.is_zero()).then_some(left)
    }

    /// Number of the last call begun.
    pub(super) fn calls_begun(&self) -> u64 {
        self.begun
    }

    /// The last open batch, as what is pending now will be sealed.
    pub(super) fn last_open(&self) -> Sequence {
        self.next.plus((self.buffer.pages().div_ceil(MAX_BATCH_PAGES) as u64).saturating_sub(1))
    }

    /// Where the visit stands that will be or was sealed as `sequence`; of failed calls, only one begun
    /// after call number `since` counts.
    pub(super) fn place(&self, sequence: Sequence, since: u64, now: Moment) -> Place {
        if sequence < self.next && !self.outbox.is_unresolved(sequence) {
            return Place::Applied;
        }
        let failed = self.failed.is_some_and(|f| f.call > since && f.covered >= Some(sequence));
        match self.in_flight {
            _ if failed => Place::Failed,
            Some(_) => Place::Wait,
            None if self.pause(now).is_some() => Place::Failed,
            None => Place::Begin,
        }
    }

    /// Seals everything that is open.
    pub(super) fn seal_all(&mut self, now: Moment) {
        while self.seal_next(now) {}
    }

    fn seal_next(&mut self, now: Moment) -> bool {
        let Some(increments) = self.buffer.take_next() else { return false };
        self.outbox.push(Batch::seal(self.next, increments, now));
        self.next = self.next.plus(1);
        true
    }

    /// Chooses the next call, seals what it needs, and counts it as on its way. What failed before goes
    /// first, unchanged; new visits are sealed only when nothing is unresolved.
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
        let batches = batches.into_iter().map(|batch| (batch.clone(), now.since(batch.sealed_at())));
        let base = self.outbox.base(self.next);
        let apply = Apply { writer, base, batches: batches.collect(), standing: want.standing };
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
        self.listed = call.apply.standing == Standing::Active;
        self.outbox.learn(&applied.set, &applied.expired, call.asked, now)
    }

    /// Takes note that a call failed, or was given up: its batches stay unresolved.
    pub(super) fn failed(&mut self, call: &Call, now: Moment) {
        self.landed(call.number);
        let in_a_row = self.failed.map_or(0, |failure| failure.in_a_row).saturating_add(1);
        self.failed = Some(Failure { call: call.number, covered: call.covers(), at: now, in_a_row });
    }

    fn landed(&mut self, call: u64) {
        if self.in_flight == Some(call) {
            self.in_flight = None;
        }
    }
}

#[cfg(test)]
mod tests;
