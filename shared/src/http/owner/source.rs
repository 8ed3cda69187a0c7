//! Where the token comes from.

use crate::config::Config;
use crate::credentials::{CredentialsError, Password};
use crate::shard::PasswordSource;
use std::path::PathBuf;

#[derive(Debug)]
pub(super) enum Source {
    File(PathBuf),
    #[cfg(feature = "aws-identity")]
    Secret(std::sync::Arc<crate::credentials::Secret>),
}

#[cfg_attr(not(feature = "aws-identity"), expect(clippy::unused_async, reason = "with the feature they wait"))]
impl Source {
    /// None for what the settings refuse.
    pub(super) fn new(source: &PasswordSource, config: &Config) -> Option<Self> {
        let _ = config;
        match source {
            PasswordSource::File(path) => Some(Self::File(path.clone())),
            #[cfg(feature = "aws-identity")]
            PasswordSource::Secret { id, key } => {
                let aws = crate::credentials::Shared::new(crate::credentials::Aws::new(config.clock()));
                Some(Self::Secret(aws.secret(id, key.as_deref())))
            }
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
