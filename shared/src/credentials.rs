//! Passwords and tokens from where settings say they are: a file, a signature of our own, or AWS Secrets Manager.
//!
//! Three features, each with what the one before has: `iam` signs with the credentials that Lambda puts into the
//! environment, `secrets-manager` asks Secrets Manager with them, `aws-identity` finds credentials elsewhere too.

#[cfg(feature = "iam")]
mod aws;
#[cfg(feature = "aws-identity")]
mod chain;
#[cfg(feature = "iam")]
mod environment;
#[cfg(feature = "secrets-manager")]
mod https;
mod password;
#[cfg(feature = "secrets-manager")]
mod secret;
#[cfg(feature = "secrets-manager")]
mod secrets_manager;
#[cfg(feature = "iam")]
mod signature;

#[cfg(feature = "iam")]
pub(crate) use aws::Aws;
#[cfg(feature = "iam")]
pub use environment::Environment;
pub(crate) use password::Password;
#[cfg(feature = "secrets-manager")]
pub(crate) use secret::{Secret, Secrets};
#[cfg(feature = "iam")]
pub(crate) use signature::Signer;

use std::path::PathBuf;
#[cfg(feature = "iam")]
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
