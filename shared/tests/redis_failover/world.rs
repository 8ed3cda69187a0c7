//! Two shards: `one` behind an address that can be given to another server, and `two`, which is always there.

use fault_proxy::FaultProxy;
use redis::Commands;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use test_support::{RedisServer, wait_for};
use visits_core::clock::Clock;
use visits_core::config::Config;
use visits_core::flusher::{Flusher, Limits};
use visits_core::store::redis::RedisStore;
use visits_core::timing::Timing;

/// Longest wait for anything that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Pauses are short, so that a test need not wait for them; what is remembered is remembered for its real minute.
const TIMING: Timing =
    Timing { first_pause: Duration::from_millis(20), longest_pause: Duration::from_millis(200), ..Timing::REAL };

pub(crate) struct World {
    /// The address of shard `one`.
    address: FaultProxy,
    /// The server of shard `two`.
    pub(crate) two: RedisServer,
}

impl World {
    /// Shard `one` is at `primary`.
    pub(crate) fn new(primary: &RedisServer) -> Self {
        Self { address: FaultProxy::start(socket(primary.port())), two: RedisServer::start() }
    }

    /// Gives the address to another server. Connections stay open, as after a change of DNS.
    pub(crate) fn lead_to(&self, server: &RedisServer) {
        self.lead_to_port(server.port());
    }

    pub(crate) fn lead_to_port(&self, port: u16) {
        self.address.redirect(socket(port));
    }

    pub(crate) fn config(&self) -> Config {
        let endpoints = format!("one={},two={}", self.address.url(), self.two.url());
        Config::from_vars(|name| (name == "REDIS_ENDPOINTS").then(|| endpoints.clone().into())).unwrap()
    }

    pub(crate) fn store(&self) -> RedisStore {
        RedisStore::new(&self.config()).unwrap()
    }

    /// An environment of `record-visit`.
    pub(crate) fn flusher(&self) -> Flusher<RedisStore> {
        let limits = Limits { interval: Duration::from_millis(50), pages: 10_000, timing: TIMING, days: true };
        Flusher::new(self.store().into(), self.config().ring(), Clock::system(), limits)
    }

    /// Whether copies for shard `one` wait on the other one.
    pub(crate) fn has_parked(&self) -> bool {
        self.two.connect().hlen("visits:{two}:out:batches:one").is_ok_and(|copies: usize| copies > 0)
    }
}

pub(crate) fn socket(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Visits that a server has counted for shard `one`.
pub(crate) fn counted(server: &RedisServer) -> u64 {
    let mut redis = server.connect();
    let pages: Vec<String> = redis.keys("visits:{one}:page:*").unwrap();
    pages.into_iter().map(|page| redis.hget::<_, _, u64>(page, "total").unwrap()).sum()
}

/// Waits until a server has counted more than `visits`.
pub(crate) fn wait_until_counted(server: &RedisServer, visits: u64) {
    assert!(wait_for(PATIENCE, || counted(server) > visits), "{} of {visits}", counted(server));
}
