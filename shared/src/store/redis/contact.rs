//! First contact: is the server behind a shard's name the one that holds this shard?
//!
//! A shard's record says who it is. A server, or a cluster, keeps a roster of the shards that live on it. A shard whose
//! record is missing is new, unless the roster shows that the server belongs to others: then its name
//! points at the wrong server, or two deployments share one, and a count read there would be wrong.
//!
//! The server also tells which run of it this is: see [`Incarnation`].
//!
//! A server that may evict any key is refused, too: counts and applied sets would vanish. No key of ours has a
//! TTL, so the `volatile-*` policies evict none.

use super::keys::{self, Keys};
use super::routed::Connection;
use super::script::LazyScript;
use crate::batch::WriterId;
use crate::shard::{Namespace, ShardConfig};
use crate::store::Incarnation;
use futures_util::future::join;
use redis::{AsyncCommands, RedisResult, Script};
use xxhash_rust::xxh3::xxh3_64;

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
    script: LazyScript,
    namespace: Namespace,
    shards: Vec<ShardConfig>,
    /// Whether only to look: then a shard that is new stays so.
    looks_only: bool,
}

impl Contact {
    pub(super) fn new(namespace: Namespace, shards: Vec<ShardConfig>) -> Self {
        let script = LazyScript::new(|| Script::new(include_str!("contact.lua")));
        Self { script, namespace, shards, looks_only: false }
    }

    /// From now on, a shard that is new gets no record.
    pub(super) fn only_look(&mut self) {
        self.looks_only = true;
    }

    /// Checks that `redis` is the server of this shard, and makes the shard's record if it is new.
    /// Returns the shard's identity (empty where it is new and stays so) and the run of the server.
    pub(super) async fn check(
        &self,
        redis: &mut Connection,
        keys: &Keys,
        shard: &ShardConfig,
    ) -> Result<(String, Incarnation), ContactError> {
        if let Some(learning) = redis.learn_nodes() {
            let _ = learning.await;
        }
        // At the same time, so that it costs a cold start no further round trip.
        let mut beside = redis.clone();
        let (record, server) = join(self.record(redis, keys, shard, ""), Server::ask(&mut beside)).await;
        if let Some(policy) = server.eviction_policy.filter(|policy| policy.starts_with("allkeys-")) {
            return Err(ContactError::UnfitServer(format!(
                "its maxmemory-policy is {policy}, so that it may evict counts; noeviction or volatile-* are accepted"
            )));
        }
        if shard.endpoint.is_cluster() && server.cluster_enabled.as_deref() == Some("0") {
            let mend = "it is no node of a cluster; take ;cluster off its entry in REDIS_ENDPOINTS";
            return Err(ContactError::UnfitServer(mend.to_owned()));
        }
        let mut record = record?;
        if record.identity.is_empty() {
            self.check_roster(redis, shard).await?;
            if self.looks_only {
                return Ok((record.identity, server.incarnation));
            }
            let _: () = redis.sadd(keys::roster(&self.namespace), shard.name.as_str()).await?;
            let identity = WriterId::random().map_err(|error| ContactError::UnfitServer(error.to_string()))?;
            record = self.record(redis, keys, shard, &identity.to_string()).await?;
        }
        record.check(&self.namespace, shard)?;
        Ok((record.identity, server.incarnation))
    }

    async fn record(
        &self,
        redis: &mut Connection,
        keys: &Keys,
        shard: &ShardConfig,
        identity: &str,
    ) -> RedisResult<Record> {
        let mut call = self.script.key(keys.shard());
        call.arg(FORMAT).arg(self.namespace.as_str()).arg(shard.name.as_str()).arg(identity);
        let (format, namespace, name, identity) = call.invoke_async(redis).await?;
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

/// What a server tells of itself; nothing where it does not allow to ask.
#[derive(Debug, Default)]
struct Server {
    eviction_policy: Option<String>,
    /// 1: it is a node of a cluster.
    cluster_enabled: Option<String>,
    incarnation: Incarnation,
}

impl Server {
    async fn ask(redis: &mut Connection) -> Self {
        let info: RedisResult<String> = redis::cmd("INFO").query_async(redis).await;
        let info = info.unwrap_or_default();
        let line = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        // A process that was made a replica and a master again goes on with other data under the same run_id; its
        // replication id is new.
        let ids = ["run_id", "master_replid"].map(|name| line(name).unwrap_or_default().trim());
        let run = if ids[0].is_empty() { 0 } else { xxh3_64(ids.join(" ").as_bytes()) };
        let [mut eviction_policy, cluster_enabled] =
            ["maxmemory_policy", "cluster_enabled"].map(|name| line(name).map(|value| value.trim().to_owned()));
        if eviction_policy.is_none() {
            let config: RedisResult<Vec<String>> =
                redis::cmd("CONFIG").arg("GET").arg("maxmemory-policy").query_async(redis).await;
            eviction_policy = config.ok().and_then(|config| config.into_iter().nth(1));
        }
        Self { eviction_policy, cluster_enabled, incarnation: Incarnation(run) }
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
