//! Days, visitors, top lists, and counts that are set.

use crate::subject::{SHARD, Subject, apply, call, owner, page, sequence};
use std::sync::Arc;
use std::time::Duration;
use visits_core::batch::{Batch, Increment, WriterId};
use visits_core::clock::Clock;
use visits_core::day::Day;
use visits_core::ring::Fingerprint;
use visits_core::store::Ledger;
use visits_core::store::statistics::{DayCount, Set, SetCount};
use visits_core::visit::{Refused, Secret, Visitor};

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn increment(id: &str, visits: u64, bots: u64, visitors: &[u64]) -> Increment {
    Increment { page: page(id), visits, bots, visitors: visitors.iter().copied().map(Visitor).collect() }
}

fn of_day(number: u64, text: &str, increments: Vec<Increment>, refused: Refused) -> (Arc<Batch>, Duration) {
    let batch = Batch::of_day(sequence(number), Some(day(text)), increments, refused, Clock::system().now());
    (Arc::new(batch), Duration::ZERO)
}

fn counted(people: u64, bots: u64, visitors: u64) -> DayCount {
    DayCount { people, bots, visitors }
}

/// Two days of two pages, each batch sent twice.
async fn two_days(subject: &Subject) {
    let first = vec![increment("home", 3, 1, &[7, 8]), increment("a/b", 1, 0, &[7])];
    let second = vec![increment("home", 2, 0, &[8, 9]), increment("robots", 5, 5, &[])];
    let batches =
        [of_day(1, "2026-10-31", first, Refused::default()), of_day(2, "2026-11-01", second, Refused::default())];
    for _ in 0..2 {
        apply(subject, &call(&batches)).await;
    }
}

pub(crate) async fn days_bots_and_visitors_are_counted_once_however_often_a_batch_is_sent(subject: &Subject) {
    two_days(subject).await;
    let store = subject.store();
    let home = store.page_days(SHARD, &page("home"), day("2026-10-30"), day("2026-11-01")).await.unwrap();
    assert_eq!((home.total, home.bots), (5, 1));
    assert_eq!(home.days, [counted(0, 0, 0), counted(2, 1, 2), counted(2, 0, 2)]);
    let robots = store.page_days(SHARD, &page("robots"), day("2026-11-01"), day("2026-11-01")).await.unwrap();
    assert_eq!((robots.total, robots.bots, robots.days), (5, 5, vec![counted(0, 5, 0)]));
    let nobody = store.page_days(SHARD, &page("nobody"), day("2025-10-01"), day("2026-11-01")).await.unwrap();
    assert_eq!((nobody.total, nobody.days.len()), (0, 397));
}

pub(crate) async fn the_site_is_the_sum_of_its_pages_and_has_visitors_of_its_own(subject: &Subject) {
    two_days(subject).await;
    let refused = Refused { origin: 2, page: 3, repeat: 4, new_page: 0 };
    for _ in 0..2 {
        apply(subject, &call(&[of_day(3, "2026-11-01", Vec::new(), refused)])).await;
    }
    let site = subject.store().site_days(SHARD, day("2026-10-31"), day("2026-11-01")).await.unwrap();
    assert_eq!((site.total, site.bots, site.refused), (11, 6, refused));
    assert_eq!(site.days, [counted(3, 1, 2), counted(2, 5, 2)]);
    let elsewhere = subject.store().site_days(SHARD + 1, day("2026-10-31"), day("2026-11-01")).await.unwrap();
    assert_eq!((elsewhere.total, elsewhere.days), (0, vec![counted(0, 0, 0); 2]));
}

pub(crate) async fn top_pages_come_by_their_visits_by_people(subject: &Subject) {
    two_days(subject).await;
    let (first, last) = (day("2026-10-31"), day("2026-11-01"));
    let top = async |first, last, limit, search| {
        let top = subject.store().top_pages(SHARD, first, last, limit, search).await.unwrap();
        top.into_iter().map(|(page, people)| (page.to_string(), people)).collect::<Vec<_>>()
    };
    let is =
        |expected: &[(&str, u64)]| expected.iter().map(|(id, people)| ((*id).to_owned(), *people)).collect::<Vec<_>>();
    assert_eq!(top(first, last, 10, None).await, is(&[("home", 4), ("a/b", 1)]));
    assert_eq!(top(first, last, 1, None).await, is(&[("home", 4)]));
    assert_eq!(top(last, last, 10, None).await, is(&[("home", 2)]));
    assert_eq!(top(first, last, 10, Some("A/B")).await, is(&[("a/b", 1)]));
    assert_eq!(top(first, last, 10, Some("%")).await, is(&[]));
    assert_eq!(top(day("2025-01-01"), last, 10, None).await, is(&[("home", 4), ("a/b", 1)]));
    let even = ["b", "d", "a", "c"].map(|id| increment(id, if id == "d" { 2 } else { 1 }, 0, &[])).to_vec();
    apply(subject, &call(&[of_day(3, "2026-11-02", even, Refused::default())])).await;
    let next = day("2026-11-02");
    assert_eq!(top(next, next, 3, None).await, is(&[("d", 2), ("a", 1), ("b", 1)]));
    assert_eq!(top(first, next, 4, None).await, is(&[("home", 4), ("d", 2), ("a", 1), ("a/b", 1)]));
}

