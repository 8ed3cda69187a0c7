//! Shards of one case.

use super::Faults;
use crate::clock::{Clock, Timing};
use crate::config::Config;
use crate::handoff::deliver;
use crate::page::PageId;
use crate::record::{self, PageRecord};
use crate::rehome::rehome;
use crate::ring::Ring;
use crate::shard::{ShardName, Weight};
use crate::store::ShardIndex;
use crate::store::redis::RedisStore;
use redis::{Client, Commands, Connection, FromRedisValue, RedisResult, ToRedisArgs};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use test_support::{Database, RedisCluster};

/// Content of a shard at some moment: its keys as `DUMP` tells them.
type Saved = Vec<(String, Vec<u8>)>;

/// Shards on real servers, named `a`, `b`, `c`, …, empty at first. Faults are planned as with [`Faults`].
///
/// Its looks inside panic where a server does not answer.
pub struct Shards {
    store: Arc<RedisStore>,
    config: Config,
    names: Vec<ShardName>,
    /// The server of each shard, in a cluster the node that had it at first.
    urls: Vec<String>,
    /// Database to empty in the end; none on a server of the test's own.
    _database: Option<Database>,
    saved: Mutex<HashMap<ShardIndex, Saved>>,
    looking: Mutex<HashMap<ShardIndex, Connection>>,
}

impl Shards {
    /// So many shards.
    pub fn new(shards: usize) -> Self {
        Self::with(shards, &[])
    }

    /// So many shards, and settings by their names.
    ///
    /// # Panics
    /// If these are no settings.
    pub fn with(shards: usize, settings: &[(&str, &str)]) -> Self {
        let database = Database::new();
        let url = database.url();
        Self { _database: Some(database), ..Self::on(&vec![url; shards], settings) }
    }

    /// A shard at each of these addresses.
    ///
    /// # Panics
    /// If these are no addresses or no settings.
    pub fn on(addresses: &[String], settings: &[(&str, &str)]) -> Self {
        let endpoints: Vec<_> = ('a'..='z').zip(addresses).map(|(name, url)| format!("{name}={url}")).collect();
        let endpoints = endpoints.join(",");
        let value = |name: &str| {
            let set = settings.iter().find(|(set, _)| *set == name).map(|(_, value)| *value);
            set.or((name == "REDIS_ENDPOINTS").then_some(endpoints.as_str())).map(Into::into)
        };
        let config = Config::from_vars(value).unwrap_or_else(|error| panic!("{error}"));
        let store = Arc::new(RedisStore::new(&config).unwrap_or_else(|error| panic!("{error}")));
        let names = config.shards.iter().map(|shard| shard.name.clone()).collect();
        Self {
            store,
            config,
            names,
            urls: addresses.to_vec(),
            _database: None,
            saved: Mutex::default(),
            looking: Mutex::default(),
        }
    }

    /// So many shards on a cluster.
    ///
    /// # Panics
    /// If these are no settings, or the cluster is not whole.
    pub fn on_cluster(cluster: &RedisCluster, shards: usize, settings: &[(&str, &str)]) -> Self {
        let on_it = Self::on(&vec![format!("{};cluster", cluster.node(0).url()); shards], settings);
        let url = |shard| cluster.node(cluster.primary(&on_it.key(shard, "shard"))).url();
        Self { urls: (0..shards).map(url).collect(), ..on_it }
    }

    /// The store.
    pub fn store(&self) -> &Arc<RedisStore> {
        &self.store
    }

