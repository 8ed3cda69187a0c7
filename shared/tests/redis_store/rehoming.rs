//! Pages that move between real servers, which crash, are full, or hold something else where records belong.

use crate::helpers::{batch, call, configure, page, store};
use redis::{Commands, Connection};
use std::fs::{self, OpenOptions};
use std::time::Duration;
use test_support::RedisServer;
use visits_core::clock::Clock;
use visits_core::record;
use visits_core::rehome::{Rehome, rehome};
use visits_core::ring::Ring;
use visits_core::shard::{ShardName, Weight};
use visits_core::store::redis::RedisStore;
use visits_core::store::{Apply, Store};
use visits_core::timing::Timing;

/// A minute of the protocol.
const MINUTE: Duration = Duration::from_millis(60);

/// Longest wait for a change to settle, which takes some 300 ms.
const PATIENCE: Duration = Duration::from_secs(20);

const OLD: usize = 0;
const NEW: usize = 1;

/// Shard `old`, whose pages all move to `new`, each on a server of its own.
struct World {
    store: RedisStore,
    ring: Ring,
    old: RedisServer,
    new: RedisServer,
}

/// On disk before it answers: under `everysec` a busy disk may have it hold writes back for longer than a minute is here.
fn server() -> RedisServer {
    RedisServer::builder().append_only(true).option("appendfsync", "always").start()
}

/// `visits` of each of these pages are on the old shard.
async fn world(pages: &[(&str, u64)]) -> World {
    let (old, new) = (server(), server());
    let store = store(&format!("old={},new={}", old.url(), new.url()));
    let shard = |(name, weight): (&str, u8)| (name.parse::<ShardName>().unwrap(), Weight::new(weight).unwrap());
    let ring = Ring::new([("old", 0), ("new", 1)].map(shard)).unwrap();
    store.apply(OLD, &call(&[batch(1, pages)])).await.unwrap();
    World { store, ring, old, new }
}

impl World {
    async fn run(&self) -> Rehome {
        let timing = Timing::REAL.faster(1_000);
        rehome(&self.store, &self.ring, &Clock::system(), timing, Duration::from_secs(10)).await
    }

    /// Runs until `enough` of what was done; each run a minute after the one before.
    async fn run_until(&self, enough: impl Fn(&Rehome) -> bool) -> Rehome {
        let runs = async {
            loop {
                let run = self.run().await;
                if enough(&run) {
                    return run;
                }
                tokio::time::sleep(MINUTE).await;
            }
        };
        tokio::time::timeout(PATIENCE, runs).await.expect("pages get on")
    }

    async fn settle(&self) -> Rehome {
        self.run_until(|run| run.ring_settled).await
    }

    async fn count(&self, id: &str) -> u64 {
        let mut records = Vec::new();
        for shard in [OLD, NEW] {
            records.push(self.store.traces(shard, &page(id)).await.unwrap().record);
        }
        record::count(self.ring.shards().iter().zip(&records))
    }

    fn old_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.old.connect().keys("*").unwrap();
        keys.sort();
        keys
    }
}

fn field(redis: &mut Connection, shard: &str, id: &str, field: &str) -> Option<u64> {
    redis.hget(format!("visits:{{{shard}}}:page:{id}"), field).unwrap()
}

