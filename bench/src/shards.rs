//! Redis servers to be measured: the counter's own store on them, and what they have used.

use redis::{Commands as _, Value};
use std::sync::Arc;
use std::time::Duration;
use test_support::RedisServer;
use tokio::runtime::Runtime;
use visits_core::batch::{Batch, Content, Increment, Sequence, WriterId};
use visits_core::clock::Clock;
use visits_core::config::{Config, MAX_HISTORY_DAYS};
use visits_core::day::Day;
use visits_core::fold::{Settings, fold};
use visits_core::page::PageId;
use visits_core::ring::Ring;
use visits_core::store::redis::RedisStore;
use visits_core::store::{Apply, Ledger, WriterStatus};
use visits_core::visit::{Fingerprint, Refused, Secret, Visitor};

/// Servers with the counter's store on them. Batches are numbered over all shards.
pub(crate) struct Shards {
    pub(crate) servers: Vec<RedisServer>,
    pub(crate) config: Config,
    pub(crate) ring: Ring,
    /// Stores with statistics and without.
    pub(crate) store: Arc<RedisStore>,
    pub(crate) without_statistics: RedisStore,
    pub(crate) runtime: Runtime,
    sequence: u64,
}

impl Shards {
    /// Takes servers, one for each shard. A lone server has two shards: the batches of the first are applied, of the second
    /// it has sketches.
    pub(crate) fn new(servers: Vec<RedisServer>) -> Self {
        let config = match servers.as_slice() {
            [one] => config(&format!("redis_7070={url},redis_7071={url}", url = one.url())),
            all => config(&crate::subject::endpoints(all)),
        };
        let store = |history_days| RedisStore::new(&Config { history_days, ..config.clone() }).expect("good addresses");
        let (store, without_statistics) = (Arc::new(store(config.history_days)), store(0));
        Self { servers, ring: config.ring(), config, store, without_statistics, runtime: one_thread(), sequence: 0 }
    }

    /// Returns a writer's next call with a batch of these increments, of a day or, where there are no statistics, of none.
    pub(crate) fn call<I: Into<Increment>>(&mut self, day: Option<Day>, increments: Vec<I>) -> Apply {
        self.sequence += 1;
        let sequence = Sequence::new(self.sequence).expect("they count from 1");
        let increments = increments.into_iter().map(Into::into).collect();
        let batch =
            Batch::of(sequence, Content { day, increments, refused: Refused::default() }, Clock::system().now());
        call(WriterId::from_u128(1), batch)
    }

    /// Applies a batch on a shard: of a day with statistics, else without.
    pub(crate) fn apply<I: Into<Increment>>(&mut self, shard: usize, day: Option<Day>, increments: Vec<I>) {
        let call = self.call(day, increments);
        self.send(shard, &call);
    }

    /// Applies a call on a shard.
    pub(crate) fn send(&self, shard: usize, call: &Apply) {
        let store = if call.batches[0].0.day().is_some() { &self.store } else { &self.without_statistics };
        self.runtime.block_on(apply(store, shard, call));
    }

    /// Folds all that is in the journals.
    pub(crate) fn fold(&self) {
        self.runtime.block_on(fold_all(&self.store, &self.ring));
    }

    /// Returns the processor time that the first server has used, all its threads, in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        ["used_cpu_user", "used_cpu_sys"].iter().map(|name| info(&self.servers[0], "cpu", name)).sum()
    }

    /// Returns the bytes that the first server's data and its bookkeeping take, once a rehash is over.
    pub(crate) fn memory(&self) -> f64 {
        let mut last = f64::INFINITY;
        loop {
            let mut redis = self.servers[0].connect();
            let _: Value = redis::cmd("MEMORY").arg("PURGE").query(&mut redis).expect("the server answers");
            let used = info(&self.servers[0], "memory", "used_memory");
            // A tenth of a percent: what the connections' buffers come and go with.
            if used > last * 0.999 {
                return used;
            }
            last = used;
            std::thread::sleep(Duration::from_millis(150));
        }
    }

    /// Returns the bytes of all keys of this pattern on the first server, by `MEMORY USAGE`.
    pub(crate) fn usage(&self, pattern: &str) -> f64 {
        let mut redis = self.servers[0].connect();
        let keys: Vec<String> = redis.keys(pattern).expect("the server answers");
        let mut asked = redis::pipe();
        for key in &keys {
            asked.cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(0);
        }
        asked.query::<Vec<f64>>(&mut redis).expect("the server answers").iter().sum()
    }
}

