//! A shard and the first contact with it: is the server behind its name the one that holds it?
//!
//! A shard's record says which shard it is. A server, or a cluster, keeps a roster of the shards that live on it. A shard whose
//! record is missing is new, unless the roster shows that the server belongs to others: then its name
//! points at the wrong server, or two deployments share one, and a count read there would be wrong.
//!
//! The server also tells which run of it this is, and how it is: see [`Server`]. A server that may evict any key is refused,
//! unless the settings allow it: counts and applied sets would vanish.
//!
//! [`Health`] is pure: texts of a server in, warnings for an operator out. The functions log these at the first contact. Where
//! `INFO` or `CONFIG` is forbidden, as managed services do with `CONFIG`, its text is empty, and nothing is said of what
//! only it tells.

use crate::batch::WriterId;
use crate::config::Config;
use crate::shard::{Namespace, ShardConfig};
use crate::store::redis::cluster::{Connection, Nodes};
use crate::store::redis::connection::{ConnectError, Link, advice, is_no_login};
use crate::store::redis::keys::{self, Key, Keys};
use crate::store::{Incarnation, StoreError};
use futures_util::future::{BoxFuture, join3};
use redis::{AsyncCommands, Cmd, RedisError, RedisResult};
use std::fmt;
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use xxhash_rust::xxh3::xxh3_64;

/// Version of the layout of a shard's keys.
const FORMAT: &str = "1";

/// Why a server is not taken for the shard: a sentence for the operator.
#[derive(Debug)]
pub(crate) enum ContactError {
    Redis(redis::RedisError),
    UnfitServer(String),
}

