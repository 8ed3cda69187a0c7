//! Counts by page in bounded memory: gathered until a bound is reached, then handed on as a sorted block.
//!
//! Names are looked up as they stand in the input, and each distinct one is read once. The bounds count what the
//! input holds and nothing else, so the same input makes the same blocks on every machine.

use crate::summary::{Reason, Seen};
use std::collections::HashMap;
use visits_core::batch::Increment;
use visits_core::batch::MAX_VISITS;
use visits_core::page::{PageId, PageIdError};

/// Pages with their visits, and those of them by bots: sorted, distinct, each with at least one visit, at most
/// [`MAX_VISITS`] in all.
pub type Block = Vec<Increment>;

/// Most visits that one record may stand for: 14 digits, so that a block's sum stays within [`MAX_VISITS`].
pub const MAX_RECORD_VISITS: u64 = 99_999_999_999_999;

/// When a block is full. Part of what makes an import's batches: other bounds are another import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Distinct names as they stand in the input.
    pub names: usize,
    /// Bytes of these names and of the pages they stand for.
    pub bytes: usize,
}

impl Default for Bounds {
    /// 200,000 names, and at most 32 MiB of them: some 60 MB of memory.
    fn default() -> Self {
        Self { names: 200_000, bytes: 32 * 1024 * 1024 }
    }
}

/// Visits that a record stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) visits: u64,
    /// Visits among them by bots.
    pub(crate) bots: u64,
}

impl Count {
    /// Returns one visit.
    pub(crate) fn one(bot: bool) -> Self {
        Self { visits: 1, bots: bot.into() }
    }
}

/// Page that a name stands for, or why there is none.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    Page(PageId),
    Ignored,
    Bad(Box<Reason>),
}

impl From<Result<PageId, PageIdError>> for Verdict {
    fn from(page: Result<PageId, PageIdError>) -> Self {
        page.map_or_else(|error| Self::Bad(Reason::Page(error).into()), Self::Page)
    }
}

#[derive(Debug)]
pub(crate) struct Tally {
    names: HashMap<Box<[u8]>, (Count, Verdict)>,
    bounds: Bounds,
    bytes: usize,
    visits: u64,
}

impl Tally {
    /// Longest name that is remembered if it is no page: longer ones are rare, and would fill the memory.
    const LONGEST_KEPT: usize = 4096;

    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { names: HashMap::new(), bounds, bytes: 0, visits: 0 }
    }

    /// Adds `count`, at most [`MAX_RECORD_VISITS`], to the page that `name` stands for; `read` says which that is.
    pub(crate) fn add(&mut self, name: &[u8], count: Count, read: impl FnOnce(&[u8]) -> Verdict) -> Seen {
        if let Some((sum, verdict)) = self.names.get_mut(name) {
            return match verdict {
                Verdict::Page(_) => {
                    sum.visits += count.visits;
                    sum.bots += count.bots;
                    self.visits += count.visits;
                    Seen::Counted(count)
                }
                Verdict::Ignored => Seen::Ignored,
                Verdict::Bad(reason) => Seen::Bad((**reason).clone()),
            };
        }
        let verdict = read(name);
        let (seen, page) = match &verdict {
            Verdict::Page(page) => (Seen::Counted(count), page.as_str().len()),
            Verdict::Ignored => (Seen::Ignored, 0),
            Verdict::Bad(reason) => (Seen::Bad((**reason).clone()), 0),
        };
        if page > 0 || name.len() <= Self::LONGEST_KEPT {
            self.bytes += name.len() + page;
            self.visits += if page > 0 { count.visits } else { 0 };
            self.names.insert(name.into(), (count, verdict));
        }
        seen
    }

    /// Whether the block is to be taken before anything more is added.
    pub(crate) fn is_full(&self) -> bool {
        self.names.len() >= self.bounds.names
            || self.bytes >= self.bounds.bytes
            || self.visits > MAX_VISITS - MAX_RECORD_VISITS
    }

    /// Takes what was gathered; the next block begins empty.
    pub(crate) fn take(&mut self) -> Block {
        (self.bytes, self.visits) = (0, 0);
        let increment = |(_, (Count { visits, bots }, verdict))| match verdict {
            Verdict::Page(page) => Some(Increment { page, visits, bots, visitors: Vec::new() }),
            _ => None,
        };
        let mut block: Block = self.names.drain().filter_map(increment).collect();
        block.sort_unstable();
        // Two names may stand for one page, as `/a%2Fb` and `/a/b` do.
        block.dedup_by(|one, kept| {
            let same = one.page == kept.page;
            if same {
                kept.visits += one.visits;
                kept.bots += one.bots;
            }
            same
        });
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(name: &[u8]) -> Verdict {
        Verdict::Page(PageId::from_encoded(std::str::from_utf8(name).unwrap()).unwrap())
    }

    fn people(visits: u64) -> Count {
        Count { visits, bots: 0 }
    }

    #[test]
    fn a_block_is_sorted_and_names_of_one_page_are_added_up() {
        let mut tally = Tally::new(Bounds::default());
        for (name, visits, bots) in [("b", 1, 1), ("a%2Fb", 2, 0), ("a/b", 3, 2), ("b", 4, 0), ("a%2fb", 5, 4)] {
            let count = Count { visits, bots };
            assert_eq!(tally.add(name.as_bytes(), count, page), Seen::Counted(count));
        }
        let block = tally.take();
        let sums: Vec<_> = block.iter().map(|one| (one.page.as_str(), one.visits, one.bots)).collect();
        assert_eq!(sums, [("a/b", 10, 6), ("b", 5, 1)]);
        assert_eq!(tally.take(), []);
    }

    #[test]
    fn a_name_is_read_once_and_what_is_no_page_is_remembered() {
        let mut tally = Tally::new(Bounds::default());
        let reads = std::cell::Cell::new(0);
        for _ in 0..3 {
            for verdict in [Verdict::Ignored, Verdict::Bad(Reason::Told("bad").into())] {
                let bad = matches!(verdict, Verdict::Bad(_));
                let read = |_: &[u8]| {
                    reads.set(reads.get() + 1);
                    verdict
                };
                let seen = tally.add(if bad { b"x" } else { b"y" }, people(1), read);
                assert_eq!(seen, if bad { Seen::Bad(Reason::Told("bad")) } else { Seen::Ignored });
            }
        }
        assert_eq!((reads.get(), tally.take()), (2, Block::new()));
    }

    #[test]
    fn a_tally_is_full_by_names_bytes_or_visits() {
        let names = Bounds { names: 2, ..Bounds::default() };
        let bytes = Bounds { bytes: 9, ..Bounds::default() };
        for (bounds, visits) in [(names, 1), (bytes, 1), (Bounds::default(), MAX_RECORD_VISITS)] {
            let mut tally = Tally::new(bounds);
            tally.add(b"one", people(visits), page);
            assert!(!tally.is_full());
            for _ in 0..9 {
                tally.add(b"two", people(visits), page);
            }
            assert!(tally.is_full());
            assert!(tally.take().iter().map(|one| one.visits).sum::<u64>() <= MAX_VISITS);
            assert!(!tally.is_full());
        }
    }

    #[test]
    fn long_names_that_are_no_pages_take_no_memory() {
        let mut tally = Tally::new(Bounds::default());
        tally.add(&[b'x'; 5000], people(1), |_| Verdict::Ignored);
        assert_eq!((tally.names.len(), tally.bytes), (0, 0));
    }
}
