//! Where the token comes from.

use super::UnreadableToken;
use crate::credentials::{CredentialsError, Password};
#[cfg(feature = "secrets-manager")]
use crate::credentials::{Secret, Secrets};
use crate::shard::PasswordSource;
use std::path::PathBuf;

#[derive(Debug)]
pub(super) enum Source {
    File(PathBuf),
    #[cfg(feature = "secrets-manager")]
    Secret(std::sync::Arc<Secret>),
}

#[cfg_attr(not(feature = "secrets-manager"), expect(clippy::unused_async, reason = "with the feature they wait"))]
impl Source {
    #[cfg(feature = "secrets-manager")]
    pub(super) fn new(source: &PasswordSource, secrets: &Secrets) -> Result<Self, UnreadableToken> {
        match source {
            PasswordSource::Secret { id, key } => Ok(Self::Secret(secrets.get(id, key.as_deref()))),
            other => Self::file(other),
        }
    }

    /// None but a file is one.
    pub(super) fn file(source: &PasswordSource) -> Result<Self, UnreadableToken> {
        match source {
            PasswordSource::File(path) => Ok(Self::File(path.clone())),
            _ => Err(UnreadableToken),
        }
    }

    /// What the file holds now, or the secret held a minute ago at most.
    pub(super) async fn password(&self) -> Result<Password, CredentialsError> {
        match self {
            Self::File(path) => Password::read(path),
            #[cfg(feature = "secrets-manager")]
            Self::Secret(secret) => secret.password_of(super::KEPT).await,
        }
    }
}
