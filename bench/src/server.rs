//! A Redis server to be measured: what it has used, and the counter's own store on it.

use redis::{Connection, Value};
use std::sync::Arc;
use std::time::Duration;
use test_support::RedisServer;
use tokio::runtime::Runtime;
use visits_core::batch::{Batch, Increment, Sequence, WriterId};
use visits_core::clock::Clock;
use visits_core::config::{Config, MAX_HISTORY_DAYS};
use visits_core::fold::{Folded, Settings, fold};
use visits_core::page::PageId;
use visits_core::ring::Ring;
use visits_core::store::redis::RedisStore;
use visits_core::store::{Apply, Ledger, WriterStatus};

/// Readings of the memory, each this long after the one before, until one is no less.
const SETTLING: Duration = Duration::from_millis(150);

/// Longest time for a fold.
const FOLDING: Duration = Duration::from_mins(10);

/// A server, with a connection of our own that looks inside.
pub(crate) struct Server {
    server: RedisServer,
    inside: Connection,
}

impl Server {
    pub(crate) fn new(server: RedisServer) -> Self {
        let inside = server.connect();
        Self { server, inside }
    }

    /// A connection as those who use no script have it.
    pub(crate) fn client(&self, runtime: &Runtime) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.server.url()).expect("the server's URL is one");
        runtime.block_on(client.get_multiplexed_async_connection()).expect("the server answers")
    }

    /// Two shards, both on this server. Only the first one's batches are applied; of the second it has sketches.
    pub(crate) fn config(&self) -> Config {
        let url = self.server.url();
        config(&format!("redis_7070={url},redis_7071={url}"))
    }

    /// A store with a connection of its own, which keeps no statistics.
    pub(crate) fn store(&self) -> RedisStore {
        RedisStore::new(&Config { history_days: 0, ..self.config() }).expect("the server's address is one")
    }

    /// A store with a connection of its own, which keeps statistics.
    pub(crate) fn counting(&self) -> RedisStore {
        RedisStore::new(&self.config()).expect("the server's address is one")
    }

    /// Processor time that the server has used, all its threads.
    pub(crate) fn cpu(&mut self) -> Duration {
        let info = self.info("cpu");
        let seconds = |name| value(&info, name).and_then(|text| text.parse().ok()).unwrap_or(0.0);
        Duration::from_secs_f64(seconds("used_cpu_user") + seconds("used_cpu_sys"))
    }

    /// Bytes that the server's data and its bookkeeping take, once a rehash that goes on is over.
    pub(crate) fn memory(&mut self) -> f64 {
        let mut last = f64::INFINITY;
        loop {
            let _: Value = redis::cmd("MEMORY").arg("PURGE").query(&mut self.inside).expect("the server answers");
            let info = self.info("memory");
            let used = value(&info, "used_memory").and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
            // A tenth of a percent: what the connections' buffers come and go with.
            if used.is_nan() || used > last * 0.999 {
                return used;
            }
            last = used;
            std::thread::sleep(SETTLING);
        }
    }

    /// Bytes of all keys of this pattern, by `MEMORY USAGE`.
    pub(crate) fn usage(&mut self, pattern: &str) -> f64 {
        let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query(&mut self.inside).expect("the server answers");
        let of = |key: &String| -> f64 {
            let mut asked = redis::cmd("MEMORY");
            asked.arg("USAGE").arg(key).arg("SAMPLES").arg(0).query(&mut self.inside).expect("the server answers")
        };
        keys.iter().map(of).sum()
    }

    fn info(&mut self, section: &str) -> String {
        redis::cmd("INFO").arg(section).query(&mut self.inside).expect("the server answers")
    }
}

fn value<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
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

/// One thread, as an environment of standard Lambda has.
pub(crate) fn one_thread() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}

/// A page of about 20 bytes, as a site's paths are.
pub(crate) fn page(number: usize) -> PageId {
    PageId::from_decoded(&format!("articles/page-{number:07}")).expect("this is a page id")
}

/// A writer's call with one batch, as a healthy writer makes it: the two batches before were applied and are not
/// confirmed yet, since an interval is half of the time that this takes.
pub(crate) fn call<I: Into<Increment>>(writer: WriterId, sequence: u64, increments: Vec<I>) -> Apply {
    let sequence = Sequence::new(sequence).unwrap_or(Sequence::FIRST);
    call_with(writer, Batch::seal(sequence, increments, Clock::system().now()))
}

/// The same with any batch.
pub(crate) fn call_with(writer: WriterId, batch: Batch) -> Apply {
    let confirmed = batch.sequence().get().saturating_sub(2);
    Apply {
        writer,
        base: Sequence::new(confirmed).unwrap_or(Sequence::FIRST),
        batches: vec![(Arc::new(batch), Duration::ZERO)],
        status: WriterStatus::Active,
        ring: None,
    }
}

/// Applies it on the first shard, which must be new to all of it.
pub(crate) async fn apply(store: &RedisStore, call: &Apply) {
    let applied = store.apply(0, call).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((applied.fresh.len(), applied.rejected.len()), (call.batches.len(), 0), "all is applied");
}

/// Folds all that is in the journals.
pub(crate) async fn fold_all(store: &RedisStore, ring: &Ring) -> Folded {
    let settings = Settings::new(MAX_HISTORY_DAYS, FOLDING);
    let folded = fold(store, ring, &Clock::system(), settings, 0..ring.len()).await;
    let wrong = [folded.entries_set_aside, folded.statistics_skipped, folded.visits_too_old];
    assert_eq!((wrong, folded.fold_calls_failed, folded.days_rejected), ([0; 3], 0, 0), "all is folded");
    folded
}

/// Calls of the script that applies batches; nothing else is called with a digest at this point.
pub(crate) fn applies(server: &RedisServer) -> u64 {
    let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut server.connect()).unwrap_or_default();
    let calls = |name: &str| {
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.and_then(|line| line.split(',').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    calls("evalsha") + calls("eval")
}
