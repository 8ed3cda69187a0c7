//! The roll-up on real Redis. Sketches, days and lists are put there by hand, as the fold leaves them.

mod random;

use super::*;
use crate::clock::ManualClock;
use crate::page::PageId;
use crate::tests::{Fault, Shards, page};
use redis::Commands;
use std::collections::BTreeSet;

/// Any of them are told apart by Redis' sketches exactly.
const VISITORS: u64 = 40;

const PAGES: u64 = 5;

/// Three shards, and who visited what according to a plain count.
struct World {
    shards: Shards,
    time: ManualClock,
    history_days: u32,
    visited: BTreeMap<Key, BTreeSet<u64>>,
}

impl World {
    /// Makes a world at 22:13 of 2023-11-14.
    fn new() -> Self {
        Self::on(Shards::new(3))
    }

    fn on(shards: Shards) -> Self {
        Self { shards, time: ManualClock::new(), history_days: 400, visited: BTreeMap::new() }
    }

    /// The ring of the first two shards.
    fn two(&self) -> Ring {
        self.shards.ring_of(&[1, 1, 0])
    }

    fn three(&self) -> Ring {
        self.shards.ring_of(&[1, 1, 1])
    }

    fn today(&self) -> Day {
        Day::of(self.time.clock().now())
    }

    /// Visitors of a page and of the site, where this ring places them.
    fn visit(&mut self, ring: &Ring, day: Day, number: u64, visitors: &[u64]) {
        let mut redis = self.shards.connect();
        for page in [Some(page_of(number)), None] {
            let sketch = Key::Visitors(day, page);
            let shard = sketch.home(ring, 0);
            let _: bool = redis.pfadd(self.shards.key(shard, &sketch.to_string()), visitors).unwrap();
            let month = self.shards.key(shard, &month_of(&sketch));
            let _: u64 = redis.hincr(month, day.of_month().to_string(), visitors.len()).unwrap();
            self.visited.entry(sketch).or_default().extend(visitors);
        }
    }

    /// Some pages have visitors in common.
    fn visit_all(&mut self, ring: &Ring) {
        let day = self.today();
        for number in 0..PAGES {
            let visitors: Vec<u64> = (number..2 * number + 3).collect();
            self.visit(ring, day, number, &visitors);
        }
    }

    async fn run_within(&self, ring: &Ring, budget: Duration) -> Rollup {
        roll_up(self.shards.store(), ring, &self.time.clock(), self.history_days, budget).await
    }

    async fn run(&self, ring: &Ring) -> Rollup {
        self.run_within(ring, Duration::from_secs(30)).await
    }

    /// A run that gets through.
    async fn finish(&self, ring: &Ring) -> Rollup {
        let run = self.run(ring).await;
        assert!(run.days_rolled_up, "{run:?}");
        run
    }

    /// The visitors that each shard has counted of a day.
    fn counted(&self, sketch: &Key) -> Vec<Option<u64>> {
        let field = format!("{}u", day_of(sketch).of_month());
        let key = |shard| self.shards.key(shard, &month_of(sketch));
        (0..3).map(|shard| self.shards.connect().hget(key(shard), &field).unwrap()).collect()
    }

    fn sketches(&self) -> usize {
        (0..3).map(|shard| self.shards.keys(shard, "visitors:*").len()).sum()
    }

    fn make_secret(&self, shard: ShardIndex, day: Day) {
        let _: () = self.shards.connect().set(self.shards.key(shard, &format!("secret:{day}")), "a secret").unwrap();
    }

    fn secrets(&self, shard: ShardIndex) -> Vec<String> {
        self.shards.keys(shard, "secret:*")
    }

    /// Checks that the visitors of each day are exactly those of the plain count, and have left no sketch.
    fn assert_counted(&self) {
        for (sketch, visitors) in &self.visited {
            let counted = self.counted(sketch);
            assert_eq!(counted.iter().max().copied().flatten(), Some(visitors.len() as u64), "{sketch}: {counted:?}");
        }
        assert_eq!(self.sketches(), 0);
    }

    fn calls(&self) -> u64 {
        (0..3).map(|shard| self.shards.calls(shard)).sum()
    }

    fn pass(&self, hours: u64) {
        self.time.advance(Duration::from_hours(hours));
    }
}

fn page_of(number: u64) -> PageId {
    page(&format!("page-{number}"))
}

fn day_of(sketch: &Key) -> Day {
    sketch.last_day().unwrap()
}

