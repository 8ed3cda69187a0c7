//! One shard: its keys, its connection, and over which of them it was recognised.

use super::connection::Link;
use super::contact::Server;
use super::keys::Keys;
use crate::shard::ShardConfig;
use crate::store::health::{Health, Warning};
use crate::store::{Incarnation, StoreError};
use redis::{ErrorKind, RedisError, ServerErrorKind};
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) config: ShardConfig,
    pub(super) keys: Keys,
    pub(super) link: Arc<Link>,
    /// The connection over which this shard was last recognised.
    recognised: Mutex<Option<Recognised>>,
    identity: OnceLock<String>,
    /// What was logged about its server.
    warned: Mutex<Vec<Discriminant<Warning>>>,
}

/// A shard was recognised over a connection.
#[derive(Clone, Copy, Debug)]
struct Recognised {
    connection: u64,
    incarnation: Incarnation,
}

impl Shard {
    pub(super) fn new(config: ShardConfig, keys: Keys, link: Arc<Link>) -> Self {
        Self { config, keys, link, recognised: Mutex::new(None), identity: OnceLock::new(), warned: Mutex::default() }
    }

    pub(super) fn recognised_over(&self, connection: u64) -> Option<Incarnation> {
        let recognised = *self.recognised.lock().unwrap_or_else(PoisonError::into_inner);
        recognised.filter(|recognised| recognised.connection == connection).map(|recognised| recognised.incarnation)
    }

    pub(super) fn recognise(&self, identity: &str, connection: u64, server: &Server) {
        self.warn(&server.health);
        if self.identity.get_or_init(|| identity.to_owned()) != identity {
            let shard = self.config.name.as_str();
            tracing::error!(shard, "the shard came back with another identity: its data was replaced or lost");
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

    /// No connection could be opened.
    pub(super) fn unconnected(&self, error: &RedisError) -> StoreError {
        // A server without TLS says nothing that tells so, or nothing at all.
        let over = if self.config.endpoint.is_tls() { "no connection over TLS (rediss://): " } else { "" };
        self.unreachable(format!("{over}{error}"))
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

    /// The server answered with an error. A replica's connection is dropped: the shard's address may lead to another
    /// server by now, and only a new connection gets there.
    pub(super) fn refused_over(&self, connection: u64, error: &RedisError) -> StoreError {
        if matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)) {
            self.link.drop_connection(connection);
        }
        self.refused(error)
    }

    pub(super) fn refused(&self, error: &impl ToString) -> StoreError {
        StoreError::Refused { shard: self.config.name.to_string(), reason: error.to_string() }
    }
}
