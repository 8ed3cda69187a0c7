//! What a shard in memory knows of days.

use crate::batch::{Batch, Increment};
use crate::day::Day;
use crate::page::PageId;
use crate::store::statistics::DayCount;
use crate::visit::{Refused, Visitor};
use std::collections::{BTreeMap, BTreeSet};

/// One day, of a page or of the site.
#[derive(Clone, Debug, Default)]
struct OneDay {
    people: u64,
    bots: u64,
    visitors: BTreeSet<Visitor>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct DayRecords {
    pages: BTreeMap<(PageId, Day), OneDay>,
    site: BTreeMap<Day, OneDay>,
    refused: BTreeMap<Day, Refused>,
    totals: (u64, u64),
}

impl DayRecords {
    /// Adds what a batch adds to the site.
    pub(super) fn add_site(&mut self, batch: &Batch) {
        let bots: u64 = batch.increments().iter().map(|increment| increment.bots).sum();
        self.totals.0 += batch.visits();
        self.totals.1 += bots;
        let Some(day) = batch.day() else { return };
        let site = self.site.entry(day).or_default();
        site.people += batch.increments().iter().map(Increment::people).sum::<u64>();
        site.bots += bots;
        site.visitors.extend(&batch.site().visitors);
        let (sum, more) = (self.refused.entry(day).or_default(), batch.site().refused);
        sum.origin += more.origin;
        sum.page += more.page;
        sum.repeat += more.repeat;
    }

    pub(super) fn add(&mut self, day: Option<Day>, increment: &Increment) {
        let Some(day) = day else { return };
        let one = self.pages.entry((increment.page.clone(), day)).or_default();
        one.people += increment.people();
        one.bots += increment.bots;
        one.visitors.extend(&increment.visitors);
    }

    pub(super) fn page(&self, page: &PageId, day: Day) -> DayCount {
        self.pages.get(&(page.clone(), day)).map(OneDay::count).unwrap_or_default()
    }

    pub(super) fn site(&self, day: Day) -> DayCount {
        self.site.get(&day).map(OneDay::count).unwrap_or_default()
    }

    pub(super) fn refused(&self, day: Day) -> Refused {
        self.refused.get(&day).copied().unwrap_or_default()
    }

    /// All visits that were counted, and those of them by bots.
    pub(super) fn site_totals(&self) -> (u64, u64) {
        self.totals
    }

    /// Each page's visits by people over some days.
    pub(super) fn people(&self, first: Day, last: Day) -> Vec<(PageId, u64)> {
        let mut sums: BTreeMap<&PageId, u64> = BTreeMap::new();
        for ((page, day), one) in &self.pages {
            if (first..=last).contains(day) {
                *sums.entry(page).or_default() += one.people;
            }
        }
        sums.into_iter().map(|(page, people)| (page.clone(), people)).collect()
    }

    /// Forgets a page's days.
    pub(super) fn forget(&mut self, page: &PageId, first: Day, last: Day) {
        self.pages.retain(|(known, day), _| known != page || !(first..=last).contains(day));
    }
}

impl OneDay {
    fn count(&self) -> DayCount {
        DayCount { people: self.people, bots: self.bots, visitors: self.visitors.len() as u64 }
    }
}