fn month_of(sketch: &Key) -> String {
    let Key::Visitors(day, page) = sketch else { panic!("{sketch} is no sketch") };
    page.as_ref().map_or(Key::SiteMonth(day.month()), |page| Key::Days(day.month(), page.clone())).to_string()
}

#[tokio::test]
async fn a_day_becomes_numbers_two_hours_after_its_end() {
    let mut world = World::new();
    let ring = world.three();
    world.visit_all(&ring);
    let first = world.run(&ring).await;
    assert_eq!(first, Rollup { days_rolled_up: true, ..Rollup::default() });
    // At 01:58 of the next day.
    world.time.advance(Duration::from_mins(3 * 60 + 45));
    assert_eq!(world.run(&ring).await, first);
    world.time.advance(Duration::from_mins(2));
    let run = world.run(&ring).await;
    let sketches = usize::try_from(PAGES).unwrap() + 1;
    assert_eq!(run, Rollup { days_rolled_up: true, sketches_counted: sketches, ..Rollup::default() });
    world.assert_counted();
    for shard in 0..3 {
        let noted: BTreeMap<String, String> = world.shards.fields(shard, "rollup");
        let expected = [("ring", ring.fingerprint().to_string()), ("through", "2023-11-14".to_owned())];
        assert_eq!(noted, expected.map(|(field, value)| (field.to_owned(), value)).into());
    }
}

#[tokio::test]
async fn a_run_with_nothing_to_do_is_one_call_to_each_shard() {
    let world = World::new();
    world.finish(&world.three()).await;
    let before = world.calls();
    world.finish(&world.three()).await;
    assert_eq!(world.calls() - before, 3);
}

#[tokio::test]
async fn secrets_go_an_hour_after_their_day_and_once_more_if_one_is_made_again() {
    let world = World::new();
    let (ring, today) = (world.three(), world.today());
    for day in [today.minus(9), today.minus(1), today] {
        world.make_secret(1, day);
    }
    assert_eq!(world.run(&ring).await.secrets_destroyed, 2);
    // At 00:58.
    world.time.advance(Duration::from_mins(2 * 60 + 45));
    assert_eq!(world.run(&ring).await.secrets_destroyed, 0);
    assert_eq!(world.secrets(1), [world.shards.key(1, "secret:2023-11-14")]);
    world.time.advance(Duration::from_mins(2));
    assert_eq!(world.run(&ring).await.secrets_destroyed, 1);
    world.make_secret(2, today);
    assert_eq!(world.run(&ring).await.secrets_destroyed, 1);
    assert!((0..3).all(|shard| world.secrets(shard).is_empty()));
}

#[tokio::test]
async fn a_new_ring_has_todays_visitors_at_their_new_owner_at_once() {
    let mut world = World::new();
    let (two, three) = (world.two(), world.three());
    world.visit_all(&two);
    world.finish(&two).await;
    let run = world.finish(&three).await;
    assert!(run.sketches_moved > 0 && run.sketches_counted == 0, "{run:?}");
    for (sketch, visitors) in &world.visited {
        let key = world.shards.key(sketch.home(&three, 0), &sketch.to_string());
        assert_eq!(world.shards.connect().pfcount(key), Ok(visitors.len()), "{sketch}");
    }
    assert_eq!(world.sketches(), world.visited.len(), "and nowhere else");
}

#[tokio::test]
async fn a_sketch_that_has_changed_since_it_was_read_stays() {
    let mut world = World::new();
    let (ring, day, store) = (world.three(), world.today(), world.shards.store().clone());
    world.visit(&ring, day, 1, &[1]);
    let home = Key::Visitors(day, Some(page_of(1)));
    let owner = home.home(&ring, 0);
    let content = store.sketches(owner, std::slice::from_ref(&home)).await.unwrap().remove(0).unwrap();
    world.visit(&ring, day, 1, &[2]);
    assert_eq!(store.remove_unchanged(owner, &[(&home, content)]).await, Ok(0));
    let content = store.sketches(owner, std::slice::from_ref(&home)).await.unwrap().remove(0).unwrap();
    for removed in [1, 0] {
        assert_eq!(store.remove_unchanged(owner, &[(&home, content.clone())]).await, Ok(removed));
    }
}

