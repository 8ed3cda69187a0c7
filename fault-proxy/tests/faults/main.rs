//! Each fault in front of a real server: what the client sees, and what the server has done.

mod commands;
mod connections;
mod random;
mod relay;

use fault_proxy::FaultProxy;
use redis::{Connection, RedisResult};
use std::time::Duration;
use test_support::RedisServer;

/// Longest wait for something that happens.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a client waits for an answer that does not come.
const SILENCE: Duration = Duration::from_millis(30);

/// A server and a proxy that strikes `INCR` only.
struct Setup {
    server: RedisServer,
    proxy: FaultProxy,
}

impl Setup {
    fn new() -> Self {
        let server = RedisServer::start();
        let proxy = FaultProxy::start(([127, 0, 0, 1], server.port()).into());
        proxy.only(&["INCR"]);
        Self { server, proxy }
    }

    /// A connection through the proxy, set up.
    fn connect(&self) -> Connection {
        self.try_connect().unwrap()
    }

    fn try_connect(&self) -> RedisResult<Connection> {
        let redis = redis::Client::open(self.proxy.url())?.get_connection_with_timeout(PATIENCE)?;
        redis.set_read_timeout(Some(PATIENCE))?;
        Ok(redis)
    }

    /// The count, asked behind the proxy's back.
    fn count(&self) -> i64 {
        get(&mut self.server.connect())
    }
}

fn incr(redis: &mut Connection) -> RedisResult<i64> {
    redis::cmd("INCR").arg("count").query(redis)
}

fn get(redis: &mut Connection) -> i64 {
    redis::cmd("GET").arg("count").query::<Option<i64>>(redis).unwrap().unwrap_or_default()
}

/// Sends an `INCR` that gets no answer, and leaves.
fn incr_in_vain(mut redis: Connection) {
    redis.set_read_timeout(Some(SILENCE)).unwrap();
    assert!(incr(&mut redis).unwrap_err().is_timeout());
}
