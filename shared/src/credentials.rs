//! Passwords and tokens from where settings say they are: a file, or AWS Secrets Manager.

#[cfg(feature = "aws-identity")]
mod aws;
mod password;
#[cfg(feature = "aws-identity")]
mod secret;

#[cfg(feature = "aws-identity")]
pub(crate) use aws::{Aws, Shared, in_time, told};
pub(crate) use password::Password;
#[cfg(feature = "aws-identity")]
pub(crate) use secret::Secret;

use std::path::PathBuf;

/// Why there is no password. Nothing of what was read is repeated.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error("the password file {}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[cfg(feature = "aws-identity")]
    #[error("{0}")]
    Aws(String),
}
