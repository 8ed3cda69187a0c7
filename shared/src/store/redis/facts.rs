//! Facts about a shard and its server for an operator. Nothing that counts visits asks for them.

use super::cluster::Connection;
use super::keys::Key;
use super::{RedisStore, Shard};
use crate::handoff::{Kind, Mailbox};
use crate::store::Ledger as _;
use crate::store::redis::contact::{Health, config_question, field};
use crate::store::{ShardIndex, StoreError};
use futures_util::future::join_all;
use redis::{AsyncCommands, Cmd, FromRedisValue};
use std::time::Duration;

/// A shard as it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardFacts {
    /// From a question to its answer, over an open connection.
    pub round_trip: Duration,
    /// Writers on the sweep's list.
    pub writers: u64,
    /// Envelopes that wait here for other shards.
    pub parked: Vec<ParkedFor>,
    /// Copies that can never be delivered, with the reason; see the key `aside`.
    pub aside: u64,
    /// Text of the server's `INFO`; empty where it does not allow to ask.
    pub info: String,
    /// Names and values in turn of `save`, `maxclients`, `maxmemory-policy` and some more; empty
    /// where the server does not allow to ask.
    pub config: Vec<String>,
}

/// The envelopes for one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedFor {
    /// Copies of batches, or records.
    pub kind: Kind,
    /// The shard that they wait for.
    pub owner: String,
    /// Number of envelopes.
    pub copies: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl ShardFacts {
    /// Returns the server's state as it tells it.
    pub fn health(&self) -> Health {
        Health { hides_run: self.info.is_empty(), ..Health::read(&self.info, &self.config) }
    }

    /// A line of `INFO`, such as `used_memory`.
    pub fn info(&self, name: &str) -> Option<&str> {
        field(&self.info, name)
    }
}

impl RedisStore {
    /// Makes this a store that only looks: shards that are new stay so, where any other store would make their records. Calls that
    /// change something are not to be made with it.
    #[must_use]
    pub fn looking(mut self) -> Self {
        self.looks_only = true;
        self
    }

    /// Whether the shard is new, as far as a store that only looks has seen: nothing was ever counted on it.
    pub fn is_new(&self, shard: ShardIndex) -> bool {
        self.shards[shard].is_new()
    }

    /// Asks a shard and its server; some seven round trips.
    pub async fn facts(&self, shard: ShardIndex) -> Result<ShardFacts, StoreError> {
        let parked = self.outgoing(shard).await?;
        let round_trip = self.ping(shard).await?;
        let shard = &self.shards[shard];
        Ok(ShardFacts {
            round_trip,
            writers: self.command(shard, &Cmd::zcard(shard.keys.of(&Key::Writers))).await?,
            parked: self.parked_copies(shard, parked).await?,
            aside: self.command(shard, &Cmd::hlen(shard.keys.of(&Key::Aside))).await?,
            info: self.ask_server(shard, &redis::cmd("INFO")).await?,
            config: self.ask_server(shard, &config_question()).await?,
        })
    }

    /// Asks the shard's server something that names no key. Nothing where the server or the user's rights forbid to ask: the
    /// rest is worth knowing all the same.
    async fn ask_server<T: Default + FromRedisValue>(&self, shard: &Shard, question: &Cmd) -> Result<T, StoreError> {
        let call = |mut redis: Connection| async move {
            // A node of a cluster that has lost the shard's slot would answer for itself; not so this.
            let _: bool = redis.exists(shard.keys.of(&Key::Shard)).await?;
            match question.query_async(&mut redis).await {
                Err(error) if super::cluster::is_server_answer(&error) => Ok(T::default()),
                answer => answer,
            }
        };
        self.with_shard(shard, call).await
    }

    async fn parked_copies(&self, shard: &Shard, outgoing: Vec<(String, u64)>) -> Result<Vec<ParkedFor>, StoreError> {
        let mut parked = Vec::with_capacity(outgoing.len());
        for (name, bytes) in outgoing {
            // What names no mailbox stands in a list that was damaged: there is no key for it.
            let Some(mailbox) = Mailbox::named(&name) else { continue };
            let copies = self.command(shard, &Cmd::hlen(shard.keys.of(&Key::Out(mailbox.clone())))).await?;
            parked.push(ParkedFor { kind: mailbox.kind, owner: mailbox.owner.to_string(), copies, bytes });
        }
        Ok(parked)
    }
}

impl RedisStore {
    /// Tells how full the fullest server is, in percent of the memory that it may use, rounded down. None where no server
    /// tells, or none has a bound.
    pub async fn fullest_memory(&self) -> Option<u64> {
        let answers = join_all((0..self.shards.len()).map(|shard| self.memory_percent(shard))).await;
        answers.into_iter().filter_map(|answer| answer.ok().flatten()).max()
    }

    async fn memory_percent(&self, shard: ShardIndex) -> Result<Option<u64>, StoreError> {
        let mut question = redis::cmd("INFO");
        question.arg("memory");
        let info: String = self.ask_server(&self.shards[shard], &question).await?;
        Ok(Health::read(&info, &[]).memory_percent())
    }
}
