//! One shard's way from the buffer to the shard and back: what is pending, what is on its way, and when
//! to try again; and, from what is pending, when a flush is due and which shards take part. Pure: no I/O, and time is an
//! argument.

use crate::batch::{Batch, MAX_BATCH_PAGES, Sequence, WriterId};
use crate::buffer::Buffer;
use crate::clock::{Moment, Timing};
use crate::day::Day;
use crate::outbox::{Outbox, ParkedAt};
use crate::report::FlushReport;
use crate::ring::Fingerprint;
use crate::store::{Applied, Apply, WriterStatus};
use crate::visit::{Secrets, Visit};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The state of one shard. See the module's text.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) buffer: Buffer,
    /// When the oldest visit in the buffer came.
    since: Option<Moment>,
    /// Days' secrets, under which visitors are sealed.
    pub(crate) secrets: Secrets,
    pub(crate) outbox: Outbox,
    timing: Timing,
    /// The ring that places the pages in this lane.
    ring: Fingerprint,
    /// The sequence that the oldest open batch will get.
    next: Sequence,
    /// Number of the last call begun.
    pub(crate) begun: u64,
    answered: u64,
    in_flight: Option<u64>,
    /// The last call, if it brought no answer, and the last batch that it carried.
    failed: Option<(u64, Option<Sequence>)>,
    backoff: Backoff,
    parking: Parking,
    /// Whether the shard has the writer on the sweep's list.
    pub(crate) listed: bool,
}

