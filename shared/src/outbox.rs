//! The sealed batches of one shard that the writer must still answer for.
//!
//! Invariants (each has a test below or in `tests/exactly_once.rs`):
//! 1. A batch enters once, sealed, and leaves unchanged: on a confirmed sight in the applied set, for
//!    room (then it is counted as unconfirmed), or when the shard says it is too old to be applied.
//! 2. Time alone forgets nothing: without an answer, every batch stays.
//! 3. A batch once seen in the applied set and now missing from it was lost by Redis, together with its
//!    counts, since one script wrote both: it is sent again.
//! 4. [`Outbox::base`] never passes a batch that is still here, so the shard keeps telling them apart.

use crate::applied::AppliedSet;
use crate::batch::{Batch, Sequence};
use crate::clock::Moment;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How long after it was first seen in the applied set a batch must still be there to be forgotten.
/// Redis under `appendfsync everysec` loses up to about two seconds in a crash; a failover loses what
/// its replica had not got. A minute covers both with room.
pub const CONFIRM_AFTER: Duration = Duration::from_mins(1);

/// Memory for batches that are applied and only wait to be confirmed, in bytes for each shard.
pub const UNCONFIRMED_BYTES: usize = 256 * 1024;

#[derive(Debug)]
struct Entry {
    batch: Arc<Batch>,
    /// When the batch was first seen in the applied set; `None` while its outcome is not known.
    seen: Option<Moment>,
}

/// What an answer of the shard taught.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// Visits now known to be applied.
    pub applied: u64,
    /// Visits that were applied and are lost again, to be sent once more.
    pub healing: u64,
    /// Visits whose batch was forgotten for room before it was confirmed.
    pub unconfirmed: u64,
    /// Visits in batches that the shard refused as too old, now given up.
    pub expired: u64,
}

impl Learned {
    /// Both taken together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            applied: self.applied + other.applied,
            healing: self.healing + other.healing,
            unconfirmed: self.unconfirmed + other.unconfirmed,
            expired: self.expired + other.expired,
        }
    }
}

/// The outbox of one shard, in order of sequence.
#[derive(Debug, Default)]
pub struct Outbox {
    entries: VecDeque<Entry>,
    unresolved: usize,
    unresolved_pages: usize,
    unconfirmed_bytes: usize,
}

impl Outbox {
    /// Takes a freshly sealed batch. Its sequence must be above all that came before.
    pub fn push(&mut self, batch: Batch) {
        debug_assert!(self.entries.back().is_none_or(|last| last.batch.sequence() < batch.sequence()));
        self.entries.push_back(Entry { batch: Arc::new(batch), seen: None });
        self.recount();
    }

    /// The unresolved batches to send in one call: the oldest, as many as fit `max_pages`, at least one.
    pub fn next_to_send(&self, max_pages: usize) -> Vec<Arc<Batch>> {
        let mut pages = 0;
        let unresolved = self.entries.iter().filter(|entry| entry.seen.is_none());
        let fitting = unresolved.take_while(|entry| {
            let first = pages == 0;
            pages += entry.batch.pages();
            first || pages <= max_pages
        });
        fitting.map(|entry| Arc::clone(&entry.batch)).collect()
    }

    /// Learns from an answer to a call that was begun at `asked` and answered at `now`. Answers must come
    /// in the order of their calls: one overtaken by a newer would look like lost data.
    pub fn learn(&mut self, set: &AppliedSet, expired: &[Sequence], asked: Moment, now: Moment) -> Learned {
        let mut learned = Learned::default();
        self.entries.retain_mut(|entry| {
            let visits = entry.batch.visits();
            match (entry.seen, set.contains(entry.batch.sequence())) {
                (None, true) => {
                    learned.applied += visits;
                    entry.seen = Some(now);
                }
                (Some(seen), true) => return asked.since(seen) < CONFIRM_AFTER,
                (Some(_), false) => {
                    learned.healing += visits;
                    entry.seen = None;
                }
                (None, false) if expired.contains(&entry.batch.sequence()) => {
                    learned.expired += visits;
                    return false;
                }
                (None, false) => {}
            }
            true
        });
        self.recount();
        learned.unconfirmed = self.make_room();
        learned
    }

    /// Forgets the oldest applied batches until the rest fit [`UNCONFIRMED_BYTES`]; returns their visits.
    fn make_room(&mut self) -> u64 {
        let mut forgotten = 0;
        while self.unconfirmed_bytes > UNCONFIRMED_BYTES {
            let Some(oldest) = self.entries.iter().position(|entry| entry.seen.is_some()) else { break };
            if let Some(entry) = self.entries.remove(oldest) {
                forgotten += entry.batch.visits();
            }
            self.recount();
        }
        forgotten
    }

    fn recount(&mut self) {
        let unresolved = self.entries.iter().filter(|entry| entry.seen.is_none());
        let (count, pages) = unresolved.fold((0, 0), |(n, pages), e| (n + 1, pages + e.batch.pages()));
        let applied = self.entries.iter().filter(|entry| entry.seen.is_some());
        self.unconfirmed_bytes = applied.map(|entry| entry.batch.bytes()).sum();
        (self.unresolved, self.unresolved_pages) = (count, pages);
    }

    /// The lowest sequence that may still be sent from here; `next`, the next to be sealed, if there is
    /// none. The shard may forget everything below it.
    pub fn base(&self, next: Sequence) -> Sequence {
        self.entries.front().map_or(next, |entry| entry.batch.sequence())
    }

    /// Whether this batch still waits for a first sight in the applied set.
    pub fn is_unresolved(&self, sequence: Sequence) -> bool {
        self.entries.iter().any(|e| e.batch.sequence() == sequence && e.seen.is_none())
    }

