//! Adding up what the shards say. Pure.

use crate::day::Day;
use crate::page::PageId;
use crate::store::statistics::{DayCount, PageDays, Refused, SiteDays};
use std::cmp::Reverse;
use std::collections::HashMap;

/// The days of one page from several shards. Its visitors of a day are in one sketch, which is on one shard at a time; while
/// it moves the larger figure is the nearer one.
pub(super) fn page_days(parts: &[PageDays]) -> PageDays {
    let mut sum = PageDays::default();
    for part in parts {
        sum.total = sum.total.saturating_add(part.total);
        sum.bots = sum.bots.saturating_add(part.bots);
        add_days(&mut sum.days, &part.days, u64::max);
    }
    sum
}

/// The days of the site from all shards, one for each day from `first` to `last` even if no shard answers.
pub(super) fn site_days(parts: &[SiteDays], first: Day, last: Day) -> SiteDays {
    let mut sum = SiteDays { days: vec![DayCount::default(); first.to(last).count()], ..SiteDays::default() };
    for part in parts {
        sum.total = sum.total.saturating_add(part.total);
        sum.bots = sum.bots.saturating_add(part.bots);
        add_days(&mut sum.days, &part.days, u64::saturating_add);
        sum.refused = add_refused(sum.refused, part.refused);
    }
    sum
}

fn add_days(sum: &mut Vec<DayCount>, days: &[DayCount], visitors: fn(u64, u64) -> u64) {
    if sum.len() < days.len() {
        sum.resize(days.len(), DayCount::default());
    }
    for (sum, day) in sum.iter_mut().zip(days) {
        *sum = DayCount {
            people: sum.people.saturating_add(day.people),
            bots: sum.bots.saturating_add(day.bots),
            visitors: visitors(sum.visitors, day.visitors),
        };
    }
}

fn add_refused(one: Refused, other: Refused) -> Refused {
    Refused {
        origin: one.origin.saturating_add(other.origin),
        page: one.page.saturating_add(other.page),
        repeat: one.repeat.saturating_add(other.repeat),
        new_page: one.new_page.saturating_add(other.new_page),
    }
}

/// The first `limit` pages of all lists together, those with as many visits by their ids.
pub(super) fn top_pages(lists: Vec<Vec<(PageId, u64)>>, limit: usize) -> Vec<(PageId, u64)> {
    let mut sums: HashMap<PageId, u64> = HashMap::new();
    for (page, people) in lists.into_iter().flatten() {
        let sum = sums.entry(page).or_default();
        *sum = sum.saturating_add(people);
    }
    let mut pages: Vec<_> = sums.into_iter().collect();
    pages.sort_unstable_by(|one, other| (Reverse(one.1), &one.0).cmp(&(Reverse(other.1), &other.0)));
    pages.truncate(limit);
    pages
}

#[cfg(test)]
mod tests {
    use super::{page_days, site_days, top_pages};
    use crate::day::Day;
    use crate::page::PageId;
    use crate::store::statistics::{DayCount, PageDays, Refused, SiteDays};

    fn day(people: u64, bots: u64, visitors: u64) -> DayCount {
        DayCount { people, bots, visitors }
    }

    fn list(pages: &[(&str, u64)]) -> Vec<(PageId, u64)> {
        pages.iter().map(|(page, people)| (PageId::from_decoded(page).unwrap(), *people)).collect()
    }

    #[test]
    fn a_page_on_two_shards_is_the_sum_of_both_and_its_visitors_are_not_counted_twice() {
        let one = PageDays { total: 5, bots: 1, days: vec![day(1, 0, 1), day(3, 1, 3)] };
        let other = PageDays { total: 2, bots: 0, days: vec![day(0, 0, 0), day(2, 0, 2)] };
        let sum = PageDays { total: 7, bots: 1, days: vec![day(1, 0, 1), day(5, 1, 3)] };
        assert_eq!(page_days(&[one, other]), sum);
        assert_eq!(page_days(&[]), PageDays::default());
    }

    #[test]
    fn a_site_is_the_sum_of_its_shards_and_has_every_day_even_without_any() {
        let today: Day = "2026-11-24".parse().unwrap();
        let refused = Refused { origin: 1, page: 2, repeat: 3, new_page: 4 };
        let part = SiteDays { total: 5, bots: 1, days: vec![day(1, 0, 9), day(3, 1, 0)], refused };
        let sum = site_days(&[part.clone(), part], today.minus(1), today);
        assert_eq!((sum.total, sum.bots), (10, 2));
        assert_eq!(sum.days, [day(2, 0, 18), day(6, 2, 0)]);
        assert_eq!(sum.refused, Refused { origin: 2, page: 4, repeat: 6, new_page: 8 });
        assert_eq!(site_days(&[], today.minus(1), today).days, [DayCount::default(); 2]);
    }

    #[test]
    fn a_top_list_adds_up_what_several_shards_list() {
        let lists = vec![list(&[("home", 9), ("b", 4)]), list(&[("a", 4), ("b", 6)]), list(&[])];
        assert_eq!(top_pages(lists.clone(), 9), list(&[("b", 10), ("home", 9), ("a", 4)]));
        assert_eq!(top_pages(lists, 2), list(&[("b", 10), ("home", 9)]));
        assert_eq!(top_pages(vec![list(&[("b", 1)]), list(&[("a", 1)])], 9), list(&[("a", 1), ("b", 1)]));
    }

    #[test]
    fn sums_stop_at_the_largest_number() {
        let part = PageDays { total: u64::MAX, bots: u64::MAX, days: vec![day(u64::MAX, 1, 1)] };
        assert_eq!(page_days(&[part.clone(), part]).total, u64::MAX);
    }
}
