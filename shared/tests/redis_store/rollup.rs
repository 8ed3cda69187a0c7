//! Finished days on real servers, which crash, hold something else where sketches belong, and keep a year and more.

mod lists;
mod measured;
mod moved;

use crate::helpers::{configure, page, store};
use redis::{Commands, Connection};
use std::sync::Arc;
use std::time::Duration;
use test_support::RedisServer;
use visits_core::batch::{Batch, Increment, Sequence, SiteIncrement, WriterId};
use visits_core::clock::ManualClock;
use visits_core::day::Day;
use visits_core::ring::Ring;
use visits_core::rollup::{Rollup, Settings, roll_up};
use visits_core::shard::{ShardName, Weight};
use visits_core::store::redis::RedisStore;
use visits_core::store::{Apply, Ledger, ShardIndex, Standing};
use visits_core::timing::Timing;
use visits_core::visit::{Fingerprint, Secret, Visitor};

/// A minute of the protocol.
const MINUTE: Duration = Duration::from_millis(60);

/// One shard, `redis_7070`, at 22:13 of 2023-11-14.
struct World {
    store: RedisStore,
    server: RedisServer,
    ring: Ring,
    time: ManualClock,
    history_days: u32,
}

fn ring(shards: &[(&str, u8)]) -> Ring {
    let shard = |&(name, weight): &(&str, u8)| (name.parse::<ShardName>().unwrap(), Weight::new(weight).unwrap());
    Ring::new(shards.iter().map(shard)).unwrap()
}

fn key(name: &str) -> String {
    format!("visits:{{redis_7070}}:{name}")
}

async fn run(store: &RedisStore, ring: &Ring, time: &ManualClock, history_days: u32) -> Rollup {
    let settings = Settings { history_days, timing: Timing::REAL.faster(1_000), budget: Duration::from_mins(1).into() };
    roll_up(store, ring, &time.clock(), settings).await
}

impl World {
    fn new() -> Self {
        let server = RedisServer::start();
        let store = store(&format!("redis_7070={}", server.url()));
        Self { store, server, ring: ring(&[("redis_7070", 1)]), time: ManualClock::new(), history_days: 400 }
    }

    async fn run(&self) -> Rollup {
        run(&self.store, &self.ring, &self.time, self.history_days).await
    }

    /// Until 02:13 of the next day.
    fn night(&self) {
        self.time.advance(Duration::from_hours(4));
    }

    fn redis(&self) -> Connection {
        self.server.connect()
    }
}

/// Visitors of a page and of the site, as one batch of a new writer.
async fn visit(store: &RedisStore, shard: ShardIndex, time: &ManualClock, id: &str, visitors: &[Visitor]) {
    let now = time.clock().now();
    let increment = Increment { page: page(id), visits: visitors.len() as u64, bots: 0, visitors: visitors.to_vec() };
    let site = SiteIncrement { visitors: visitors.to_vec(), ..SiteIncrement::default() };
    let batch = Batch::of_day(Sequence::FIRST, Some(Day::of(now)), vec![increment], site, now);
    let call = Apply {
        writer: WriterId::random().unwrap(),
        base: Sequence::FIRST,
        batches: vec![(Arc::new(batch), Duration::ZERO)],
        standing: Standing::Gone,
        ring: None,
    };
    store.apply(shard, &call).await.unwrap();
}

/// So many visitors, as writers tell them apart.
fn visitors(numbers: std::ops::Range<u32>) -> Vec<Visitor> {
    let secret: Secret = "000102030405060708090a0b0c0d0e0f".parse().unwrap();
    let address = |number: u32| std::net::Ipv4Addr::from(number).to_string();
    numbers.map(|number| secret.pseudonym(Fingerprint::of(&address(number), "Mozilla/5.0"))).collect()
}

fn field(redis: &mut Connection, record: &str, field: &str) -> Option<u64> {
    redis.hget(key(record), field).unwrap()
}

