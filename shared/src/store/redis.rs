//! The shards in Redis: the only place that knows its commands, scripts and keys.

mod connection;
mod contact;
mod keys;
mod park_script;
mod parking;
mod script;
mod shard;
mod tls;

use super::{Applied, Apply, Incarnation, ShardIndex, Store, StoreError, TIDY_AT_ONCE, WRITERS_AT_ONCE};
use crate::batch::WriterId;
use crate::config::Config;
use crate::page::PageId;
use crate::shard::{Endpoint, ShardConfig};
use connection::{Connected, Link};
use contact::{Contact, ContactError};
use keys::Keys;
use parking::ParkingScripts;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, ErrorKind, RedisError, RedisResult};
use script::Scripts;
use shard::Shard;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The shards of one deployment. Nothing is connected before the first call.
#[derive(Debug)]
pub struct RedisStore {
    shards: Vec<Shard>,
    contact: Contact,
    scripts: Scripts,
    parking: ParkingScripts,
    /// From the call to the answer, connecting and first contact included.
    answer_timeout: Duration,
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
    /// The shards that `config` names. Shards of one endpoint share its connection.
    pub fn new(config: &Config) -> Result<Self, InvalidEndpoint> {
        let mut links: HashMap<Endpoint, Arc<Link>> = HashMap::new();
        let mut shards = Vec::with_capacity(config.shards.len());
        for shard in &config.shards {
            let link = match links.get(&shard.endpoint) {
                Some(link) => Arc::clone(link),
                None => Arc::new(open_link(config, shard)?),
            };
            links.insert(shard.endpoint.clone(), Arc::clone(&link));
            shards.push(Shard::new(shard.clone(), Keys::new(&config.namespace, &shard.name), link));
        }
        Ok(Self {
            shards,
            contact: Contact::new(config),
            scripts: Scripts::new(config.testing.timing),
            parking: ParkingScripts::new(),
            answer_timeout: config.redis_timeout,
        })
    }

