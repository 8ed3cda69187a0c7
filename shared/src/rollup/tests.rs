mod random;

use super::*;
use crate::batch::{Batch, Increment, Sequence, SiteIncrement, WriterId};
use crate::clock::ManualClock;
use crate::page::PageId;
use crate::shard::Weight;
use crate::store::memory::{Fault, MemoryStore};
use crate::store::rollup::Sketch;
use crate::store::{Apply, Ledger, Standing};
use crate::visit::{Secret, Visitor, site_key};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const MINUTE: Duration = Duration::from_mins(1);
const PAGES: u64 = 5;

/// Shards in memory, and who visited what according to a plain count.
struct World {
    store: MemoryStore,
    time: ManualClock,
    history_days: u32,
    writers: u128,
    visited: BTreeMap<Sketch, BTreeSet<Visitor>>,
}

fn ring(shards: &[(&str, u8)]) -> Ring {
    let shard = |&(name, weight): &(&str, u8)| (name.parse().unwrap(), Weight::new(weight).unwrap());
    Ring::new(shards.iter().map(shard)).unwrap()
}

fn two() -> Ring {
    ring(&[("a", 1), ("b", 1), ("c", 0)])
}

fn three() -> Ring {
    ring(&[("a", 1), ("b", 1), ("c", 1)])
}

fn page(number: u64) -> PageId {
    PageId::from_decoded(&format!("page-{number}")).unwrap()
}

impl World {
    /// It is 22:13 of 2023-11-14.
    fn new() -> Self {
        let time = ManualClock::new();
        let store = MemoryStore::new(3, time.clock());
        Self { store, time, history_days: 400, writers: 0, visited: BTreeMap::new() }
    }

    fn today(&self) -> Day {
        Day::of(self.time.clock().now())
    }

    /// Visitors of a page and of the site, by a writer with this ring.
    async fn visit(&mut self, ring: &Ring, day: Day, number: u64, visitors: &[u64]) {
        let visitors: Vec<Visitor> = visitors.iter().copied().map(Visitor).collect();
        let visits = visitors.len() as u64;
        let increment = Increment { page: page(number), visits, bots: 0, visitors: visitors.clone() };
        let owner = ring.owner(page(number).as_str());
        self.apply(owner, day, vec![increment], SiteIncrement::default()).await;
        let site = SiteIncrement { visitors: visitors.clone(), ..SiteIncrement::default() };
        self.apply(ring.owner(&site_key(day)), day, Vec::new(), site).await;
        for page in [Some(page(number)), None] {
            self.visited.entry(Sketch { day, page }).or_default().extend(&visitors);
        }
    }

    async fn apply(&mut self, shard: ShardIndex, day: Day, increments: Vec<Increment>, site: SiteIncrement) {
        self.writers += 1;
        let batch = Batch::of_day(Sequence::FIRST, Some(day), increments, site, self.time.clock().now());
        let call = Apply {
            writer: WriterId::from_u128(self.writers),
            base: Sequence::FIRST,
            batches: vec![(Arc::new(batch), Duration::ZERO)],
            standing: Standing::Active,
            ring: None,
        };
        self.store.apply(shard, &call).await.unwrap();
        self.store.save(shard);
    }

    /// Some pages have visitors in common.
    async fn visit_all(&mut self, ring: &Ring) {
        let day = self.today();
        for number in 0..PAGES {
            let visitors: Vec<u64> = (number..2 * number + 3).collect();
            self.visit(ring, day, number, &visitors).await;
        }
    }

    fn settings(&self) -> Settings {
        Settings { history_days: self.history_days, timing: Timing::REAL, budget: Duration::from_secs(5).into() }
    }

    async fn run(&self, ring: &Ring) -> Rollup {
        roll_up(&self.store, ring, &self.time.clock(), self.settings()).await
    }

    /// What reaches a disk does so within a minute.
    fn pass_a_minute(&self) {
        (0..3).for_each(|shard| self.store.save(shard));
        self.time.advance(MINUTE);
    }

    /// Runs a minute apart until all is done.
    async fn finish(&self, ring: &Ring) -> Vec<Rollup> {
        let mut runs = Vec::new();
        for _ in 0..20 {
            runs.push(self.run(ring).await);
            if runs.last().is_some_and(|run| run.days_rolled_up) {
                return runs;
            }
            self.pass_a_minute();
        }
        panic!("days are not rolled up: {runs:?}");
    }

    /// That the visitors of each day are exactly those of the plain count, and have left no sketch.
    fn assert_counted(&self) {
        for (sketch, visitors) in &self.visited {
            let counts: Vec<u64> = (0..3).map(|shard| self.store.day_count(shard, sketch).visitors).collect();
            assert_eq!(counts.iter().max().copied(), Some(visitors.len() as u64), "{sketch}: {counts:?}");
        }
        (0..3).for_each(|shard| assert_eq!(self.store.sketches_on(shard), [], "{shard}"));
    }

