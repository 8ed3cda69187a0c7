//! First contact: is the server behind a shard's name the one that holds this shard?
//!
//! A shard's record says who it is. A server, or a cluster, keeps a roster of the shards that live on it. A shard whose
//! record is missing is new, unless the roster shows that the server belongs to others: then its name
//! points at the wrong server, or two deployments share one, and a count read there would be wrong.
//!
//! The server also tells which run of it this is, and how it is: see [`Server`].
//!
//! A server that may evict any key is refused, too, unless the settings allow it: counts and applied sets would
//! vanish.

mod server;

use super::keys::{self, Keys};
use super::routed::Connection;
use crate::batch::WriterId;
use crate::config::Config;
use crate::shard::{Namespace, ShardConfig};
use crate::store::health::Warning;
use futures_util::future::{BoxFuture, join3};
use redis::{AsyncCommands, RedisResult};
pub(super) use server::Server;
use server::answer;

/// Version of the layout of a shard's keys.
const FORMAT: &str = "1";

/// Why a server is not taken for the shard: a sentence for the operator.
#[derive(Debug)]
pub(super) enum ContactError {
    Redis(redis::RedisError),
    UnfitServer(String),
}

impl ContactError {
    pub(super) fn into_redis(self) -> Option<redis::RedisError> {
        match self {
            Self::Redis(error) => Some(error),
            Self::UnfitServer(_) => None,
        }
    }
}

impl From<redis::RedisError> for ContactError {
    fn from(error: redis::RedisError) -> Self {
        Self::Redis(error)
    }
}

/// What is needed to recognise the shards of a deployment.
#[derive(Debug)]
pub(super) struct Contact {
    namespace: Namespace,
    shards: Vec<ShardConfig>,
    /// Whether only to look: then a shard that is new stays so.
    looks_only: bool,
    allow_eviction: bool,
}

impl Contact {
    pub(super) fn new(config: &Config) -> Self {
        let (namespace, shards) = (config.namespace.clone(), config.shards.clone());
        Self { namespace, shards, looks_only: false, allow_eviction: config.allow_eviction }
    }

    /// From now on, a shard that is new gets no record.
    pub(super) fn only_look(&mut self) {
        self.looks_only = true;
    }

