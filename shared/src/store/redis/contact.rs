//! A shard and the first contact with it: is the server behind its name the one that holds it?
//!
//! A shard's record says which shard it is. A server, or a cluster, keeps a roster of the shards that live on it. A shard whose
//! record is missing is new, unless the roster shows that the server belongs to others: then its name
//! points at the wrong server, or two deployments share one, and a count read there would be wrong.
//!
//! The server also tells which run of it this is, and how it is. A server that may evict any key is refused,
//! unless the settings allow it: counts and applied sets would vanish.
//!
//! [`Health`] is pure: texts of a server in, warnings for an operator out. The functions log these at the first contact. Where
//! `INFO` or `CONFIG` is forbidden, as managed services do with `CONFIG`, its text is empty, and nothing is said of what
//! only it tells.

use super::RedisStore;
use crate::batch::WriterId;
use crate::shard::ShardConfig;
use crate::store::redis::cluster::{Connection, Nodes};
use crate::store::redis::connection::Link;
use crate::store::redis::keys::{self, Key, Keys};
use crate::store::{ServerRun, StoreError};
use futures_util::future::{BoxFuture, join4};
use redis::{AsyncCommands, Cmd, RedisResult};
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use xxhash_rust::xxh3::xxh3_64;

/// Version of the layout of a shard's keys.
const FORMAT: &str = "1";

impl RedisStore {
    /// Checks that `redis` is the server of this shard, makes the shard's record if it is new, and recognises the shard over this
    /// connection. Returns the run of the server, or a sentence for the operator why the server is not taken for the shard.
    ///
    /// Boxed, since it runs once a connection: it takes no room in every call, and is compiled here for size, not
    /// where it is awaited.
    pub(crate) fn recognise<'a>(
        &'a self,
        redis: &'a mut Connection,
        shard: &'a Shard,
    ) -> BoxFuture<'a, RedisResult<Result<ServerRun, String>>> {
        Box::pin(async move {
            // At the same time, so that it costs a cold start no further round trip. `INFO` and `CONFIG` may each be forbidden.
            // A user who may only read can ask all of them.
            let mut clones = [(); 3].map(|()| redis.clone());
            let [first, second, third] = &mut clones;
            let (fields, info, config) =
                (["format", "namespace", "name", "identity"], redis::cmd("INFO"), config_question());
            let ((), record, info, config) = join4(
                redis.learn_nodes(),
                first.hmget::<_, _, [Option<String>; 4]>(shard.keys.of(&Key::Shard), &fields),
                info.query_async::<String>(second),
                config.query_async::<Vec<String>>(third),
            )
            .await;
            let (info, config) = (info.unwrap_or_default(), config.unwrap_or_default());
            let (run, mut health) = (ServerRun::of_info(&info), Health::read(&info, &config));
            health.hides_run = run.is_none();
            if let (Some(policy), false) = (health.evicting_policy(), self.allow_eviction) {
                let warning = Warning::Eviction { policy: policy.to_owned() };
                return Ok(Err(format!("{warning} (or VISITS_ALLOW_EVICTION=on to count all the same)")));
            }
            if shard.config.endpoint.is_cluster() && health.cluster == Some(false) {
                let hint = "it is no node of a cluster; take ;cluster off its entry in REDIS_ENDPOINTS";
                return Ok(Err(hint.to_owned()));
            }
            let mut record: Record = record?.map(Option::unwrap_or_default);
            if record[IDENTITY].is_empty() {
                if let Some(reason) = self.wrong_server(redis, &shard.config).await? {
                    return Ok(Err(reason));
                }
                if !self.looks_only {
                    let identity = match WriterId::random() {
                        Ok(identity) => identity.to_string(),
                        Err(error) => return Ok(Err(error.to_string())),
                    };
                    record = self.create(redis, shard, &identity).await?;
                }
            }
            if !record[IDENTITY].is_empty()
                && let Some(reason) = self.difference(&record, &shard.config)
            {
                return Ok(Err(reason));
            }
            let run = run.unwrap_or_else(ServerRun::of_one_connection);
            let [.., identity] = record;
            shard.recognised(identity, (redis.number(), run), &health);
            Ok(Ok(run))
        })
    }

    /// Creates the shard's record, unless another program has just done so; returns the record that is there.
    async fn create(&self, redis: &mut Connection, shard: &Shard, identity: &str) -> RedisResult<Record> {
        let name = shard.config.name.as_str();
        let _: () = redis.to_any_slot().sadd(keys::roster(&self.namespace), name).await?;
        // Once in a shard's life: not worth a digest. Where the roster is, the script would be loaded on its node, not the shard's.
        let mut create = redis::cmd("EVAL");
        create.arg(include_str!("contact.lua")).arg(1).arg(shard.keys.of(&Key::Shard));
        create.arg(FORMAT).arg(self.namespace.as_str()).arg(name).arg(identity);
        create.query_async(redis).await
    }

    /// Returns the reason why a server on which the shard is new is another shard's, if its roster says so.
    async fn wrong_server(&self, redis: &Connection, shard: &ShardConfig) -> RedisResult<Option<String>> {
        let roster = keys::roster(&self.namespace);
        // In a cluster it is one key for all nodes, in a slot of its own.
        let residents: Vec<String> = redis.to_any_slot().smembers(&roster).await?;
        Ok(residents.iter().filter(|name| **name != shard.name.as_str()).find_map(|resident| {
            let mut configured = self.shards.iter().map(|other| &other.config);
            let (what, hint) = match configured.find(|other| other.name.as_str() == resident) {
                Some(other) if other.endpoint == shard.endpoint => return None,
                Some(_) => ("places elsewhere", "are the endpoints swapped?"),
                None => ("does not name", "give each deployment on one server its own VISITS_NAMESPACE"),
            };
            let forget = format!("if {resident} has left that server for good: SREM {roster} {resident}");
            Some(format!("its server holds shard {resident}, which REDIS_ENDPOINTS {what}; {hint} ({forget})"))
        }))
    }

    /// Returns the difference between a record and the one that the shard should have.
    fn difference(&self, [format, namespace, name, _]: &Record, shard: &ShardConfig) -> Option<String> {
        if format != FORMAT {
            return Some(format!("its layout is version {format}, this program's is {FORMAT}"));
        }
        let same = namespace == self.namespace.as_str() && name == shard.name.as_str();
        (!same).then(|| format!("its record says shard {name} of namespace {namespace}"))
    }
}

