//! The two stores under test, and how a test makes time pass and spoils a key.

use redis::Commands;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use test_support::RedisServer;
use visits_core::batch::{Batch, Sequence, WriterId};
use visits_core::clock::{Clock, ManualClock};
use visits_core::config::Config;
use visits_core::page::PageId;
use visits_core::shard::ShardName;
use visits_core::store::imports::Imports;
use visits_core::store::memory::MemoryStore;
use visits_core::store::parking::Parking;
use visits_core::store::redis::RedisStore;
use visits_core::store::{Applied, Apply, ShardIndex, Standing, Store};

/// The writer of most claims.
pub(crate) const WRITER: WriterId = WriterId::from_u128(1);

/// The shard of most claims. There is a second one.
pub(crate) const SHARD: ShardIndex = 0;

/// The owner of the copies that are parked on [`SHARD`].
pub(crate) const OWNER: &str = "two";

pub(crate) fn owner() -> ShardName {
    OWNER.parse().unwrap()
}

/// A store of two shards under test.
pub(crate) trait Subject: Sync {
    /// The store.
    fn store(&self) -> &(impl Parking + Imports);

    /// Lets time run on for all shards.
    fn pass(&self, time: Duration);

    /// Takes `bytes` of the room that [`SHARD`] has for copies for [`OWNER`].
    fn take_parking_room(&self, bytes: u64);

    /// Makes the page's key on [`SHARD`] one that cannot be counted up.
    fn spoil(&self, page: &PageId);
}

pub(crate) struct Memory {
    store: MemoryStore,
    clock: ManualClock,
}

impl Memory {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::new();
        Self { store: MemoryStore::new(2, clock.clock()), clock }
    }
}

impl Subject for Memory {
    fn store(&self) -> &(impl Parking + Imports) {
        &self.store
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn take_parking_room(&self, bytes: u64) {
        self.store.take_parking_room(SHARD, bytes);
    }

    fn spoil(&self, page: &PageId) {
        self.store.break_page(SHARD, page.clone());
    }
}

pub(crate) struct Redis {
    store: RedisStore,
    server: RedisServer,
}

impl Redis {
    pub(crate) fn new() -> Self {
        let server = RedisServer::start();
        let endpoints = format!("one={0},two={0}", server.url());
        let config = Config::from_vars(|name| (name == "REDIS_ENDPOINTS").then(|| endpoints.clone().into())).unwrap();
        Self { store: RedisStore::new(&config).unwrap(), server }
    }
}

impl Subject for Redis {
    fn store(&self) -> &(impl Parking + Imports) {
        &self.store
    }

    /// Redis' clock is the machine's: all that it noted is moved back instead.
    fn pass(&self, time: Duration) {
        let mut redis = self.server.connect();
        for key in ["visits:{one}:writers", "visits:{one}:sets", "visits:{two}:writers", "visits:{two}:sets"] {
            let noted: HashMap<String, f64> = redis.zrange_withscores(key, 0, -1).unwrap();
            for writer in noted.keys() {
                let _: f64 = redis.zincr(key, writer, -(time.as_secs_f64() * 1e3)).unwrap();
            }
        }
        let before = |millis: &str| millis.parse::<u128>().unwrap().saturating_sub(time.as_millis());
        let copies: HashMap<String, String> = redis.hgetall("visits:{one}:parked:two").unwrap();
        for (id, copy) in copies {
            let parts: Vec<&str> = copy.splitn(3, ' ').collect();
            let copy = format!("{} {} {}", parts[0], before(parts[1]), parts[2]);
            let _: i64 = redis.hset("visits:{one}:parked:two", id, copy).unwrap();
        }
        let marks: HashMap<String, String> = redis.hgetall("visits:{one}:delivered:two").unwrap();
        for (id, mark) in marks {
            let (at, owner) = mark.split_once(' ').unwrap();
            let _: i64 = redis.hset("visits:{one}:delivered:two", id, format!("{} {owner}", before(at))).unwrap();
        }
    }

    fn take_parking_room(&self, bytes: u64) {
        let _: i64 = self.server.connect().hset("visits:{one}:parking", OWNER, bytes).unwrap();
    }

    fn spoil(&self, page: &PageId) {
        let _: () = self.server.connect().set(format!("visits:{{one}}:page:{page}"), "not a hash").unwrap();
    }
}

pub(crate) fn page(id: &str) -> PageId {
    PageId::from_decoded(id).unwrap()
}

pub(crate) fn sequence(number: u64) -> Sequence {
    Sequence::new(number).unwrap()
}

/// A batch sealed just now.
pub(crate) fn batch(number: u64, increments: &[(&str, u64)]) -> (Arc<Batch>, Duration) {
    let increments = increments.iter().map(|(id, visits)| (page(id), *visits)).collect();
    (Arc::new(Batch::seal(sequence(number), increments, Clock::system().now())), Duration::ZERO)
}

/// A call of [`WRITER`] with base 1.
pub(crate) fn call(batches: &[(Arc<Batch>, Duration)]) -> Apply {
    Apply { writer: WRITER, base: Sequence::FIRST, batches: batches.to_vec(), standing: Standing::Active }
}

/// Applies on [`SHARD`].
pub(crate) async fn apply(subject: &impl Subject, call: &Apply) -> Applied {
    subject.store().apply(SHARD, call).await.unwrap()
}

/// The count on [`SHARD`].
pub(crate) async fn total(subject: &impl Subject, id: &str) -> u64 {
    subject.store().total(SHARD, &page(id)).await.unwrap()
}