#[tokio::test]
async fn every_field_of_a_record_moves_and_nothing_is_left_behind() {
    let world = world(&[("home", 5), ("a/\"b\" é {x}", 7)]).await;
    let _: i64 = world.old.connect().hset("visits:{old}:page:home", "day:20261124", 3).unwrap();
    world.settle().await;
    let mut new = world.new.connect();
    assert_eq!(field(&mut new, "new", "home", "total"), Some(5));
    assert_eq!(field(&mut new, "new", "home", "day:20261124"), Some(3));
    assert_eq!(new.hlen("visits:{new}:page:home"), Ok(2));
    assert_eq!(world.count("a/\"b\" é {x}").await, 7);
    let left = world.old_keys();
    assert!(
        left.iter().all(|key| !key.contains(":page:") && !key.contains(":mov") && !key.contains(":seen")),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_kill_of_the_old_owner_right_after_a_delivery_doubles_nothing() {
    let mut world = world(&[("home", 5)]).await;
    world.run_until(|run| run.pages_delivered == 1).await;
    world.old.kill();
    assert!(world.run().await.rehoming_calls_failed > 0);
    world.old.restart();
    assert_eq!(world.count("home").await, 5);
    world.settle().await;
    assert_eq!(world.count("home").await, 5);
    assert_eq!(field(&mut world.new.connect(), "new", "home", "total"), Some(5));
}

#[tokio::test]
async fn a_take_that_a_crash_undoes_is_not_delivered() {
    let mut world = world(&[("home", 5)]).await;
    let log = world.old.append_only_file();
    let before = fs::metadata(&log).unwrap().len();
    assert_eq!(world.run().await.pages_taken, 1);
    assert_eq!(world.count("home").await, 5);
    world.old.kill();
    OpenOptions::new().write(true).open(&log).unwrap().set_len(before).unwrap();
    world.old.restart();
    assert_eq!(field(&mut world.old.connect(), "old", "home", "total"), Some(5));
    let settled = world.settle().await;
    assert!(settled.ring_settled);
    assert_eq!(field(&mut world.new.connect(), "new", "home", "total"), Some(5));
    assert_eq!(world.count("home").await, 5);
}

#[tokio::test]
async fn a_kill_of_the_new_owner_loses_nothing_that_moved() {
    let mut world = world(&[("home", 5)]).await;
    world.run_until(|run| run.pages_taken == 1).await;
    let log = world.new.append_only_file();
    let before = fs::metadata(&log).unwrap().len();
    world.run_until(|run| run.pages_delivered == 1).await;
    world.new.kill();
    OpenOptions::new().write(true).open(&log).unwrap().set_len(before).unwrap();
    world.new.restart();
    assert_eq!(world.count("home").await, 5);
    world.settle().await;
    assert_eq!(field(&mut world.new.connect(), "new", "home", "total"), Some(5));
}

#[tokio::test]
async fn records_with_something_else_in_them_stay_and_stop_no_other() {
    let world = world(&[("home", 5), ("odd", 1)]).await;
    let mut old = world.old.connect();
    let _: i64 = old.hset("visits:{old}:page:odd", "note", "hello").unwrap();
    let _: () = old.set("visits:{old}:page:text", "not a hash").unwrap();
    let _: () = old.set(b"visits:{old}:page:\xff", "no page").unwrap();
    let first = world.run().await;
    assert_eq!((first.pages_taken, first.records_rejected), (1, 2));
    world.settle().await;
    assert_eq!(field(&mut old, "old", "odd", "total"), Some(1));
    assert_eq!(old.get("visits:{old}:page:text"), Ok("not a hash".to_owned()));
    // It still holds something: so it may not be removed.
    let members: String = world.new.connect().hget("visits:{new}:shard", "members").unwrap();
    assert_eq!(members, "old,new");
}

#[tokio::test]
async fn damaged_moves_are_put_aside_and_stop_no_other() {
    let world = world(&[("home", 5)]).await;
    assert_eq!(world.run().await.pages_taken, 1);
    let damaged = "000000000000000000000000000000ff:1";
    for name in [damaged, "no move"] {
        let _: i64 = world.old.connect().hset("visits:{old}:moves:new", name, "9 1 []").unwrap();
    }
    world.run_until(|run| run.moves_set_aside == 1 || run.ring_settled).await;
    world.settle().await;
    let kept: Vec<String> = world.old.connect().hkeys("visits:{old}:aside").unwrap();
    assert_eq!((kept.len(), world.count("home").await), (2, 5));
}

#[tokio::test]
async fn an_old_owner_without_memory_keeps_its_pages_as_they_are() {
    let world = world(&[("home", 5)]).await;
    // The announcement needs memory, too, and comes first.
    let announce = rehome(&world.store, &world.ring, &Clock::system(), Timing::REAL, Duration::ZERO).await;
    assert_eq!((announce.pages_taken, announce.rehoming_calls_failed), (0, 0));
    let mut old = world.old.connect();
    configure(&mut old, "maxmemory", "1");
    let run = world.run().await;
    assert!(run.rehoming_calls_failed > 0 && run.pages_taken == 0, "{run:?}");
    assert_eq!(field(&mut old, "old", "home", "total"), Some(5));
    configure(&mut old, "maxmemory", "0");
    world.settle().await;
    assert_eq!(field(&mut world.new.connect(), "new", "home", "total"), Some(5));
}

#[tokio::test]
async fn no_more_waits_for_an_owner_than_a_shard_takes() {
    let world = world(&[("home", 5)]).await;
    let _: i64 = world.old.connect().hset("visits:{old}:moving", "new", 64 * 1024 * 1024).unwrap();
    assert_eq!(world.run().await.pages_taken, 0);
    assert_eq!(field(&mut world.old.connect(), "old", "home", "total"), Some(5));
}

#[tokio::test]
async fn visits_that_come_to_the_old_owner_meanwhile_follow() {
    let world = world(&[("home", 5)]).await;
    world.run_until(|run| run.pages_delivered == 1).await;
    world.store.apply(OLD, &Apply { ring: None, ..call(&[batch(2, &[("home", 2)])]) }).await.unwrap();
    world.store.apply(NEW, &call(&[batch(1, &[("home", 1)])])).await.unwrap();
    assert_eq!(world.count("home").await, 8);
    world.settle().await;
    assert_eq!(field(&mut world.new.connect(), "new", "home", "total"), Some(8));
}