/// The fields of a shard's record that say which shard it is: format, namespace, name and identity. All are empty where the
/// shard is new.
type Record = [String; 4];

/// The place of the identity in a [`Record`].
const IDENTITY: usize = 3;

impl ServerRun {
    /// Reads the run of a server from the answer to `INFO`.
    fn of_info(info: &str) -> Option<Self> {
        // A process that was made a replica and a master again goes on with other data under the same `run_id`;
        // its replication id is new.
        let (run, replication) = (field(info, "run_id")?, field(info, "master_replid").unwrap_or_default());
        Some(Self(xxh3_64(format!("{run} {replication}").as_bytes())))
    }
}

/// Returns the question for what `INFO` does not tell.
pub(crate) fn config_question() -> Cmd {
    let mut config = redis::cmd("CONFIG");
    config.arg("GET").arg(CONFIG_PATTERN);
    config
}

#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) config: ShardConfig,
    pub(crate) keys: Keys,
    pub(crate) nodes: Arc<Nodes>,
    state: Mutex<ShardState>,
}

#[derive(Debug)]
struct ShardState {
    /// The server, or the node of a cluster where the shard was found last.
    node: Arc<Link>,
    /// Whether it was there at the last call. Else a node must be asked for it.
    found: bool,
    /// The connection over which the shard was last recognised, and the run of its server.
    recognised: Option<(u64, ServerRun)>,
    /// Identity as first seen; empty while the shard is new.
    identity: Option<String>,
    /// The kinds of warnings that were logged about its server.
    warned: Vec<Discriminant<Warning>>,
}

impl Shard {
    pub(crate) fn new(config: ShardConfig, keys: Keys, nodes: Arc<Nodes>) -> Self {
        let (node, found) = (nodes.entry(), !nodes.is_cluster());
        let state = ShardState { node, found, recognised: None, identity: None, warned: Vec::new() };
        Self { config, keys, nodes, state: Mutex::new(state) }
    }

    /// Returns the node to call: the server, or the node where the shard was found last, or one to ask for it.
    pub(crate) fn node(&self) -> Arc<Link> {
        let state = self.state();
        if state.found { Arc::clone(&state.node) } else { self.nodes.entry() }
    }

