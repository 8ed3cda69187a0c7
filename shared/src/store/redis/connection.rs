//! One connection for each server, opened at the first call and again after any doubt.
//!
//! The client is told never to retry and never to reconnect: a call whose outcome is unknown is the
//! caller's to repeat. A connection that timed out is dropped, since a late answer may still be in it.

use super::login::{ConnectError, LoggedIn, Login};
use super::tls;
use crate::config::Config;
use crate::shard::Endpoint;
use futures_util::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisResult,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The connections that this process has opened.
static OPENED: AtomicU64 = AtomicU64::new(1);

/// An open connection, with a number that no other has.
#[derive(Clone, Debug)]
pub(super) struct Connected {
    pub(super) redis: MultiplexedConnection,
    pub(super) number: u64,
    /// It was open before this call asked for it, so its peer may be gone.
    pub(super) reused: bool,
    logged_in: LoggedIn,
}

impl Connected {
    /// Whether `error` says no more than that the peer had closed this connection before the call.
    pub(super) fn is_stale(&self, error: Option<&RedisError>) -> bool {
        self.reused && error.is_some_and(RedisError::is_connection_dropped)
    }
}

/// The connection slot of one server, shared by the shards that live there.
#[derive(Debug)]
pub(super) struct Link {
    client: Client,
    tls: bool,
    login: Arc<Login>,
    connect_timeout: Duration,
    slot: Mutex<Option<Connected>>,
    /// One attempt at a time: those who wait use the connection that the first one opens.
    connecting: Semaphore,
}

impl Link {
    /// A link that connects at its first use. The answer timeout also bounds how long the kernel keeps sending
    /// to a peer that does not acknowledge.
    pub(super) fn new(endpoint: &Endpoint, login: Arc<Login>, config: &Config) -> RedisResult<Self> {
        let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(config.redis_timeout);
        let info = endpoint.expose().into_connection_info()?;
        // Without user, password and database: these are the login's.
        let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        let info = info.set_tcp_settings(tcp).set_redis_settings(settings);
        let (tls, connect_timeout) = (endpoint.is_tls(), config.redis_connect_timeout);
        let client = if tls { tls::client(info, config.redis_ca.as_ref())? } else { Client::open(info)? };
        Ok(Self::of(client, tls, login, connect_timeout))
    }

    fn of(client: Client, tls: bool, login: Arc<Login>, connect_timeout: Duration) -> Self {
        Self { client, tls, login, connect_timeout, slot: Mutex::default(), connecting: Semaphore::const_new(1) }
    }

    /// A link to another node of the same cluster, spoken to in the same way, with the same login.
    pub(super) fn beside(&self, to_host: &str, to_port: u16) -> Self {
        let info = self.client.get_connection_info().clone();
        let mut address = info.addr().clone();
        if let ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } = &mut address {
            (*host, *port) = (to_host.to_owned(), to_port);
        }
        // It takes a complete description as it is: there is nothing that could fail.
        let client = Client::open(info.set_addr(address)).unwrap_or_else(|_| self.client.clone());
        Self::of(client, self.tls, Arc::clone(&self.login), self.connect_timeout)
    }

    /// The server's host and port.
    pub(super) fn address(&self) -> (&str, u16) {
        match self.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (host, *port),
            _ => ("", 0),
        }
    }

    /// The open connection, or a new one, logged in.
    pub(super) async fn get(&self) -> Result<Connected, ConnectError> {
        match self.logged_in() {
            Some(open) => Ok(open),
            None => self.opened().await,
        }
    }

    /// Boxed, since it is rare, and every call to a shard would carry room for it.
    fn opened(&self) -> BoxFuture<'_, Result<Connected, ConnectError>> {
        Box::pin(async {
            // The semaphore is never closed; should it be, connecting twice is harmless.
            let _turn = self.connecting.acquire().await;
            if let Some(open) = self.logged_in() {
                return Ok(open);
            }
            if self.login.ends_by_itself()
                && let Some(open) = self.renewed().await
            {
                return Ok(open);
            }
            let mut redis = self.connect().await?;
            let logged_in = self.login.over(&mut redis).await?;
            let number = OPENED.fetch_add(1, Ordering::Relaxed);
            let connected = Connected { redis, number, reused: false, logged_in };
            *self.lock() = Some(connected.clone());
            Ok(connected)
        })
    }

    async fn connect(&self) -> Result<MultiplexedConnection, ConnectError> {
        if self.tls {
            tls::choose_cryptography();
        }
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(self.connect_timeout)).set_response_timeout(None);
        self.client.get_multiplexed_async_connection_with_config(&config).await.map_err(ConnectError::Closed)
    }

    /// The open connection with its login made again, where that was due. A server that does not answer or refuses it
    /// gives the connection up: a new one tells why. While there is no password the old login serves until it is over.
    async fn renewed(&self) -> Option<Connected> {
        let mut open = self.open()?;
        if !self.login.is_over(open.logged_in) {
            match self.login.over(&mut open.redis).await {
                Ok(logged_in) => return self.renew(Connected { logged_in, ..open }),
                Err(error) if error.is_without_password() => return Some(open),
                Err(_) => {}
            }
        }
        self.drop_connection(open.number);
        None
    }

    fn renew(&self, renewed: Connected) -> Option<Connected> {
        let mut slot = self.lock();
        let current = slot.as_mut().filter(|current| current.number == renewed.number)?;
        current.logged_in = renewed.logged_in;
        Some(renewed)
    }

    /// Drops the connection with this number, unless a newer one has taken its place.
    pub(super) fn drop_connection(&self, number: u64) {
        let mut slot = self.lock();
        if slot.as_ref().is_some_and(|open| open.number == number) {
            *slot = None;
        }
    }

    /// The open connection, unless its login is to be renewed.
    fn logged_in(&self) -> Option<Connected> {
        self.open().filter(|open| !self.login.is_due(open.logged_in))
    }

    fn open(&self) -> Option<Connected> {
        let open = self.lock().clone()?;
        Some(Connected { reused: true, ..open })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connected>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::login::Logins;
    use super::*;

    impl Link {
        /// A link to this URL's server with the login in it.
        pub(in crate::store::redis) fn to(url: &str) -> Self {
            let config =
                Config::from_vars(|name| (name == "REDIS_ENDPOINTS").then(|| format!("a={url}").into())).unwrap();
            let login = Logins::new(&config).login(&config.shards[0]).unwrap();
            Self::new(&config.shards[0].endpoint, Arc::new(login), &config).unwrap()
        }
    }

    #[test]
    fn another_node_of_a_cluster_is_spoken_to_as_the_first() {
        for url in ["redis://app:pw@seed:7000", "rediss://app:pw@seed:7000"] {
            let seed = Link::to(url);
            let other = seed.beside("::1", 7001);
            let [one, two] = [&seed, &other].map(|link| link.client.get_connection_info());
            assert_eq!((other.address(), seed.address()), (("::1", 7001), ("seed", 7000)));
            assert!(Arc::ptr_eq(&seed.login, &other.login));
            assert_eq!(format!("{:?}", one.tcp_settings()), format!("{:?}", two.tcp_settings()));
            assert_eq!(matches!(two.addr(), ConnectionAddr::TcpTls { insecure: false, .. }), url.starts_with("rediss"));
            assert_eq!((seed.tls, seed.connect_timeout), (other.tls, other.connect_timeout));
        }
    }
}
