//! Days, visitors, top lists, secrets, counts that are set, and days that are finished.

use crate::helpers::configure;
use redis::Commands;
use std::sync::Arc;
use std::time::Duration;
use test_support::RedisServer;
use visits_core::batch::{Batch, Content, Increment, Sequence, WriterId};
use visits_core::clock::{Clock, ManualClock};
use visits_core::day::Day;
use visits_core::ring::{Fingerprint, Ring};
use visits_core::rollup::{Rollup, roll_up};
use visits_core::store::Ledger;
use visits_core::store::redis::rehoming::{RingState, Stage};
use visits_core::store::redis::statistics::{DayCount, Set, SetCount};
use visits_core::tests::{Shards, batch, call, fold_here, increment, page};
use visits_core::visit::{Fingerprint as Agent, Refused, Secret};

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn of_day(number: u64, text: &str, increments: Vec<Increment>, refused: Refused) -> (Arc<Batch>, Duration) {
    let (sequence, now) = (Sequence::new(number).unwrap(), Clock::system().now());
    (Arc::new(Batch::of(sequence, Content { day: Some(day(text)), increments, refused }, now)), Duration::ZERO)
}

fn counted(people: u64, bots: u64, visitors: u64) -> DayCount {
    DayCount { people, bots, visitors }
}

/// Applies batches on shard `a`, twice, and folds them into days.
async fn apply(shards: &Shards, batches: &[(Arc<Batch>, Duration)]) {
    for _ in 0..2 {
        shards.store().apply(0, &call(batches)).await.unwrap();
        assert_eq!(fold_here(shards.store(), 0, &Clock::system()).await.fold_calls_failed, 0);
    }
}

/// Two days of two pages.
async fn two_days(shards: &Shards) {
    let first = vec![increment("home", 3, 1, &[7, 8]), increment("a/b", 1, 0, &[7])];
    let second = vec![increment("home", 2, 0, &[8, 9]), increment("robots", 5, 5, &[])];
    let none = Refused::default;
    apply(shards, &[of_day(1, "2026-10-31", first, none()), of_day(2, "2026-11-01", second, none())]).await;
}

/// A page's visits, of them by bots, and its days.
async fn days(shards: &Shards, id: &str, first: &str, last: &str) -> (u64, u64, Vec<DayCount>) {
    let found = shards.store().days(0, Some(&page(id)), day(first), day(last)).await.unwrap();
    (found.total, found.bots, found.days)
}

pub(crate) async fn days_bots_and_visitors_are_counted_once_however_often_a_batch_is_sent(shards: &Shards) {
    two_days(shards).await;
    let home = vec![counted(0, 0, 0), counted(2, 1, 2), counted(2, 0, 2)];
    assert_eq!(days(shards, "home", "2026-10-30", "2026-11-01").await, (5, 1, home));
    assert_eq!(days(shards, "robots", "2026-11-01", "2026-11-01").await, (5, 5, vec![counted(0, 5, 0)]));
    assert_eq!(days(shards, "nobody", "2025-10-01", "2026-11-01").await, (0, 0, vec![counted(0, 0, 0); 397]));
    // The site is the sum of its pages, and has visitors of its own. A batch of no day counts for totals only.
    let refused = Refused { origin: 2, page: 3, repeat: 4, new_page: 0 };
    apply(shards, &[of_day(3, "2026-11-01", Vec::new(), refused), batch(4, &[("timeless", 4)])]).await;
    let site = shards.store().days(0, None, day("2026-10-31"), day("2026-11-01")).await.unwrap();
    assert_eq!((site.total, site.bots, site.refused), (15, 6, refused));
    assert_eq!(site.days, [counted(3, 1, 2), counted(2, 5, 2)]);
    assert_eq!(days(shards, "timeless", "2026-11-01", "2026-11-01").await, (4, 0, vec![counted(0, 0, 0)]));
    let elsewhere = shards.store().days(1, None, day("2026-10-31"), day("2026-11-01")).await.unwrap();
    assert_eq!((elsewhere.total, elsewhere.days), (0, vec![counted(0, 0, 0); 2]));
}