    fn calls(&self) -> u64 {
        (0..3).map(|shard| self.store.calls(shard)).sum()
    }
}

#[tokio::test]
async fn a_day_becomes_numbers_two_hours_after_its_end() {
    let mut world = World::new();
    world.visit_all(&three()).await;
    let first = world.run(&three()).await;
    assert_eq!(first, Rollup { days_rolled_up: true, ..Rollup::default() });
    // At 01:58 of the next day.
    world.time.advance(Duration::from_mins(3 * 60 + 45));
    assert_eq!(world.run(&three()).await, first);
    world.time.advance(2 * MINUTE);
    let run = world.run(&three()).await;
    let sketches = usize::try_from(PAGES).unwrap() + 1;
    assert_eq!(run, Rollup { days_rolled_up: true, sketches_counted: sketches, ..Rollup::default() });
    world.assert_counted();
}

#[tokio::test]
async fn a_run_with_nothing_to_do_is_one_call_to_each_shard() {
    let world = World::new();
    world.run(&three()).await;
    let before = world.calls();
    assert!(world.run(&three()).await.days_rolled_up);
    assert_eq!(world.calls() - before, 3);
}

#[tokio::test]
async fn secrets_go_an_hour_after_their_day_and_once_more_if_somebody_makes_one_again() {
    let world = World::new();
    let today = world.today();
    for day in [today.minus(9), today.minus(1), today] {
        world.store.secret(1, day, Secret::random().unwrap()).await.unwrap();
    }
    assert_eq!(world.run(&three()).await.secrets_destroyed, 2);
    // At 00:58.
    world.time.advance(Duration::from_mins(2 * 60 + 45));
    assert_eq!(world.run(&three()).await.secrets_destroyed, 0);
    assert_eq!(world.store.secrets_on(1), [today].into());
    world.time.advance(2 * MINUTE);
    assert_eq!(world.run(&three()).await.secrets_destroyed, 1);
    world.store.secret(2, today, Secret::random().unwrap()).await.unwrap();
    assert_eq!(world.run(&three()).await.secrets_destroyed, 1);
    assert!((0..3).all(|shard| world.store.secrets_on(shard).is_empty()));
}

#[tokio::test]
async fn sketches_on_two_shards_become_the_number_of_their_union() {
    let mut world = World::new();
    world.visit_all(&two()).await;
    world.visit_all(&three()).await;
    let day = world.today();
    (0..PAGES).for_each(|number| assert!(world.visited[&Sketch { day, page: Some(page(number)) }].len() > 2));
    world.visit(&three(), day, 1, &[70, 71]).await;
    world.time.advance(Duration::from_hours(4));
    let runs = world.finish(&three()).await;
    world.assert_counted();
    // Copied, and a minute later moved and counted.
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert!(runs[0].sketches_copied > 0 && runs[0].sketches_counted == 0, "{runs:?}");
    assert_eq!(runs[1].sketches_moved, runs[0].sketches_copied);
}

#[tokio::test]
async fn a_new_ring_has_todays_visitors_at_their_new_owner_at_once() {
    let mut world = World::new();
    world.visit_all(&two()).await;
    world.run(&two()).await;
    let run = world.run(&three()).await;
    assert!(run.sketches_copied > 0 && run.days_rolled_up, "{run:?}");
    for (sketch, visitors) in &world.visited {
        let owner = sketch.owner(&three());
        assert_eq!(world.store.day_count(owner, sketch).visitors, visitors.len() as u64, "{sketch}");
    }
}

#[tokio::test]
async fn visitors_that_come_after_their_day_raise_its_number_only_if_they_are_more() {
    let mut world = World::new();
    let day = world.today();
    world.visit(&three(), day, 1, &[1, 2, 3]).await;
    world.time.advance(Duration::from_hours(4));
    world.finish(&three()).await;
    let home = Sketch { day, page: Some(page(1)) };
    let owner = home.owner(&three());
    for (late, expected) in [(vec![7], 3), (vec![1, 2, 3, 4], 4)] {
        world.visit(&three(), day, 1, &late).await;
        world.time.advance(Duration::from_hours(24));
        world.finish(&three()).await;
        assert_eq!(world.store.day_count(owner, &home).visitors, expected);
        assert_eq!(world.store.sketches_on(owner), []);
    }
}

