//! The shards in Redis: the only place that knows its commands, scripts and keys.

mod cluster;
mod connection;
mod contact;
pub mod facts;
pub mod journal;
pub mod keys;
mod ledger;
pub mod pages;
pub mod rehoming;
mod script;
mod sketch;
pub mod statistics;

use super::{ShardIndex, StoreError, TIDY_AT_ONCE, WRITERS_AT_ONCE};
use crate::batch::WriterId;
use crate::clock::Timing;
use crate::config::Config;
use crate::credentials::{Aws, Logins};
use crate::shard::{Endpoint, Namespace, PasswordSource};
use cluster::{Connection, Nodes};
use connection::Link;
use contact::Shard;
pub use contact::{CONFIG_PATTERN, Health, Warning};
use keys::{Key, Keys};
use redis::{AsyncCommands, Cmd};
use script::{JOURNAL_BYTES, TIDY, millis};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The shards of one deployment. Nothing is connected before the first call.
#[derive(Debug)]
pub struct RedisStore {
    shards: Vec<Shard>,
    namespace: Namespace,
    /// Whether only to look: then a shard that is new stays so.
    looks_only: bool,
    allow_eviction: bool,
    new_pages_a_day: u64,
    /// Most bytes of a journal; 0 where no days are kept.
    journal_bytes: u64,
    timing: Timing,
    /// From the call to the answer, connecting and first contact included.
    answer_timeout: Duration,
    #[cfg(any(test, feature = "testing"))]
    faults: crate::tests::Faults,
}

/// An endpoint's address was not understood by the Redis client.
#[derive(Debug, thiserror::Error)]
#[error("the endpoint {endpoint} of shard {shard} is not usable: {reason}")]
pub struct InvalidEndpoint {
    shard: String,
    endpoint: String,
    reason: String,
}

impl RedisStore {
    /// The shards that `config` names. Shards of one endpoint share its connection, or one for each node of it.
    pub fn new(config: &Config) -> Result<Self, InvalidEndpoint> {
        Self::with_aws(config, Aws::from_env(config.clock()))
    }

    /// Opens the shards that `config` names, logging in to them as `aws` where a password or a token comes from there.
    pub fn with_aws(config: &Config, aws: Aws) -> Result<Self, InvalidEndpoint> {
        let logins = Logins::new(aws);
        let mut endpoints: HashMap<(Endpoint, PasswordSource), Arc<Nodes>> = HashMap::new();
        let mut shards = Vec::with_capacity(config.shards.len());
        for shard in &config.shards {
            let endpoint = (shard.endpoint.clone(), shard.password.clone());
            let nodes = if let Some(nodes) = endpoints.get(&endpoint) {
                Arc::clone(nodes)
            } else {
                let link = Link::new(shard, &logins, config).map_err(|error| InvalidEndpoint {
                    shard: shard.name.to_string(),
                    endpoint: shard.endpoint.to_string(),
                    reason: error.to_string(),
                })?;
                Arc::new(Nodes::new(link, shard.endpoint.is_cluster()))
            };
            endpoints.insert(endpoint, Arc::clone(&nodes));
            shards.push(Shard::new(shard.clone(), Keys::new(&config.namespace, &shard.name), nodes));
        }
        Ok(Self {
            #[cfg(any(test, feature = "testing"))]
            faults: crate::tests::Faults::new(shards.len()),
            shards,
            namespace: config.namespace.clone(),
            looks_only: false,
            allow_eviction: config.allow_eviction,
            new_pages_a_day: config.new_pages_a_day,
            journal_bytes: if config.history_days > 0 { JOURNAL_BYTES } else { 0 },
            timing: config.testing.timing,
            answer_timeout: config.redis_timeout,
        })
    }
}

#[cfg(any(test, feature = "testing"))]
impl RedisStore {
    /// The faults of its calls.
    pub fn faults(&self) -> &crate::tests::Faults {
        &self.faults
    }

    /// Takes over the faults of another store.
    #[must_use]
    pub fn with_faults_of(self, other: &Self) -> Self {
        Self { faults: other.faults.clone(), ..self }
    }
}

impl RedisStore {
    /// Lists the writers for the sweep, with the time since their last flush by the shard's own clock: the
    /// [`WRITERS_AT_ONCE`] that have been silent longest.
    pub async fn writers(&self, shard: ShardIndex) -> Result<HashMap<WriterId, Duration>, StoreError> {
        let shard = &self.shards[shard];
        let longest_silent = isize::try_from(WRITERS_AT_ONCE).unwrap_or(isize::MAX);
        let list = Cmd::zrange_withscores(shard.keys.of(&Key::Writers), 0, longest_silent - 1);
        let ((now, writers), _): ((_, Vec<(String, u64)>), _) = self.query_both(shard, &time_question(), &list).await?;
        let silent = |at| Duration::from_millis(millis_of(now).saturating_sub(at));
        // A member that is not a writer's id was not put there by us: nothing to sweep.
        Ok(writers.into_iter().filter_map(|(id, at)| Some((id.parse().ok()?, silent(at)))).collect())
    }

    /// Deletes applied sets that are past their time and takes silent writers off the sweep's list.
    /// Returns how many sets were deleted, at most [`TIDY_AT_ONCE`]: call again until it is less.
    pub async fn tidy(&self, shard: ShardIndex) -> Result<usize, StoreError> {
        let shard = &self.shards[shard];
        let tidy = |mut redis: Connection| async move {
            let now = millis_of(time_question().query_async(&mut redis).await?);
            let at_once = isize::try_from(TIDY_AT_ONCE).unwrap_or(isize::MAX);
            let past: Vec<String> =
                redis.zrangebyscore_limit(shard.keys.of(&Key::Sets), "-inf", now, 0, at_once).await?;
            let mut script = TIDY.prepare_invoke();
            script
                .key(shard.keys.of(&Key::Sets))
                .key(shard.keys.of(&Key::Writers))
                .arg(millis(self.timing.writer_listed));
            // Some may be no writer's id: they go as well.
            for writer in &past {
                script.key(shard.keys.prefix() + "applied:" + writer).arg(writer);
            }
            script.invoke_async(&mut redis).await
        };
        self.with_shard(shard, tidy).await
    }
}

/// Returns the question for the server's own clock.
fn time_question() -> Cmd {
    redis::cmd("TIME")
}

/// Returns the server's own clock in milliseconds since the Unix epoch: the answer to [`time_question`].
fn millis_of((seconds, micros): (u64, u64)) -> u64 {
    seconds * 1000 + micros / 1000
}
