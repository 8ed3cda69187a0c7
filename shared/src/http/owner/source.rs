//! Where the token comes from.

use crate::config::Config;
#[cfg(feature = "aws-identity")]
use crate::credentials::{Aws, Secret, Shared};
use crate::credentials::{CredentialsError, Password};
use crate::shard::PasswordSource;
use std::path::PathBuf;

#[derive(Debug)]
pub(super) enum Source {
    File(PathBuf),
    #[cfg(feature = "aws-identity")]
    Secret(std::sync::Arc<Secret>),
}

#[cfg_attr(not(feature = "aws-identity"), expect(clippy::unused_async, reason = "with the feature they wait"))]
impl Source {
    /// None for what the settings refuse.
    #[cfg(not(feature = "aws-identity"))]
    pub(super) fn new(source: &PasswordSource, _: &Config) -> Option<Self> {
        Self::file(source)
    }

    /// The same, where secrets are not refused.
    #[cfg(feature = "aws-identity")]
    pub(super) fn new(source: &PasswordSource, config: &Config) -> Option<Self> {
        Self::with_aws(source, &Shared::new(Aws::new(config.clock())))
    }

    #[cfg(feature = "aws-identity")]
    pub(super) fn with_aws(source: &PasswordSource, aws: &Shared) -> Option<Self> {
        match source {
            PasswordSource::Secret { id, key } => Some(Self::Secret(aws.secret(id, key.as_deref()))),
            other => Self::file(other),
        }
    }

    fn file(source: &PasswordSource) -> Option<Self> {
        match source {
            PasswordSource::File(path) => Some(Self::File(path.clone())),
            _ => None,
        }
    }

    /// What the file holds now, or the secret held a minute ago at most.
    pub(super) async fn password(&self) -> Result<Password, CredentialsError> {
        match self {
            Self::File(path) => Password::read(path),
            #[cfg(feature = "aws-identity")]
            Self::Secret(secret) => secret.password_of(super::KEPT).await,
        }
    }
}