/// Returns a number of `INFO`.
fn info(server: &RedisServer, section: &str, name: &str) -> f64 {
    let info: String = redis::cmd("INFO").arg(section).query(&mut server.connect()).expect("the server answers");
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.and_then(|value| value.trim().parse().ok()).expect("INFO tells it")
}

/// Returns the settings of the counter's own parts over these shards.
pub(crate) fn config(endpoints: &str) -> Config {
    let value = |name: &str| match name {
        "REDIS_ENDPOINTS" => Some(endpoints.into()),
        // On a busy machine an answer may take long, which is not to end the measurement.
        "REDIS_TIMEOUT" => Some("10s".into()),
        // Every question is to be asked.
        "VISITS_CACHE_TTL" => Some("0s".into()),
        _ => None,
    };
    Config::from_vars(value).expect("these settings are right")
}

/// Returns a runtime of one thread, as an environment of standard Lambda has.
pub(crate) fn one_thread() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}

/// Returns a page of about 20 bytes, as a site's paths are.
pub(crate) fn page(number: usize) -> PageId {
    PageId::from_decoded(&format!("articles/page-{number:07}")).expect("this is a page id")
}

/// Returns the pseudonym of a visitor on a day with some secret.
pub(crate) fn visitor(secret: u128, number: u64) -> Visitor {
    let secret = format!("{secret:032x}").parse::<Secret>().expect("this is a secret");
    secret.pseudonym(Fingerprint::of(&number.to_string(), "an agent"))
}

/// Returns the batch of a content.
pub(crate) fn sealed(sequence: u64, content: Content) -> Batch {
    Batch::of(Sequence::new(sequence).expect("they count from 1"), content, Clock::system().now())
}

/// Returns a writer's id, as random as those that the system draws.
pub(crate) fn random_writer(number: u32) -> WriterId {
    WriterId::from_u128(u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

/// Returns a writer's call with one batch, as a healthy writer makes it: the two batches before were applied and are not
/// confirmed yet, since an interval is half of the time that this takes.
pub(crate) fn call(writer: WriterId, batch: Batch) -> Apply {
    let base = Sequence::new(batch.sequence().get().saturating_sub(2)).unwrap_or(Sequence::FIRST);
    Apply { writer, base, batches: vec![(Arc::new(batch), Duration::ZERO)], status: WriterStatus::Active, ring: None }
}

/// Applies a call on a shard, which must be new to all of it.
pub(crate) async fn apply(store: &RedisStore, shard: usize, call: &Apply) {
    let applied = store.apply(shard, call).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((applied.fresh.len(), applied.rejected.len()), (call.batches.len(), 0), "all is applied");
}

/// Folds all that is in the journals.
pub(crate) async fn fold_all(store: &RedisStore, ring: &Ring) {
    let settings = Settings::new(MAX_HISTORY_DAYS, Duration::from_mins(10));
    let folded = fold(store, ring, &Clock::system(), settings, 0..ring.len()).await;
    let wrong = [folded.entries_set_aside, folded.statistics_skipped, folded.visits_too_old];
    assert_eq!((wrong, folded.fold_calls_failed, folded.days_rejected), ([0; 3], 0, 0), "all is folded");
}

/// Counts the calls of scripts on these servers: those that apply batches, where nothing else runs.
pub(crate) fn script_calls(servers: &[RedisServer]) -> u64 {
    let of = |server: &RedisServer| {
        let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut server.connect()).unwrap_or_default();
        let lines = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_eval")?.split_once(":calls="));
        lines.filter_map(|(_, calls)| calls.split(',').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    servers.iter().map(of).sum()
}