#[tokio::test]
async fn a_hundred_thousand_visitors_are_counted_within_2_percent_for_the_page_and_for_the_site() {
    let world = World::new();
    // Three writers; each third of the visitors is seen by two of them.
    for first in (0..100_000).step_by(5_000) {
        for page in ["home", "other"] {
            visit(&world.store, 0, &world.time, page, &visitors(first..first + 5_000)).await;
        }
        if first % 15_000 == 0 {
            visit(&world.store, 0, &world.time, "home", &visitors(first..first + 2_500)).await;
        }
    }
    world.night();
    let rollup = world.run().await;
    assert_eq!((rollup.sketches_counted, rollup.days_rolled_up), (3, true));
    let mut redis = world.redis();
    for record in ["days:2023-11:home", "days:2023-11:other", "site:2023-11"] {
        let counted = field(&mut redis, record, "14u").unwrap();
        assert!(counted.abs_diff(100_000) <= 2_000, "{record}: {counted}");
    }
    assert_eq!(field(&mut redis, "days:2023-11:other", "14"), Some(100_000));
}

#[tokio::test]
async fn secrets_of_finished_days_are_destroyed_and_that_of_the_present_day_stays() {
    let world = World::new();
    let mut redis = world.redis();
    for day in 5..=14 {
        let day: Day = format!("2023-11-{day:02}").parse().unwrap();
        world.store.secret(0, day, Secret::random().unwrap()).await.unwrap();
    }
    assert_eq!(world.run().await.secrets_destroyed, 9);
    let left: Vec<String> = redis.keys(key("secret:*")).unwrap();
    assert_eq!(left, [key("secret:2023-11-14")]);
    world.night();
    assert_eq!(world.run().await.secrets_destroyed, 1);
    assert_eq!(redis.keys(key("secret:*")), Ok(Vec::<String>::new()));
}

#[tokio::test]
async fn keys_of_other_types_stop_nothing_and_stay_as_they_are() {
    let world = World::new();
    for id in ["home", "month", "list", "text", "dense"] {
        visit(&world.store, 0, &world.time, id, &visitors(0..3)).await;
    }
    let mut redis = world.redis();
    let spoil = |redis: &mut Connection, name: &str| {
        let _: i64 = redis.del(key(name)).unwrap();
        let _: i64 = redis.rpush(key(name), "not ours").unwrap();
    };
    for name in ["days:2023-11:month", "visitors:2023-11-14:list", "top:2023-11-14", "copied"] {
        spoil(&mut redis, name);
    }
    let texts = [("visitors:2023-11-14:text", "not a sketch"), ("visitors:2023-11-14:dense", "HYLL\0\0\0\0\0\0")];
    for (name, text) in texts.into_iter().chain([("visitors:nonsense", "x")]) {
        let _: () = redis.set(key(name), text).unwrap();
    }
    world.night();
    let rollup = world.run().await;
    assert_eq!((rollup.sketches_counted, rollup.days_rolled_up), (2, true), "{rollup:?}");
    // Unreadable in both scans.
    assert_eq!((rollup.sketches_rejected, rollup.rollup_calls_failed), (4 + 2, 0));
    assert_eq!(field(&mut redis, "days:2023-11:home", "14u"), Some(3));
    for name in ["days:2023-11:month", "visitors:2023-11-14:list", "top:2023-11-14"] {
        assert_eq!(redis.lindex(key(name), 0), Ok("not ours".to_owned()), "{name}");
    }
    assert_eq!(redis.get(key("visitors:2023-11-14:text")), Ok("not a sketch".to_owned()));
    let _: u64 = redis.pfcount(key("visitors:2023-11-14:month")).unwrap();
}

#[tokio::test]
async fn a_sketch_without_its_month_is_counted_all_the_same() {
    let world = World::new();
    visit(&world.store, 0, &world.time, "home", &visitors(0..7)).await;
    let mut redis = world.redis();
    let _: i64 = redis.del(key("days:2023-11:home")).unwrap();
    world.night();
    world.run().await;
    assert_eq!(field(&mut redis, "days:2023-11:home", "14u"), Some(7));
}