    /// Checks that `redis` is the server of this shard, and makes the shard's record if it is new.
    /// Returns the shard's identity (empty where it is new and stays so) and what the server tells of itself.
    ///
    /// Boxed, since it runs once a connection: it takes no room in every call, and is compiled here for size, not
    /// where it is awaited.
    pub(super) fn check<'a>(
        &'a self,
        redis: &'a mut Connection,
        keys: &'a Keys,
        shard: &'a ShardConfig,
    ) -> BoxFuture<'a, Result<(String, Server), ContactError>> {
        Box::pin(self.check_inline(redis, keys, shard))
    }

    async fn check_inline(
        &self,
        redis: &mut Connection,
        keys: &Keys,
        shard: &ShardConfig,
    ) -> Result<(String, Server), ContactError> {
        if let Some(learning) = redis.learn_nodes() {
            let _ = learning.await;
        }
        // At the same time, so that it costs a cold start no further round trip.
        let (info, config) = server::questions();
        let (info, config) = (answer(redis.clone(), info), answer(redis.clone(), config));
        let (record, info, mut config) = join3(Record::read(redis, keys), info, config).await;
        if info.is_empty() {
            config = answer(redis.clone(), server::instead_of_info()).await;
        }
        let server = Server::new(&info, &config);
        if let (Some(policy), false) = (server.health.evicting_policy(), self.allow_eviction) {
            let warning = Warning::Eviction { policy: policy.to_owned() };
            return Err(ContactError::UnfitServer(format!(
                "{warning} (or VISITS_ALLOW_EVICTION=on to count all the same)"
            )));
        }
        if shard.endpoint.is_cluster() && server.health.cluster == Some(false) {
            let mend = "it is no node of a cluster; take ;cluster off its entry in REDIS_ENDPOINTS";
            return Err(ContactError::UnfitServer(mend.to_owned()));
        }
        let mut record = record?;
        if record.identity.is_empty() {
            self.check_roster(redis, shard).await?;
            if self.looks_only {
                return Ok((record.identity, server));
            }
            let mut to_roster = redis.to_any_slot();
            let _: () = to_roster.sadd(keys::roster(&self.namespace), shard.name.as_str()).await?;
            let identity = WriterId::random().map_err(|error| ContactError::UnfitServer(error.to_string()))?;
            record = self.create(redis, keys, shard, &identity.to_string()).await?;
        }
        record.check(&self.namespace, shard)?;
        Ok((record.identity, server))
    }

    /// Creates the shard's record, unless another program has just done so; returns the record that is there.
    async fn create(
        &self,
        redis: &mut Connection,
        keys: &Keys,
        shard: &ShardConfig,
        identity: &str,
    ) -> RedisResult<Record> {
        // Once in a shard's life: not worth a digest. Where the roster is, the script would be loaded on its node, not the shard's.
        let mut create = redis::cmd("EVAL");
        create.arg(include_str!("contact.lua")).arg(1).arg(keys.shard());
        create.arg(FORMAT).arg(self.namespace.as_str()).arg(shard.name.as_str()).arg(identity);
        let (format, namespace, name, identity) = create.query_async(redis).await?;
        Ok(Record { format, namespace, name, identity })
    }

    async fn check_roster(&self, redis: &Connection, shard: &ShardConfig) -> Result<(), ContactError> {
        let roster = keys::roster(&self.namespace);
        // In a cluster it is one key for all nodes, in a slot of its own.
        let mut redis = redis.to_any_slot();
        let residents: Vec<String> = redis.smembers(&roster).await?;
        for resident in residents.iter().filter(|name| **name != shard.name.as_str()) {
            let configured = self.shards.iter().find(|other| other.name.as_str() == resident);
            if configured.is_none_or(|other| other.endpoint != shard.endpoint) {
                return Err(ContactError::UnfitServer(wrong_server(resident, configured, &roster)));
            }
        }
        Ok(())
    }
}

fn wrong_server(resident: &str, configured: Option<&ShardConfig>, roster: &str) -> String {
    let mend = format!("if {resident} has left that server for good: SREM {roster} {resident}");
    match configured {
        Some(_) => format!(
            "its server holds shard {resident}, which REDIS_ENDPOINTS places elsewhere; are the endpoints swapped? ({mend})"
        ),
        None => format!(
            "its server holds shard {resident}, which REDIS_ENDPOINTS does not name; \
             give each deployment on one server its own VISITS_NAMESPACE ({mend})"
        ),
    }
}

#[derive(Debug)]
struct Record {
    format: String,
    namespace: String,
    name: String,
    identity: String,
}

impl Record {
    /// Reads a shard's record: all of it is empty where the shard is new. A user who may only read can do this.
    async fn read(redis: &mut Connection, keys: &Keys) -> RedisResult<Self> {
        let fields = ["format", "namespace", "name", "identity"];
        let fields: [Option<String>; 4] = redis.hmget(keys.shard(), &fields).await?;
        let [format, namespace, name, identity] = fields.map(Option::unwrap_or_default);
        Ok(Self { format, namespace, name, identity })
    }

    fn check(&self, namespace: &Namespace, shard: &ShardConfig) -> Result<(), ContactError> {
        if self.format != FORMAT {
            let found = &self.format;
            return Err(ContactError::UnfitServer(format!(
                "its layout is version {found}, this program's is {FORMAT}"
            )));
        }
        if self.namespace != namespace.as_str() || self.name != shard.name.as_str() {
            let Self { namespace, name, .. } = self;
            return Err(ContactError::UnfitServer(format!("its record says shard {name} of namespace {namespace}")));
        }
        Ok(())
    }
}
