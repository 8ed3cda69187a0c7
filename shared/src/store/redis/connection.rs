//! One connection for each server, opened at the first call and again after any doubt, and the login on it.
//!
//! The client is told never to retry and never to reconnect: a call whose outcome is unknown is the
//! caller's to repeat. A connection that timed out is dropped, since a late answer may still be in it. With TLS, certificate and
//! name are always verified: there is no insecure mode.
//!
//! The client is given neither user nor password: it would hold one password for good, and it hides what the server
//! says to a wrong one. A login asks for the password only when a connection is open, so that a server that is
//! down costs no call to AWS, and a token is used the moment it is made. `ElastiCache` closes a connection 12 hours after its login
//! by a token; another one, with a login of its own, takes its place before that.

use crate::clock::Moment;
use crate::config::Config;
use crate::credentials::{CredentialsError, Login, Logins, Password};
use crate::shard::ShardConfig;
use futures_util::future::BoxFuture;
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    RedisResult, ServerError, TlsCertificates, Value,
};
use rustls::crypto::ring;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The connections that this process has opened.
static OPENED: AtomicU64 = AtomicU64::new(1);

/// An open connection, with a number that no other has.
#[derive(Clone, Debug)]
pub(crate) struct Connected {
    pub(crate) redis: MultiplexedConnection,
    pub(crate) number: u64,
    /// Whether it was open before this call asked for it, so that its peer may be gone.
    pub(crate) reused: bool,
    /// The time of its login, where a login ends by itself.
    logged_in: Option<Moment>,
}

impl Connected {
    /// Returns whether `error` says no more than that the peer had closed this connection before the call.
    pub(crate) fn is_stale(&self, error: Option<&RedisError>) -> bool {
        self.reused && error.is_some_and(RedisError::is_connection_dropped)
    }
}

/// The connection slot of one server, shared by the shards that live there.
#[derive(Debug)]
pub(crate) struct Link {
    client: Client,
    access: Arc<Access>,
    slot: Mutex<Option<Connected>>,
    /// One attempt at a time: those who wait use the connection that the first one opens.
    connecting: Semaphore,
}

/// The way in, which is one for all nodes of a cluster.
#[derive(Debug)]
struct Access {
    login: Login,
    database: i64,
    tls: bool,
    /// Longest wait for a connection, and for the answer to a login.
    timeout: Duration,
}

