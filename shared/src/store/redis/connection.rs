//! One connection for each server, opened at the first call and again after any doubt, and its login.
//!
//! The client is told never to retry and never to reconnect: a call whose outcome is unknown is the
//! caller's to repeat. A connection that timed out is dropped, since a late answer may still be in it. With TLS, certificate and
//! name are always verified: there is no insecure mode.
//!
//! The client is given neither user nor password: it would hold one password for good, and it hides what the server
//! says to a wrong one. A login asks for the password only when a connection is open, so that a server that is
//! down costs no call to AWS, and a token is used the moment it is made. `ElastiCache` takes a token for 15 minutes from its making
//! and closes the connection 12 hours after a login, so a token is made for each login, and a login is renewed in time.

use crate::clock::Moment;
use crate::config::{CaCertificates, Config};
#[cfg(feature = "secrets-manager")]
use crate::credentials::Secrets;
#[cfg(feature = "iam")]
use crate::credentials::{Aws, Environment, Signer, in_time};
use crate::credentials::{CredentialsError, Password};
use crate::shard::{Endpoint, PasswordSource, ShardConfig};
use futures_util::future::BoxFuture;
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, RedisResult, ServerError, TlsCertificates, Value,
};
use rustls::crypto::ring;
use std::path::PathBuf;
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
    /// It was open before this call asked for it, so its peer may be gone.
    pub(crate) reused: bool,
    logged_in: LoggedIn,
}

impl Connected {
    /// Whether `error` says no more than that the peer had closed this connection before the call.
    pub(crate) fn is_stale(&self, error: Option<&RedisError>) -> bool {
        self.reused && error.is_some_and(RedisError::is_connection_dropped)
    }
}

/// The connection slot of one server, shared by the shards that live there.
#[derive(Debug)]
pub(crate) struct Link {
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
    pub(crate) fn new(endpoint: &Endpoint, login: Arc<Login>, config: &Config) -> RedisResult<Self> {
        let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(config.redis_timeout);
        let info = endpoint.expose().into_connection_info()?;
        // Without user, password and database: these are the login's.
        let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        let info = info.set_tcp_settings(tcp).set_redis_settings(settings);
        let (tls, connect_timeout) = (endpoint.is_tls(), config.redis_connect_timeout);
        let client = if tls { tls_client(info, config.redis_ca.as_ref())? } else { Client::open(info)? };
        Ok(Self::of(client, tls, login, connect_timeout))
    }

    fn of(client: Client, tls: bool, login: Arc<Login>, connect_timeout: Duration) -> Self {
        Self { client, tls, login, connect_timeout, slot: Mutex::default(), connecting: Semaphore::const_new(1) }
    }

    /// A link to another node of the same cluster, spoken to in the same way, with the same login.
    pub(crate) fn beside(&self, to_host: &str, to_port: u16) -> Self {
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
    pub(crate) fn address(&self) -> (&str, u16) {
        match self.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (host, *port),
            _ => ("", 0),
        }
    }

