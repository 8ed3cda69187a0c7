//! Passwords and tokens from the place that the settings name: the URL, a file, AWS Secrets Manager, or a signature with the identity
//! that Lambda gives a function. Nothing is read or asked for before the first login.

mod aws;

pub use aws::Aws;

use crate::clock::Moment;
use crate::config::read_text_file;
use crate::shard::PasswordSource;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The age from which on a login that ends by itself is made again, over a new connection: an hour before `ElastiCache` closes
/// the connection.
const RENEWED_FROM: Duration = Duration::from_hours(11);

/// A secret is asked for at most this often: while it is wrong, every request may try to log in, and AWS bills each call.
const PAUSE: Duration = Duration::from_secs(5);

/// Longest file with a password, in bytes: it is no key ring. `ElastiCache` takes 128 characters.
const MAX_BYTES: u64 = 4096;

/// The reason why there is no password. Nothing of the content that was read is repeated.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error("the password file {}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("{0}")]
    Aws(String),
}

/// Returns settings of AWS's SDK under which a call may take `timeout`: with the cryptography that Redis over TLS uses (the SDK's own
/// choice would be a second one, in C), and without its retries, since the caller decides whether to try again. Nothing is
/// looked for or sent before they are loaded.
#[cfg(feature = "aws-sdk")]
pub fn sdk_settings(timeout: Duration) -> aws_config::ConfigLoader {
    use aws_config::retry::RetryConfig;
    use aws_config::timeout::TimeoutConfig;
    use aws_smithy_http_client::Builder;
    use aws_smithy_http_client::tls::Provider;
    use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .http_client(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(timeout).build())
}

/// A password or a token. `Debug` hides it. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password(Arc<str>);

impl Password {
    pub(crate) fn new(password: &str) -> Self {
        Self(password.into())
    }