#[tokio::test]
async fn visitors_that_come_after_their_day_raise_its_number_only_if_they_are_more() {
    let mut world = World::new();
    let (ring, day) = (world.three(), world.today());
    world.visit(&ring, day, 1, &[1, 2, 3]);
    world.pass(4);
    world.finish(&ring).await;
    let home = Key::Visitors(day, Some(page_of(1)));
    for (late, expected) in [(vec![7], 3), (vec![1, 2, 3, 4], 4)] {
        world.visit(&ring, day, 1, &late);
        world.pass(24);
        world.finish(&ring).await;
        assert_eq!(world.counted(&home)[home.home(&ring, 0)], Some(expected));
        assert_eq!(world.sketches(), 0);
    }
}

#[tokio::test]
async fn a_shard_that_is_away_is_waited_for_a_day() {
    let mut world = World::new();
    let (two, three) = (world.two(), world.three());
    world.visit_all(&two);
    world.finish(&two).await;
    world.shards.set_down(0, Some(Fault::Unreachable));
    world.pass(4);
    let waiting = world.run(&three).await;
    assert_eq!((waiting.days_rolled_up, waiting.sketches_counted), (false, 0));
    world.pass(24);
    let counted = world.run(&three).await;
    assert!(counted.sketches_counted > 0 && !counted.days_rolled_up, "{counted:?}");
    world.shards.set_down(0, None);
    world.finish(&three).await;
    world.assert_counted();
}

#[tokio::test]
async fn a_function_with_another_ring_than_the_one_in_force_merges_and_counts_nothing() {
    let mut world = World::new();
    let (two, three) = (world.two(), world.three());
    world.visit_all(&two);
    for shard in 0..3 {
        world.shards.set_fields(shard, "shard", &[("ring", two.fingerprint().to_string())]);
    }
    world.pass(4);
    assert_eq!(world.run(&three).await, Rollup::default());
    world.finish(&two).await;
    world.assert_counted();
}

#[tokio::test]
async fn a_months_list_has_the_sums_of_its_days_and_is_made_again_for_what_comes_late() {
    let world = World::new();
    let (ring, mut redis) = (world.three(), world.shards.connect());
    let list = |day: &str| world.shards.key(0, &format!("top:{day}"));
    for day in ["2023-11-01", "2023-11-15", "2023-11-30"] {
        let pages: Vec<(u32, String)> = (51..=250).map(|number| (number, format!("page-{number}"))).collect();
        let _: i64 = redis.zadd_multiple(list(day), &pages).unwrap();
    }
    let _: i64 = redis.zadd(list("2023-11-16"), "best", 1_500).unwrap();
    let _: i64 = redis.rpush(list("2023-11-17"), "not ours").unwrap();
    for _ in 0..3 {
        world.pass(5 * 24);
        world.finish(&ring).await;
        assert_eq!(redis.exists(list("2023-11")), Ok(false));
    }
    world.pass(2 * 24);
    world.finish(&ring).await;
    assert_eq!(redis.zcard(list("2023-11")), Ok(200));
    assert_eq!(redis.zscore(list("2023-11"), "best"), Ok(Some(1_500.0)));
    assert_eq!(redis.zscore(list("2023-11"), "page-250"), Ok(Some(750.0)));
    assert_eq!(redis.zscore(list("2023-11"), "page-51"), Ok(None::<f64>));
    let _: f64 = redis.zincr(list("2023-11-30"), "best", 700).unwrap();
    world.pass(24);
    world.finish(&ring).await;
    assert_eq!(redis.zscore(list("2023-11"), "best"), Ok(Some(2_200.0)));
}

