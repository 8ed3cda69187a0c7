//! What a server tells of itself at the first contact; nothing where it does not allow to ask.

use crate::store::Incarnation;
use crate::store::health::{CONFIG_PATTERN, Health, fields};
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
        let (mut health, mut ids) = (Health::default(), ["", ""]);
        for (name, value) in info.first().into_iter().flat_map(|info| fields(info)) {
            match name {
                "run_id" => ids[0] = value,
                // A process that was made a replica and a master again goes on with other data under the same `run_id`;
                // its replication id is new.
                "master_replid" => ids[1] = value,
                _ => health.learn(name, value),
            }
        }
        health.complete(config);
        health.hides_run = ids[0].is_empty();
        let incarnation = if health.hides_run {
            Incarnation::of_one_connection()
        } else {
            Incarnation(xxh3_64(ids.join(" ").as_bytes()))
        };
        Self { health, incarnation }
    }
}

/// What to ask: `INFO`, and `CONFIG GET` for what it does not tell. Both at once, since each may be forbidden.
pub(super) fn questions() -> (Cmd, Cmd) {
    (redis::cmd("INFO"), config("save"))
}

/// What to ask where `INFO` is forbidden. Not always: each of its answers costs a start some thousand instructions.
pub(super) fn instead_of_info() -> Cmd {
    config(CONFIG_PATTERN)
}

fn config(pattern: &str) -> Cmd {
    let mut config = redis::cmd("CONFIG");
    config.arg("GET").arg(pattern);
    config
}

/// The answer as a list, which for a single text has one item. Nothing for an error.
pub(super) async fn answer(mut redis: Connection, question: Cmd) -> Vec<String> {
    question.query_async(&mut redis).await.unwrap_or_default()
}
