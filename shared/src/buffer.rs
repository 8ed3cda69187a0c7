//! Visits of one shard that are not sealed yet, gathered page by page in memory.
//!
//! They lie in *open batches* of at most [`MAX_BATCH_PAGES`] pages. A page has one place among them: a
//! further visit of it is added there. Open batches are sealed in the order in which they were opened, so
//! a visit's batch number is known as soon as the visit is taken, which is what `direct` waits for.

use crate::batch::MAX_BATCH_PAGES;
use crate::page::PageId;
use std::collections::{HashMap, VecDeque};

#[derive(Debug, Default)]
struct Open {
    pages: HashMap<PageId, u64>,
    visits: u64,
}

/// The open batches of one shard. Invariants: no open batch is empty; all but the last are full; no page
/// is in two of them.
#[derive(Debug, Default)]
pub struct Buffer {
    open: VecDeque<Open>,
    pages: usize,
    visits: u64,
}

impl Buffer {
    /// Adds one visit if its page is here already or `room` allows one more page. Returns in how many
    /// batches' time it will be sealed (0: with the next), or `None` if there was no room.
    pub fn add(&mut self, page: PageId, room: bool) -> Option<u64> {
        let known = self.open.iter().position(|open| open.pages.contains_key(&page));
        if known.is_none() && !room {
            return None;
        }
        let index = known.unwrap_or_else(|| self.place_for_a_new_page());
        let open = &mut self.open[index];
        *open.pages.entry(page).or_insert(0) += 1;
        open.visits += 1;
        self.visits += 1;
        Some(index as u64)
    }

    fn place_for_a_new_page(&mut self) -> usize {
        let full = self.open.back().is_none_or(|open| open.pages.len() >= MAX_BATCH_PAGES);
        if full {
            self.open.push_back(Open::default());
        }
        self.pages += 1;
        self.open.len() - 1
    }

    /// Takes the oldest open batch's pages out, to be sealed; `None` if nothing is pending.
    pub fn take_next(&mut self) -> Option<Vec<(PageId, u64)>> {
        let open = self.open.pop_front()?;
        self.pages -= open.pages.len();
        self.visits -= open.visits;
        Some(open.pages.into_iter().collect())
    }

    /// Distinct pages pending.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Visits pending.
    pub fn visits(&self) -> u64 {
        self.visits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(name: &str) -> PageId {
        PageId::from_decoded(name).unwrap()
    }

    #[test]
    fn visits_of_a_page_add_up_in_one_place() {
        let mut buffer = Buffer::default();
        for _ in 0..3 {
            assert_eq!(buffer.add(page("home"), true), Some(0));
        }
        assert_eq!((buffer.pages(), buffer.visits()), (1, 3));
        assert_eq!(buffer.take_next(), Some(vec![(page("home"), 3)]));
        assert_eq!((buffer.pages(), buffer.visits()), (0, 0));
        assert_eq!(buffer.take_next(), None);
    }

    #[test]
    fn a_page_over_a_full_batch_opens_the_next() {
        let mut buffer = Buffer::default();
        for n in 0..MAX_BATCH_PAGES {
            assert_eq!(buffer.add(page(&n.to_string()), true), Some(0));
        }
        assert_eq!(buffer.add(page("one more"), true), Some(1));
        assert_eq!(buffer.add(page("7"), true), Some(0), "a known page stays where it is");
        let sizes: Vec<usize> = std::iter::from_fn(|| buffer.take_next()).map(|b| b.len()).collect();
        assert_eq!(sizes, [MAX_BATCH_PAGES, 1]);
    }

    #[test]
    fn without_room_only_known_pages_are_taken() {
        let mut buffer = Buffer::default();
        buffer.add(page("known"), true);
        assert_eq!(buffer.add(page("new"), false), None);
        assert_eq!(buffer.add(page("known"), false), Some(0));
        assert_eq!(buffer.visits(), 2);
    }
}
