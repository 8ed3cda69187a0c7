//! What a shard in memory knows of days and of the site, and how that moves to another shard.

use crate::batch::{Batch, Increment};
use crate::day::{Day, Month};
use crate::page::PageId;
use crate::record::RecordName;
use crate::store::statistics::{DayCount, Days};
use crate::visit::{Refused, Visitor};
use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;

/// One day, of a page or of the site.
#[derive(Clone, Debug, Default)]
pub(super) struct OneDay {
    people: u64,
    bots: u64,
    /// Its sketch: none where it is empty. It is no part of a record.
    pub(super) visitors: BTreeSet<Visitor>,
    /// What a sketch was counted as.
    pub(super) counted: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct DayRecords {
    pub(super) pages: BTreeMap<(PageId, Day), OneDay>,
    pub(super) site: BTreeMap<Day, OneDay>,
    refused: BTreeMap<Day, Refused>,
    total: u64,
    bots: u64,
}

impl DayRecords {
    /// Adds what a batch adds to the site, besides its visits.
    pub(super) fn add_site(&mut self, batch: &Batch) {
        let Some(day) = batch.day() else { return };
        self.site.entry(day).or_default().visitors.extend(batch.increments().iter().flat_map(|one| &one.visitors));
        self.refused.entry(day).or_default().add_all(*batch.refused());
    }

    /// Adds visits of a page to its day, and to the site.
    pub(super) fn add(&mut self, day: Option<Day>, increment: &Increment) {
        self.total += increment.visits;
        self.bots += increment.bots;
        let Some(day) = day else { return };
        let one = self.pages.entry((increment.page.clone(), day)).or_default();
        one.visitors.extend(&increment.visitors);
        for one in [one, self.site.entry(day).or_default()] {
            one.people += increment.people();
            one.bots += increment.bots;
        }
    }

    /// The days of the page.
    pub(super) fn days_of(&self, page: &PageId) -> Vec<DayCount> {
        let days = self.pages.keys().filter(|(of, _)| of == page);
        days.map(|(_, day)| self.page_day(page, *day)).collect()
    }

    /// The site, with all its days.
    pub(super) fn all_of_the_site(&self) -> Days {
        let mut refused = Refused::default();
        self.refused.keys().for_each(|day| refused.add_all(self.refused(*day)));
        let days = self.site.keys().map(|day| self.site_day(*day)).collect();
        let (total, bots) = self.site_totals();
        Days { total, bots, days, refused }
    }

    /// A day of a page.
    pub(super) fn page_day(&self, page: &PageId, day: Day) -> DayCount {
        self.pages.get(&(page.clone(), day)).map(OneDay::count).unwrap_or_default()
    }

    /// Who is in a page's sketch.
    pub(super) fn visitors(&self, page: &PageId, day: Day) -> BTreeSet<Visitor> {
        self.pages.get(&(page.clone(), day)).map(|one| one.visitors.clone()).unwrap_or_default()
    }

    /// A day of the site.
    pub(super) fn site_day(&self, day: Day) -> DayCount {
        self.site.get(&day).map(OneDay::count).unwrap_or_default()
    }

    /// What was refused on a day.
    pub(super) fn refused(&self, day: Day) -> Refused {
        self.refused.get(&day).copied().unwrap_or_default()
    }

    /// All visits that were counted, and those of them by bots.
    pub(super) fn site_totals(&self) -> (u64, u64) {
        (self.total, self.bots)
    }

    /// The records that hold something.
    pub(super) fn names(&self) -> BTreeSet<RecordName> {
        let held = |one: &OneDay| one.people + one.bots + one.counted > 0;
        let days = self.pages.iter().filter(|(_, one)| held(one));
        let mut names: BTreeSet<_> = days.map(|((page, day), _)| RecordName::Days(day.month(), page.clone())).collect();
        let refused = self.refused.iter().filter(|(_, refused)| !refused.is_empty()).map(|(day, _)| day);
        let site = self.site.iter().filter(|(_, one)| held(one)).map(|(day, _)| day).chain(refused);
        names.extend(site.map(|day| RecordName::SiteMonth(day.month())));
        names.extend((self.total > 0).then_some(RecordName::Site));
        names
    }

    /// Empties a record, other than a page's own: its fields, as Redis has them.
    pub(super) fn take(&mut self, name: &RecordName) -> Vec<(String, u64)> {
        let mut fields = Vec::new();
        match name {
            RecordName::Page(_) => {}
            RecordName::Days(month, page) => {
                let days = self.pages.iter_mut().filter(|((of, day), _)| of == page && day.month() == *month);
                days.for_each(|((_, day), one)| fields.extend(one.take(*day)));
            }
            RecordName::SiteMonth(month) => {
                let days = self.site.iter_mut().filter(|(day, _)| day.month() == *month);
                days.for_each(|(day, one)| fields.extend(one.take(*day)));
                for (day, refused) in self.refused.iter_mut().filter(|(day, _)| day.month() == *month) {
                    let Refused { origin, page, repeat, new_page } = take(refused);
                    let day = day.of_month();
                    fields.extend(
                        [("o", origin), ("p", page), ("r", repeat), ("n", new_page)]
                            .map(|(kind, number)| (format!("{day}{kind}"), number)),
                    );
                }
            }
            RecordName::Site => {
                fields.extend([("total".to_owned(), take(&mut self.total)), ("bots".to_owned(), take(&mut self.bots))]);
            }
        }
        fields.retain(|(_, number)| *number > 0);
        fields
    }

    /// Adds what was taken from another shard.
    pub(super) fn land(&mut self, name: &RecordName, fields: &[(String, u64)]) {
        for (field, number) in fields {
            match name {
                RecordName::Page(_) => {}
                RecordName::Site if field == "total" => self.total += number,
                RecordName::Site => self.bots += number,
                RecordName::Days(month, page) => {
                    let Some((day, kind)) = day_of(*month, field) else { continue };
                    self.pages.entry((page.clone(), day)).or_default().land(kind, *number);
                }
                RecordName::SiteMonth(month) => {
                    let Some((day, kind)) = day_of(*month, field) else { continue };
                    let mut more = Refused::default();
                    match kind {
                        "o" => more.origin = *number,
                        "p" => more.page = *number,
                        "r" => more.repeat = *number,
                        "n" => more.new_page = *number,
                        _ => self.site.entry(day).or_default().land(kind, *number),
                    }
                    self.refused.entry(day).or_default().add_all(more);
                }
            }
        }
    }
}

/// The day of a field such as `24b`, and what stands behind it.
fn day_of(month: Month, field: &str) -> Option<(Day, &str)> {
    let digits = field.bytes().take_while(u8::is_ascii_digit).count();
    Some((month.day(field[..digits].parse().ok()?)?, &field[digits..]))
}

impl OneDay {
    fn count(&self) -> DayCount {
        let visitors = self.counted.max(self.visitors.len() as u64);
        DayCount { people: self.people, bots: self.bots, visitors }
    }

    fn take(&mut self, day: Day) -> [(String, u64); 3] {
        let (day, people) = (day.of_month(), take(&mut self.people));
        [
            (day.to_string(), people),
            (format!("{day}b"), take(&mut self.bots)),
            (format!("{day}u"), take(&mut self.counted)),
        ]
    }

    fn land(&mut self, kind: &str, number: u64) {
        match kind {
            "" => self.people += number,
            "b" => self.bots += number,
            "u" => self.counted = self.counted.max(number),
            _ => {}
        }
    }
}
