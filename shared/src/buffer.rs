//! Visits of one shard that are not sealed yet, gathered page by page in memory.
//!
//! They lie in *open batches* of one day and at most [`MAX_BATCH_PAGES`] pages. A page has one place among those of a
//! day: a further visit of it is added there. Open batches are sealed in the order in which they were opened, so
//! a visit's batch number is known as soon as the visit is taken, which is what `direct` waits for.

use crate::batch::{Content, Increment, MAX_BATCH_PAGES};
use crate::day::Day;
use crate::page::PageId;
use crate::visit::{Fingerprint, Refusal, Refused, Secret, Visit, Visitor};
use smallvec::SmallVec;
use std::collections::{HashMap, VecDeque};

/// Most visitors that an open batch remembers, all its pages taken together. Further ones are counted as visits only. Some
/// hours of a busy environment whose shard is down.
pub const MAX_VISITORS: usize = 50_000;

#[derive(Debug, Default)]
struct Open {
    day: Option<Day>,
    pages: HashMap<PageId, Tally>,
    visits: u64,
    refused: Refused,
    /// Visitors of its pages, added up.
    visitors: usize,
}

/// The open batches of one shard. Invariants: no open batch is empty; of a day all but the last are full; no page
/// is in two of one day.
#[derive(Debug, Default)]
pub struct Buffer {
    open: VecDeque<Open>,
    pages: usize,
    visits: u64,
}

impl Buffer {
    /// Adds one visit. Returns in how many batches' time it will be sealed; 0: with the next.
    pub fn add(&mut self, visit: Visit, day: Option<Day>) -> u64 {
        let index = self.place(&visit.page, day).unwrap_or_else(|| {
            self.pages += 1;
            self.open_of(day, |open| open.pages.len() < MAX_BATCH_PAGES)
        });
        let open = &mut self.open[index];
        let follow = open.visitors < MAX_VISITORS;
        let tally = open.pages.entry(visit.page).or_default();
        tally.visits += 1;
        tally.bots += u64::from(visit.bot);
        if let Some(visitor) = visit.visitor.filter(|_| follow)
            && let Err(place) = tally.visitors.binary_search(&visitor)
        {
            tally.visitors.insert(place, visitor);
            open.visitors += 1;
        }
        open.visits += 1;
        self.visits += 1;
        index as u64
    }

    /// Whether a visit of this page needs no more room.
    pub fn knows(&self, page: &PageId, day: Option<Day>) -> bool {
        self.place(page, day).is_some()
    }

    /// Adds a visit that was refused.
    pub fn add_refusal(&mut self, refusal: Refusal, day: Day) {
        let index = self.open_of(Some(day), |_| true);
        self.open[index].refused.add(refusal);
    }

    fn place(&self, page: &PageId, day: Option<Day>) -> Option<usize> {
        self.open.iter().position(|open| open.day == day && open.pages.contains_key(page))
    }

    /// Returns the last open batch of this day, or a new one.
    fn open_of(&mut self, day: Option<Day>, room: fn(&Open) -> bool) -> usize {
        self.open.iter().rposition(|open| open.day == day && room(open)).unwrap_or_else(|| {
            self.open.push_back(Open { day, ..Open::default() });
            self.open.len() - 1
        })
    }

    /// The day whose secret the next batch needs to be sealed with all that is known of its visitors.
    pub fn days(&self) -> impl Iterator<Item = Day> + '_ {
        self.open.iter().filter(|open| open.visitors > 0).filter_map(|open| open.day)
    }

    /// Takes the oldest open batch's content out, to be sealed; `None` if nothing is pending. Without its day's secret,
    /// who the visitors were is left out.
    pub fn take_next<'a>(&mut self, secret: impl FnOnce(Day) -> Option<&'a Secret>) -> Option<Content> {
        let open = self.open.pop_front()?;
        self.pages -= open.pages.len();
        self.visits -= open.visits;
        let secret = open.day.and_then(secret);
        let increments = open.pages.into_iter().map(|(page, tally)| Increment {
            page,
            visits: tally.visits,
            bots: tally.bots,
            visitors: tally.pseudonyms(secret),
        });
        Some(Content { day: open.day, increments: increments.collect(), refused: open.refused })
    }

    /// Distinct pages of each day pending.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Batches that what is pending will be sealed in.
    pub fn batches(&self) -> usize {
        self.open.len()
    }

    /// Visits pending.
    pub fn visits(&self) -> u64 {
        self.visits
    }
}

/// Visits of one page that are not sealed yet.
#[derive(Debug, Default)]
struct Tally {
    visits: u64,
    bots: u64,
    /// In order. Most pages of an interval have one or two, which lie here themselves.
    visitors: SmallVec<[Fingerprint; 2]>,
}

