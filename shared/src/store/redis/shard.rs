//! One shard: its keys, its connection, and over which of them it was recognised.

use super::connection::Link;
use super::keys::Keys;
use super::login::{ConnectError, advice, is_no_login};
use crate::shard::ShardConfig;
use crate::store::{Incarnation, StoreError};
use redis::RedisError;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) config: ShardConfig,
    pub(super) keys: Keys,
    pub(super) link: Arc<Link>,
    /// The connection over which this shard was last recognised.
    recognised: Mutex<Option<Recognised>>,
    identity: OnceLock<String>,
}

/// A shard was recognised over a connection.
#[derive(Clone, Copy, Debug)]
struct Recognised {
    connection: u64,
    incarnation: Incarnation,
}

impl Shard {
    pub(super) fn new(config: ShardConfig, keys: Keys, link: Arc<Link>) -> Self {
        Self { config, keys, link, recognised: Mutex::new(None), identity: OnceLock::new() }
    }

    pub(super) fn recognised_over(&self, connection: u64) -> Option<Incarnation> {
        let recognised = *self.recognised.lock().unwrap_or_else(PoisonError::into_inner);
        recognised.filter(|recognised| recognised.connection == connection).map(|recognised| recognised.incarnation)
    }

    pub(super) fn recognise(&self, identity: &str, connection: u64, incarnation: Incarnation) {
        if self.identity.get_or_init(|| identity.to_owned()) != identity {
            let shard = self.config.name.as_str();
            tracing::error!(shard, "the shard came back with another identity: its data was replaced or lost");
        }
        let recognised = Recognised { connection, incarnation };
        *self.recognised.lock().unwrap_or_else(PoisonError::into_inner) = Some(recognised);
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

    /// The server answered with an error, over the connection with this number. Where it wants a login first, that
    /// connection has none any more: the next call opens another one.
    pub(super) fn answered(&self, error: &RedisError, connection: u64) -> StoreError {
        if !is_no_login(error) {
            return self.refused(error);
        }
        self.link.drop_connection(connection);
        let error = error.to_string();
        self.refused(&format!("{error}{}", advice(&error)))
    }

    pub(super) fn refused(&self, error: &impl ToString) -> StoreError {
        StoreError::Refused { shard: self.config.name.to_string(), reason: error.to_string() }
    }
}
