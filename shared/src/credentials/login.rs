//! The password of one server's user, from where the settings say it is. Nothing is asked for before the first login.

#[cfg(feature = "iam")]
use super::{Aws, Environment, Signer, in_time};
use super::{CredentialsError, Password};
#[cfg(feature = "secrets-manager")]
use super::{Secret, Secrets};
use crate::clock::Moment;
use crate::config::Config;
use crate::shard::PasswordSource;
use std::path::PathBuf;
#[cfg(feature = "iam")]
use std::sync::Arc;
use std::time::Duration;

/// The age from which on a login that ends by itself is made again, over a new connection: an hour before `ElastiCache` closes
/// the connection.
const RENEWED_FROM: Duration = Duration::from_hours(11);

/// Lifetime of a token before its use; `ElastiCache` knows no other duration.
#[cfg(feature = "iam")]
const TOKEN_TTL: Duration = Duration::from_mins(15);

/// The sources of passwords for all shards of a deployment.
#[derive(Debug)]
pub(crate) struct Logins {
    #[cfg(feature = "iam")]
    aws: Arc<Aws>,
    #[cfg(feature = "secrets-manager")]
    secrets: Secrets,
}

impl Logins {
    #[cfg(not(feature = "iam"))]
    pub(crate) fn new(_: &Config) -> Self {
        Self {}
    }

    #[cfg(feature = "iam")]
    pub(crate) fn new(config: &Config) -> Self {
        Self::by(Aws::new(config.clock()))
    }

    /// Takes AWS's variables and the time from elsewhere than the process.
    #[cfg(feature = "iam")]
    pub(crate) fn with_aws(clock: crate::clock::Clock, environment: Environment) -> Self {
        Self::by(Aws::with(clock, environment))
    }

    #[cfg(feature = "iam")]
    fn by(aws: Aws) -> Self {
        let aws = Arc::new(aws);
        Self {
            #[cfg(feature = "secrets-manager")]
            secrets: Secrets::new(Arc::clone(&aws)),
            aws,
        }
    }

    /// Returns the login of `user`, whose password is from `source`; `in_url` is the one that the endpoint's URL holds.
    #[cfg_attr(not(feature = "iam"), expect(clippy::unused_self, reason = "with the feature it is used"))]
    pub(crate) fn login(&self, source: &PasswordSource, user: Option<&str>, in_url: Option<&str>) -> Login {
        let source = match source {
            PasswordSource::File(path) => Source::File(path.clone()),
            #[cfg(feature = "secrets-manager")]
            PasswordSource::Secret { id, key } => Source::Secret(self.secrets.get(id, key.as_deref())),
            #[cfg(feature = "iam")]
            PasswordSource::Iam { cache, serverless } => {
                Source::Iam { aws: Arc::clone(&self.aws), cache: cache.clone(), serverless: *serverless }
            }
            // Where a feature is missing, the settings were refused.
            _ => Source::Url(in_url.map(Password::new)),
        };
        Login { user: user.map(str::to_owned), source }
    }
}

/// A user of one server, and the source of its password.
#[derive(Debug)]
pub(crate) struct Login {
    /// None: the server's default user.
    pub(crate) user: Option<String>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Url(Option<Password>),
    File(PathBuf),
    #[cfg(feature = "secrets-manager")]
    Secret(Arc<Secret>),
    #[cfg(feature = "iam")]
    Iam {
        aws: Arc<Aws>,
        /// In lower case.
        cache: String,
        serverless: bool,
    },
}

#[cfg_attr(not(feature = "secrets-manager"), expect(clippy::unused_async, reason = "with the feature they wait"))]
impl Login {
    /// Returns the password to use now; `None` where the server wants none. Asks AWS where it must.
    pub(crate) async fn password(&self) -> Result<Option<Password>, CredentialsError> {
        match &self.source {
            Source::Url(password) => Ok(password.clone()),
            Source::File(path) => Password::read(path).map(Some),
            #[cfg(feature = "secrets-manager")]
            Source::Secret(secret) => secret.password().await.map(Some),
            #[cfg(feature = "iam")]
            Source::Iam { aws, cache, serverless } => {
                let token = in_time(Box::pin(self.token(aws, cache, *serverless))).await;
                token.map(Some).map_err(|reason| CredentialsError::Aws(format!("no token for an IAM login: {reason}")))
            }
        }
    }

    /// Returns another password than the one that the server refused, if there may be one.
    pub(crate) async fn newer(&self, refused: &Password) -> Result<Option<Password>, CredentialsError> {
        match &self.source {
            #[cfg(feature = "secrets-manager")]
            Source::Secret(secret) => secret.newer(refused).await,
            _ => {
                let _ = refused;
                Ok(None)
            }
        }
    }

    #[cfg(feature = "iam")]
    async fn token(&self, aws: &Aws, cache: &str, serverless: bool) -> Result<Password, String> {
        let identity = aws.identity().await?;
        let mut query = vec![("Action", "connect")];
        if serverless {
            query.push(("ResourceType", "ServerlessCache"));
        }
        query.push(("User", self.user.as_deref().unwrap_or_default()));
        let signer = Signer::new(&identity, "elasticache", aws.clock().now());
        Ok(Password::new(&signer.presigned(cache, &query, TOKEN_TTL)))
    }

    /// Returns the time, if a login made now ends by itself.
    pub(crate) fn now(&self) -> Option<Moment> {
        match &self.source {
            #[cfg(feature = "iam")]
            Source::Iam { aws, .. } => Some(aws.clock().now()),
            _ => None,
        }
    }

    /// Returns whether a login made at `at`, as [`now`](Self::now) said then, is to be made again before the next call.
    pub(crate) fn is_due(&self, at: Option<Moment>) -> bool {
        self.now().zip(at).is_some_and(|(now, at)| now.since(at) >= RENEWED_FROM)
    }

    /// Returns the advice for an operator where the server refuses the login.
    pub(crate) fn hint(&self) -> &'static str {
        match &self.source {
            Source::Url(_) => "check user and password in REDIS_ENDPOINTS",
            Source::File(_) => "check the user in REDIS_ENDPOINTS and what is in its ;password-file",
            #[cfg(feature = "secrets-manager")]
            Source::Secret(_) => {
                "check the user in REDIS_ENDPOINTS and what is in its ;password-secret (of JSON, name the member: #key)"
            }
            #[cfg(feature = "iam")]
            Source::Iam { .. } => {
                "check that the function's role allows elasticache:Connect on cache and user, that the user's name is its \
                 id and its authentication IAM, and the name of the cache"
            }
        }
    }
}
