//! Visits of the same page by the same visitor within a time, which count once.
//!
//! Each environment remembers its own: two visits that Lambda gives to two environments both count. What would make that exact,
//! a question to Redis before each visit, is what this counter is there to spare.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use visits_core::clock::Moment;
use visits_core::page::PageId;
use visits_core::visit::Fingerprint;

/// Visits in one of two generations, some 50 bytes each. Beyond it the oldest are forgotten early, and would count again.
const MOST: usize = 20_000;

pub(super) struct Repeats {
    window: Duration,
    /// Pages and visitors are known by a hash that nobody outside can make two of.
    hashing: RandomState,
    seen: Mutex<Generations>,
}

/// Visits by when they were counted. What is older than the window lies in `old` at most, which is dropped whole.
#[derive(Default)]
struct Generations {
    begun: Option<Moment>,
    young: HashMap<u64, Moment>,
    old: HashMap<u64, Moment>,
}

impl Repeats {
    pub(super) fn new(window: Duration) -> Self {
        Self { window, hashing: RandomState::new(), seen: Mutex::default() }
    }

    /// Whether no such visit was counted within the window before `now`. Then this one begins the next window.
    pub(super) fn begin(&self, page: &PageId, visitor: Fingerprint, now: Moment) -> bool {
        let key = self.key(page, visitor);
        let mut seen = self.lock();
        let counted = seen.young.get(&key).or_else(|| seen.old.get(&key));
        if counted.is_some_and(|counted| now.since(*counted) < self.window) {
            return false;
        }
        let begun = *seen.begun.get_or_insert(now);
        if now.since(begun) >= self.window || seen.young.len() >= MOST {
            seen.old = std::mem::take(&mut seen.young);
            seen.begun = Some(now);
        }
        seen.young.insert(key, now);
        true
    }

    /// The last such visit was not counted after all.
    pub(super) fn forget(&self, page: &PageId, visitor: Fingerprint) {
        let key = self.key(page, visitor);
        let mut seen = self.lock();
        seen.young.remove(&key);
        seen.old.remove(&key);
    }

    fn key(&self, page: &PageId, visitor: Fingerprint) -> u64 {
        self.hashing.hash_one((page.as_str(), visitor))
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // Whatever a panic left behind, it is no more than a visit too many or too few.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Repeats};
    use std::time::Duration;
    use visits_core::clock::{ManualClock, Moment};
    use visits_core::page::PageId;
    use visits_core::visit::Fingerprint;

    const WINDOW: Duration = Duration::from_secs(30);

    fn page(id: &str) -> PageId {
        PageId::from_decoded(id).unwrap()
    }

    fn visitor(n: usize) -> Fingerprint {
        Fingerprint::of(&n.to_string(), "")
    }

    fn after(time: &ManualClock, seconds: u64) -> Moment {
        time.advance(Duration::from_secs(seconds));
        time.clock().now()
    }

    #[test]
    fn within_the_window_a_visitor_counts_once_a_page() {
        let (repeats, time) = (Repeats::new(WINDOW), ManualClock::new());
        let (home, other) = (page("home"), page("other"));
        assert!(repeats.begin(&home, visitor(1), after(&time, 0)));
        assert!(!repeats.begin(&home, visitor(1), after(&time, 29)));
        assert!(repeats.begin(&home, visitor(2), after(&time, 0)));
        assert!(repeats.begin(&other, visitor(1), after(&time, 0)));
        // A repeat begins no window: who reloads all the time still counts now and then.
        assert!(repeats.begin(&home, visitor(1), after(&time, 1)));
        assert!(!repeats.begin(&home, visitor(1), after(&time, 29)));
        assert!(repeats.begin(&home, visitor(1), after(&time, 1)));
    }

    #[test]
    fn a_visit_that_was_not_counted_begins_no_window() {
        let (repeats, time) = (Repeats::new(WINDOW), ManualClock::new());
        assert!(repeats.begin(&page("home"), visitor(1), after(&time, 0)));
        repeats.forget(&page("home"), visitor(1));
        assert!(repeats.begin(&page("home"), visitor(1), after(&time, 0)));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest() {
        let (repeats, time) = (Repeats::new(WINDOW), ManualClock::new());
        let home = page("home");
        for n in 0..MOST * 3 {
            assert!(repeats.begin(&home, visitor(n), after(&time, 0)), "{n}");
            let seen = repeats.lock();
            assert!(seen.young.len() + seen.old.len() <= MOST * 2);
        }
        assert!((MOST * 2..MOST * 3).all(|n| !repeats.begin(&home, visitor(n), after(&time, 0))));
    }

    #[test]
    fn what_is_older_than_two_windows_takes_no_memory() {
        let (repeats, time) = (Repeats::new(WINDOW), ManualClock::new());
        for n in 0..100 {
            repeats.begin(&page("home"), visitor(n), after(&time, 0));
        }
        repeats.begin(&page("home"), visitor(0), after(&time, 30));
        repeats.begin(&page("home"), visitor(0), after(&time, 30));
        let seen = repeats.lock();
        assert_eq!(seen.young.len() + seen.old.len(), 2);
    }
}