impl Link {
    /// Returns a link that connects at its first use. The answer timeout also bounds how long the kernel keeps sending
    /// to a peer that does not acknowledge.
    pub(crate) fn new(shard: &ShardConfig, logins: &Logins, config: &Config) -> RedisResult<Self> {
        let info = shard.endpoint.expose().into_connection_info()?;
        let given = info.redis_settings();
        let login = logins.login(&shard.password, given.username(), given.password());
        let (database, tls) = (given.db(), shard.endpoint.is_tls());
        let access = Access { login, database, tls, timeout: config.redis_connect_timeout };
        let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(config.redis_timeout);
        // Without user, password and database: these are the login's.
        let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        let info = info.set_tcp_settings(tcp).set_redis_settings(settings);
        let client = match &config.redis_ca {
            Some(authorities) if tls => {
                let root_cert = Some(authorities.pem().as_bytes().to_vec());
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })?
            }
            // Over TLS the client takes Mozilla's roots, which are compiled in.
            _ => Client::open(info)?,
        };
        Ok(Self::of(client, Arc::new(access)))
    }

    fn of(client: Client, access: Arc<Access>) -> Self {
        Self { client, access, slot: Mutex::default(), connecting: Semaphore::const_new(1) }
    }

    /// Returns a link to another node of the same cluster, spoken to in the same way, with the same login.
    pub(crate) fn beside(&self, to_host: &str, to_port: u16) -> Self {
        let info = self.client.get_connection_info().clone();
        let mut address = info.addr().clone();
        if let ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } = &mut address {
            (*host, *port) = (to_host.to_owned(), to_port);
        }
        // It takes a complete description as it is: there is nothing that could fail.
        let client = Client::open(info.set_addr(address)).unwrap_or_else(|_| self.client.clone());
        Self::of(client, Arc::clone(&self.access))
    }

    /// Returns the server's host and port.
    pub(crate) fn address(&self) -> (&str, u16) {
        match self.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (host, *port),
            _ => ("", 0),
        }
    }

    /// Returns the open connection, or a new one, logged in.
    pub(crate) async fn get(&self) -> Result<Connected, ConnectError> {
        if let Some(open) = self.logged_in() {
            return Ok(open);
        }
        // The semaphore is never closed; should it be, connecting twice is harmless.
        let _turn = self.connecting.acquire().await;
        if let Some(open) = self.logged_in() {
            return Ok(open);
        }
        // Boxed, since it is rare, and every call to a shard would carry room for it.
        match (Box::pin(self.connect()).await, self.open()) {
            (Ok(connected), _) => {
                *self.lock() = Some(connected.clone());
                Ok(connected)
            }
            // While there is no new password the old login serves, until the server closes its connection.
            (Err(error), Some(open)) if error.without_password => Ok(open),
            (Err(error), _) => Err(error),
        }
    }

    async fn connect(&self) -> Result<Connected, ConnectError> {
        let Access { tls, timeout, login, .. } = &*self.access;
        if *tls {
            // The client takes what the process has chosen, and panics where it would have to guess: that must not hang on
            // whether some crate links a second one. An error says that a choice was made before.
            let _ = ring::default_provider().install_default();
        }
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(*timeout)).set_response_timeout(None);
        let mut redis = self.client.get_multiplexed_async_connection_with_config(&config).await.map_err(|error| {
            let (over, error) = (if *tls { "no connection over TLS (rediss://): " } else { "" }, error.to_string());
            ConnectError::new(format!("{over}{error}{}", advice(&error)))
        })?;
        // Before the password is made: what ends by itself then ends too early, if anything.
        let logged_in = login.now();
        self.access.log_in(&mut redis).await?;
        Ok(Connected { redis, number: OPENED.fetch_add(1, Ordering::Relaxed), reused: false, logged_in })
    }

    /// Returns the reason to give where a connection was opened and not answered as Redis answers; `None`: not in time.
    pub(crate) fn silence(&self, error: Option<&RedisError>) -> String {
        self.access.silence(error)
    }

    /// Drops the connection with this number, unless a newer one has taken its place.
    pub(crate) fn drop_connection(&self, number: u64) {
        let mut slot = self.lock();
        if slot.as_ref().is_some_and(|open| open.number == number) {
            *slot = None;
        }
    }

    /// Returns the open connection, unless its login is to be made again.
    fn logged_in(&self) -> Option<Connected> {
        self.open().filter(|open| !self.access.login.is_due(open.logged_in))
    }

    fn open(&self) -> Option<Connected> {
        let open = self.lock().clone()?;
        Some(Connected { reused: true, ..open })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connected>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Access {
    /// Logs in over an open connection, and chooses the database.
    async fn log_in(&self, redis: &mut MultiplexedConnection) -> Result<(), ConnectError> {
        let Self { login, database, .. } = self;
        if let Some(password) = login.password().await? {
            let mut refusal = self.ask(redis, self.auth(&password)).await?;
            if refusal.is_some()
                && let Some(newer) = login.newer(&password).await?
            {
                refusal = self.ask(redis, self.auth(&newer)).await?;
            }
            if let Some(said) = refusal {
                let (user, hint) = (login.user.as_deref().unwrap_or("default"), login.hint());
                return Err(ConnectError::new(format!("the server refuses the login of user {user} ({said}); {hint}")));
            }
        }
        if *database != 0 {
            let mut select = redis::cmd("SELECT");
            select.arg(*database);
            if let Some(said) = self.ask(redis, select).await? {
                let hint = "it is the URL's path in REDIS_ENDPOINTS";
                return Err(ConnectError::new(format!("the server refuses the database {database} ({said}); {hint}")));
            }
        }
        Ok(())
    }

    fn auth(&self, password: &Password) -> Cmd {
        let mut auth = redis::cmd("AUTH");
        auth.arg(self.login.user.as_deref()).arg(password.expose());
        auth
    }

    /// Returns the server's refusal of `command`, if it refuses. Boxed, so that it is compiled once.
    fn ask<'a>(
        &'a self,
        redis: &'a mut MultiplexedConnection,
        command: Cmd,
    ) -> BoxFuture<'a, Result<Option<String>, ConnectError>> {
        Box::pin(async move {
            match tokio::time::timeout(self.timeout, redis.req_packed_command(&command)).await {
                Ok(Ok(Value::Okay)) => Ok(None),
                Ok(Ok(Value::ServerError(error))) => Ok(Some(refusal(&error))),
                Ok(Err(error)) => Err(ConnectError::new(self.silence(Some(&error)))),
                Ok(Ok(_)) | Err(_) => Err(ConnectError::new(self.silence(None))),
            }
        })
    }

    fn silence(&self, error: Option<&RedisError>) -> String {
        let told = error.map(|error| format!(": {error}")).unwrap_or_default();
        // So does a server that is greeted without the TLS that it wants.
        let wants_tls = error.is_some() && !self.tls;
        let hint = if wants_tls { " (the address of a server with TLS begins with rediss://)" } else { "" };
        format!("no answer at first contact{told}{hint}")
    }
}

/// The reason why there is no connection on which a user is logged in, with advice for an operator.
#[derive(Debug)]
pub(crate) struct ConnectError {
    pub(crate) reason: String,
    /// Nothing was sent, since there was no password to send.
    pub(crate) without_password: bool,
}

impl ConnectError {
    fn new(reason: String) -> Self {
        Self { reason, without_password: false }
    }
}

impl From<CredentialsError> for ConnectError {
    fn from(error: CredentialsError) -> Self {
        Self { reason: error.to_string(), without_password: true }
    }
}

/// Answers of servers that help and repeat nothing of what they were sent: a server that does not know a command
/// repeats its arguments, the password among them.
const HARMLESS: [&str; 5] = [
    "invalid username-password pair",
    "AUTH <password> called without any password configured",
    "max number of clients reached",
    "wrong number of arguments for 'auth' command",
    "DB index is out of range",
];

/// Returns a server's own word for no, as far as it is harmless.
fn refusal(error: &ServerError) -> String {
    let (code, said) = (error.code(), error.details().unwrap_or_default());
    let detail = HARMLESS.into_iter().find(|detail| said.starts_with(detail));
    detail.map_or_else(|| code.to_owned(), |detail| format!("{code}: {detail}"))
}

/// Returns what to do about an error of a connection, where its text does not say.
pub(crate) fn advice(error: &str) -> &'static str {
    if error.contains("lookup address") {
        "; is the host in REDIS_ENDPOINTS right?"
    } else if error.contains("UnknownIssuer") {
        "; REDIS_CA_FILE says which authorities are believed"
    } else if error.contains("NOAUTH") {
        "; give user and password in REDIS_ENDPOINTS"
    } else {
        ""
    }
}
