//! Sketches that move to another server after a ring change.

use super::{MINUTE, ring, run, visit, visitors};
use crate::helpers::{configure, store};
use redis::Commands;
use std::fs::{self, OpenOptions};
use std::time::Duration;
use test_support::RedisServer;
use visits_core::clock::ManualClock;
use visits_core::ring::Ring;
use visits_core::rollup::Rollup;
use visits_core::store::redis::RedisStore;

const OLD: usize = 0;
const NEW: usize = 1;
const SKETCH: &str = "visitors:2023-11-14:home";

/// Shard `old`, all of whose sketches belong on `new`.
struct World {
    store: RedisStore,
    ring: Ring,
    old: RedisServer,
    new: RedisServer,
    time: ManualClock,
}

/// Visitors 0 to 299 came to the old shard, and 200 to 499 to the new one; then the day ended.
async fn world() -> World {
    let server = || RedisServer::builder().append_only(true).option("appendfsync", "always").start();
    let (old, new, time) = (server(), server(), ManualClock::new());
    let store = store(&format!("old={},new={}", old.url(), new.url()));
    visit(&store, OLD, &time, "home", &visitors(0..300)).await;
    visit(&store, NEW, &time, "home", &visitors(200..500)).await;
    time.advance(Duration::from_hours(4));
    World { store, ring: ring(&[("old", 0), ("new", 1)]), old, new, time }
}

impl World {
    async fn run(&self) -> Rollup {
        run(&self.store, &self.ring, &self.time, 400).await
    }

    /// Runs a minute apart until all is done. (Shards tell time by their own clocks.)
    async fn finish(&self) -> Rollup {
        for _ in 0..100 {
            let rollup = self.run().await;
            if rollup.days_rolled_up {
                return rollup;
            }
            tokio::time::sleep(MINUTE).await;
        }
        panic!("days are not rolled up");
    }

    fn sketch_on_old(&self) -> bool {
        self.old.connect().exists(format!("visits:{{old}}:{SKETCH}")).unwrap()
    }

    fn assert_counted(&self, visitors: u64) {
        for record in ["days:2023-11:home", "site:2023-11"] {
            let counted: Option<u64> = self.new.connect().hget(format!("visits:{{new}}:{record}"), "14u").unwrap();
            assert!(counted.is_some_and(|counted| counted.abs_diff(visitors) <= 10), "{record}: {counted:?}");
        }
        for (server, name) in [(&self.old, "old"), (&self.new, "new")] {
            let left: Vec<String> = server.connect().keys(format!("visits:{{{name}}}:visitors:*")).unwrap();
            assert_eq!(left, Vec::<String>::new());
            for key in ["copied", "merging"] {
                assert_eq!(server.connect().exists(format!("visits:{{{name}}}:{key}")), Ok(false), "{key}");
            }
        }
    }
}

#[tokio::test]
async fn a_sketch_is_merged_into_its_owners_and_goes_a_minute_later() {
    let world = world().await;
    let first = world.run().await;
    assert_eq!((first.sketches_copied, first.sketches_moved, first.sketches_counted), (2, 0, 0), "{first:?}");
    assert!(world.sketch_on_old());
    world.finish().await;
    world.assert_counted(500);
}

#[tokio::test]
async fn a_read_in_between_keeps_no_sketch_from_moving() {
    let world = world().await;
    world.run().await;
    // Redis keeps the number in the sketch.
    let key = format!("visits:{{old}}:{SKETCH}");
    let before: Vec<u8> = world.old.connect().get(&key).unwrap();
    let _: u64 = world.old.connect().pfcount(&key).unwrap();
    assert_ne!(world.old.connect().get(&key), Ok(before));
    tokio::time::sleep(MINUTE * 2).await;
    let run = world.run().await;
    assert_eq!((run.sketches_copied, run.sketches_moved), (0, 2), "{run:?}");
    world.finish().await;
    world.assert_counted(500);
}

#[tokio::test]
async fn what_comes_to_the_old_shard_meanwhile_is_moved_too() {
    let world = world().await;
    world.run().await;
    let before = ManualClock::new();
    visit(&world.store, OLD, &before, "home", &visitors(500..600)).await;
    world.finish().await;
    world.assert_counted(600);
}

#[tokio::test]
async fn a_new_owner_that_loses_what_it_was_given_gets_it_again() {
    let mut world = world().await;
    let log = world.new.append_only_file();
    let before = fs::metadata(&log).unwrap().len();
    assert_eq!(world.run().await.sketches_copied, 2);
    world.new.kill();
    OpenOptions::new().write(true).open(&log).unwrap().set_len(before).unwrap();
    world.new.restart();
    tokio::time::sleep(MINUTE * 2).await;
    let again = world.run().await;
    assert_eq!((again.sketches_copied, again.sketches_moved), (2, 0), "{again:?}");
    world.finish().await;
    world.assert_counted(500);
}

#[tokio::test]
async fn an_old_shard_that_is_killed_in_between_goes_on() {
    let mut world = world().await;
    world.run().await;
    world.old.kill();
    assert!(world.run().await.rollup_calls_failed > 0);
    world.old.restart();
    world.finish().await;
    world.assert_counted(500);
}

#[tokio::test]
async fn sketches_go_from_a_full_shard_to_a_full_owner() {
    let world = world().await;
    for server in [&world.old, &world.new] {
        configure(&mut server.connect(), "maxmemory", "1");
    }
    world.finish().await;
    assert!(!world.sketch_on_old());
    world.assert_counted(500);
}
