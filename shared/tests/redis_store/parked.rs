//! Parked copies in Redis: what else may be found at their keys stops nothing and is put aside.

use crate::helpers::{WRITER, batch, configure, page, store, store_with};
use redis::{Commands, Connection};
use std::collections::HashMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use test_support::RedisServer;
use visits_core::batch::{Batch, Sequence, WriterId};
use visits_core::clock::Clock;
use visits_core::handoff::{Delivery, Park, Parked, deliver};
use visits_core::ring::Ring;
use visits_core::shard::Weight;
use visits_core::store::redis::RedisStore;
use visits_core::store::{Ledger, StoreError};
use visits_core::timing::Timing;

const COPIES: &str = "visits:{two}:out:batches:one";
const MARKS: &str = "visits:{two}:notes:batches:one";
const OWNERS: &str = "visits:{two}:outgoing";
const ASIDE: &str = "visits:{two}:aside";

/// Shards `one`, the owner, and `two`, where copies are parked, each on a server of its own.
struct World {
    store: RedisStore,
    owner: RedisServer,
    refuge: RedisServer,
}

fn world() -> World {
    let (owner, refuge) = (RedisServer::start(), RedisServer::start());
    let store = store(&format!("one={},two={}", owner.url(), refuge.url()));
    World { store, owner, refuge }
}

fn is_taken(answer: &Result<Parked, StoreError>) -> bool {
    matches!(answer, Ok(Parked::Taken { .. }))
}

fn id(number: u64) -> String {
    format!("{WRITER}:{number}")
}

impl World {
    fn redis(&self) -> Connection {
        self.refuge.connect()
    }

    async fn park(&self, number: u64) -> Result<Parked, StoreError> {
        let batches = vec![batch(number, &[("home", 1)])];
        self.store.park(1, &Park { owner: "one".parse().unwrap(), writer: WRITER, batches }).await
    }

    async fn deliver(&self) -> Delivery {
        let shards = ["one", "two"].map(|name| (name.parse().unwrap(), Weight::default()));
        let (ring, clock) = (Ring::new(shards).unwrap(), Clock::system());
        deliver(&self.store, &ring, &clock, Timing::REAL, Duration::from_secs(10)).await
    }

    async fn counted(&self) -> u64 {
        self.store.total(0, &page("home")).await.unwrap()
    }
}

/// A shard that takes connections and never answers a login holds its one connection for as long as the attempt lasts.
#[tokio::test]
async fn an_owner_that_is_silent_at_its_login_keeps_no_other_owner_from_its_copies() {
    let (silent, owner, refuge) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), RedisServer::start(), RedisServer::start());
    let silent = format!("redis://:password@{}", silent.local_addr().unwrap());
    let endpoints = format!("one={silent},two={},three={}", refuge.url(), owner.url());
    let store =
        store_with(&[("REDIS_ENDPOINTS", &endpoints), ("REDIS_TIMEOUT", "200ms"), ("REDIS_CONNECT_TIMEOUT", "200ms")]);
    for shard in ["one", "three"] {
        let batches = vec![batch(1, &[("home", 1)])];
        let park = Park { owner: shard.parse().unwrap(), writer: WRITER, batches };
        assert!(is_taken(&store.park(1, &park).await));
    }
    let shards = ["one", "two", "three"].map(|name| (name.parse().unwrap(), Weight::default()));
    let (ring, clock, began) = (Ring::new(shards).unwrap(), Clock::system(), Instant::now());
    let done = deliver(&store, &ring, &clock, Timing::REAL, Duration::from_secs(10)).await;
    assert_eq!((done.visits_delivered, done.owners_waiting), (1, 1), "{done:?}");
    assert_eq!(store.total(2, &page("home")).await, Ok(1));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn copies_go_from_one_server_to_the_other_and_leave_nothing_behind() {
    let world = world();
    for number in 1..=30 {
        assert!(is_taken(&world.park(number).await));
    }
    assert_eq!(world.deliver().await.visits_delivered, 30);
    let mut redis = world.redis();
    let marks: HashMap<String, String> = redis.hgetall(MARKS).unwrap();
    assert_eq!(marks.len(), 30);
    for (id, mark) in marks {
        let (at, owner) = mark.split_once(' ').unwrap();
        let earlier = at.parse::<u64>().unwrap() - 61_000;
        let _: i64 = redis.hset(MARKS, id, format!("{earlier} {owner}")).unwrap();
    }
    let second = world.deliver().await;
    assert_eq!((second.copies_removed, second.visits_delivered, second.calls_failed), (30, 0, 0));
    assert_eq!((redis.exists(&[COPIES, MARKS, OWNERS, ASIDE]), world.counted().await), (Ok(0), 30));
}

