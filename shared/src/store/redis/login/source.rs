//! Where a password comes from, and what a login with it is like.

use super::LoggedIn;
use crate::clock::Moment;
use crate::credentials::{CredentialsError, Password};
use std::path::PathBuf;
use std::time::Duration;

/// A source of passwords for one server.
#[derive(Debug)]
pub(super) enum Source {
    Url(Option<Password>),
    File(PathBuf),
    #[cfg(feature = "secrets-manager")]
    Secret(std::sync::Arc<crate::credentials::Secret>),
    #[cfg(feature = "iam")]
    Iam(super::iam::Iam),
}

#[cfg_attr(not(feature = "secrets-manager"), expect(clippy::unused_async, reason = "with the feature they wait"))]
impl Source {
    /// The password to use now, if there is one. Asks AWS where it must.
    pub(super) async fn password(&self) -> Result<Option<Password>, CredentialsError> {
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
    pub(super) async fn newer(&self, refused: &Password) -> Result<Option<Password>, CredentialsError> {
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
    pub(super) fn now(&self) -> Option<Moment> {
        match self {
            #[cfg(feature = "iam")]
            Self::Iam(iam) => Some(iam.now()),
            _ => None,
        }
    }

    /// How long ago a login was made, if it ends by itself.
    pub(super) fn age(&self, at: LoggedIn) -> Option<Duration> {
        Some(self.now()?.since(at?))
    }

    /// What to look at when the server refuses the login.
    pub(super) fn mend(&self) -> &'static str {
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
