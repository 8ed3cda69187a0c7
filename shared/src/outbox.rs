//! The sealed batches of one shard that the writer must still answer for.
//!
//! Invariants (each has a test below or in `tests/exactly_once.rs`):
//! 1. A batch enters once, sealed, and leaves unchanged: on a confirmed sight in the applied set, for
//!    room (then it is counted as unconfirmed), or when it is too old to be applied.
//! 2. Time alone forgets nothing: without an answer, every batch stays.
//! 3. A batch once seen in the applied set and now missing from it was lost by Redis, together with its
//!    counts, since one script wrote both: it is sent again.
//!    What was seen on an earlier run of the server proves nothing: the minute begins anew.
//! 4. [`Outbox::base`] never passes a batch that is still here, so the shard keeps telling them apart.
//! 5. A batch of which a copy may be parked is never forgotten for room: its content may go, its sequence
//!    stays, else `base` would pass a copy that may still be delivered after the shard lost it.
//! 6. What the shard counted of this writer and what the writer knows to be applied are the same sum; less
//!    there than here is lost data, reported once.

use crate::batch::{Batch, Sequence};
use crate::clock::{Moment, Timing};
use crate::report::FlushReport;
use crate::store::{Applied, ServerRun, ShardIndex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Memory for batches that are applied and only wait to be confirmed, in bytes for each shard.
pub const UNCONFIRMED_BYTES: usize = 256 * 1024;

/// The outbox of one shard, in order of sequence.
#[derive(Debug, Default)]
pub struct Outbox {
    entries: VecDeque<Entry>,
    /// Visits of batches that were applied and are forgotten here.
    forgotten: u64,
    /// Visits found to be lost so far.
    lost: u64,
    /// The shard was told that it may delete the applied set, and has answered no later call since.
    settled: bool,
}

impl Outbox {
    /// Takes a freshly sealed batch, whose oldest visit came at `since`. Its sequence must be above all that came before.
    pub fn push(&mut self, batch: Batch, since: Moment) {
        debug_assert!(self.entries.back().is_none_or(|last| last.sequence < batch.sequence()));
        self.entries.push_back(Entry {
            sequence: batch.sequence(),
            visits: batch.visits(),
            batch: Some(Arc::new(batch)),
            seen: None,
            copy: Copy::No,
            since,
            was_lost: false,
            missing_since: None,
        });
    }

    /// The unresolved batches to send in one call: the oldest, as many as fit `max_pages`, at least one.
    pub fn next_to_send(&self, max_pages: usize) -> Vec<Arc<Batch>> {
        fitting(self.entries.iter().filter_map(Entry::sendable), max_pages, Batch::pages)
    }

    /// The unresolved batches of which a copy is to be stored elsewhere (or, a minute on, once more, to be sure of
    /// it): the oldest, as many as fit `max_bytes`, at least one.
    pub fn next_to_park(&self, max_bytes: usize, now: Moment, timing: &Timing) -> Vec<Arc<Batch>> {
        let unparked = self.entries.iter().filter_map(|entry| entry.unparked(now, timing));
        fitting(unparked, max_bytes, Batch::bytes)
    }

    /// Copies of these batches were sent to another shard: to `refuge`, if one answered that it has them.
    pub fn parked(
        &mut self,
        batches: &[(Arc<Batch>, Duration)],
        refuge: Option<ParkedAt>,
        now: Moment,
        timing: &Timing,
    ) {
        for entry in &mut self.entries {
            if batches.iter().any(|(batch, _)| batch.sequence() == entry.sequence) {
                entry.parked(refuge, now, timing);
            }
        }
    }

    /// Learns from an answer to a call that was begun at `asked` and answered at `now`. Answers must come
    /// in the order of their calls: one overtaken by a newer would look like lost data.
    pub fn learn(&mut self, answer: &Applied, asked: Moment, now: Moment, timing: &Timing) -> FlushReport {
        let mut learned = FlushReport::default();
        self.entries.retain_mut(|entry| {
            let resolution = entry.learn(answer, asked, now, timing, &mut learned);
            self.forgotten += if resolution == Some(Resolution::Confirmed) { entry.visits } else { 0 };
            resolution.is_none()
        });
        learned.visits_lost = self.newly_lost(answer);
        learned.visits_unconfirmed = self.make_room();
        learned
    }

    /// The writer's own sum of what is applied, less the shard's: what is missing there and was not before.
    fn newly_lost(&mut self, answer: &Applied) -> u64 {
        let here = self.entries.iter().filter(|entry| answer.set.contains(entry.sequence));
        let missing = (self.forgotten + here.map(|entry| entry.visits).sum::<u64>()).saturating_sub(answer.set.visits);
        let newly = missing.saturating_sub(self.lost);
        self.lost = self.lost.max(missing);
        // A set that was deleted with our consent begins anew: nothing is lost.
        if std::mem::take(&mut self.settled) { 0 } else { newly }
    }

    /// Notes that the shard may now delete the applied set.
    pub fn settle(&mut self) {
        self.settled = true;
    }

    /// Forgets the oldest applied batches until the rest fit [`UNCONFIRMED_BYTES`]; returns their visits. Of
    /// those that may be parked only the content goes.
    fn make_room(&mut self) -> u64 {
        let applied = self.entries.iter().filter(|entry| entry.seen.is_some());
        let mut bytes: usize = applied.map(Entry::bytes).sum();
        let (mut forgotten, mut kept) = (0, VecDeque::with_capacity(self.entries.len()));
        for mut entry in std::mem::take(&mut self.entries) {
            if bytes > UNCONFIRMED_BYTES && entry.seen.is_some() {
                bytes -= entry.bytes();
                if entry.copy == Copy::No {
                    forgotten += entry.visits;
                    continue;
                }
                entry.batch = None;
            }
            kept.push_back(entry);
        }
        self.entries = kept;
        self.forgotten += forgotten;
        forgotten
    }

    /// Pages of unresolved batches here whose copies are there for good.
    pub fn can_shed(&self) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.copy == Copy::Old)
            .filter_map(Entry::sendable)
            .map(|batch| batch.pages())
            .sum()
    }

    /// Lets the contents of unresolved batches go whose copies are there for good, the oldest first, until
    /// `pages` are freed; whether that many were.
    pub fn shed(&mut self, pages: usize) -> bool {
        let mut freed = 0;
        for entry in &mut self.entries {
            if freed < pages && entry.copy == Copy::Old && entry.seen.is_none() {
                freed += entry.batch.take().map_or(0, |batch| batch.pages());
            }
        }
        freed >= pages
    }

    /// The lowest sequence that may still be sent from here or be delivered from a copy; `next`, the next to
    /// be sealed, if there is none. The shard may forget everything below it.
    pub fn base(&self, next: Sequence) -> Sequence {
        self.entries.front().map_or(next, |entry| entry.sequence)
    }

    /// Whether this batch is safe: seen in the applied set, or parked.
    pub fn is_safe(&self, sequence: Sequence) -> bool {
        let here = self.entries.iter().find(|entry| entry.sequence == sequence);
        here.is_none_or(|entry| entry.seen.is_some() || entry.is_parked())
    }

    /// Nothing is here.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Batches whose outcome is not known and that can be sent from here.
    pub fn unresolved(&self) -> usize {
        self.entries.iter().filter_map(Entry::sendable).count()
    }

    /// Unresolved batches of which a copy is to be stored elsewhere.
    pub fn unparked(&self, now: Moment, timing: &Timing) -> usize {
        self.entries.iter().filter_map(|entry| entry.unparked(now, timing)).count()
    }

    /// Batches of which the shard must be asked: applied and not confirmed yet, or to be delivered by others.
    pub fn unconfirmed(&self) -> usize {
        self.entries.len() - self.unresolved()
    }

    /// Pages of unresolved batches held in memory.
    pub fn unresolved_pages(&self) -> usize {
        self.entries.iter().filter_map(Entry::sendable).map(|batch| batch.pages()).sum()
    }

    /// Visits in the batches whose outcome is not known.
    pub fn unresolved_visits(&self) -> u64 {
        self.entries.iter().filter(|entry| entry.seen.is_none()).map(|entry| entry.visits).sum()
    }

    /// When the oldest visits of the batches came whose outcome is not known.
    pub fn unresolved_since(&self) -> impl Iterator<Item = Moment> + '_ {
        self.entries.iter().filter(|entry| entry.seen.is_none() && entry.visits > 0).map(|entry| entry.since)
    }

    /// Visits among them in batches of which a copy is parked.
    pub fn parked_visits(&self) -> u64 {
        let parked = self.entries.iter().filter(|entry| entry.seen.is_none() && entry.is_parked());
        parked.map(|entry| entry.visits).sum()
    }
}