    /// Another store of the same shards, with connections of its own and the same faults.
    ///
    /// # Panics
    /// Never: the settings have made a store before.
    pub fn another_store(&self) -> Arc<RedisStore> {
        let store = RedisStore::new(&self.config).unwrap_or_else(|error| panic!("{error}"));
        Arc::new(store.with_faults_of(&self.store))
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The shards' names.
    pub fn names(&self) -> &[ShardName] {
        &self.names
    }

    /// The ring of all shards, each with weight 1.
    ///
    /// # Panics
    /// If there are no shards.
    pub fn ring(&self) -> Ring {
        self.ring_of(&vec![1; self.names.len()])
    }

    /// The ring of all shards with these weights; 0 drains.
    ///
    /// # Panics
    /// If these are no weights, or all are 0.
    pub fn ring_of(&self, weights: &[u8]) -> Ring {
        let weight = |weight: &u8| Weight::new(*weight).unwrap_or_else(|_| panic!("{weight} is no weight"));
        let shards = self.names.iter().cloned().zip(weights.iter().map(weight));
        Ring::new(shards).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Brings all pages to where `ring` places them, and has every shard know it.
    ///
    /// # Panics
    /// If they are not there soon.
    pub async fn settle(&self, ring: &Ring) {
        let timing = Timing::REAL.faster(10_000);
        for _ in 0..100 {
            let budget = Duration::from_secs(5);
            deliver(&*self.store, ring, &Clock::system(), timing, budget).await;
            let moved = rehome(&self.store, ring, &Clock::system(), timing, budget).await;
            if moved.ring_settled {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the pages do not settle");
    }

    /// A connection of the test's own to the first shard's server.
    pub fn connect(&self) -> Connection {
        self.connect_to(0)
    }

    /// A connection of the test's own to a shard's server.
    pub fn connect_to(&self, shard: ShardIndex) -> Connection {
        let open = || Client::open(self.urls[shard].as_str())?.get_connection();
        open().unwrap_or_else(|error| panic!("{}: {error}", self.urls[shard]))
    }

    /// The name of a shard's key: `key(0, "writers")`.
    pub fn key(&self, shard: ShardIndex, key: &str) -> String {
        format!("{}:{{{}}}:{key}", self.config.namespace, self.names[shard])
    }

    /// The names of a shard's keys that match a pattern of Redis: `keys(0, "days:*")`.
    pub fn keys(&self, shard: ShardIndex, pattern: &str) -> Vec<String> {
        self.look(shard, |redis| redis.keys(self.key(shard, pattern)))
    }

    /// Reads a page's record on `shard`.
    pub fn record(&self, shard: ShardIndex, page: &PageId) -> PageRecord {
        record_of(page, &self.fields(shard, &format!("page:{page}")))
    }

    /// A page's count, from its records on all shards.
    pub fn sum(&self, page: &PageId) -> u64 {
        record::count(self.names.iter().zip(&self.records(page))).0
    }

    /// The part of a page's count that is bots' visits.
    pub fn sum_bots(&self, page: &PageId) -> u64 {
        record::count(self.names.iter().zip(&self.records(page))).1
    }

    /// The counts of all pages.
    pub fn counts(&self) -> BTreeMap<PageId, u64> {
        let keys = (0..self.names.len()).flat_map(|shard| self.keys(shard, "page:*"));
        let pages =
            keys.filter_map(|key| PageId::from_decoded(key.split_once(":page:")?.1).ok()).collect::<BTreeSet<_>>();
        pages.into_iter().map(|page| (page.clone(), self.sum(&page))).collect()
    }

    fn records(&self, page: &PageId) -> Vec<PageRecord> {
        (0..self.names.len()).map(|shard| self.record(shard, page)).collect()
    }

    /// The fields of one of a shard's hashes.
    pub fn fields<T: FromRedisValue>(&self, shard: ShardIndex, key: &str) -> T {
        self.look(shard, |redis| redis.hgetall(self.key(shard, key)))
    }

    /// Sets fields of one of a shard's hashes.
    pub fn set_fields<T: ToRedisArgs + Send + Sync>(&self, shard: ShardIndex, key: &str, fields: &[(&str, T)]) {
        self.look::<()>(shard, |redis| redis.hset_multiple(self.key(shard, key), fields));
    }

    /// Asks over a connection that is kept, or over a new one where the server has closed it.
    fn look<T>(&self, shard: ShardIndex, question: impl Fn(&mut Connection) -> RedisResult<T>) -> T {
        let mut looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let redis = looking.entry(shard).or_insert_with(|| self.connect_to(shard));
        let answer = question(redis).or_else(|error| {
            if !error.is_io_error() {
                return Err(error);
            }
            *redis = self.connect_to(shard);
            question(redis)
        });
        answer.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Batches that are parked on `shard`.
    pub fn copies_on(&self, shard: ShardIndex) -> usize {
        let parked = self.keys(shard, "out:batches:*");
        parked.iter().map(|key| self.look(shard, |redis| redis.hlen::<_, usize>(key))).sum()
    }

    /// Batches that are parked on all shards.
    pub fn copies(&self) -> usize {
        (0..self.names.len()).map(|shard| self.copies_on(shard)).sum()
    }

    /// Makes a page's key on `shard` one that cannot be counted up.
    pub fn break_page(&self, shard: ShardIndex, page: &PageId) {
        let key = self.key(shard, &format!("page:{page}"));
        self.look::<()>(shard, |redis| redis.set(&key, "not a hash"));
    }

    /// Lets time pass for the shards. Their clock is the machine's: what they noted of writers, sets and waiting batches is
    /// moved back instead.
    pub fn pass(&self, time: Duration) {
        for shard in 0..self.names.len() {
            let (mut redis, mut moved) = (self.connect_to(shard), redis::pipe());
            for key in ["writers", "sets"].map(|key| self.key(shard, key)) {
                let noted: Vec<String> = redis.zrange(&key, 0, -1).unwrap_or_else(|error| panic!("{key}: {error}"));
                for writer in noted {
                    moved.cmd("ZINCRBY").arg(&key).arg(-(time.as_secs_f64() * 1e3)).arg(writer).ignore();
                }
            }
            for key in ["out:*", "notes:*"].iter().flat_map(|pattern| self.keys(shard, pattern)) {
                let notes: Vec<(Vec<u8>, Vec<u8>)> =
                    redis.hgetall(&key).unwrap_or_else(|error| panic!("{key}: {error}"));
                for (field, note) in notes {
                    moved.hset(&key, field, earlier(&note, time)).ignore();
                }
            }
            let record = self.key(shard, "shard");
            let cleaned: Option<Vec<u8>> = redis.hget(&record, "cleaned").unwrap_or_else(|error| panic!("{error}"));
            if let Some(cleaned) = cleaned {
                moved.hset(&record, "cleaned", earlier(&cleaned, time)).ignore();
            }
            if !moved.is_empty() {
                let () = moved.query(&mut redis).unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }

    /// Applies the commands that were late, the newest first.
    pub fn deliver_late(&self, shard: ShardIndex) {
        let mut redis = self.connect_to(shard);
        for command in self.take_late(shard) {
            // Its answer is lost.
            let _ = command.query::<redis::Value>(&mut redis);
        }
    }

    /// Remembers what `shard` holds now, as a disk would.
    pub fn save(&self, shard: ShardIndex) {
        let (keys, mut redis) = (self.keys(shard, "*"), self.connect_to(shard));
        let dump = |key: String| {
            let dumped: Option<Vec<u8>> =
                redis::cmd("DUMP").arg(&key).query(&mut redis).unwrap_or_else(|error| panic!("{key}: {error}"));
            Some((key, dumped?))
        };
        let saved = keys.into_iter().filter_map(dump).collect();
        self.saved.lock().unwrap_or_else(PoisonError::into_inner).insert(shard, saved);
    }

    /// Puts `shard` back to what was saved last, or empty, as a crash would: another run of its server begins.
    pub fn crash(&self, shard: ShardIndex) {
        let mut restore = redis::pipe();
        restore.atomic();
        for key in self.keys(shard, "*") {
            restore.del(key).ignore();
        }
        let saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, dumped) in saved.get(&shard).into_iter().flatten() {
            restore.cmd("RESTORE").arg(key).arg(0).arg(dumped).ignore();
        }
        let () = restore.query(&mut self.connect_to(shard)).unwrap_or_else(|error| panic!("{error}"));
        self.begin_run(shard);
    }
}

fn record_of(page: &PageId, fields: &HashMap<String, String>) -> PageRecord {
    let fields = fields.iter().map(|(field, value)| (field.as_str(), value.as_str()));
    PageRecord::from_fields(fields).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// A note whose time, the first of its words that is one in milliseconds, lies further back.
fn earlier(note: &[u8], by: Duration) -> Vec<u8> {
    let millis = |word: &[u8]| std::str::from_utf8(word).ok()?.parse().ok().filter(|at: &u128| *at > 1_000_000_000_000);
    let mut words: Vec<Vec<u8>> = note.splitn(4, |byte| *byte == b' ').map(<[u8]>::to_vec).collect();
    if let Some((at, word)) = words.iter_mut().find_map(|word| Some((millis(word)?, word))) {
        *word = (at - by.as_millis()).to_string().into_bytes();
    }
    words.join(&b' ')
}

impl Deref for Shards {
    type Target = Faults;

    fn deref(&self) -> &Faults {
        self.store.faults()
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{Apply, Ledger, StoreError};
    use crate::tests::{Fault, Shards, page, visit};

    #[tokio::test]
    async fn each_fault_fails_a_call_as_it_says() {
        let shards = Shards::with(1, &[("REDIS_TIMEOUT", "50ms")]);
        shards.store().apply(0, &Apply { batches: Vec::new(), ..visit() }).await.unwrap();
        let (unreachable, applied) = (Some(Fault::Unreachable), Some(Fault::AnswerLost));
        for (fault, counted) in [(unreachable, 0), (Some(Fault::Mute), 0), (Some(Fault::Late), 0), (applied, 1)] {
            shards.fail_next(0, [fault]);
            let failed = shards.store().apply(0, &visit()).await.unwrap_err();
            let sent = matches!(failed, StoreError::Unknown { .. });
            assert_eq!((sent, shards.sum(&page("home"))), (fault != unreachable, counted), "{fault:?}");
        }
        shards.set_down(0, Some(Fault::Duplicate));
        let answer = shards.store().apply(0, &visit()).await.unwrap();
        assert_eq!((answer.fresh.len(), shards.calls(0)), (0, 6));
    }

    #[tokio::test]
    async fn a_late_call_is_applied_when_the_test_says_so() {
        let shards = Shards::with(1, &[("REDIS_TIMEOUT", "50ms")]);
        shards.store().apply(0, &Apply { batches: Vec::new(), ..visit() }).await.unwrap();
        shards.fail_next(0, [Some(Fault::Late)]);
        shards.store().apply(0, &visit()).await.unwrap_err();
        assert_eq!(shards.sum(&page("home")), 0);
        shards.deliver_late(0);
        assert_eq!(shards.sum(&page("home")), 1);
    }

    #[tokio::test]
    async fn a_crash_puts_a_shard_back_and_begins_another_run() {
        let shards = Shards::new(2);
        shards.save(0);
        let before = shards.store().apply(0, &visit()).await.unwrap();
        shards.store().apply(1, &visit()).await.unwrap();
        shards.crash(0);
        assert_eq!(shards.sum(&page("home")), 1);
        let after = shards.store().apply(0, &visit()).await.unwrap();
        assert_eq!((after.fresh.len(), shards.sum(&page("home"))), (1, 2));
        assert_ne!(after.server_run, before.server_run);
    }
}
