//! How a connection logs in to its server: once it is open, and again before a login that ends is over.
//!
//! The client is given neither user nor password: it would hold one password for good, and it hides what the server
//! says to a wrong one. Who logs in asks for the password only when a connection is open, so that a server that is
//! down costs no call to AWS, and a token is used the moment it is made.

mod error;
#[cfg(feature = "iam")]
mod iam;
mod source;

pub(super) use error::{ConnectError, LoginError, advice, is_no_login};

use crate::clock::Moment;
use crate::config::Config;
use crate::credentials::Password;
#[cfg(feature = "secrets-manager")]
use crate::credentials::Secrets;
#[cfg(feature = "iam")]
use crate::credentials::{Aws, Environment};
use crate::shard::{PasswordSource, ShardConfig};
use error::Refusal;
use futures_util::future::BoxFuture;
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, IntoConnectionInfo, RedisResult, Value};
use source::Source;
#[cfg(feature = "iam")]
use std::sync::Arc;
use std::time::Duration;

/// From this age on a login that ends by itself is renewed: an hour before `ElastiCache` closes the connection.
const RENEWED_FROM: Duration = Duration::from_hours(11);

/// The age at which `ElastiCache` closes a connection that was logged in by IAM.
const ENDS_AFTER: Duration = Duration::from_hours(12);

/// What logins are made of, for all shards of a deployment. Nothing is asked for before the first login.
#[derive(Debug)]
pub(super) struct Logins {
    timeout: Duration,
    #[cfg(feature = "iam")]
    aws: Arc<Aws>,
    #[cfg(feature = "secrets-manager")]
    secrets: Secrets,
}

impl Logins {
    #[cfg(not(feature = "iam"))]
    pub(super) fn new(config: &Config) -> Self {
        Self { timeout: config.redis_connect_timeout }
    }

    #[cfg(feature = "iam")]
    pub(super) fn new(config: &Config) -> Self {
        Self::by(config, Aws::new(config.clock()))
    }

    /// The same with AWS's variables, and another clock.
    #[cfg(feature = "iam")]
    pub(super) fn with_aws(config: &Config, clock: crate::clock::Clock, environment: Environment) -> Self {
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
    pub(super) fn login(&self, shard: &ShardConfig) -> RedisResult<Login> {
        let info = shard.endpoint.expose().into_connection_info()?;
        let given = info.redis_settings();
        let user = given.username().map(str::to_owned);
        let source = match &shard.password {
            PasswordSource::File(path) => Source::File(path.clone()),
            #[cfg(feature = "secrets-manager")]
            PasswordSource::Secret { id, key } => Source::Secret(self.secrets.get(id, key.as_deref())),
            #[cfg(feature = "iam")]
            PasswordSource::Iam { cache, serverless } => Source::Iam(iam::Iam::new(
                Arc::clone(&self.aws),
                user.as_deref().unwrap_or_default(),
                cache,
                *serverless,
            )),
            // Where a feature is missing, the settings were refused.
            _ => Source::Url(given.password().map(Password::new)),
        };
        Ok(Login { user, database: given.db(), source, timeout: self.timeout })
    }
}

/// How to log in to one server, shared by all connections to it.
#[derive(Debug)]
pub(super) struct Login {
    user: Option<String>,
    database: i64,
    source: Source,
    /// Longest wait for an answer.
    timeout: Duration,
}

/// When a login was made, if it ends by itself.
pub(super) type LoggedIn = Option<Moment>;

impl Login {
    /// Logs in over an open connection, and chooses the database.
    pub(super) async fn over(&self, redis: &mut MultiplexedConnection) -> Result<LoggedIn, ConnectError> {
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
    pub(super) fn ends_by_itself(&self) -> bool {
        self.source.now().is_some()
    }

    /// Whether a login made then is to be made again before the connection's next use.
    pub(super) fn is_due(&self, at: LoggedIn) -> bool {
        self.source.age(at).is_some_and(|age| age >= RENEWED_FROM)
    }

    /// Whether it is over, so that the server has closed the connection.
    pub(super) fn is_over(&self, at: LoggedIn) -> bool {
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