/// Whether a copy of a batch waits on another shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copy {
    /// None was ever sent there.
    No,
    /// One was sent, and no answer came.
    Maybe,
    /// One is there since an answer of its shard.
    Parked {
        /// The shard, at that answer.
        refuge: ParkedAt,
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
pub struct ParkedAt {
    /// The shard.
    pub shard: ShardIndex,
    /// The run of its server.
    pub server_run: ServerRun,
    /// When it answered, by its server's clock.
    pub server_time: Duration,
}

impl ParkedAt {
    fn is_same_run(self, other: Self) -> bool {
        (self.shard, self.server_run) == (other.shard, other.server_run)
    }
}

/// A batch seen in the applied set.
#[derive(Clone, Copy, Debug)]
struct Confirmation {
    at: Moment,
    server_time: Duration,
    server_run: ServerRun,
}

/// Whether the time to confirm something has passed, by the clock here and by the server's. Either may have been set
/// forward; too late is always safe.
fn is_confirmed(here: Duration, server: (Duration, Duration), timing: &Timing) -> bool {
    let (first, last) = server;
    here >= timing.confirm_after && last.saturating_sub(first) >= timing.confirm_after
}

/// One batch, and what its writer knows of it.
#[derive(Debug)]
struct Entry {
    sequence: Sequence,
    visits: u64,
    /// `None` once it left memory for room: then only its parked copy can bring it to its shard.
    batch: Option<Arc<Batch>>,
    /// The first sight of the batch in the applied set; `None` while its outcome is not known.
    seen: Option<Confirmation>,
    copy: Copy,
    /// When its oldest visit came.
    since: Moment,
    /// Whether it was applied, and the shard has lost it.
    was_lost: bool,
    /// The shard's time at its first answer without the batch, of which only a copy is left.
    missing_since: Option<Duration>,
}

/// Reason why a batch leaves the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    /// The batch is applied for good.
    Confirmed,
    /// The batch is too old, and never applied any more.
    Expired,
}