pub(crate) async fn top_pages_come_by_their_visits_by_people(shards: &Shards) {
    two_days(shards).await;
    let even = ["b", "d", "a", "c"].map(|id| increment(id, if id == "d" { 2 } else { 1 }, 0, &[])).to_vec();
    apply(shards, &[of_day(3, "2026-11-02", even, Refused::default())]).await;
    for (first, last, limit, search, expected) in [
        ("2026-10-31", "2026-11-01", 10, None, &[("home", 4), ("a/b", 1)][..]),
        ("2026-10-31", "2026-11-01", 1, None, &[("home", 4)]),
        ("2026-11-01", "2026-11-01", 10, None, &[("home", 2)]),
        ("2026-10-31", "2026-11-01", 10, Some("A/B"), &[("a/b", 1)]),
        ("2026-10-31", "2026-11-01", 10, Some("%"), &[]),
        ("2025-01-01", "2026-11-01", 10, None, &[("home", 4), ("a/b", 1)]),
        ("2026-11-02", "2026-11-02", 3, None, &[("d", 2), ("a", 1), ("b", 1)]),
        ("2026-10-31", "2026-11-02", 4, None, &[("home", 4), ("d", 2), ("a", 1), ("a/b", 1)]),
    ] {
        let top = shards.store().top_pages(0, day(first), day(last), limit, search).await.unwrap();
        let top: Vec<_> = top.iter().map(|(page, people)| (page.as_str(), *people)).collect();
        assert_eq!(top, expected, "{first} to {last}, {limit} with {search:?}");
    }
}

pub(crate) async fn a_days_secret_is_the_first_that_was_offered(shards: &Shards) {
    let [first, second] = [Secret::random().unwrap(), Secret::random().unwrap()];
    for (shard, of, offer, kept) in [
        (0, "2026-11-01", first, first),
        (0, "2026-11-01", second, first),
        (0, "2026-11-02", second, second),
        (1, "2026-11-01", second, second),
    ] {
        assert_eq!(shards.store().secret(shard, day(of), Some(offer)).await, Ok(Some(kept)));
    }
}

fn ring() -> Fingerprint {
    "00000000000000aa".parse().unwrap()
}

async fn begin_round(shards: &Shards, round: u64) {
    let new = RingState { ring: Some(ring()), round, ..RingState::default() };
    assert_eq!(shards.store().advance(0, &new, Stage::Take, &[]).await, Ok(true));
}

/// Two days, on a shard whose ring is settled.
async fn settled(shards: &Shards) {
    two_days(shards).await;
    let store = shards.store();
    begin_round(shards, 1).await;
    for next in [Stage::Out, Stage::Cleaned, Stage::Settled] {
        assert_eq!(store.advance(0, &store.ring_state(0).await.unwrap(), next, &[]).await, Ok(true));
    }
}

async fn set(shards: &Shards, id: u128, count: u64, forget: bool) -> Set {
    let home = page("home");
    let forget = forget.then(|| (day("2026-10-01"), day("2026-11-01")));
    let call = SetCount { page: &home, count, forget, ring: ring(), id: WriterId::from_u128(id) };
    shards.store().set_count(0, call).await.unwrap()
}

fn done(previous: u64, previous_bots: u64, repeated: bool) -> Set {
    Set::Done { previous, previous_bots, repeated }
}

pub(crate) async fn a_count_is_set_once_however_often_the_call_is_made(shards: &Shards) {
    settled(shards).await;
    for repeated in [false, true] {
        assert_eq!(set(shards, 1, 100, false).await, done(5, 1, repeated));
    }
    let after = days(shards, "home", "2026-11-01", "2026-11-01").await;
    assert_eq!(after, (100, 0, vec![counted(2, 0, 2)]), "its days stay");
    assert_eq!(set(shards, 2, 7, false).await, done(100, 0, false));
    assert_eq!(set(shards, 1, 100, false).await, done(5, 1, true), "a late repetition sets nothing back");
    assert_eq!(set(shards, 1, 101, false).await, Set::KeyTaken);
    assert_eq!(set(shards, 1, 100, true).await, Set::KeyTaken);
    assert_eq!(shards.record(0, &page("home")).visits.total, 7);
}

pub(crate) async fn a_page_that_is_forgotten_leaves_neither_days_nor_a_place_in_a_list(shards: &Shards) {
    settled(shards).await;
    assert_eq!(set(shards, 1, 0, true).await, done(5, 1, false));
    assert_eq!(days(shards, "home", "2026-10-31", "2026-11-01").await, (0, 0, vec![counted(0, 0, 0); 2]));
    let top = shards.store().top_pages(0, day("2026-10-31"), day("2026-11-01"), 9, None).await.unwrap();
    assert_eq!(top, [(page("a/b"), 1)]);
}

pub(crate) async fn no_count_is_set_while_pages_move(shards: &Shards) {
    two_days(shards).await;
    assert_eq!(set(shards, 1, 100, false).await, Set::Moving, "no ring is known yet");
    begin_round(shards, 2).await;
    assert_eq!(set(shards, 1, 100, false).await, Set::Moving);
    assert_eq!(shards.record(0, &page("home")).visits.total, 5);
}

