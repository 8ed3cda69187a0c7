//! Adding up, without a server.

use crate::world::first_day;
use proptest::prelude::*;
use visits_core::batch::{Batch, Content, Sequence};
use visits_core::clock::Clock;
use visits_core::day::Day;
use visits_core::fold::{Entry, Sums};
use visits_core::tests::{increment, page};
use visits_core::visit::Refused;

fn entry() -> impl Strategy<Value = Entry> {
    let pages = prop::collection::btree_map(0..9_u8, (1..5_u64, 0..3_u64), 0..6);
    let places = || prop::collection::vec(0..6_usize, 0..2);
    let day = prop::option::of(0..5_u32);
    (pages, day, places(), places(), 1..3_u64, 0..10_u8).prop_map(|(pages, day, rejected, refused, repeat, damaged)| {
        let one = |(page, (visits, bots)): (&u8, &(u64, u64))| {
            increment(&format!("page {page}"), *visits, *bots.min(visits), &[u64::from(*page), *visits])
        };
        let refusals = Refused { repeat, ..Refused::default() };
        let day = day.map(|day| first_day().plus(day));
        let increments = pages.iter().map(one).collect();
        let mut bytes =
            Batch::of(Sequence::FIRST, Content { day, increments, refused: refusals }, Clock::system().now()).encode();
        if damaged == 0 {
            bytes.pop();
        }
        Entry { id: "1-0".to_owned(), bytes, rejected, refused }
    })
}

fn sums_of(entries: &[Entry], first_day: Day) -> Sums {
    let mut sums = Sums::default();
    for entry in entries {
        sums.add(entry, first_day);
    }
    sums
}

/// Adds sums as commits do.
fn add_all(sums: &mut Sums, more: Sums) {
    sums.visits += more.visits;
    sums.bots += more.bots;
    sums.too_old += more.too_old;
    sums.aside.extend(more.aside);
    for (day, of_day) in more.days {
        let sums = sums.days.entry(day).or_default();
        sums.refused.add_all(of_day.refused);
        (sums.people, sums.bots) = (sums.people + of_day.people, sums.bots + of_day.bots);
        for (page, of_page) in of_day.pages {
            let sums = sums.pages.entry(page).or_default();
            (sums.people, sums.bots) = (sums.people + of_page.people, sums.bots + of_page.bots);
            sums.visitors.extend(of_page.visitors);
        }
    }
}

proptest! {
    #[test]
    fn any_split_of_a_journal_folds_to_the_same_sums(
        entries in prop::collection::vec(entry(), 0..30),
        cuts in prop::collection::vec(0..30_usize, 0..6),
        late in 0..3_u32,
    ) {
        let first = first_day().plus(late);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(entries.len())).chain([0, entries.len()]).collect();
        cuts.sort_unstable();
        let mut sums = Sums::default();
        cuts.windows(2).for_each(|cut| add_all(&mut sums, sums_of(&entries[cut[0]..cut[1]], first)));
        prop_assert_eq!(&sums, &sums_of(&entries, first));
        // A day is its pages, and all days are the visits that have some.
        for of_day in sums.days.values() {
            let people: u64 = of_day.pages.values().map(|page| page.people).sum();
            let bots: u64 = of_day.pages.values().map(|page| page.bots).sum();
            prop_assert_eq!((of_day.people, of_day.bots), (people, bots));
        }
        let of_days: u64 = sums.days.values().map(|day| day.people + day.bots).sum();
        prop_assert!(of_days + sums.too_old <= sums.visits);
    }
}

fn of(day: Day, rejected: Vec<usize>, refused: Vec<usize>) -> Entry {
    let increments = vec![increment("a", 3, 1, &[7]), increment("b", 20, 0, &[8]), increment("c", 100, 100, &[])];
    let batch = Batch::of(
        Sequence::FIRST,
        Content { day: Some(day), increments, refused: Refused::default() },
        Clock::system().now(),
    );
    Entry { id: "1-0".to_owned(), bytes: batch.encode(), rejected, refused }
}

/// A batch sorts its pages by their numbers.
#[test]
fn a_page_that_was_not_counted_is_in_no_sum_and_a_new_page_too_many_is_a_refusal() {
    let sums = sums_of(&[of(first_day(), vec![0], vec![2])], first_day());
    let day = &sums.days[&first_day()];
    assert_eq!((sums.visits, sums.bots, day.people, day.bots, day.refused.new_page), (20, 0, 20, 0, 100));
    assert_eq!(day.pages.keys().collect::<Vec<_>>(), [&page("b")]);
}

#[test]
fn a_day_that_is_no_longer_kept_is_left_out_and_the_sites_total_has_it() {
    let sums = sums_of(&[of(first_day(), vec![], vec![])], first_day().plus(1));
    assert_eq!((sums.visits, sums.bots, sums.too_old, sums.days.len()), (123, 101, 123, 0));
}