impl Entry {
    /// The batch, if its outcome is not known and it is here to be sent.
    fn sendable(&self) -> Option<&Arc<Batch>> {
        if self.seen.is_none() { self.batch.as_ref() } else { None }
    }

    /// The batch, if it must be sent and a copy of it is to be stored elsewhere: none is known to be there, or
    /// it has not been there for long enough to outlive a crash. Storing it once more tells.
    fn unparked(&self, now: Moment, timing: &Timing) -> Option<&Arc<Batch>> {
        match self.copy {
            Copy::Old => None,
            Copy::Parked { asked, .. } if now.since(asked) < timing.confirm_after => None,
            _ => self.sendable(),
        }
    }

    /// Takes note that a copy was sent elsewhere, and that a shard has it if `refuge` says so.
    fn parked(&mut self, refuge: Option<ParkedAt>, now: Moment, timing: &Timing) {
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
    fn is_parked(&self) -> bool {
        matches!(self.copy, Copy::Parked { .. } | Copy::Old)
    }

    /// Memory that the batch takes here, in bytes.
    fn bytes(&self) -> usize {
        self.batch.as_ref().map_or(0, |batch| batch.bytes())
    }

    /// Takes an answer to a call that was begun at `asked`. Returns why the batch leaves the outbox, if it does.
    fn learn(
        &mut self,
        answer: &Applied,
        asked: Moment,
        now: Moment,
        timing: &Timing,
        learned: &mut FlushReport,
    ) -> Option<Resolution> {
        let (server_time, server_run) = (answer.server_time, answer.server_run);
        let sight = Confirmation { at: now, server_time, server_run };
        let is_confirmed = match (self.seen, answer.set.contains(self.sequence)) {
            (None, true) => {
                learned.visits += self.visits;
                learned.visits_healed += if std::mem::take(&mut self.was_lost) { self.visits } else { 0 };
                (self.seen, self.missing_since) = (Some(sight), None);
                // Switched off by a test: not even a first answer is waited out.
                timing.confirm_after.is_zero()
            }
            // It may have been lost in between and applied again a moment ago, by a copy or a late call.
            (Some(seen), true) if seen.server_run != server_run => {
                self.seen = Some(sight);
                false
            }
            (Some(seen), true) => is_confirmed(asked.since(seen.at), (seen.server_time, server_time), timing),
            (Some(_), false) => {
                learned.visits_healing += self.visits;
                learned.gaps += 1;
                (self.seen, self.was_lost) = (None, true);
                false
            }
            (None, false) if self.is_too_old(answer, timing) => {
                learned.visits_expired += self.visits;
                return Some(Resolution::Expired);
            }
            (None, false) => false,
        };
        is_confirmed.then_some(Resolution::Confirmed)
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

/// The first of `batches` that fit `most` together, at least one.
fn fitting<'a>(
    batches: impl Iterator<Item = &'a Arc<Batch>>,
    most: usize,
    size: impl Fn(&Batch) -> usize,
) -> Vec<Arc<Batch>> {
    let mut taken = 0;
    let fitting = batches.take_while(|batch| {
        let first = taken == 0;
        taken += size(batch);
        first || taken <= most
    });
    fitting.map(Arc::clone).collect()
}

#[cfg(test)]
mod tests;