    /// Returns the password itself: for the server only.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Reads a file, without the line's end that editors add.
    pub(crate) fn read(path: &Path) -> Result<Self, CredentialsError> {
        let wrong = |reason: String| CredentialsError::File { path: path.to_owned(), reason };
        let text = read_text_file(path, MAX_BYTES).map_err(wrong)?;
        let line = text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
        if line.is_empty() { Err(wrong("the file is empty".to_owned())) } else { Ok(Self::new(line)) }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A secret's name or ARN, and the member of its JSON.
type SecretName = (String, Option<String>);

/// The sources of passwords for all shards of a deployment. A secret is fetched once for all shards that name it.
#[derive(Debug)]
pub(crate) struct Logins {
    aws: Aws,
    secrets: Mutex<HashMap<SecretName, Arc<Secret>>>,
}

impl Logins {
    pub(crate) fn new(aws: Aws) -> Self {
        Self { aws, secrets: Mutex::default() }
    }

    /// Returns the login of `user`, whose password is from `source`; `in_url` is the one that the endpoint's URL holds.
    pub(crate) fn login(&self, source: &PasswordSource, user: Option<&str>, in_url: Option<&str>) -> Login {
        let source = match source {
            PasswordSource::Url => Source::Url(in_url.map(Password::new)),
            PasswordSource::File(path) => Source::File(path.clone()),
            PasswordSource::Secret { id, key } => {
                let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
                let secret = secrets.entry((id.clone(), key.clone()));
                Source::Secret(Arc::clone(
                    secret.or_insert_with_key(|(id, key)| Arc::new(Secret::new(self.aws.clone(), id, key.as_deref()))),
                ))
            }
            PasswordSource::Iam { cache, serverless } => {
                Source::Iam { aws: self.aws.clone(), cache: cache.clone(), serverless: *serverless }
            }
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
    Secret(Arc<Secret>),
    /// The cache's name is in lower case.
    Iam {
        aws: Aws,
        cache: String,
        serverless: bool,
    },
}

impl Login {
    /// Returns the password to use now; `None` where the server wants none. Asks AWS where it must.
    pub(crate) async fn password(&self) -> Result<Option<Password>, CredentialsError> {
        match &self.source {
            Source::Url(password) => Ok(password.clone()),
            Source::File(path) => Password::read(path).map(Some),
            Source::Secret(secret) => secret.password(None).await.map(Some),
            Source::Iam { aws, cache, serverless } => {
                aws.token(cache, *serverless, self.user.as_deref().unwrap_or_default()).await.map(Some)
            }
        }
    }

    /// Returns another password than the one that the server refused, if there may be one.
    pub(crate) async fn newer(&self, refused: &Password) -> Result<Option<Password>, CredentialsError> {
        let Source::Secret(secret) = &self.source else { return Ok(None) };
        Ok(Some(secret.newer(refused).await?).filter(|password| password != refused))
    }

    /// Returns the time, if a login made now ends by itself.
    pub(crate) fn now(&self) -> Option<Moment> {
        match &self.source {
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
            Source::Secret(_) => {
                "check the user in REDIS_ENDPOINTS and what is in its ;password-secret (of JSON, name the member: #key)"
            }
            Source::Iam { .. } => {
                "check that the function's role allows elasticache:Connect on cache and user, that the user's name is its \
                 id and its authentication IAM, and the name of the cache"
            }
        }
    }
}

/// A secret of AWS Secrets Manager that is, or holds, a password.
#[derive(Debug)]
pub(crate) struct Secret {
    aws: Aws,
    id: String,
    /// The member of a JSON object.
    key: Option<String>,
    /// Held during a fetch: those who wait take what the first one brings.
    last: tokio::sync::Mutex<Option<Fetched>>,
}

#[derive(Debug)]
struct Fetched {
    at: Moment,
    outcome: Result<Password, CredentialsError>,
}

impl Secret {
    pub(crate) fn new(aws: Aws, id: &str, key: Option<&str>) -> Self {
        Self { aws, id: id.to_owned(), key: key.map(str::to_owned), last: tokio::sync::Mutex::new(None) }
    }

    /// Returns the password as it was last fetched, no longer ago than `age` if there is one.
    pub(crate) async fn password(&self, age: Option<Duration>) -> Result<Password, CredentialsError> {
        let now = self.aws.clock().now();
        let is_young = |last: &Fetched| age.is_none_or(|age| now.since(last.at) < age);
        self.last_or_fetched(|last| last.outcome.is_ok() && is_young(last)).await
    }

    /// Returns the present password, fetched anew if the last one is the one that was refused.
    async fn newer(&self, refused: &Password) -> Result<Password, CredentialsError> {
        self.last_or_fetched(|last| last.outcome.as_ref().is_ok_and(|password| password != refused)).await
    }

    async fn last_or_fetched(&self, serves: impl Fn(&Fetched) -> bool) -> Result<Password, CredentialsError> {
        let mut last = self.last.lock().await;
        let at = self.aws.clock().now();
        if let Some(last) = last.as_ref().filter(|last| serves(last) || at.since(last.at) < PAUSE) {
            return last.outcome.clone();
        }
        let fetched = self.aws.secret(&self.id).await.and_then(|text| self.password_in(text));
        let outcome = fetched.map_err(|reason| CredentialsError::Aws(format!("the secret {}: {reason}", self.id)));
        *last = Some(Fetched { at, outcome: outcome.clone() });
        outcome
    }

    /// Returns the secret itself, or the text at its key. The parser's own message might repeat a value.
    fn password_in(&self, secret: String) -> Result<Password, String> {
        let password = match &self.key {
            None => secret,
            Some(key) => {
                let object: HashMap<String, serde_json::Value> =
                    serde_json::from_str(&secret).map_err(|_| "it is no JSON object, as its #key wants")?;
                let text = object.get(key).and_then(serde_json::Value::as_str);
                text.ok_or_else(|| format!("its JSON has no text at {key}"))?.to_owned()
            }
        };
        if password.is_empty() { Err("the password is empty".to_owned()) } else { Ok(Password::new(&password)) }
    }
}

#[cfg(test)]
mod tests;
