//! One shard: its keys, its server or node, and over which connection it was recognised.

use super::connection::Link;
use super::contact::Server;
use super::keys::Keys;
use super::login::{ConnectError, advice, is_no_login};
use super::nodes::Nodes;
use crate::shard::ShardConfig;
use crate::store::health::{Health, Warning};
use crate::store::{Incarnation, StoreError};
use redis::RedisError;
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) config: ShardConfig,
    pub(super) keys: Keys,
    pub(super) nodes: Arc<Nodes>,
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
    pub(super) fn new(config: ShardConfig, keys: Keys, nodes: Arc<Nodes>) -> Self {
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
    pub(super) fn node(&self) -> Arc<Link> {
        let place = self.place();
        if place.sure { Arc::clone(&place.node) } else { self.nodes.entry() }
    }

    /// The node where the shard was found last, also if that is in doubt.
    pub(super) fn last_node(&self) -> Arc<Link> {
        Arc::clone(&self.place().node)
    }

    /// The shard is on this node.
    pub(super) fn found_at(&self, node: &Arc<Link>) {
        *self.place() = Place { node: Arc::clone(node), sure: true };
    }

    /// The node failed: the next call asks another one where the shard is.
    pub(super) fn lost(&self, node: &Arc<Link>) {
        self.place().sure = false;
        self.nodes.failed(node);
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn recognised_over(&self, connection: u64) -> Option<Incarnation> {
        let recognised = *self.recognised.lock().unwrap_or_else(PoisonError::into_inner);
        recognised.filter(|recognised| recognised.connection == connection).map(|recognised| recognised.incarnation)
    }

    pub(super) fn recognise(&self, identity: &str, connection: u64, server: &Server) {
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
    pub(super) fn is_new(&self) -> bool {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(String::is_empty)
    }

    /// There is no connection that somebody is logged in on.
    pub(super) fn unconnected(&self, error: &ConnectError) -> StoreError {
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
    pub(super) fn unanswered(&self, error: Option<&RedisError>) -> StoreError {
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

    pub(super) fn unfit(&self, reason: &str) -> StoreError {
        StoreError::UnfitServer { shard: self.config.name.to_string(), reason: reason.to_owned() }
    }

    /// The server answered with an error.
    pub(super) fn answered(&self, error: &RedisError) -> StoreError {
        let text = error.to_string();
        if is_no_login(error) { self.refused(&format!("{text}{}", advice(&text))) } else { self.refused(&text) }
    }

    pub(super) fn refused(&self, error: &impl ToString) -> StoreError {
        StoreError::Refused { shard: self.config.name.to_string(), reason: error.to_string() }
    }
}