impl Tally {
    /// Returns the visitors under a day's secret, in order; none without one.
    fn pseudonyms(&self, secret: Option<&Secret>) -> Vec<Visitor> {
        let pseudonyms = |secret: &Secret| self.visitors.iter().map(|visitor| secret.pseudonym(*visitor)).collect();
        let mut visitors: Vec<Visitor> = secret.map(pseudonyms).unwrap_or_default();
        visitors.sort_unstable();
        visitors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Option<Day> = None;

    fn page(name: &str) -> PageId {
        PageId::from_decoded(name).unwrap()
    }

    fn add(buffer: &mut Buffer, name: &str) -> u64 {
        buffer.add(page(name).into(), TODAY)
    }

    fn day(number: u32) -> Day {
        Day::from_epoch_millis(0).plus(number)
    }

    fn take(buffer: &mut Buffer) -> Option<Content> {
        buffer.take_next(|_| None)
    }

    #[test]
    fn visits_of_a_page_add_up_in_one_place() {
        let mut buffer = Buffer::default();
        for _ in 0..3 {
            assert_eq!(add(&mut buffer, "home"), 0);
        }
        assert_eq!((buffer.pages(), buffer.visits(), buffer.batches()), (1, 3, 1));
        assert_eq!(take(&mut buffer).unwrap().increments, [(page("home"), 3).into()]);
        assert_eq!((buffer.pages(), buffer.visits(), buffer.batches()), (0, 0, 0));
        assert_eq!(take(&mut buffer), None);
    }

    #[test]
    fn a_page_over_a_full_batch_opens_the_next() {
        let mut buffer = Buffer::default();
        for n in 0..MAX_BATCH_PAGES {
            assert_eq!(add(&mut buffer, &n.to_string()), 0);
        }
        assert_eq!(add(&mut buffer, "one more"), 1);
        assert_eq!(add(&mut buffer, "7"), 0, "a known page stays where it is");
        let sizes: Vec<usize> = std::iter::from_fn(|| take(&mut buffer)).map(|b| b.increments.len()).collect();
        assert_eq!(sizes, [MAX_BATCH_PAGES, 1]);
    }

    #[test]
    fn days_are_kept_apart_in_the_order_in_which_they_came() {
        let mut buffer = Buffer::default();
        let mut visit = |number| buffer.add(page("home").into(), Some(day(number)));
        assert_eq!([visit(1), visit(2), visit(1), visit(2)], [0, 1, 0, 1]);
        assert_eq!((buffer.pages(), buffer.batches()), (2, 2));
        let taken = [take(&mut buffer).unwrap(), take(&mut buffer).unwrap()];
        assert_eq!(taken.each_ref().map(|content| content.day), [Some(day(1)), Some(day(2))]);
        assert!(taken.iter().all(|content| content.increments == [(page("home"), 2).into()]));
    }

    #[test]
    fn a_visitor_is_sealed_once_under_the_days_secret_and_not_without_it() {
        let secret = Secret::random().unwrap();
        let visitor = Fingerprint::of("192.0.2.1", "Mozilla");
        for known in [Some(&secret), None] {
            let mut buffer = Buffer::default();
            for bot in [false, true, false] {
                let visit = Visit { page: page("home"), bot, visitor: Some(visitor) };
                buffer.add(visit, Some(day(1)));
            }
            assert_eq!(buffer.days().collect::<Vec<_>>(), [day(1)]);
            let content = buffer.take_next(|_| known).unwrap();
            let visitors: Vec<_> = known.map(|secret| secret.pseudonym(visitor)).into_iter().collect();
            let increment = Increment { page: page("home"), visits: 3, bots: 1, visitors };
            assert_eq!(content.increments, [increment]);
        }
    }

    #[test]
    fn what_was_refused_goes_out_without_a_page() {
        let mut buffer = Buffer::default();
        buffer.add_refusal(Refusal::Origin, day(1));
        buffer.add_refusal(Refusal::Repeat, day(1));
        assert_eq!((buffer.pages(), buffer.batches(), buffer.days().count()), (0, 1, 0));
        let content = take(&mut buffer).unwrap();
        assert_eq!((content.refused.origin, content.refused.repeat, content.increments.len()), (1, 1, 0));
    }

    #[test]
    fn visitors_beyond_the_bound_are_counted_as_visits_only() {
        let mut buffer = Buffer::default();
        for number in 0..=MAX_VISITORS {
            let visitor = Some(Fingerprint::of(&number.to_string(), ""));
            buffer.add(Visit { page: page("home"), bot: false, visitor }, Some(day(1)));
        }
        let secret = Secret::random().unwrap();
        let increments = buffer.take_next(|_| Some(&secret)).unwrap().increments;
        assert_eq!((increments[0].visits, increments[0].visitors.len()), (MAX_VISITORS as u64 + 1, MAX_VISITORS));
    }
}
