//! Passwords and tokens from where settings say they are: a file, a signature of our own, or AWS Secrets Manager.
//!
//! Three features, each with what the one before has: `iam` signs with the credentials that Lambda puts into the
//! environment, `secrets-manager` asks Secrets Manager with them, `aws-identity` finds credentials elsewhere too.

#[cfg(feature = "iam")]
mod aws;
mod login;
#[cfg(feature = "secrets-manager")]
mod secret;

#[cfg(feature = "iam")]
pub use aws::Environment;
#[cfg(feature = "iam")]
pub(crate) use aws::{Aws, Signer};
pub(crate) use login::{Login, Logins};
#[cfg(feature = "secrets-manager")]
pub(crate) use secret::{Secret, Secrets};

use crate::config::read_text_file;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
#[cfg(any(feature = "iam", feature = "aws-sdk"))]
use std::time::Duration;

/// Longest wait for AWS at one login. A first TLS connection in a small function takes some 0.3 s.
#[cfg(feature = "iam")]
const TIMEOUT: Duration = Duration::from_secs(3);

/// Why there is no password. Nothing of what was read is repeated.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error("the password file {}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[cfg(feature = "iam")]
    #[error("{0}")]
    Aws(String),
}

/// Settings of AWS's SDK under which a call may take `timeout`: with the cryptography that Redis over TLS uses (the SDK's own
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

/// The outcome of `call` if it comes in time. Boxed, since the futures of a call are large, and every call to a shard
/// would carry room for one.
#[cfg(feature = "iam")]
pub(crate) async fn in_time<T>(call: futures_util::future::BoxFuture<'_, Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(TIMEOUT, call).await.unwrap_or_else(|_| Err(format!("no answer within {TIMEOUT:?}")))
}

/// What an error and its causes say, each in its own words only: `Debug` may show what was sent or received.
#[cfg(feature = "secrets-manager")]
fn told(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}

/// Longest file with a password, in bytes: it is no key ring. `ElastiCache` takes 128 characters.
const MAX_BYTES: u64 = 4096;

/// A password or a token. `Debug` hides it. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password(Arc<str>);

impl Password {
    pub(crate) fn new(password: &str) -> Self {
        Self(password.into())
    }

    /// The password itself: for the server only.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// What the file holds, without the line's end that editors add.
    pub(crate) fn read(path: &Path) -> Result<Self, CredentialsError> {
        let wrong = |reason: String| CredentialsError::File { path: path.to_owned(), reason };
        let text = read_text_file(path, MAX_BYTES).map_err(|error| wrong(error.to_string()))?;
        let line = text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
        if line.is_empty() { Err(wrong("the file is empty".to_owned())) } else { Ok(Self::new(line)) }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests;