#[tokio::test]
async fn damaged_copies_are_set_aside_with_the_reason_and_the_others_are_delivered() {
    let world = world();
    world.park(1).await.unwrap();
    let mut redis = world.redis();
    let now = "1700000000000";
    let batch = Batch::seal(Sequence::FIRST, vec![(page("home"), 1)], Clock::system().now());
    let home = String::from_utf8(batch.encode()).unwrap();
    let damaged = [
        (id(3), format!("{now} {}", &home[..8]), "not the encoding"),
        (id(4), "1".to_owned(), "not begin with a time"),
        (id(5), format!("{now} {}", home.replace("home", "h\u{7}me")), "control character"),
        (id(7), format!(r#"{now} [["home",1]]"#), "of version 2"),
        ("nonsense".to_owned(), format!("{now} {home}"), "its name"),
        (id(8), format!("{now} {home}"), "older than"),
    ];
    for (field, value, _) in &damaged {
        let _: i64 = redis.hset(COPIES, field, value).unwrap();
    }
    let delivery = world.deliver().await;
    assert_eq!((delivery.visits_delivered, delivery.copies_set_aside), (1, damaged.len()));
    for (field, value, reason) in &damaged {
        let aside: String = redis.hget(ASIDE, format!("batches:one:{field}")).unwrap();
        let (why, kept) = aside.split_once('\n').unwrap();
        assert!(why.contains(reason) && kept == value, "{field}: {aside}");
    }
    assert_eq!((redis.hlen(COPIES), world.counted().await), (Ok(1), 1));
    assert_eq!(world.deliver().await.copies_set_aside, 0);
}

#[tokio::test]
async fn a_key_of_another_type_is_moved_out_of_the_way() {
    let world = world();
    let mut redis = world.redis();
    let _: () = redis.set(COPIES, "not a hash").unwrap();
    assert_eq!(world.deliver().await, Delivery::default());
    let moved: Vec<String> = redis.keys(format!("{ASIDE}:batches:one:*")).unwrap();
    assert_eq!(redis.get::<_, String>(&moved[0]).unwrap(), "not a hash");
    let _: () = redis.set(COPIES, "again").unwrap();
    assert!(is_taken(&world.park(1).await));
    let _: () = redis.set(MARKS, "no marks").unwrap();
    assert_eq!(world.deliver().await, Delivery { copies_tried: 1, visits_delivered: 1, ..Delivery::default() });
    assert_eq!(
        (redis.keys::<_, Vec<String>>(format!("{ASIDE}:batches:one:*")).unwrap().len(), redis.hlen(MARKS)),
        (3, Ok(1))
    );
}

#[tokio::test]
async fn an_applied_set_of_another_type_sets_aside_its_writers_copies_and_stops_no_other() {
    let world = world();
    world.park(1).await.unwrap();
    let other = WriterId::from_u128(u128::MAX);
    let park = Park { owner: "one".parse().unwrap(), writer: other, batches: vec![batch(1, &[("home", 1)])] };
    world.store.park(1, &park).await.unwrap();
    let _: () = world.owner.connect().set(format!("visits:{{one}}:applied:{WRITER}"), "not a hash").unwrap();
    let delivery = world.deliver().await;
    assert_eq!((delivery.visits_delivered, delivery.copies_set_aside, delivery.owners_waiting), (1, 1, 0));
    let aside: String = world.redis().hget(ASIDE, format!("batches:one:{}", id(1))).unwrap();
    assert!(aside.contains("WRONGTYPE"), "{aside}");
}

#[tokio::test]
async fn a_damaged_list_of_owners_hides_no_copies() {
    let world = world();
    world.park(1).await.unwrap();
    let mut redis = world.redis();
    let _: () = redis.set(OWNERS, "not a hash").unwrap();
    assert_eq!(world.deliver().await.visits_delivered, 1);
    assert!(matches!(world.park(2).await, Err(StoreError::Refused { .. })), "no room can be told: another shard may");
    let _: i64 = redis.del(OWNERS).unwrap();
    assert!(is_taken(&world.park(2).await));
}

#[tokio::test]
async fn a_shard_out_of_memory_takes_no_part_of_the_copies() {
    let world = world();
    world.park(1).await.unwrap();
    let mut redis = world.redis();
    let before: Vec<String> = redis.hkeys(COPIES).unwrap();
    configure(&mut redis, "maxmemory", "1");
    assert!(matches!(world.park(2).await, Err(StoreError::Refused { .. })));
    assert_eq!(redis.hkeys::<_, Vec<String>>(COPIES).unwrap(), before);
    configure(&mut redis, "maxmemory", "0");
    assert_eq!(world.deliver().await.visits_delivered, 1);
}

#[tokio::test]
async fn delivered_copies_leave_a_full_shard() {
    let world = world();
    for number in 1..=30 {
        world.park(number).await.unwrap();
    }
    let mut redis = world.redis();
    configure(&mut redis, "maxmemory", "1");
    let first = world.deliver().await;
    assert_eq!((first.visits_delivered, first.calls_failed), (30, 0));
    configure(&mut redis, "maxmemory", "0");
    let marks: HashMap<String, String> = redis.hgetall(MARKS).unwrap();
    for (id, mark) in marks {
        let (at, owner) = mark.split_once(' ').unwrap();
        let _: i64 = redis.hset(MARKS, id, format!("{} {owner}", at.parse::<u64>().unwrap() - 61_000)).unwrap();
    }
    configure(&mut redis, "maxmemory", "1");
    // The owner is full as well, and says what it has.
    configure(&mut world.owner.connect(), "maxmemory", "1");
    let second = world.deliver().await;
    assert_eq!((second.copies_removed, second.calls_failed), (30, 0));
    assert_eq!(redis.exists(&[COPIES, MARKS, OWNERS]), Ok(0));
}

#[tokio::test]
async fn two_deliverers_at_once_bring_each_batch_once() {
    let world = world();
    for number in 1..=200 {
        world.park(number).await.unwrap();
    }
    let (one, two) = tokio::join!(world.deliver(), world.deliver());
    assert_eq!((one.visits_delivered + two.visits_delivered, world.counted().await), (200, 200));
}