    /// The open connection, or a new one, logged in.
    pub(crate) async fn get(&self) -> Result<Connected, ConnectError> {
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
            choose_cryptography();
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
    pub(crate) fn drop_connection(&self, number: u64) {
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

/// From this age on a login that ends by itself is renewed: an hour before `ElastiCache` closes the connection.
const RENEWED_FROM: Duration = Duration::from_hours(11);

/// The age at which `ElastiCache` closes a connection that was logged in by IAM.
const ENDS_AFTER: Duration = Duration::from_hours(12);

/// What logins are made of, for all shards of a deployment. Nothing is asked for before the first login.
#[derive(Debug)]
pub(crate) struct Logins {
    timeout: Duration,
    #[cfg(feature = "iam")]
    aws: Arc<Aws>,
    #[cfg(feature = "secrets-manager")]
    secrets: Secrets,
}

impl Logins {
    #[cfg(not(feature = "iam"))]
    pub(crate) fn new(config: &Config) -> Self {
        Self { timeout: config.redis_connect_timeout }
    }

    #[cfg(feature = "iam")]
    pub(crate) fn new(config: &Config) -> Self {
        Self::by(config, Aws::new(config.clock()))
    }

    /// The same with AWS's variables, and another clock.
    #[cfg(feature = "iam")]
    pub(crate) fn with_aws(config: &Config, clock: crate::clock::Clock, environment: Environment) -> Self {
        Self::by(config, Aws::with(clock, environment))
    }

    #[cfg(feature = "iam")]
    fn by(config: &Config, aws: Aws) -> Self {
        let aws = Arc::new(aws);
        Self {
            timeout: config.redis_connect_timeout,
            #[cfg(feature = "secrets-manager")]
            secrets: Secrets::new(Arc::clone(&aws)),
            aws,
        }
    }

    /// How to log in to the server of `shard`.
    pub(crate) fn login(&self, shard: &ShardConfig) -> RedisResult<Login> {
        let info = shard.endpoint.expose().into_connection_info()?;
        let given = info.redis_settings();
        let user = given.username().map(str::to_owned);
        let source = match &shard.password {
            PasswordSource::File(path) => Source::File(path.clone()),
            #[cfg(feature = "secrets-manager")]
            PasswordSource::Secret { id, key } => Source::Secret(self.secrets.get(id, key.as_deref())),
            #[cfg(feature = "iam")]
            PasswordSource::Iam { cache, serverless } => {
                Source::Iam(Iam::new(Arc::clone(&self.aws), user.as_deref().unwrap_or_default(), cache, *serverless))
            }
            // Where a feature is missing, the settings were refused.
            _ => Source::Url(given.password().map(Password::new)),
        };
        Ok(Login { user, database: given.db(), source, timeout: self.timeout })
    }
}

/// How to log in to one server, shared by all connections to it.
#[derive(Debug)]
pub(crate) struct Login {
    user: Option<String>,
    database: i64,
    source: Source,
    /// Longest wait for an answer.
    timeout: Duration,
}

/// When a login was made, if it ends by itself.
type LoggedIn = Option<Moment>;

impl Login {
    /// Logs in over an open connection, and chooses the database.
    pub(crate) async fn over(&self, redis: &mut MultiplexedConnection) -> Result<LoggedIn, ConnectError> {
        // Before the password is made: what ends by itself then ends too early, if anything.
        let at = self.source.now();
        if let Some(password) = self.source.password().await? {
            self.authenticate(redis, password).await?;
        }
        if self.database != 0 {
            let mut select = redis::cmd("SELECT");
            select.arg(self.database);
            let said = self.ask(redis, select).await?;
            said.map_err(|said| LoginError::Database { number: self.database, said: said.text() })?;
        }
        Ok(at)
    }

    /// Whether the server ends a login after some time.
    fn ends_by_itself(&self) -> bool {
        self.source.now().is_some()
    }

    /// Whether a login made then is to be made again before the connection's next use.
    fn is_due(&self, at: LoggedIn) -> bool {
        self.source.age(at).is_some_and(|age| age >= RENEWED_FROM)
    }

    /// Whether it is over, so that the server has closed the connection.
    pub(crate) fn is_over(&self, at: LoggedIn) -> bool {
        self.source.age(at).is_some_and(|age| age >= ENDS_AFTER)
    }

    async fn authenticate(&self, redis: &mut MultiplexedConnection, password: Password) -> Result<(), ConnectError> {
        let Err(refusal) = self.ask(redis, self.auth(&password)).await? else { return Ok(()) };
        let Some(newer) = self.source.newer(&password).await? else { return Err(self.refused(&refusal)) };
        self.ask(redis, self.auth(&newer)).await?.map_err(|refusal| self.refused(&refusal))
    }

    fn auth(&self, password: &Password) -> Cmd {
        let mut auth = redis::cmd("AUTH");
        auth.arg(self.user.as_deref()).arg(password.expose());
        auth
    }

    fn refused(&self, refusal: &Refusal) -> ConnectError {
        let user = self.user.clone().unwrap_or_else(|| "default".to_owned());
        ConnectError::Login(LoginError::Refused { user, said: refusal.text(), mend: self.source.mend() })
    }

    /// What the server says to `command`, in time. Boxed, so that it is compiled once.
    fn ask<'a>(
        &'a self,
        redis: &'a mut MultiplexedConnection,
        command: Cmd,
    ) -> BoxFuture<'a, Result<Result<(), Refusal>, ConnectError>> {
        Box::pin(async move {
            match tokio::time::timeout(self.timeout, redis.req_packed_command(&command)).await {
                Ok(Ok(Value::Okay)) => Ok(Ok(())),
                Ok(Ok(Value::ServerError(error))) => Ok(Err(Refusal::of(&error))),
                Ok(Err(error)) => Err(ConnectError::Unanswered(Some(error))),
                Ok(Ok(_)) | Err(_) => Err(ConnectError::Unanswered(None)),
            }
        })
    }
}

/// A source of passwords for one server.
#[derive(Debug)]
pub(crate) enum Source {
    Url(Option<Password>),
    File(PathBuf),
    #[cfg(feature = "secrets-manager")]
    Secret(std::sync::Arc<crate::credentials::Secret>),
    #[cfg(feature = "iam")]
    Iam(Iam),
}

#[cfg_attr(not(feature = "secrets-manager"), expect(clippy::unused_async, reason = "with the feature they wait"))]
impl Source {
    /// The password to use now, if there is one. Asks AWS where it must.
    pub(crate) async fn password(&self) -> Result<Option<Password>, CredentialsError> {
        match self {
            Self::Url(password) => Ok(password.clone()),
            Self::File(path) => Password::read(path).map(Some),
            #[cfg(feature = "secrets-manager")]
            Self::Secret(secret) => secret.password().await.map(Some),
            #[cfg(feature = "iam")]
            Self::Iam(iam) => iam.token().await.map(Some),
        }
    }

