//! The store under test, and how a test makes time pass and spoils a key.

use redis::{Commands, Connection};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use test_support::{Database, RedisCluster, RedisServer};
use visits_core::batch::{Batch, Sequence, WriterId};
use visits_core::clock::Clock;
use visits_core::config::Config;
use visits_core::page::PageId;
use visits_core::shard::ShardName;
use visits_core::store::redis::RedisStore;
use visits_core::store::{Applied, Apply, Ledger, ShardIndex, Standing};
use visits_core::tests::fold_here;

/// The writer of most claims.
pub(crate) const WRITER: WriterId = WriterId::from_u128(1);

/// The shard of most claims. There is a second one.
pub(crate) const SHARD: ShardIndex = 0;

/// The owner of the copies that are parked on [`SHARD`].
pub(crate) const OWNER: &str = "two";

pub(crate) fn owner() -> ShardName {
    OWNER.parse().unwrap()
}

/// Two shards with a namespace of their own, on a server or a cluster.
pub(crate) struct Subject {
    store: RedisStore,
    servers: Servers,
    namespace: String,
}

enum Servers {
    Shared(Database),
    One(Arc<RedisServer>),
    Cluster(Arc<RedisCluster>),
}

impl Subject {
    pub(crate) fn new() -> Self {
        let database = Database::new();
        Self::on(&database.url(), Servers::Shared(database))
    }

    pub(crate) fn on_server(server: &Arc<RedisServer>) -> Self {
        Self::on(&server.url(), Servers::One(Arc::clone(server)))
    }

    pub(crate) fn on_cluster(cluster: &Arc<RedisCluster>) -> Self {
        Self::on(&format!("{};cluster", cluster.node(0).url()), Servers::Cluster(Arc::clone(cluster)))
    }

    fn on(address: &str, servers: Servers) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let namespace = format!("claim-{}", MADE.fetch_add(1, Ordering::Relaxed));
        let endpoints = format!("one={address},two={address}");
        let settings = [("REDIS_ENDPOINTS", &endpoints), ("VISITS_NAMESPACE", &namespace)];
        let value = |name: &str| settings.iter().find(|(set, _)| *set == name).map(|(_, value)| value.into());
        Self { store: RedisStore::new(&Config::from_vars(value).unwrap()).unwrap(), servers, namespace }
    }

    pub(crate) fn key(&self, shard: &str, key: &str) -> (String, Connection) {
        let key = format!("{}:{{{shard}}}:{key}", self.namespace);
        let connection = match &self.servers {
            Servers::Shared(database) => database.connect(),
            Servers::One(server) => server.connect(),
            Servers::Cluster(cluster) => cluster.node(cluster.primary(&key)).connect(),
        };
        (key, connection)
    }

    /// The store.
    pub(crate) fn store(&self) -> &RedisStore {
        &self.store
    }

    /// Folds what was applied into days.
    pub(crate) async fn fold(&self) {
        for shard in 0..2 {
            fold_here(&self.store, shard, &Clock::system()).await;
        }
    }

    /// Lets time run on for all shards. Redis' clock is the machine's: all that it noted is moved back instead.
    pub(crate) fn pass(&self, time: Duration) {
        for (shard, key) in [("one", "writers"), ("one", "sets"), ("two", "writers"), ("two", "sets")] {
            let (key, mut redis) = self.key(shard, key);
            let noted: HashMap<String, f64> = redis.zrange_withscores(&key, 0, -1).unwrap();
            for writer in noted.keys() {
                let _: f64 = redis.zincr(&key, writer, -(time.as_secs_f64() * 1e3)).unwrap();
            }
        }
        let before = |millis: &str| millis.parse::<u128>().unwrap().saturating_sub(time.as_millis());
        for key in ["out:batches:two", "notes:batches:two"] {
            let (key, mut redis) = self.key("one", key);
            let noted: HashMap<String, Vec<u8>> = redis.hgetall(&key).unwrap();
            for (id, noted) in noted {
                // Behind the time there may be any bytes.
                let space = noted.iter().position(|byte| *byte == b' ').unwrap();
                let at = before(std::str::from_utf8(&noted[..space]).unwrap()).to_string();
                let _: i64 = redis.hset(&key, id, [at.as_bytes(), &noted[space..]].concat()).unwrap();
            }
        }
    }

    /// Takes `bytes` of the room that [`SHARD`] has for copies for [`OWNER`].
    pub(crate) fn take_parking_room(&self, bytes: u64) {
        let (key, mut redis) = self.key("one", "outgoing");
        let _: i64 = redis.hset(key, format!("batches:{OWNER}"), bytes).unwrap();
    }

    /// Makes the page's key on [`SHARD`] one that cannot be counted up.
    pub(crate) fn spoil(&self, page: &PageId) {
        let (key, mut redis) = self.key("one", &format!("page:{page}"));
        let _: () = redis.set(key, "not a hash").unwrap();
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
    Apply { writer: WRITER, base: Sequence::FIRST, batches: batches.to_vec(), standing: Standing::Active, ring: None }
}

/// Applies on [`SHARD`].
pub(crate) async fn apply(subject: &Subject, call: &Apply) -> Applied {
    let applied = subject.store().apply(SHARD, call).await.unwrap();
    subject.fold().await;
    applied
}

/// The answer without its time, which each has for itself.
pub(crate) fn timeless(answer: Applied) -> Applied {
    Applied { server_time: Duration::ZERO, ..answer }
}

/// The count on [`SHARD`].
pub(crate) async fn total(subject: &Subject, id: &str) -> u64 {
    subject.store().total(SHARD, &page(id)).await.unwrap()
}
