//! Where the token comes from.

use super::UnreadableToken;
use super::token::Token;
use crate::credentials::Password;
#[cfg(feature = "secrets-manager")]
use crate::credentials::{Secret, Secrets};
use crate::shard::PasswordSource;
use std::path::{Path, PathBuf};

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

    /// Takes a file, which is read once so that a wrong one stops the start. Refuses every other source.
    pub(super) fn file(source: &PasswordSource) -> Result<Self, UnreadableToken> {
        let PasswordSource::File(path) = source else { return Err(UnreadableToken::NoSecretsManager) };
        read(path).map_err(UnreadableToken::File)?;
        Ok(Self::File(path.clone()))
    }

    /// Returns the token that the file holds now, or the secret held a minute ago at most.
    pub(super) async fn token(&self) -> Result<Token, String> {
        match self {
            Self::File(path) => read(path),
            #[cfg(feature = "secrets-manager")]
            Self::Secret(secret) => {
                let held = secret.password_of(super::KEPT).await.map_err(|error| error.to_string())?;
                Ok(Token::new(held.expose())?)
            }
        }
    }
}

fn read(path: &Path) -> Result<Token, String> {
    let held = Password::read(path).map_err(|error| error.to_string())?;
    Token::new(held.expose()).map_err(|reason| format!("the file {}: {reason}", path.display()))
}