impl Lane {
    /// A shard with nothing pending, whose pages `ring` places there. `can_park`: there is another one for copies.
    pub(crate) fn new(timing: Timing, ring: Fingerprint, can_park: bool) -> Self {
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
            parking: Parking { possible: can_park, under_way: false, ever: false, backoff: Backoff::default() },
            listed: false,
        }
    }

    /// Takes one visit of `now` and returns the batch that it will be sealed in.
    pub(crate) fn add(&mut self, visit: Visit, day: Option<Day>, now: Moment) -> Sequence {
        self.since.get_or_insert(now);
        self.next.plus(self.buffer.add(visit, day))
    }

    /// Days with visitors that cannot be sealed yet, since the day's secret is not known.
    pub(crate) fn secrets_wanted(&self) -> impl Iterator<Item = Day> + '_ {
        self.buffer.days().filter(|day| self.secrets.of(*day).is_none())
    }

    /// Pages held in memory because they are not known to be applied.
    pub(crate) fn held_pages(&self) -> usize {
        self.buffer.pages() + self.outbox.unresolved_pages()
    }

    /// Visits not known to be applied.
    pub(crate) fn held_visits(&self) -> u64 {
        self.buffer.visits() + self.outbox.unresolved_visits()
    }

    /// Nothing to send and nothing to confirm.
    pub(crate) fn is_clean(&self) -> bool {
        self.buffer.batches() == 0 && self.outbox.is_empty()
    }

    pub(crate) fn pending(&self, now: Moment) -> Pending {
        Pending {
            // What is to be added to the site alone counts as a page: it must go out, too.
            pages: self.buffer.pages().max(self.buffer.batches().min(1)),
            unresolved: self.outbox.unresolved(),
            unparked: self.outbox.unparked(now, &self.timing),
            unconfirmed: self.outbox.unconfirmed(),
            in_flight: self.is_in_flight(),
            pausing: self.pause(now).is_some(),
            can_park: self.can_park(now),
        }
    }

    /// Whether a call is on its way.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Returns the rest of the pause after a failed call; `None` if calls may be made.
    pub(crate) fn pause(&self, now: Moment) -> Option<Duration> {
        self.backoff.left(now, &self.timing)
    }

    /// The last open batch, as what is pending now will be sealed.
    pub(crate) fn last_open(&self) -> Sequence {
        self.next.plus((self.buffer.batches() as u64).saturating_sub(1))
    }

    /// Where the visit stands that will be or was sealed as `sequence`; of failed calls, only one begun
    /// after call number `since` counts.
    pub(crate) fn place(&self, sequence: Sequence, since: u64, now: Moment) -> VisitState {
        if sequence < self.next && self.outbox.is_safe(sequence) {
            return VisitState::Safe;
        }
        let failed = self.failed.is_some_and(|(call, last)| call > since && last >= Some(sequence));
        match self.in_flight {
            _ if self.parking.under_way => VisitState::Wait,
            _ if failed => VisitState::Failed,
            Some(_) => VisitState::Wait,
            None if self.pause(now).is_some() && !self.can_park(now) => VisitState::Failed,
            None => VisitState::Begin,
        }
    }

    /// Chooses the next call, seals what it needs, and counts it as on its way. What failed before goes
    /// first, unchanged; new visits are sealed only when nothing older is to be sent.
    pub(crate) fn begin(&mut self, writer: WriterId, want: CallOptions, now: Moment) -> Option<Call> {
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
        if want.status == WriterStatus::Settled {
            // Its answer may be lost, and the set go all the same.
            self.outbox.settle();
        }
        self.begun += 1;
        self.in_flight = Some(self.begun);
        let base = self.outbox.base(self.next);
        let (batches, ring) = (aged(batches, now), Some(self.ring));
        let apply = Apply { writer, base, batches, status: want.status, ring };
        Some(Call { number: self.begun, asked: now, apply })
    }

    /// Takes an answer. One that a newer call's answer has overtaken teaches nothing: what it shows is
    /// older than what is known, and would look like lost data.
    pub(crate) fn answered(&mut self, call: &Call, applied: &Applied, now: Moment) -> FlushReport {
        self.landed(call.number);
        if call.number < self.answered {
            return FlushReport::default();
        }
        self.answered = call.number;
        self.failed = None;
        self.backoff.succeeded();
        self.listed = call.apply.status == WriterStatus::Active;
        let learned = self.outbox.learn(applied, call.asked, now, &self.timing);
        if call.apply.status == WriterStatus::Settled {
            self.outbox.settle();
        }
        learned
    }

    /// Takes note that a call failed, or was given up: its batches stay unresolved.
    pub(crate) fn failed(&mut self, call: &Call, now: Moment) {
        self.landed(call.number);
        self.failed = Some((call.number, call.apply.batches.last().map(|(batch, _)| batch.sequence())));
        self.backoff.failed(now);
    }

    /// Seals what is open up to batch `last`.
    pub(crate) fn seal_up_to(&mut self, last: Sequence, now: Moment) {
        while self.next <= last && self.seal_next(now) {}
    }

    fn seal_next(&mut self, now: Moment) -> bool {
        let secrets = &self.secrets;
        let Some(content) = self.buffer.take_next(|day| secrets.of(day)) else { return false };
        let batch = Batch::of(self.next, content, now);
        self.outbox.push(batch, self.since.unwrap_or(now));
        if self.buffer.visits() == 0 {
            self.since = None;
        }
        self.next = self.next.plus(1);
        true
    }

    /// Age of the oldest visit here that is not known to be applied.
    pub(crate) fn oldest(&self, now: Moment) -> Option<Duration> {
        let since = self.outbox.unresolved_since().chain(self.since);
        since.map(|since| now.since(since)).max()
    }

    /// Returns the status of a writer that leaves with nothing to send or to confirm.
    ///
    /// A copy that was parked may still be found, on a shard that was out of reach, long after the batch was applied: then
    /// the applied set must be there to tell, so it is to be kept for as long as any.
    pub(crate) fn farewell(&self) -> WriterStatus {
        if self.parking.ever { WriterStatus::Gone } else { WriterStatus::Settled }
    }

    /// The shard does not answer, and a copy may be tried elsewhere.
    pub(crate) fn can_park(&self, now: Moment) -> bool {
        let Parking { possible, under_way, backoff, .. } = self.parking;
        self.backoff.is_failing() && possible && !under_way && backoff.left(now, &self.timing).is_none()
    }

    /// Chooses the batches to park next, and counts this as under way until [`Lane::end_parking`]. What is
    /// open up to `seal_up_to` is sealed for it. `impatient`: also before the shard is known to fail.
    pub(crate) fn begin_parking(
        &mut self,
        seal_up_to: Option<Sequence>,
        impatient: bool,
        now: Moment,
    ) -> Option<Vec<(Arc<Batch>, Duration)>> {
        if !self.parking.possible || (!impatient && !self.can_park(now)) {
            return None;
        }
        if let Some(last) = seal_up_to {
            self.seal_up_to(last, now);
        }
        let batches = self.outbox.next_to_park(PARK_BYTES, now, &self.timing);
        if batches.is_empty() {
            return None;
        }
        self.parking.under_way = true;
        Some(aged(batches, now))
    }

    /// Copies of these batches were sent to another shard: to `refuge`, if one has answered that it has them.
    pub(crate) fn parked(&mut self, batches: &[(Arc<Batch>, Duration)], refuge: Option<ParkedAt>, now: Moment) {
        self.parking.ever = true;
        self.outbox.parked(batches, refuge, now, &self.timing);
    }

    /// Takes note whether any shard took the copies.
    pub(crate) fn end_parking(&mut self, taken: bool, now: Moment) {
        self.parking.under_way = false;
        if taken {
            self.parking.backoff.succeeded();
        } else {
            self.parking.backoff.failed(now);
        }
    }

    fn landed(&mut self, call: u64) {
        if self.in_flight == Some(call) {
            self.in_flight = None;
        }
    }
}

fn aged(batches: Vec<Arc<Batch>>, now: Moment) -> Vec<(Arc<Batch>, Duration)> {
    let age = |batch: &Arc<Batch>| now.since(batch.sealed_at());
    batches.into_iter().map(|batch| (Arc::clone(&batch), age(&batch))).collect()
}

/// Choice of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallOptions {
    /// Seal open batches up to this one; those sealed before are always sent.
    pub(crate) seal_up_to: Sequence,
    /// With nothing to send, ask whether applied batches are still there.
    pub(crate) confirm: bool,
    /// Do not wait for a call in flight or for the end of a pause.
    pub(crate) impatient: bool,
    /// The writer's status, for the shard.
    pub(crate) status: WriterStatus,
}