#[tokio::test]
async fn a_shard_that_is_away_is_waited_for_a_day() {
    let mut world = World::new();
    world.visit_all(&two()).await;
    world.run(&two()).await;
    world.store.set_down(0, Some(Fault::Unreachable));
    world.time.advance(Duration::from_hours(4));
    let waiting = world.run(&three()).await;
    assert_eq!((waiting.days_rolled_up, waiting.sketches_counted), (false, 0));
    world.time.advance(Duration::from_hours(24));
    let mut counted = 0;
    for _ in 0..3 {
        counted += world.run(&three()).await.sketches_counted;
        world.pass_a_minute();
    }
    assert!(counted > 0);
    world.store.set_down(0, None);
    world.finish(&three()).await;
    world.assert_counted();
}

#[tokio::test]
async fn a_function_with_another_ring_than_the_one_in_force_moves_and_counts_nothing() {
    let mut world = World::new();
    world.visit_all(&two()).await;
    world.store.settle_all(&two());
    world.time.advance(Duration::from_hours(4));
    let run = world.run(&three()).await;
    assert_eq!(run, Rollup::default());
    world.finish(&two()).await;
    world.assert_counted();
}

#[tokio::test]
async fn what_is_out_of_the_days_kept_goes_month_by_month() {
    let mut world = World::new();
    world.history_days = 40;
    let day = world.today();
    world.visit(&three(), day, 1, &[1, 2]).await;
    let kept = |world: &World| {
        let home = Sketch { day, page: Some(page(1)) };
        (0..3).any(|shard| world.store.day_count(shard, &home).people > 0)
    };
    // On 2024-01-08 the last of November is among 40 days, and a day later it is not.
    for (hours, expected) in [(4, true), (30 * 24, true), (24 * 24, true), (24, false)] {
        world.time.advance(Duration::from_hours(hours));
        world.finish(&three()).await;
        assert_eq!(kept(&world), expected, "{}", world.today());
    }
}

#[tokio::test]
async fn without_days_kept_sketches_and_records_go() {
    let mut world = World::new();
    world.visit_all(&three()).await;
    world.history_days = 0;
    world.time.advance(Duration::from_hours(17 * 24));
    let run = world.run(&three()).await;
    assert!(run.records_dropped > 0 && run.sketches_counted == 0 && run.days_rolled_up, "{run:?}");
    for (sketch, _) in world.visited {
        assert!((0..3).all(|shard| world.store.day_count(shard, &sketch).people == 0), "{sketch}");
    }
}

#[tokio::test]
async fn two_runs_at_once_count_what_one_counts() {
    let mut world = World::new();
    world.visit_all(&two()).await;
    world.visit_all(&three()).await;
    world.time.advance(Duration::from_hours(4));
    for _ in 0..6 {
        futures_util::future::join3(world.run(&three()), world.run(&three()), world.run(&three())).await;
        world.pass_a_minute();
    }
    world.assert_counted();
}

#[tokio::test]
async fn a_run_that_is_cut_at_any_call_is_made_up_for() {
    for fault in [Fault::Unreachable, Fault::AnswerLost] {
        for shard in 0..3 {
            for call in 0..40 {
                let mut world = World::new();
                world.visit_all(&two()).await;
                world.visit_all(&three()).await;
                world.time.advance(Duration::from_hours(4));
                let faults = std::iter::repeat_n(None, call).chain([Some(fault)]);
                world.store.fail_next(shard, faults);
                world.run(&three()).await;
                world.pass_a_minute();
                world.run(&three()).await;
                world.store.clear_faults(shard);
                world.finish(&three()).await;
                world.assert_counted();
            }
        }
    }
}

#[tokio::test]
async fn an_owner_that_crashed_has_a_sketch_for_a_minute_again_before_it_goes() {
    let mut world = World::new();
    world.visit_all(&two()).await;
    world.time.advance(Duration::from_hours(4));
    assert!(world.run(&three()).await.sketches_copied > 0);
    // It loses what it was given, and is given it again.
    world.store.crash(2);
    world.time.advance(MINUTE);
    let again = world.run(&three()).await;
    assert!(again.sketches_copied > 0 && again.sketches_moved == 0, "{again:?}");
    world.store.save(0);
    world.store.save(1);
    world.store.crash(2);
    world.finish(&three()).await;
    world.assert_counted();
}

#[tokio::test]
async fn no_step_is_begun_after_the_budget() {
    let mut world = World::new();
    world.visit_all(&three()).await;
    world.time.advance(Duration::from_hours(4));
    let settings = Settings { budget: Duration::ZERO.into(), ..world.settings() };
    let run = roll_up(&world.store, &three(), &world.time.clock(), settings).await;
    assert_eq!(run, Rollup::default());
    world.finish(&three()).await;
    world.assert_counted();
}
