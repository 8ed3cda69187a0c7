//! Stores on a cluster, calls, and a writer under load.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_support::RedisCluster;
use visits_core::batch::{Batch, Sequence, WriterId};
use visits_core::clock::Clock;
use visits_core::config::Config;
use visits_core::flusher::{Flusher, Limits};
use visits_core::handoff::deliver;
use visits_core::page::PageId;
use visits_core::report::FlushReport;
use visits_core::ring::Ring;
use visits_core::store::redis::RedisStore;
use visits_core::store::{Apply, Standing};

/// The shards of most tests: `s0` to `s7`, which three nodes share.
pub(crate) const SHARDS: usize = 8;

/// Longest wait for all to be counted after a load: a few of the protocol's minutes, at 1/50.
const PATIENCE: Duration = Duration::from_mins(1);

/// For one flush or delivery.
const BUDGET: Duration = Duration::from_secs(5);

/// Settings with the shards `s0…` at an address.
pub(crate) fn config(url: &str, shards: usize) -> Config {
    let endpoints: Vec<String> = (0..shards).map(|shard| format!("s{shard}={url}")).collect();
    let endpoints = endpoints.join(",");
    let settings = [
        ("REDIS_ENDPOINTS", endpoints.as_str()),
        ("REDIS_CONNECT_TIMEOUT", "300ms"),
        ("REDIS_TIMEOUT", "500ms"),
        ("VISITS_FLUSH_INTERVAL", "100ms"),
        ("VISITS_TEST", "scale=50"),
    ];
    let value = |name: &str| settings.iter().find(|(set, _)| *set == name).map(|(_, value)| value.into());
    Config::from_vars(value).unwrap()
}

/// A store of shards on the cluster, which knows it by one node's address.
pub(crate) fn store(cluster: &RedisCluster, seed: usize) -> RedisStore {
    RedisStore::new(&config(&url(cluster, seed), SHARDS)).unwrap()
}

pub(crate) fn url(cluster: &RedisCluster, node: usize) -> String {
    format!("{};cluster", cluster.node(node).url())
}

/// A key of a shard.
pub(crate) fn key(shard: usize, key: &str) -> String {
    format!("visits:{{s{shard}}}:{key}")
}

pub(crate) fn page(id: &str) -> PageId {
    PageId::from_decoded(id).unwrap()
}

/// A batch sealed just now.
pub(crate) fn batch(number: u64, increments: &[(&str, u64)]) -> (Arc<Batch>, Duration) {
    let increments = increments.iter().map(|(id, visits)| (page(id), *visits)).collect();
    (Arc::new(Batch::seal(Sequence::new(number).unwrap(), increments, Clock::system().now())), Duration::ZERO)
}

/// A writer's call with one batch and base 1.
pub(crate) fn call(number: u64, increments: &[(&str, u64)]) -> Apply {
    let writer = WriterId::from_u128(1);
    let batches = vec![batch(number, increments)];
    Apply { writer, base: Sequence::FIRST, batches, standing: Standing::Active, ring: None }
}

/// A real writer on a cluster, and what it has acknowledged.
pub(crate) struct Writer {
    store: Arc<RedisStore>,
    flusher: Flusher<RedisStore>,
    ring: Ring,
    config: Config,
    acknowledged: BTreeMap<PageId, u64>,
    pub(crate) visits_lost: u64,
    pub(crate) visits_healed: u64,
}

impl Writer {
    pub(crate) fn new(cluster: &RedisCluster, seed: usize) -> Self {
        let config = config(&url(cluster, seed), SHARDS);
        let (store, ring) = (Arc::new(RedisStore::new(&config).unwrap()), config.ring());
        let flusher = Flusher::new(Arc::clone(&store), ring.clone(), Clock::system(), Limits::from(&config));
        let acknowledged = BTreeMap::new();
        Self { store, flusher, ring, config, acknowledged, visits_lost: 0, visits_healed: 0 }
    }

    /// Visits and flushes while `job` runs in a thread of its own, and returns what it gives.
    pub(crate) async fn during<T: Send + 'static>(&mut self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let job = tokio::task::spawn_blocking(job);
        while !job.is_finished() {
            self.visit_some().await;
            // The pace of the load.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        job.await.unwrap()
    }

    async fn visit_some(&mut self) {
        for number in 0..40 {
            let page = page(&format!("page {number}"));
            self.flusher.record(page.clone()).unwrap();
            *self.acknowledged.entry(page).or_default() += 1;
        }
        if let Some(report) = self.flusher.flush_if_due(BUDGET).await {
            self.note(&report);
        }
    }

    fn note(&mut self, report: &FlushReport) {
        self.visits_lost += report.visits_lost;
        self.visits_healed += report.visits_healing;
    }

    /// Flushes and delivers until nothing is left to send or to confirm, then compares each page's count.
    pub(crate) async fn expect_exact(mut self) -> Self {
        let (clock, started) = (Clock::system(), Instant::now());
        loop {
            let report = self.flusher.sweep(BUDGET).await;
            self.note(&report);
            let delivery = deliver(&*self.store, &self.ring, &clock, self.config.testing.timing, BUDGET).await;
            if report.unregistered && delivery.copies_tried == 0 && delivery.calls_failed == 0 {
                break;
            }
            assert!(started.elapsed() < PATIENCE, "not at rest: {report:?}, {delivery:?}");
        }
        let mut counted = BTreeMap::new();
        for page in self.acknowledged.keys() {
            let total = self.store.total(self.ring.owner(page.as_str()), page).await.unwrap();
            counted.insert(page.clone(), total);
        }
        assert_eq!(counted, self.acknowledged);
        assert_eq!(self.visits_lost, 0);
        self
    }

    /// How many visits were acknowledged.
    pub(crate) fn visits(&self) -> u64 {
        self.acknowledged.values().sum()
    }
}