/// November 2023, where a manual clock begins, goes on until its 14th.
async fn rolled_up(shards: &Shards, ring: &Ring, time: &ManualClock) -> Rollup {
    roll_up(shards.store(), ring, &time.clock(), 400, Duration::from_mins(1)).await
}

fn add_visitors<V: redis::ToRedisArgs + Send + Sync>(shards: &Shards, shard: usize, of: &str, visitors: &[V]) {
    let key = shards.key(shard, &format!("visitors:{of}"));
    let _: bool = shards.connect_to(shard).pfadd(key, visitors).unwrap();
}

pub(crate) async fn a_finished_day_becomes_numbers_and_a_month_a_list(shards: &Shards) {
    // Shard `b` is to have the visitors of the page, whatever shard has them.
    add_visitors(shards, 0, "2023-11-30:home", &[1, 2, 3]);
    add_visitors(shards, 1, "2023-11-30:home", &[3, 4]);
    let mut redis = shards.connect_to(1);
    for day in ["2023-11-01", "2023-11-30"] {
        let _: i64 = redis.zadd(shards.key(1, &format!("top:{day}")), "home", 5).unwrap();
    }
    let (ring, time) = (shards.ring_of(&[0, 1]), ManualClock::new());
    time.advance(Duration::from_hours(17 * 24));
    let expected = Rollup { days_rolled_up: true, sketches_moved: 1, sketches_counted: 1, ..Rollup::default() };
    assert_eq!(rolled_up(shards, &ring, &time).await, expected);
    assert_eq!([0, 1].map(|shard| shards.keys(shard, "visitors:*").len()), [0, 0]);
    assert_eq!(redis.hget(shards.key(1, "days:2023-11:home"), "30u"), Ok(4));
    assert_eq!(redis.zscore(shards.key(1, "top:2023-11"), "home"), Ok(Some(10.0)));
    assert_eq!(rolled_up(shards, &ring, &time).await.sketches_counted, 0);
}

/// Redis' sketches have a standard error of 0.81 %; the secrets are chosen, so that the outcome is always the same.
#[tokio::test]
async fn a_hundred_thousand_visitors_of_a_day_are_counted_within_2_percent_before_and_after_its_end() {
    let (shards, time) = (Shards::new(1), ManualClock::new());
    let range = [10, 11, 12, 13].map(|of| day(&format!("2023-11-{of}")));
    for (number, day) in (1..).zip(range) {
        let secret: Secret = format!("{number:032x}").parse().unwrap();
        let visitor = |number: u32| secret.pseudonym(Agent::of(&number.to_string(), "Mozilla/5.0")).0.to_be_bytes();
        let visitors: Vec<[u8; 8]> = (0..100_000).map(visitor).collect();
        // Twice, since a visitor who comes again is no further one.
        for visitors in visitors.chunks(25_000).chain(visitors.chunks(50_000)) {
            add_visitors(&shards, 0, &day.to_string(), &visitors.iter().map(|id| &id[..]).collect::<Vec<_>>());
        }
    }
    let before = shards.store().days(0, None, range[0], range[3]).await.unwrap().days;
    assert!(before.iter().all(|day| (98_000..=102_000).contains(&day.visitors)), "{before:?}");
    assert_eq!(rolled_up(&shards, &shards.ring(), &time).await.sketches_counted, 4);
    assert_eq!(shards.store().days(0, None, range[0], range[3]).await.unwrap().days, before);
}

#[tokio::test]
async fn full_shards_are_rolled_up_and_rid_of_their_sketches() {
    let (server, time) = (RedisServer::start(), ManualClock::new());
    let shards = Shards::on(&[server.url(), server.url()], &[]);
    let ring = shards.ring_of(&[0, 1]);
    assert!(rolled_up(&shards, &ring, &time).await.days_rolled_up);
    add_visitors(&shards, 0, "2023-11-14:home", &(0..30).collect::<Vec<_>>());
    add_visitors(&shards, 1, "2023-11-14:home", &(20..40).collect::<Vec<_>>());
    let mut redis = server.connect();
    configure(&mut redis, "maxmemory", "1");
    time.advance(Duration::from_hours(4));
    let expected = Rollup { days_rolled_up: true, sketches_moved: 1, sketches_counted: 1, ..Rollup::default() };
    assert_eq!(rolled_up(&shards, &ring, &time).await, expected);
    assert_eq!(redis.keys("*:visitors:*"), Ok(Vec::<String>::new()));
    assert_eq!(redis.hget("visits:{b}:days:2023-11:home", "14u"), Ok(40));
}
