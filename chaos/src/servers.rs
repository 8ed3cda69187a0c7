//! Two Redis servers with append-only files, each behind a proxy.

use crate::counts::{Counts, unfolded};
use fault_proxy::FaultProxy;
use redis::Commands;
use std::fs::{self, OpenOptions};
use std::sync::{Mutex, MutexGuard, PoisonError};
use test_support::RedisServer;

/// The shards' names.
pub const SHARDS: [&str; 2] = ["redis_7070", "redis_7071"];

/// The servers and what is in front of them.
#[derive(Debug)]
pub struct Servers {
    redis: [Mutex<RedisServer>; 2],
    proxies: [FaultProxy; 2],
}

impl Servers {
    /// Two empty servers.
    ///
    /// # Panics
    /// If there is no Redis server program.
    pub fn start() -> Self {
        let redis = [0, 1].map(|_| RedisServer::builder().append_only(true).start());
        let proxies = redis.each_ref().map(|server| FaultProxy::start(([127, 0, 0, 1], server.port()).into()));
        Self { redis: redis.map(Mutex::new), proxies }
    }

    /// `REDIS_ENDPOINTS`: the shards behind their proxies.
    pub fn endpoints(&self) -> String {
        let endpoint = |shard: usize| format!("{}={}", SHARDS[shard], self.proxies[shard].url());
        format!("{},{}", endpoint(0), endpoint(1))
    }

    /// The proxy in front of a shard.
    pub fn proxy(&self, shard: usize) -> &FaultProxy {
        &self.proxies[shard]
    }

    /// Ends a server in order and starts it again: nothing is lost.
    pub fn restart(&self, shard: usize) {
        self.server(shard).restart();
    }

    /// Bytes of a server's append-only file now.
    pub fn logged(&self, shard: usize) -> u64 {
        fs::metadata(self.server(shard).append_only_file()).map_or(0, |file| file.len())
    }

    /// Kills a server (SIGKILL) and starts it again. With `keep`, its append-only file is cut to that many bytes
    /// first: what a machine that lost power had not written. Returns the bytes cut.
    ///
    /// # Panics
    /// If the file cannot be cut.
    pub fn crash(&self, shard: usize, keep: Option<u64>) -> u64 {
        let mut server = self.server(shard);
        server.kill();
        let file = server.append_only_file();
        let length = fs::metadata(&file).map_or(0, |file| file.len());
        let keep = keep.map_or(length, |keep| keep.min(length));
        OpenOptions::new().write(true).open(&file).and_then(|file| file.set_len(keep)).expect("the file can be cut");
        server.restart();
        length - keep
    }

    /// All counts, looked up behind the proxies.
    ///
    /// # Panics
    /// If a server does not answer.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (shard, name) in SHARDS.into_iter().enumerate() {
            counts.add(&mut self.server(shard).connect(), name);
        }
        counts
    }

    /// Entries of both journals that are not folded yet.
    ///
    /// # Panics
    /// If a server does not answer.
    pub fn unfolded(&self) -> u64 {
        (0..2).map(|shard| unfolded(&mut self.server(shard).connect(), SHARDS[shard])).sum()
    }

    /// Copies that wait on either server.
    ///
    /// # Panics
    /// If a server does not answer.
    pub fn copies(&self) -> u64 {
        let waiting = |shard: usize| {
            let key = format!("visits:{{{}}}:out:batches:{}", SHARDS[shard], SHARDS[1 - shard]);
            self.server(shard).connect().hlen::<_, u64>(key).expect("the server answers")
        };
        waiting(0) + waiting(1)
    }

    fn server(&self, shard: usize) -> MutexGuard<'_, RedisServer> {
        self.redis[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