#[tokio::test]
async fn a_finished_day_leaves_the_documented_keys_without_ttl() {
    let world = World::new();
    visit(&world.store, 0, &world.time, "home", &visitors(0..7)).await;
    world.store.secret(0, Day::of(world.time.clock().now()), Secret::random().unwrap()).await.unwrap();
    world.night();
    world.run().await;
    let mut redis = world.redis();
    let mut keys: Vec<String> = redis.keys("*").unwrap();
    keys.retain(|key| !key.contains(":applied:"));
    keys.sort();
    let names = ["days:2023-11:home", "page:home", "rollup", "sets", "shard", "site", "site:2023-11", "top:2023-11-14"];
    let expected: Vec<String> = names.into_iter().map(key).collect();
    assert_eq!(keys, [&["visits:shards".to_owned()], expected.as_slice()].concat());
    for key in &keys {
        assert_eq!(redis.ttl(key), Ok(-1), "{key}");
    }
    let pass = format!("2023-11-14 2022-10-11 {} 2022-10 done", world.ring.fingerprint());
    assert_eq!(redis.hgetall(key("rollup")), Ok(vec![("pass".to_owned(), pass)]));
}

#[tokio::test]
async fn a_full_shard_is_rolled_up_and_rid_of_its_sketches() {
    let world = World::new();
    visit(&world.store, 0, &world.time, "home", &visitors(0..7)).await;
    world.run().await;
    let mut redis = world.redis();
    configure(&mut redis, "maxmemory", "1");
    world.night();
    let full = world.run().await;
    assert_eq!((full.rollup_calls_failed, full.days_rolled_up), (0, true), "{full:?}");
    assert_eq!(redis.keys(key("visitors:*")), Ok(Vec::<String>::new()));
    assert_eq!(field(&mut redis, "days:2023-11:home", "14u"), Some(7));
}

#[tokio::test]
async fn fourteen_months_later_what_is_out_of_400_days_is_gone() {
    let world = World::new();
    let mut redis = world.redis();
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
    let _: i64 = redis.hset(key("page:home"), "total", 9).unwrap();
    world.night();
    let rollup = world.run().await;
    // Three months with four keys each, three lists, a sketch and a secret.
    assert_eq!((rollup.records_dropped, rollup.sketches_counted), (3 * 4 + 3 + 2, 0));
    for month in months {
        for name in [format!("days:{month}:a:b"), format!("site:{month}"), format!("top:{month}")] {
            assert_eq!(redis.exists(key(&name)), Ok(month >= "2022-10"), "{name}");
        }
    }
    assert_eq!((redis.exists(key("top:2022-10-11")), redis.exists(key("top:2022-10-12"))), (Ok(false), Ok(true)));
    assert_eq!(field(&mut redis, "page:home", "total"), Some(9));
    // Once more with the next month that is out, and not before.
    let dropped = |days: u64| {
        world.time.advance(Duration::from_hours(24 * days));
        async { world.run().await.records_dropped }
    };
    assert_eq!(dropped(1).await, 1);
    assert_eq!(dropped(18).await, 0);
    assert_eq!(dropped(1).await, 4);
}

#[tokio::test]
async fn a_crash_between_two_steps_is_made_up_for() {
    let server = RedisServer::builder().append_only(true).option("appendfsync", "always").start();
    let mut world = World { server, ..World::new() };
    world.store = store(&format!("redis_7070={}", world.server.url()));
    visit(&world.store, 0, &world.time, "home", &visitors(0..500)).await;
    let _: i64 = world.redis().hset(key("rollup"), "pass", "no pass").unwrap();
    world.night();
    // Of another version, or damaged: told, and left alone.
    assert_eq!(world.run().await.rollup_calls_failed, 1);
    let _: i64 = world.redis().del(key("rollup")).unwrap();
    let fingerprint = world.ring.fingerprint();
    for stage in ["move 7 7 0", "moved", "count 7 7", "list 2023-11-10", "drop 7 7"] {
        let pass = format!("2023-11-14 2023-11-13 {fingerprint} - {stage}");
        let _: i64 = world.redis().hset(key("rollup"), "pass", pass).unwrap();
        world.server.kill();
        world.server.restart();
        assert!(world.run().await.days_rolled_up, "{stage}");
        world.time.advance(Duration::from_hours(24));
        assert!(world.run().await.days_rolled_up, "{stage}");
    }
    let counted = field(&mut world.redis(), "days:2023-11:home", "14u").unwrap();
    assert!(counted.abs_diff(500) <= 10, "{counted}");
    assert_eq!(world.redis().exists(key("visitors:2023-11-14:home")), Ok(false));
}
