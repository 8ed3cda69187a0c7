//! What a server tells of itself at the first contact; nothing where it does not allow to ask.

use crate::store::Incarnation;
use crate::store::health::{CONFIG_PATTERN, Health, field};
use crate::store::redis::routed::Connection;
use redis::Cmd;
use xxhash_rust::xxh3::xxh3_64;

/// A server's state and which run of it this is.
#[derive(Debug, Default)]
pub(in crate::store::redis) struct Server {
    pub(in crate::store::redis) health: Health,
    pub(in crate::store::redis) incarnation: Incarnation,
}

impl Server {
    /// Reads the answers to [`questions`].
    pub(super) fn new(info: &[String], config: &[String]) -> Self {
        let info = info.first().map_or("", String::as_str);
        Self { health: Health::read(info, config), incarnation: incarnation(info) }
    }
}

/// What to ask: `INFO` and `CONFIG GET`, both at once, since each may be forbidden.
pub(super) fn questions() -> (Cmd, Cmd) {
    let mut config = redis::cmd("CONFIG");
    config.arg("GET").arg(CONFIG_PATTERN);
    (redis::cmd("INFO"), config)
}

/// The answer as a list, which for a single text has one item. Nothing for an error.
pub(super) async fn answer(mut redis: Connection, question: Cmd) -> Vec<String> {
    question.query_async(&mut redis).await.unwrap_or_default()
}

/// A process that was made a replica and a master again goes on with other data under the same `run_id`; its
/// replication id is new.
fn incarnation(info: &str) -> Incarnation {
    let ids = ["run_id", "master_replid"].map(|name| field(info, name).unwrap_or_default());
    Incarnation(if ids[0].is_empty() { 0 } else { xxh3_64(ids.join(" ").as_bytes()) })
}
