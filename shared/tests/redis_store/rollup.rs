//! Finished days on servers of their own: ones that are full, and sketches of many visitors.

use crate::helpers::{configure, store, store_on};
use redis::Commands;
use std::time::Duration;
use test_support::RedisServer;
use visits_core::clock::ManualClock;
use visits_core::day::Day;
use visits_core::ring::Ring;
use visits_core::rollup::{Rollup, Settings, roll_up};
use visits_core::shard::{ShardName, Weight};
use visits_core::store::redis::RedisStore;
use visits_core::visit::{Fingerprint, Secret};

async fn run(store: &RedisStore, shards: &[(&str, u8)], time: &ManualClock) -> Rollup {
    let shard = |&(name, weight): &(&str, u8)| (name.parse::<ShardName>().unwrap(), Weight::new(weight).unwrap());
    let ring = Ring::new(shards.iter().map(shard)).unwrap();
    let settings = Settings { history_days: 400, budget: Duration::from_mins(1).into() };
    roll_up(store, &ring, &time.clock(), settings).await
}

/// Redis' sketches have a standard error of 0.81 %; the secrets are chosen, so that the outcome is always the same.
#[tokio::test]
async fn a_hundred_thousand_visitors_of_a_day_are_counted_within_2_percent_before_and_after_its_end() {
    let (server, time) = (RedisServer::start(), ManualClock::new());
    let (store, mut redis) = (store_on(&server), server.connect());
    let days: Vec<Day> = (10..14).map(|day| format!("2023-11-{day}").parse().unwrap()).collect();
    for (number, day) in (1..).zip(&days) {
        let secret: Secret = format!("{number:032x}").parse().unwrap();
        let visitor =
            |number: u32| secret.pseudonym(Fingerprint::of(&number.to_string(), "Mozilla/5.0")).0.to_be_bytes();
        let visitors: Vec<[u8; 8]> = (0..100_000).map(visitor).collect();
        // Twice, since a visitor who comes again is no further one.
        for visitors in visitors.chunks(25_000).chain(visitors.chunks(50_000)) {
            let mut add = redis::cmd("PFADD");
            add.arg(format!("visits:{{redis_7070}}:visitors:{day}"));
            for visitor in visitors {
                add.arg(visitor);
            }
            let _: bool = add.query(&mut redis).unwrap();
        }
    }
    let before = store.site_days(0, days[0], days[3]).await.unwrap().days;
    assert!(before.iter().all(|day| (98_000..=102_000).contains(&day.visitors)), "{before:?}");
    assert_eq!(run(&store, &[("redis_7070", 1)], &time).await.sketches_counted, 4);
    assert_eq!(store.site_days(0, days[0], days[3]).await.unwrap().days, before);
}

#[tokio::test]
async fn full_shards_are_rolled_up_and_rid_of_their_sketches() {
    let (server, time) = (RedisServer::start(), ManualClock::new());
    let store = store(&format!("old={0},new={0}", server.url()));
    let shards = [("old", 0), ("new", 1)];
    assert!(run(&store, &shards, &time).await.days_rolled_up);
    let mut redis = server.connect();
    for (shard, visitors) in [("old", 0..30), ("new", 20..40)] {
        let visitors: Vec<u64> = visitors.collect();
        let _: bool = redis.pfadd(format!("visits:{{{shard}}}:visitors:2023-11-14:home"), visitors).unwrap();
    }
    configure(&mut redis, "maxmemory", "1");
    time.advance(Duration::from_hours(4));
    let full = run(&store, &shards, &time).await;
    let expected = Rollup { days_rolled_up: true, sketches_moved: 1, sketches_counted: 1, ..Rollup::default() };
    assert_eq!(full, expected);
    assert_eq!(redis.keys("*:visitors:*"), Ok(Vec::<String>::new()));
    assert_eq!(redis.hget("visits:{new}:days:2023-11:home", "14u"), Ok(40));
}