#[tokio::test]
async fn fourteen_months_later_what_is_out_of_400_days_is_gone() {
    let world = World::on(Shards::new(1));
    let (ring, mut redis) = (world.shards.ring(), world.shards.connect());
    let key = |name: &str| world.shards.key(0, name);
    // 400 days begin with 2022-10-12 when the present day is 2023-11-15.
    let months = ["2021-01", "2022-08", "2022-09", "2022-10", "2022-11", "2023-10", "2023-11"];
    for month in months {
        for name in [format!("days:{month}:home"), format!("days:{month}:a:b"), format!("site:{month}")] {
            let _: i64 = redis.hset(key(&name), "3", 1).unwrap();
        }
        let _: i64 = redis.zadd(key(&format!("top:{month}")), "home", 1).unwrap();
    }
    for name in ["top:2022-10-11", "top:2022-10-12", "top:2022-09-30", "top:2021-01-01"] {
        let _: i64 = redis.zadd(key(name), "home", 1).unwrap();
    }
    let _: i64 = redis.pfadd(key("visitors:2022-09-30:home"), "x").unwrap();
    let _: () = redis.set(key("secret:2022-09-30"), "x").unwrap();
    for name in ["page:home", "site"] {
        let _: i64 = redis.hset(key(name), "total", 9).unwrap();
    }
    world.pass(4);
    let run = world.finish(&ring).await;
    // Three months with four keys each, three lists, a sketch and a secret.
    assert_eq!((run.records_dropped, run.sketches_counted), (3 * 4 + 3 + 2, 0));
    for month in months {
        for name in [format!("days:{month}:a:b"), format!("site:{month}"), format!("top:{month}")] {
            assert_eq!(redis.exists(key(&name)), Ok(month >= "2022-10"), "{name}");
        }
    }
    assert_eq!((redis.exists(key("top:2022-10-11")), redis.exists(key("top:2022-10-12"))), (Ok(false), Ok(true)));
    // Totals are of no day.
    assert_eq!((redis.hget(key("page:home"), "total"), redis.hget(key("site"), "total")), (Ok(9), Ok(9)));
    // Once more with the next month that is out, and not before.
    for (days, dropped) in [(1, 1), (18, 0), (1, 4)] {
        world.pass(24 * days);
        assert_eq!(world.finish(&ring).await.records_dropped, dropped);
    }
}

#[tokio::test]
async fn without_days_kept_sketches_and_records_go() {
    let mut world = World::new();
    let ring = world.three();
    world.visit_all(&ring);
    world.history_days = 0;
    world.pass(17 * 24);
    let run = world.finish(&ring).await;
    assert!(run.records_dropped > 0 && run.sketches_counted == 0, "{run:?}");
    assert_eq!((0..3).flat_map(|shard| world.shards.keys(shard, "[dsv]*2023*")).count(), 0);
}

#[tokio::test]
async fn keys_of_other_types_stop_nothing_and_stay_as_they_are() {
    let mut world = World::on(Shards::new(3));
    let (ring, day) = (world.shards.ring_of(&[1, 0, 0]), world.today());
    for number in 0..5 {
        world.visit(&ring, day, number, &[1, 2, 3]);
    }
    let mut redis = world.shards.connect();
    let key = |name: &str| world.shards.key(0, name);
    let not_ours = ["days:2023-11:page-1", "visitors:2023-11-14:page-2", "top:2023-11"];
    for name in not_ours {
        let _: i64 = redis.del(key(name)).unwrap();
        let _: i64 = redis.rpush(key(name), "not ours").unwrap();
    }
    let texts = [("visitors:2023-11-14:page-3", "not a sketch"), ("visitors:2023-11-14:page-4", "HYLL\0\0\0\0\0\0")];
    for (name, text) in texts.into_iter().chain([("visitors:nonsense", "x")]) {
        let _: () = redis.set(key(name), text).unwrap();
    }
    // One that should move, and cannot.
    let _: () = redis.set(world.shards.key(1, "visitors:2023-11-14:page-0"), "not a sketch").unwrap();
    world.pass(4);
    let run = world.finish(&ring).await;
    // A key that is none is met in both scans.
    assert_eq!((run.sketches_counted, run.sketches_rejected, run.rollup_calls_failed), (2, 4 + 2 + 1, 0), "{run:?}");
    assert_eq!(redis.hget(key("days:2023-11:page-0"), "14u"), Ok(3));
    for name in not_ours {
        assert_eq!(redis.lindex(key(name), 0), Ok("not ours".to_owned()), "{name}");
    }
    assert_eq!(redis.get(key("visitors:2023-11-14:page-3")), Ok("not a sketch".to_owned()));
}

#[tokio::test]
async fn a_run_that_is_cut_at_any_call_is_made_up_for() {
    for fault in [Fault::Unreachable, Fault::AnswerLost] {
        for shard in 0..3 {
            for call in 0..16 {
                let mut world = World::new();
                let (two, three) = (world.two(), world.three());
                world.visit_all(&two);
                world.visit_all(&three);
                world.pass(4);
                world.shards.fail_next(shard, std::iter::repeat_n(None, call).chain([Some(fault)]));
                world.run(&three).await;
                world.shards.clear_faults(shard);
                world.finish(&three).await;
                world.assert_counted();
            }
        }
    }
}

#[tokio::test]
async fn no_step_is_begun_after_the_budget() {
    let mut world = World::new();
    let ring = world.three();
    world.visit_all(&ring);
    world.pass(4);
    assert_eq!(world.run_within(&ring, Duration::ZERO).await, Rollup::default());
    world.finish(&ring).await;
    world.assert_counted();
}