    /// Batches whose outcome is not known.
    pub fn unresolved(&self) -> usize {
        self.unresolved
    }

    /// Pages in the batches whose outcome is not known.
    pub fn unresolved_pages(&self) -> usize {
        self.unresolved_pages
    }

    /// Visits in the batches whose outcome is not known.
    pub fn unresolved_visits(&self) -> u64 {
        self.entries.iter().filter(|e| e.seen.is_none()).map(|e| e.batch.visits()).sum()
    }

    /// Batches that are applied and wait to be confirmed.
    pub fn unconfirmed(&self) -> usize {
        self.entries.len() - self.unresolved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::PageId;

    fn at(seconds: u64) -> Moment {
        let time = Duration::from_secs(seconds);
        Moment::new(time, time)
    }

    fn sequence(number: u64) -> Sequence {
        Sequence::new(number).unwrap()
    }

    fn batch(number: u64, pages: usize) -> Batch {
        let page = |n: usize| (PageId::from_decoded(&format!("page-{n}")).unwrap(), 1);
        Batch::seal(sequence(number), (0..pages).map(page).collect(), at(0))
    }

    fn outbox(batches: impl IntoIterator<Item = u64>) -> Outbox {
        let mut outbox = Outbox::default();
        batches.into_iter().for_each(|number| outbox.push(batch(number, 2)));
        outbox
    }

    fn set(floor: u64) -> AppliedSet {
        AppliedSet { floor, ..AppliedSet::default() }
    }

    fn to_send(outbox: &Outbox) -> Vec<u64> {
        outbox.next_to_send(500).iter().map(|batch| batch.sequence().get()).collect()
    }

    #[test]
    fn what_the_set_holds_is_not_sent_again() {
        let mut outbox = outbox(1..=3);
        let set = AppliedSet { floor: 1, above: [3].into(), ..AppliedSet::default() };
        let learned = outbox.learn(&set, &[], at(0), at(1));
        assert_eq!(learned, Learned { applied: 4, ..Learned::default() });
        assert_eq!(to_send(&outbox), [2]);
        assert_eq!((outbox.unresolved(), outbox.unconfirmed()), (1, 2));
    }

    #[test]
    fn a_batch_is_forgotten_on_an_answer_asked_a_minute_after_its_first_sight() {
        let mut outbox = outbox([1]);
        outbox.learn(&set(1), &[], at(0), at(10));
        outbox.learn(&set(1), &[], at(69), at(99));
        assert_eq!(outbox.unconfirmed(), 1, "asked only 59 s after it was seen");
        outbox.learn(&set(1), &[], at(70), at(99));
        assert_eq!(outbox.unconfirmed(), 0);
    }

    #[test]
    fn a_batch_that_redis_lost_is_sent_again() {
        let mut outbox = outbox([1, 2]);
        outbox.learn(&set(2), &[], at(0), at(1));
        let learned = outbox.learn(&set(1), &[], at(5), at(6));
        assert_eq!(learned, Learned { healing: 2, ..Learned::default() });
        assert_eq!(to_send(&outbox), [2]);
    }

    #[test]
    fn a_batch_lost_and_healed_waits_a_full_minute_again() {
        let mut outbox = outbox([1]);
        outbox.learn(&set(1), &[], at(0), at(0));
        outbox.learn(&set(0), &[], at(50), at(50));
        outbox.learn(&set(1), &[], at(51), at(51));
        outbox.learn(&set(1), &[], at(70), at(70));
        assert_eq!(outbox.unconfirmed(), 1);
    }

    #[test]
    fn the_base_never_passes_a_batch_that_may_be_sent_again() {
        let mut outbox = outbox([4, 5]);
        assert_eq!(outbox.base(sequence(6)), sequence(4));
        outbox.learn(&set(5), &[], at(0), at(0));
        assert_eq!(outbox.base(sequence(6)), sequence(4), "applied, but not confirmed");
        outbox.learn(&set(5), &[], at(60), at(60));
        assert_eq!(outbox.base(sequence(6)), sequence(6));
    }

    #[test]
    fn for_room_the_oldest_applied_go_and_are_counted() {
        let mut outbox = Outbox::default();
        let one = batch(1, 500).bytes();
        let count = (UNCONFIRMED_BYTES / one + 2) as u64;
        (1..=count).for_each(|number| outbox.push(batch(number, 500)));
        let learned = outbox.learn(&set(count), &[], at(0), at(0));
        assert_eq!(learned.unconfirmed, 1000, "two batches of 500 visits too many");
        assert_eq!(outbox.base(sequence(count + 1)), sequence(3));
    }

    #[test]
    fn room_is_never_made_from_what_is_unresolved() {
        let mut outbox = Outbox::default();
        (1..=40).for_each(|number| outbox.push(batch(number, 500)));
        assert_eq!(outbox.learn(&set(0), &[], at(0), at(0)), Learned::default());
        assert_eq!(outbox.unresolved(), 40);
    }

    #[test]
    fn a_batch_too_old_is_given_up_and_reported() {
        let mut outbox = outbox([1, 2]);
        let learned = outbox.learn(&set(0), &[sequence(1)], at(0), at(0));
        assert_eq!(learned, Learned { expired: 2, ..Learned::default() });
        assert_eq!(to_send(&outbox), [2]);
    }

    #[test]
    fn a_call_takes_whole_batches_up_to_its_pages_and_at_least_one() {
        let mut outbox = Outbox::default();
        [300, 200, 1].into_iter().zip(1..).for_each(|(pages, n)| outbox.push(batch(n, pages)));
        assert_eq!(to_send(&outbox), [1, 2]);
        assert_eq!(outbox.next_to_send(10).len(), 1);
    }
}
