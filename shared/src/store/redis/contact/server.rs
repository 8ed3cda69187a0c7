//! What a server tells of itself at the first contact; nothing where it does not allow to ask.

use crate::store::Incarnation;
use crate::store::health::{CONFIG_PATTERN, Health, field};
use futures_util::future::join;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use xxhash_rust::xxh3::xxh3_64;

/// A server's state and which run of it this is.
#[derive(Debug, Default)]
pub(in crate::store::redis) struct Server {
    pub(in crate::store::redis) health: Health,
    pub(in crate::store::redis) incarnation: Incarnation,
}

impl Server {
    /// Asks both ways at once, so that it costs no further round trip where one of them does not tell.
    pub(super) async fn ask(redis: &mut MultiplexedConnection) -> Self {
        let mut beside = redis.clone();
        let (info, mut config) = (redis::cmd("INFO"), redis::cmd("CONFIG"));
        config.arg("GET").arg(CONFIG_PATTERN);
        let answers = join(info.query_async(redis), config.query_async(&mut beside)).await;
        let (info, config): (RedisResult<String>, RedisResult<Vec<String>>) = answers;
        let info = info.unwrap_or_default();
        Self { health: Health::read(&info, &config.unwrap_or_default()), incarnation: incarnation(&info) }
    }
}

/// A process that was made a replica and a master again goes on with other data under the same `run_id`; its
/// replication id is new.
fn incarnation(info: &str) -> Incarnation {
    let ids = ["run_id", "master_replid"].map(|name| field(info, name).unwrap_or_default());
    Incarnation(if ids[0].is_empty() { 0 } else { xxh3_64(ids.join(" ").as_bytes()) })
}