    /// Runs `call` over the shard's connection. A connection that was open before and turns out to be
    /// closed is replaced and the call made once more: all our calls may be repeated.
    async fn with_shard<T, F>(
        &self,
        shard: &Shard,
        call: impl Fn(MultiplexedConnection) -> F + Send + Sync,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>> + Send,
    {
        Ok(self.with_incarnation(shard, call).await?.0)
    }

    /// The same, with the run of the server that answered.
    async fn with_incarnation<T, F>(
        &self,
        shard: &Shard,
        call: impl Fn(MultiplexedConnection) -> F + Send + Sync,
    ) -> Result<(T, Incarnation), StoreError>
    where
        F: Future<Output = RedisResult<T>> + Send,
    {
        let (mut connected, mut incarnation) = self.connect(shard).await?;
        loop {
            match tokio::time::timeout(self.answer_timeout, call(connected.redis.clone())).await {
                Ok(Ok(answer)) => return Ok((answer, incarnation)),
                Ok(Err(error)) if is_server_answer(&error) => return Err(shard.refused_over(connected.number, &error)),
                outcome => {
                    shard.link.drop_connection(connected.number);
                    let reason = match outcome {
                        Ok(Err(error)) if connected.reused && error.is_connection_dropped() => {
                            (connected, incarnation) = self.connect(shard).await?;
                            continue;
                        }
                        Ok(Err(error)) => error.to_string(),
                        _ => format!("no answer within {:?}", self.answer_timeout),
                    };
                    return Err(StoreError::Unknown { shard: shard.config.name.to_string(), reason });
                }
            }
        }
    }

    /// A connection over which this shard has been recognised, and the run of its server.
    async fn connect(&self, shard: &Shard) -> Result<(Connected, Incarnation), StoreError> {
        let mut connected = shard.link.get().await.map_err(|error| shard.unconnected(&error))?;
        loop {
            if let Some(incarnation) = shard.recognised_over(connected.number) {
                return Ok((connected, incarnation));
            }
            let check = self.contact.check(&mut connected.redis, &shard.keys, &shard.config);
            match tokio::time::timeout(self.answer_timeout, check).await {
                Ok(Ok((identity, server))) => shard.recognise(&identity, connected.number, &server),
                Ok(Err(ContactError::UnfitServer(reason))) => {
                    return Err(StoreError::UnfitServer { shard: shard.config.name.to_string(), reason });
                }
                Ok(Err(ContactError::Redis(error))) if is_server_answer(&error) => {
                    return Err(shard.refused_over(connected.number, &error));
                }
                failed => {
                    shard.link.drop_connection(connected.number);
                    let error = failed.ok().and_then(Result::err).and_then(ContactError::into_redis);
                    if !(connected.reused && error.as_ref().is_some_and(RedisError::is_connection_dropped)) {
                        return Err(shard.unanswered(error.as_ref()));
                    }
                    connected = shard.link.get().await.map_err(|error| shard.unconnected(&error))?;
                }
            }
        }
    }
}

fn open_link(config: &Config, shard: &ShardConfig) -> Result<Link, InvalidEndpoint> {
    Link::new(&shard.endpoint, config).map_err(|error| InvalidEndpoint {
        shard: shard.name.to_string(),
        endpoint: shard.endpoint.to_string(),
        reason: error.to_string(),
    })
}

/// Whether the server itself answered with an error, so that the connection is good and nothing was
/// applied.
fn is_server_answer(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

impl Store for RedisStore {
    async fn apply(&self, shard: ShardIndex, call: &Apply) -> Result<Applied, StoreError> {
        let shard = &self.shards[shard];
        let apply = |redis| self.scripts.apply(redis, &shard.keys, call);
        let (reply, incarnation) = self.with_incarnation(shard, apply).await?;
        Ok(reply.into_applied(call, incarnation))
    }

    async fn total(&self, shard: ShardIndex, page: &PageId) -> Result<u64, StoreError> {
        let shard = &self.shards[shard];
        let key = shard.keys.page(page);
        let total = |mut redis: MultiplexedConnection| {
            let key = &key;
            async move { redis.hget::<_, _, Option<String>>(key, "total").await }
        };
        let Some(total) = self.with_shard(shard, total).await? else { return Ok(0) };
        // The connection is good, and so are the other pages.
        total.parse().map_err(|_| shard.refused(&format!("{key} holds a total that is no count")))
    }

    async fn writers(&self, shard: ShardIndex) -> Result<HashMap<WriterId, Duration>, StoreError> {
        let shard = &self.shards[shard];
        let longest_silent = isize::try_from(WRITERS_AT_ONCE).unwrap_or(isize::MAX);
        let list = |mut redis: MultiplexedConnection| async move {
            let now = server_millis(&mut redis).await?;
            let writers: Vec<(String, u64)> =
                redis.zrange_withscores(shard.keys.writers(), 0, longest_silent - 1).await?;
            Ok((now, writers))
        };
        let (now, writers) = self.with_shard(shard, list).await?;
        let silent = |at| Duration::from_millis(now.saturating_sub(at));
        // A member that is not a writer's id was not put there by us: nothing to sweep.
        Ok(writers.into_iter().filter_map(|(id, at)| Some((id.parse().ok()?, silent(at)))).collect())
    }

    async fn tidy(&self, shard: ShardIndex) -> Result<usize, StoreError> {
        let shard = &self.shards[shard];
        let tidy = |mut redis: MultiplexedConnection| async move {
            let now = server_millis(&mut redis).await?;
            let at_once = isize::try_from(TIDY_AT_ONCE).unwrap_or(isize::MAX);
            let past: Vec<String> = redis.zrangebyscore_limit(shard.keys.sets(), "-inf", now, 0, at_once).await?;
            self.scripts.tidy(redis, &shard.keys, &past).await
        };
        self.with_shard(shard, tidy).await
    }
}

/// The server's own clock, in milliseconds since the Unix epoch.
async fn server_millis(redis: &mut MultiplexedConnection) -> RedisResult<u64> {
    let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(redis).await?;
    Ok(seconds * 1000 + micros / 1000)
}