    /// Returns the node where the shard was found last, also if that is in doubt.
    pub(crate) fn last_node(&self) -> Arc<Link> {
        Arc::clone(&self.state().node)
    }

    /// Notes that the shard is on this node.
    pub(crate) fn found_at(&self, node: &Arc<Link>) {
        if self.nodes.is_cluster() {
            let mut state = self.state();
            (state.node, state.found) = (Arc::clone(node), true);
        }
    }

    /// Notes that the node of a cluster failed: the next call asks another one where the shard is.
    pub(crate) fn lost(&self, node: &Arc<Link>) {
        if self.nodes.is_cluster() {
            self.state().found = false;
            self.nodes.failed(node);
        }
    }

    fn state(&self) -> MutexGuard<'_, ShardState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the run of the server at the other end, if the shard was recognised over this connection.
    pub(crate) fn recognised_over(&self, connection: u64) -> Option<ServerRun> {
        self.state().recognised.filter(|(number, _)| *number == connection).map(|(_, run)| run)
    }

    /// Logs what an operator should know, each kind once in the life of this environment: a log for each connection
    /// would bury it.
    fn recognised(&self, identity: String, recognised: (u64, ServerRun), health: &Health) {
        let (shard, mut state) = (self.config.name.as_str(), self.state());
        for warning in health.warnings() {
            let kind = discriminant(&warning);
            if !state.warned.contains(&kind) {
                tracing::warn!(shard, "{warning}");
                state.warned.push(kind);
            }
        }
        match &state.identity {
            Some(known) if !known.is_empty() && *known != identity => {
                tracing::error!(shard, "the shard came back with another identity: its data was replaced or lost");
            }
            _ => state.identity = Some(identity),
        }
        state.recognised = Some(recognised);
    }

    /// Returns whether its server had no record of it when it was last recognised.
    pub(crate) fn is_new(&self) -> bool {
        self.state().identity.as_ref().is_some_and(String::is_empty)
    }

    pub(crate) fn unreachable(&self, reason: String) -> StoreError {
        StoreError::Unreachable { shard: self.config.name.to_string(), reason }
    }

    pub(crate) fn unfit(&self, reason: &str) -> StoreError {
        StoreError::UnfitServer { shard: self.config.name.to_string(), reason: reason.to_owned() }
    }

    pub(crate) fn refused(&self, error: &impl ToString) -> StoreError {
        StoreError::Refused { shard: self.config.name.to_string(), reason: error.to_string() }
    }
}

/// Matches `save`, `maxclients` and `maxmemory-policy`: before Redis 7.0, `CONFIG GET` takes one pattern only.
pub const CONFIG_PATTERN: &str = "[sm]a[vx]*";

/// State of a server, as far as it matters to counts. A part that it did not tell is `None`, or 0 for a bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Its `maxmemory-policy`.
    pub eviction_policy: Option<String>,
    /// Whether it follows another server and takes no writes.
    pub is_replica: bool,
    /// The server does not tell which run of it this is, since `INFO` is forbidden.
    pub hides_run: bool,
    /// Whether it is a node of a cluster.
    pub cluster: Option<bool>,
    /// Whether it keeps an append-only file or saves snapshots by itself.
    pub persistent: Option<bool>,
    /// Connections that are open.
    pub clients: u64,
    /// Most connections that it takes.
    pub max_clients: u64,
    /// Memory that it uses, in bytes.
    pub used_memory: u64,
    /// Most memory that it may use, in bytes.
    pub max_memory: u64,
}

/// Something that an operator should change before it costs visits. `Display` says what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Its policy lets it evict keys without a TTL: counts, and what tells whether a batch was counted.
    #[error("its maxmemory-policy is {policy}, so that it may evict counts: set noeviction or volatile-*")]
    Eviction {
        /// The policy.
        policy: String,
    },
    /// A restart would lose everything.
    #[error("it keeps nothing on disk, a restart loses all counts: set appendonly yes")]
    NoPersistence,
    /// At least 80 % of the connections that it takes are open. Each environment needs one.
    #[error("{open} of {most} connections are open: raise maxclients")]
    Clients {
        /// Connections that are open.
        open: u64,
        /// Most that it takes.
        most: u64,
    },
    /// At least 90 % of its memory are used; when it is full, it refuses visits.
    #[error("{used} of {most} bytes of memory are used, full it refuses visits: raise maxmemory")]
    Memory {
        /// Bytes used.
        used: u64,
        /// Most that it may use.
        most: u64,
    },
    /// A replica refuses visits until it is promoted.
    #[error("it is a replica and refuses visits: promote it or give the primary's address")]
    Replica,
    /// `INFO` is forbidden, so a restart that lost data looks like one that did not: each connection counts as a run of its own.
    #[error(
        "INFO is forbidden, so that a new connection counts as a restart and what no second look confirms is kept: allow the \
         user +info"
    )]
    HiddenRun,
}