    /// Another password than the one that was refused, if there may be one.
    pub(crate) async fn newer(&self, refused: &Password) -> Result<Option<Password>, CredentialsError> {
        match self {
            #[cfg(feature = "secrets-manager")]
            Self::Secret(secret) => secret.newer(refused).await,
            _ => {
                let _ = refused;
                Ok(None)
            }
        }
    }

    /// The time, where a login ends by itself.
    pub(crate) fn now(&self) -> Option<Moment> {
        match self {
            #[cfg(feature = "iam")]
            Self::Iam(iam) => Some(iam.now()),
            _ => None,
        }
    }

    /// How long ago a login was made, if it ends by itself.
    pub(crate) fn age(&self, at: LoggedIn) -> Option<Duration> {
        Some(self.now()?.since(at?))
    }

    /// What to look at when the server refuses the login.
    pub(crate) fn mend(&self) -> &'static str {
        match self {
            Self::Url(_) => "check user and password in REDIS_ENDPOINTS",
            Self::File(_) => "check the user in REDIS_ENDPOINTS and what is in its ;password-file",
            #[cfg(feature = "secrets-manager")]
            Self::Secret(_) => {
                "check the user in REDIS_ENDPOINTS and what is in its ;password-secret (of JSON, name the member: #key)"
            }
            #[cfg(feature = "iam")]
            Self::Iam(_) => {
                "check that the function's role allows elasticache:Connect on cache and user, that the user's name is its \
                 id and its authentication IAM, and the name of the cache"
            }
        }
    }
}

/// How long a token is taken; `ElastiCache` knows no other duration.
#[cfg(feature = "iam")]
const TOKEN_TTL: Duration = Duration::from_mins(15);

#[cfg(feature = "iam")]
const SERVICE: &str = "elasticache";

/// How to log in as one user to one cache.
#[cfg(feature = "iam")]
#[derive(Debug)]
pub(crate) struct Iam {
    aws: Arc<Aws>,
    user: String,
    /// In lower case.
    cache: String,
    serverless: bool,
}

#[cfg(feature = "iam")]
impl Iam {
    pub(crate) fn new(aws: Arc<Aws>, user: &str, cache: &str, serverless: bool) -> Self {
        Self { aws, user: user.to_owned(), cache: cache.to_owned(), serverless }
    }

    pub(crate) fn now(&self) -> Moment {
        self.aws.clock().now()
    }