/// A call to the shard, from begin to end.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) number: u64,
    pub(crate) asked: Moment,
    pub(crate) apply: Apply,
}

/// Where a visit that waits for its batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VisitState {
    /// Its batch is applied, or parked.
    Safe,
    /// A call that carried its batch failed, or the shard pauses after one that did not, and no copy could
    /// be parked.
    Failed,
    /// A call is on its way; another one may be begun after it.
    Wait,
    /// Nothing is on its way: begin a call.
    Begin,
}

/// Batches that are parked in one call, in bytes of memory: what a shard takes in a few milliseconds.
const PARK_BYTES: usize = 1024 * 1024;

/// Copies for this shard on others.
#[derive(Clone, Copy, Debug)]
struct Parking {
    /// There is another shard.
    possible: bool,
    under_way: bool,
    /// A copy may be, or have been, stored.
    ever: bool,
    backoff: Backoff,
}

/// Failures of a shard in a row: the last one, and their number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff(Option<(Moment, u32)>);

impl Backoff {
    pub(crate) fn succeeded(&mut self) {
        self.0 = None;
    }

    pub(crate) fn failed(&mut self, now: Moment) {
        self.0 = Some((now, self.0.map_or(1, |(_, in_a_row)| in_a_row.saturating_add(1))));
    }

    /// The last call failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the rest of the pause; `None` if calls may be made.
    pub(crate) fn left(&self, now: Moment, timing: &Timing) -> Option<Duration> {
        let (last, in_a_row) = self.0?;
        let pause = timing.first_pause.saturating_mul(1 << (in_a_row - 1).min(16)).min(timing.longest_pause);
        let left = pause.saturating_sub(now.since(last));
        (!left.is_zero()).then_some(left)
    }
}

/// Work that is left for one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Distinct pages with visits that are not sealed yet; 1 where only something else is.
    pub(crate) pages: usize,
    /// Batches whose outcome is not known.
    pub(crate) unresolved: usize,
    /// Batches among them of which no copy is parked.
    pub(crate) unparked: usize,
    /// Batches of which the shard must be asked: applied and to be confirmed, or to be delivered by others.
    pub(crate) unconfirmed: usize,
    /// A call is on its way: its caller will see to the rest.
    pub(crate) in_flight: bool,
    /// The last call failed and its pause is not over.
    pub(crate) pausing: bool,
    /// The last call failed, and copies may be stored on another shard now.
    pub(crate) can_park: bool,
}

/// Why a flush is due; it is logged with the flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A shard has a full batch.
    Full,
    /// A call failed earlier: its batches are sent again.
    Retry,
    /// Nothing was flushed yet, or not for an interval.
    Interval,
    /// The scheduled sweep asked for it.
    Sweep,
    /// A visit waits for it (`direct`).
    Direct,
    /// The environment ends.
    Shutdown,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Retry => "retry",
            Self::Interval => "interval",
            Self::Sweep => "sweep",
            Self::Direct => "direct",
            Self::Shutdown => "shutdown",
        })
    }
}

/// Decides whether to flush now. `last_flush` is when this environment last flushed all its shards, `None`
/// if never or if it has been unregistered since: the first visit after a quiet time goes out at once.
pub(crate) fn due(
    shards: impl IntoIterator<Item = Pending>,
    last_flush: Option<Moment>,
    interval: Duration,
    now: Moment,
) -> Option<Reason> {
    let interval_over = last_flush.is_none_or(|last| now.since(last) >= interval);
    let reasons = shards.into_iter().filter_map(|shard| reason(shard, interval_over));
    reasons.min_by_key(|reason| *reason != Reason::Interval)
}

fn reason(shard: Pending, interval_over: bool) -> Option<Reason> {
    let Pending { pages, unresolved, unparked, unconfirmed, in_flight, pausing, can_park } = shard;
    // While the shard pauses, all that can be done is to park what is not parked yet.
    let (retry, confirm) = if pausing { (unparked, 0) } else { (unresolved, unconfirmed) };
    if in_flight || (pausing && !can_park) || pages + retry + confirm == 0 {
        None
    } else if interval_over {
        Some(Reason::Interval)
    } else if retry > 0 {
        Some(Reason::Retry)
    } else {
        (pages >= MAX_BATCH_PAGES).then_some(Reason::Full)
    }
}

/// Whether a shard takes part in a flush for this reason. Only those with a full batch or one to retry do
/// where that is the reason: the others would get a call for a few visits, out of turn.
pub(crate) fn takes_part(shard: Pending, reason: Reason) -> bool {
    match reason {
        Reason::Full | Reason::Retry => shard.unresolved > 0 || shard.pages >= MAX_BATCH_PAGES,
        Reason::Interval | Reason::Sweep | Reason::Direct | Reason::Shutdown => true,
    }
}

#[cfg(test)]
mod tests;