impl Health {
    /// Reads the answers to `INFO` and to `CONFIG GET` [`CONFIG_PATTERN`] (names and values in turn), which counts where `INFO` does
    /// not tell.
    ///
    /// ```
    /// # use visits_core::store::redis::{Health, Warning};
    /// let health = Health::read("role:master\r\nconnected_clients:80\r\nmaxclients:100\r\n", &[]);
    /// assert_eq!(health.warnings(), [Warning::Clients { open: 80, most: 100 }]);
    /// ```
    pub fn read(info: &str, config: &[String]) -> Self {
        let mut health = Self::default();
        let config = config.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str()));
        for (name, value) in fields(info).chain(config) {
            let number = || value.parse().unwrap_or(0);
            match name {
                "maxmemory_policy" | "maxmemory-policy" => {
                    health.eviction_policy.get_or_insert_with(|| value.to_owned());
                }
                "role" => health.is_replica = value == "slave",
                "cluster_enabled" => health.cluster = Some(value == "1"),
                "aof_enabled" if value == "1" => health.persistent = Some(true),
                "save" if health.persistent.is_none() => health.persistent = Some(!value.is_empty()),
                "connected_clients" => health.clients = number(),
                "maxclients" if health.max_clients == 0 => health.max_clients = number(),
                "used_memory" => health.used_memory = number(),
                "maxmemory" => health.max_memory = number(),
                _ => {}
            }
        }
        health
    }

    /// The policy, if it lets the server evict counts. No key of ours has a TTL, so `volatile-*` evicts none.
    pub fn evicting_policy(&self) -> Option<&str> {
        self.eviction_policy.as_deref().filter(|policy| policy.starts_with("allkeys-"))
    }

    /// Memory used, in percent of the most that may be used, rounded down. None where either is not known or there is no bound.
    pub fn memory_percent(&self) -> Option<u64> {
        (self.used_memory * 100).checked_div(self.max_memory).filter(|_| self.used_memory > 0)
    }

    /// Returns what should be changed, at most one warning of a kind.
    pub fn warnings(&self) -> Vec<Warning> {
        let evicts = self.evicting_policy().map(|policy| Warning::Eviction { policy: policy.to_owned() });
        let clients = Warning::Clients { open: self.clients, most: self.max_clients };
        let memory = Warning::Memory { used: self.used_memory, most: self.max_memory };
        // A server that evicts is full as a rule, and refuses nothing for it.
        let is_full = evicts.is_none() && reaches(self.used_memory, 90, self.max_memory);
        let others = [
            (self.persistent == Some(false), Warning::NoPersistence),
            (reaches(self.clients, 80, self.max_clients), clients),
            (is_full, memory),
            (self.is_replica, Warning::Replica),
            (self.hides_run, Warning::HiddenRun),
        ];
        evicts.into_iter().chain(others.into_iter().filter_map(|(is_due, warning)| is_due.then_some(warning))).collect()
    }
}

/// The fields in the answer to `INFO`, with their values.
fn fields(info: &str) -> impl Iterator<Item = (&str, &str)> {
    info.split('\n').filter_map(|line| {
        let colon = line.bytes().position(|byte| byte == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_end_matches('\r')))
    })
}

/// The value of one field in the answer to `INFO`.
pub(crate) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    fields(info).find_map(|(found, value)| (found == name).then_some(value))
}

/// Whether `value` is `percent` of `most` or more; never where `most` is not known.
fn reaches(value: u64, percent: u64, most: u64) -> bool {
    most > 0 && value.saturating_mul(100) >= most.saturating_mul(percent)
}

#[cfg(test)]
mod tests;
