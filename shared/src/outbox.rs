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

mod entry;

use crate::batch::{Batch, Sequence};
use crate::clock::Moment;
use crate::store::Applied;
use crate::timing::Timing;
use entry::{Copy, Entry, Fate};
pub use entry::{Learned, Refuge};
use std::collections::VecDeque;
use std::sync::Arc;

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
    /// The shard was told that it may delete the applied set, and has not answered since.
    settled: bool,
}

impl Outbox {
    /// Takes a freshly sealed batch, whose oldest visit came at `since`. Its sequence must be above all that came before.
    pub fn push(&mut self, batch: Batch, since: Moment) {
        debug_assert!(self.entries.back().is_none_or(|last| last.sequence < batch.sequence()));
        self.entries.push_back(Entry::new(batch, since));
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
    pub fn parked(&mut self, batches: &[Arc<Batch>], refuge: Option<Refuge>, now: Moment, timing: &Timing) {
        for entry in &mut self.entries {
            if batches.iter().any(|batch| batch.sequence() == entry.sequence) {
                entry.parked(refuge, now, timing);
            }
        }
    }

    /// Learns from an answer to a call that was begun at `asked` and answered at `now`. Answers must come
    /// in the order of their calls: one overtaken by a newer would look like lost data.
    pub fn learn(&mut self, answer: &Applied, asked: Moment, now: Moment, timing: &Timing) -> Learned {
        let (mut learned, mut forgotten) = (Learned::default(), 0);
        self.entries.retain_mut(|entry| {
            let fate = entry.learn(answer, asked, now, timing, &mut learned);
            if fate == Fate::Confirmed {
                forgotten += entry.visits;
            }
            fate == Fate::Stays
        });
        self.forgotten += forgotten;
        learned.lost = self.newly_lost(answer);
        learned.unconfirmed = self.make_room();
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

    /// Those of them of which a copy is to be stored elsewhere.
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