pub(crate) async fn a_batch_of_no_day_counts_for_totals_only(subject: &Subject) {
    apply(subject, &call(&[crate::subject::batch(1, &[("home", 4)])])).await;
    let home = subject.store().page_days(SHARD, &page("home"), day("2026-11-01"), day("2026-11-01")).await.unwrap();
    assert_eq!((home.total, home.days), (4, vec![counted(0, 0, 0)]));
    assert_eq!(subject.store().site_days(SHARD, day("2026-11-01"), day("2026-11-01")).await.unwrap().total, 4);
}

pub(crate) async fn a_days_secret_is_the_first_that_was_offered(subject: &Subject) {
    let [first, second] = [Secret::random().unwrap(), Secret::random().unwrap()];
    let store = subject.store();
    for offer in [first, second] {
        assert_eq!(store.secret(SHARD, day("2026-11-01"), Some(offer)).await, Ok(Some(first)));
    }
    assert_eq!(store.secret(SHARD, day("2026-11-02"), Some(second)).await, Ok(Some(second)));
    assert_eq!(store.secret(SHARD + 1, day("2026-11-01"), Some(second)).await, Ok(Some(second)));
}

fn ring() -> Fingerprint {
    "00000000000000aa".parse().unwrap()
}

async fn settle(subject: &Subject) {
    let store = subject.store();
    assert_eq!(store.begin_round(SHARD, ring(), 1, &[owner()]).await, Ok(true));
    for _ in ["out", "cleaned"] {
        let known = store.ring_state(SHARD).await.unwrap();
        assert_eq!(store.advance(SHARD, &known).await, Ok(true));
    }
    let known = store.ring_state(SHARD).await.unwrap();
    assert_eq!(store.settle(SHARD, &known, &[]).await, Ok(true));
}

async fn set(subject: &Subject, id: u128, count: u64, forget: bool) -> Set {
    let home = page("home");
    let forget = forget.then(|| (day("2026-10-01"), day("2026-11-01")));
    let call = SetCount { page: &home, count, forget, ring: ring(), id: WriterId::from_u128(id) };
    subject.store().set_count(SHARD, call).await.unwrap()
}

fn done(previous: u64, previous_bots: u64, repeated: bool) -> Set {
    Set::Done { previous, previous_bots, repeated }
}

pub(crate) async fn a_count_is_set_once_however_often_the_call_is_made(subject: &Subject) {
    two_days(subject).await;
    settle(subject).await;
    assert_eq!(set(subject, 1, 100, false).await, done(5, 1, false));
    assert_eq!(set(subject, 1, 100, false).await, done(5, 1, true));
    let home = || async { subject.store().page_days(SHARD, &page("home"), day("2026-11-01"), day("2026-11-01")).await };
    let after = home().await.unwrap();
    assert_eq!((after.total, after.bots, after.days[0].people), (100, 0, 2), "its days stay");
    assert_eq!(set(subject, 2, 7, false).await, done(100, 0, false));
    assert_eq!(set(subject, 1, 100, false).await, done(5, 1, true));
    assert_eq!(home().await.unwrap().total, 7, "a late repetition sets nothing back");
    assert_eq!(set(subject, 1, 101, false).await, Set::KeyTaken);
    assert_eq!(set(subject, 1, 100, true).await, Set::KeyTaken);
    assert_eq!(home().await.unwrap().total, 7);
}

pub(crate) async fn a_page_that_is_forgotten_leaves_neither_days_nor_a_place_in_a_list(subject: &Subject) {
    two_days(subject).await;
    settle(subject).await;
    assert_eq!(set(subject, 1, 0, true).await, done(5, 1, false));
    let home = subject.store().page_days(SHARD, &page("home"), day("2026-10-31"), day("2026-11-01")).await.unwrap();
    assert_eq!((home.total, home.bots, home.days), (0, 0, vec![counted(0, 0, 0); 2]));
    let top = subject.store().top_pages(SHARD, day("2026-10-31"), day("2026-11-01"), 9, None).await.unwrap();
    assert_eq!(top, [(page("a/b"), 1)]);
}

pub(crate) async fn no_count_is_set_while_pages_move(subject: &Subject) {
    two_days(subject).await;
    assert_eq!(set(subject, 1, 100, false).await, Set::Moving, "nobody has looked yet");
    subject.store().begin_round(SHARD, ring(), 2, &[owner()]).await.unwrap();
    assert_eq!(set(subject, 1, 100, false).await, Set::Moving);
    assert_eq!(subject.store().total(SHARD, &page("home")).await, Ok(5));
}