    /// A token that is taken from now on for 15 minutes.
    pub(crate) async fn token(&self) -> Result<Password, CredentialsError> {
        in_time(Box::pin(self.make()))
            .await
            .map_err(|reason| CredentialsError::Aws(format!("no token for an IAM login: {reason}")))
    }

    async fn make(&self) -> Result<Password, String> {
        let identity = self.aws.identity().await?;
        let mut query = vec![("Action", "connect")];
        if self.serverless {
            query.push(("ResourceType", "ServerlessCache"));
        }
        query.push(("User", &self.user));
        let signer = Signer::new(&identity, SERVICE, self.now());
        Ok(Password::new(&signer.presigned(&self.cache, &query, TOKEN_TTL)))
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// None could be opened.
    Closed(RedisError),
    /// It was opened, and not answered as Redis answers. None: not in time.
    Unanswered(Option<RedisError>),
    /// It was opened, and nobody could log in.
    Login(LoginError),
}

impl ConnectError {
    /// Whether nothing was sent, since there was no password to send.
    pub(crate) fn is_without_password(&self) -> bool {
        matches!(self, Self::Login(LoginError::Credentials(_)))
    }
}

impl ConnectError {
    /// The same as an error of a command: one that is no answer of the server that the command was for.
    pub(crate) fn into_redis(self) -> RedisError {
        match self {
            Self::Closed(error) | Self::Unanswered(Some(error)) => error,
            Self::Unanswered(None) => (ErrorKind::Io, "no answer to the login in time").into(),
            Self::Login(error) => (ErrorKind::AuthenticationFailed, "no login", error.to_string()).into(),
        }
    }
}

impl From<LoginError> for ConnectError {
    fn from(error: LoginError) -> Self {
        Self::Login(error)
    }
}

impl From<CredentialsError> for ConnectError {
    fn from(error: CredentialsError) -> Self {
        Self::Login(error.into())
    }
}

/// Why nobody could log in, and what to do.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("the server refuses the login of user {user} ({said}); {mend}")]
    Refused { user: String, said: String, mend: &'static str },
    #[error("the server refuses the database {number} ({said}); it is the URL's path in REDIS_ENDPOINTS")]
    Database { number: i64, said: String },
}

/// What servers say that helps and repeats nothing of what they were sent: a server that does not know a command
/// repeats its arguments, the password among them.
const HARMLESS: [&str; 5] = [
    "invalid username-password pair",
    "AUTH <password> called without any password configured",
    "max number of clients reached",
    "wrong number of arguments for 'auth' command",
    "DB index is out of range",
];

/// A server's own word for no.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: String,
    detail: &'static str,
}

impl Refusal {
    pub(crate) fn of(error: &ServerError) -> Self {
        let said = error.details().unwrap_or_default();
        let detail = HARMLESS.into_iter().find(|detail| said.starts_with(detail)).unwrap_or_default();
        Self { code: error.code().to_owned(), detail }
    }

    pub(crate) fn text(&self) -> String {
        if self.detail.is_empty() { self.code.clone() } else { format!("{}: {}", self.code, self.detail) }
    }
}

/// Whether the server wants a login that this connection lacks, or no longer has.
pub(crate) fn is_no_login(error: &RedisError) -> bool {
    error.code() == Some("NOAUTH")
}

/// What to do about an error of a connection, where its text does not say.
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

/// A client that speaks TLS, and trusts these authorities or else the built-in ones.
fn tls_client(info: ConnectionInfo, authorities: Option<&CaCertificates>) -> RedisResult<Client> {
    match authorities {
        // Without this the client takes Mozilla's roots, which are compiled in.
        None => Client::open(info),
        Some(authorities) => {
            let root_cert = Some(authorities.pem().as_bytes().to_vec());
            Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
        }
    }
}

/// Chooses the cryptography, before the first connection. The client takes what the process has chosen, and panics
/// where it would have to guess: that must not hang on whether some crate links a second one.
fn choose_cryptography() {
    // An error says that a choice was made before.
    let _ = ring::default_provider().install_default();
}

#[cfg(test)]
mod tests;