impl ContactError {
    pub(crate) fn into_redis(self) -> Option<redis::RedisError> {
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
pub(crate) struct Contact {
    namespace: Namespace,
    shards: Vec<ShardConfig>,
    /// Whether only to look: then a shard that is new stays so.
    looks_only: bool,
    allow_eviction: bool,
}

impl Contact {
    pub(crate) fn new(config: &Config) -> Self {
        let (namespace, shards) = (config.namespace.clone(), config.shards.clone());
        Self { namespace, shards, looks_only: false, allow_eviction: config.allow_eviction }
    }

    /// From now on, a shard that is new gets no record.
    pub(crate) fn only_look(&mut self) {
        self.looks_only = true;
    }

    /// Checks that `redis` is the server of this shard, and makes the shard's record if it is new.
    /// Returns the shard's identity (empty where it is new and stays so) and what the server tells of itself.
    ///
    /// Boxed, since it runs once a connection: it takes no room in every call, and is compiled here for size, not
    /// where it is awaited.
    pub(crate) fn check<'a>(
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
        let (info, config) = questions();
        let (info, config) = (answer(redis.clone(), info), answer(redis.clone(), config));
        let (record, info, mut config) = join3(Record::read(redis, keys), info, config).await;
        if info.is_empty() {
            config = answer(redis.clone(), instead_of_info()).await;
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
        create.arg(include_str!("contact.lua")).arg(1).arg(keys.of(&Key::Shard));
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
        let fields: [Option<String>; 4] = redis.hmget(keys.of(&Key::Shard), &fields).await?;
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

/// A server's state and which run of it this is.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub(crate) health: Health,
    pub(crate) incarnation: Incarnation,
}

impl Server {
    /// Reads the answers to [`questions`].
    pub(crate) fn new(info: &[String], config: &[String]) -> Self {
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
fn questions() -> (Cmd, Cmd) {
    (redis::cmd("INFO"), config("save"))
}

/// What to ask where `INFO` is forbidden. Not always: each of its answers costs a start some thousand instructions.
fn instead_of_info() -> Cmd {
    config(CONFIG_PATTERN)
}

fn config(pattern: &str) -> Cmd {
    let mut config = redis::cmd("CONFIG");
    config.arg("GET").arg(pattern);
    config
}

/// The answer as a list, which for a single text has one item. Nothing for an error.
pub(crate) async fn answer(mut redis: Connection, question: Cmd) -> Vec<String> {
    question.query_async(&mut redis).await.unwrap_or_default()
}

#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) config: ShardConfig,
    pub(crate) keys: Keys,
    pub(crate) nodes: Arc<Nodes>,
    place: Mutex<Place>,
    /// The connection over which this shard was last recognised.
    recognised: Mutex<Option<Recognised>>,
    /// Identity as first seen; empty while the shard is new.
    identity: Mutex<Option<String>>,
    /// What was logged about its server.
    warned: Mutex<Vec<Discriminant<Warning>>>,
}

/// Where a shard is.
#[derive(Debug)]
struct Place {
    node: Arc<Link>,
    /// It was there at the last call. Else the node must be asked for.
    sure: bool,
}

/// A shard was recognised over a connection.
#[derive(Clone, Copy, Debug)]
struct Recognised {
    connection: u64,
    incarnation: Incarnation,
}

impl Shard {
    pub(crate) fn new(config: ShardConfig, keys: Keys, nodes: Arc<Nodes>) -> Self {
        let place = Mutex::new(Place { node: nodes.entry(), sure: !nodes.is_cluster() });
        Self {
            config,
            keys,
            nodes,
            place,
            recognised: Mutex::new(None),
            identity: Mutex::default(),
            warned: Mutex::default(),
        }
    }

    /// Whom to call: the server, or the node where the shard was found last, or one to ask for it.
    pub(crate) fn node(&self) -> Arc<Link> {
        let place = self.place();
        if place.sure { Arc::clone(&place.node) } else { self.nodes.entry() }
    }

    /// The node where the shard was found last, also if that is in doubt.
    pub(crate) fn last_node(&self) -> Arc<Link> {
        Arc::clone(&self.place().node)
    }

    /// The shard is on this node.
    pub(crate) fn found_at(&self, node: &Arc<Link>) {
        *self.place() = Place { node: Arc::clone(node), sure: true };
    }

    /// The node failed: the next call asks another one where the shard is.
    pub(crate) fn lost(&self, node: &Arc<Link>) {
        self.place().sure = false;
        self.nodes.failed(node);
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn recognised_over(&self, connection: u64) -> Option<Incarnation> {
        let recognised = *self.recognised.lock().unwrap_or_else(PoisonError::into_inner);
        recognised.filter(|recognised| recognised.connection == connection).map(|recognised| recognised.incarnation)
    }

    pub(crate) fn recognise(&self, identity: &str, connection: u64, server: &Server) {
        self.warn(&server.health);
        let mut known = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(known) if !known.is_empty() && known != identity => {
                let shard = self.config.name.as_str();
                tracing::error!(shard, "the shard came back with another identity: its data was replaced or lost");
            }
            Some(known) if known == identity => {}
            _ => *known = Some(identity.to_owned()),
        }
        let recognised = Recognised { connection, incarnation: server.incarnation };
        *self.recognised.lock().unwrap_or_else(PoisonError::into_inner) = Some(recognised);
    }

    /// Logs what an operator should know, each kind once in the life of this environment: a log for each connection
    /// would bury it.
    fn warn(&self, health: &Health) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in health.warnings() {
            let kind = discriminant(&warning);
            if !warned.contains(&kind) {
                tracing::warn!(shard = self.config.name.as_str(), "{warning}");
                warned.push(kind);
            }
        }
    }

    /// Whether its server had no record of it when it was last recognised.
    pub(crate) fn is_new(&self) -> bool {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(String::is_empty)
    }

    /// There is no connection that somebody is logged in on.
    pub(crate) fn unconnected(&self, error: &ConnectError) -> StoreError {
        match error {
            ConnectError::Unanswered(error) => self.unanswered(error.as_ref()),
            ConnectError::Login(error) => self.unreachable(error.to_string()),
            ConnectError::Closed(error) => {
                // A server without TLS says nothing that tells so, or nothing at all.
                let over = if self.config.endpoint.is_tls() { "no connection over TLS (rediss://): " } else { "" };
                let error = error.to_string();
                self.unreachable(format!("{over}{error}{}", advice(&error)))
            }
        }
    }

    /// A connection was opened, and not answered as Redis answers. None: not in time.
    pub(crate) fn unanswered(&self, error: Option<&RedisError>) -> StoreError {
        let told = error.map(|error| format!(": {error}")).unwrap_or_default();
        // So does a server that is greeted without the TLS that it wants.
        let hint = if error.is_some() && !self.config.endpoint.is_tls() {
            " (the address of a server with TLS begins with rediss://)"
        } else {
            ""
        };
        self.unreachable(format!("no answer at first contact{told}{hint}"))
    }

    fn unreachable(&self, reason: String) -> StoreError {
        StoreError::Unreachable { shard: self.config.name.to_string(), reason }
    }

    pub(crate) fn unfit(&self, reason: &str) -> StoreError {
        StoreError::UnfitServer { shard: self.config.name.to_string(), reason: reason.to_owned() }
    }

    /// The server answered with an error.
    pub(crate) fn answered(&self, error: &RedisError) -> StoreError {
        let text = error.to_string();
        if is_no_login(error) { self.refused(&format!("{text}{}", advice(&text))) } else { self.refused(&text) }
    }

    pub(crate) fn refused(&self, error: &impl ToString) -> StoreError {
        StoreError::Refused { shard: self.config.name.to_string(), reason: error.to_string() }
    }
}

/// Matches `save`, `maxclients` and `maxmemory-policy`: before Redis 7.0, `CONFIG GET` takes one pattern only.
pub const CONFIG_PATTERN: &str = "[sm]a[vx]*";

/// What matters to counts in a server's state. What it did not tell is `None`, or 0 for a bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Its `maxmemory-policy`.
    pub eviction_policy: Option<String>,
    /// It follows another server and takes no writes.
    pub is_replica: bool,
    /// The server does not tell which run of it this is, since `INFO` is forbidden.
    pub hides_run: bool,
    /// It is a node of a cluster.
    pub cluster: Option<bool>,
    /// It keeps an append-only file or saves snapshots by itself.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Its policy lets it evict keys without a TTL: counts, and what tells whether a batch was counted.
    Eviction {
        /// The policy.
        policy: String,
    },
    /// A restart would lose everything.
    NoPersistence,
    /// At least 80 % of the connections that it takes are open. Each environment needs one.
    Clients {
        /// Connections that are open.
        open: u64,
        /// Most that it takes.
        most: u64,
    },
    /// At least 90 % of its memory are used; when it is full, it refuses visits.
    Memory {
        /// Bytes used.
        used: u64,
        /// Most that it may use.
        most: u64,
    },
    /// It is a replica, and refuses visits until it is promoted.
    Replica,
    /// `INFO` is forbidden, so a restart that lost data looks like one that did not: each connection counts as a run of its own.
    HiddenRun,
}

impl Health {
    /// Reads the answers to `INFO` and to `CONFIG GET` [`CONFIG_PATTERN`] (names and values in turn).
    ///
    /// ```
    /// # use visits_core::store::redis::{Health, Warning};
    /// let health = Health::read("role:master\r\nconnected_clients:80\r\nmaxclients:100\r\n", &[]);
    /// assert_eq!(health.warnings(), [Warning::Clients { open: 80, most: 100 }]);
    /// ```
    pub fn read(info: &str, config: &[String]) -> Self {
        let mut health = Self::default();
        fields(info).for_each(|(name, value)| health.learn(name, value));
        health.complete(config);
        health
    }

    /// Takes a field of `INFO`.
    pub(crate) fn learn(&mut self, name: &str, value: &str) {
        let number = || value.parse().unwrap_or(0);
        match name {
            "maxmemory_policy" => self.eviction_policy = Some(value.to_owned()),
            "role" => self.is_replica = value == "slave",
            "cluster_enabled" => self.cluster = Some(value == "1"),
            "aof_enabled" if value == "1" => self.persistent = Some(true),
            "connected_clients" => self.clients = number(),
            "maxclients" => self.max_clients = number(),
            "used_memory" => self.used_memory = number(),
            "maxmemory" => self.max_memory = number(),
            _ => {}
        }
    }

    /// Takes from the answer to `CONFIG GET` what `INFO` has not told.
    pub(crate) fn complete(&mut self, config: &[String]) {
        for pair in config.chunks_exact(2) {
            match (pair[0].as_str(), pair[1].as_str()) {
                ("maxmemory-policy", policy) if self.eviction_policy.is_none() => {
                    self.eviction_policy = Some(policy.to_owned());
                }
                ("save", points) if self.persistent.is_none() => self.persistent = Some(!points.is_empty()),
                ("maxclients", most) if self.max_clients == 0 => self.max_clients = most.parse().unwrap_or(0),
                _ => {}
            }
        }
    }

    /// The policy, if it lets the server evict counts. No key of ours has a TTL, so `volatile-*` evicts none.
    pub fn evicting_policy(&self) -> Option<&str> {
        self.eviction_policy.as_deref().filter(|policy| policy.starts_with("allkeys-"))
    }

    /// Memory used, in percent of the most that may be used, rounded down. None where either is not known or there is no bound.
    pub fn memory_percent(&self) -> Option<u64> {
        (self.used_memory * 100).checked_div(self.max_memory).filter(|_| self.used_memory > 0)
    }

    /// What should be changed, at most one warning of a kind.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let evicts = self.evicting_policy().map(|policy| Warning::Eviction { policy: policy.to_owned() });
        // A server that evicts is full as a rule, and refuses nothing for it.
        let full = evicts.is_none() && reaches(self.used_memory, 90, self.max_memory);
        warnings.extend(evicts);
        if self.persistent == Some(false) {
            warnings.push(Warning::NoPersistence);
        }
        if reaches(self.clients, 80, self.max_clients) {
            warnings.push(Warning::Clients { open: self.clients, most: self.max_clients });
        }
        if full {
            warnings.push(Warning::Memory { used: self.used_memory, most: self.max_memory });
        }
        if self.is_replica {
            warnings.push(Warning::Replica);
        }
        if self.hides_run {
            warnings.push(Warning::HiddenRun);
        }
        warnings
    }
}

/// The fields in the answer to `INFO`, with their values. To go through once: a start should not pay for every field anew.
pub(crate) fn fields(info: &str) -> impl Iterator<Item = (&str, &str)> {
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

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eviction { policy } => {
                write!(f, "its maxmemory-policy is {policy}, so that it may evict counts: set noeviction or volatile-*")
            }
            Self::NoPersistence => {
                f.write_str("it keeps nothing on disk, a restart loses all counts: set appendonly yes")
            }
            Self::Clients { open, most } => write!(f, "{open} of {most} connections are open: raise maxclients"),
            Self::Memory { used, most } => {
                write!(f, "{used} of {most} bytes of memory are used, full it refuses visits: raise maxmemory")
            }
            Self::Replica => {
                f.write_str("it is a replica and refuses visits: promote it or give the primary's address")
            }
            Self::HiddenRun => f.write_str(
                "INFO is forbidden, so that a new connection counts as a restart and what no second look confirms is kept: allow the \
                 user +info",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
