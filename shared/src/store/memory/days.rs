//! What a shard in memory knows of days.

use crate::batch::{Batch, Increment};
use crate::day::Day;
use crate::page::PageId;
use crate::store::statistics::DayCount;
use crate::visit::{Refused, Visitor};
use std::collections::{BTreeMap, BTreeSet};

/// One day, of a page or of the site.
#[derive(Clone, Debug, Default)]
pub(super) struct OneDay {
    people: u64,
    bots: u64,
    /// Its sketch: none where it is empty.
    pub(super) visitors: BTreeSet<Visitor>,
    /// What a sketch was counted as.
    pub(super) counted: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct DayRecords {
    pub(super) pages: BTreeMap<(PageId, Day), OneDay>,
    pub(super) site: BTreeMap<Day, OneDay>,
    refused: BTreeMap<Day, Refused>,
    bots: BTreeMap<PageId, u64>,
}

impl DayRecords {
    /// Adds what a batch adds to the site.
    pub(super) fn add_site(&mut self, batch: &Batch) {
        let Some(day) = batch.day() else { return };
        let site = self.site.entry(day).or_default();
        site.people += batch.increments().iter().map(Increment::people).sum::<u64>();
        site.bots += batch.increments().iter().map(|increment| increment.bots).sum::<u64>();
        site.visitors.extend(&batch.site().visitors);
        let (sum, more) = (self.refused.entry(day).or_default(), batch.site().refused);
        sum.origin += more.origin;
        sum.page += more.page;
        sum.repeat += more.repeat;
    }

    pub(super) fn add(&mut self, day: Option<Day>, increment: &Increment) {
        *self.bots.entry(increment.page.clone()).or_default() += increment.bots;
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

    pub(super) fn bots(&self, page: &PageId) -> u64 {
        self.bots.get(page).copied().unwrap_or_default()
    }
}

impl OneDay {
    fn count(&self) -> DayCount {
        DayCount { people: self.people, bots: self.bots, visitors: self.counted.max(self.visitors.len() as u64) }
    }
}
