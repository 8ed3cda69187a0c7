//! The owner's rights: who knows the token of `VISITS_OWNER_TOKEN`, or has a session that was opened with it.
//!
//! A session is a cookie with its end and a MAC of that under the token. Nothing is kept of it anywhere, and a new token
//! ends all of them.

mod session;
mod source;
mod token;

use super::event::Request;
use super::headers::SESSION_COOKIE;
use super::problem::Problem;
use crate::clock::{Clock, Moment};
use crate::config::Config;
#[cfg(feature = "secrets-manager")]
use crate::credentials::{Aws, Environment, Secrets};
use source::Source;
#[cfg(feature = "secrets-manager")]
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use token::Token;

/// How long a session lasts.
pub const SESSION: Duration = Duration::from_hours(12);

/// How old what was read may be before the file or the secret is read again.
const KEPT: Duration = Duration::from_mins(1);

/// The same where it could not be read.
const PAUSE: Duration = Duration::from_secs(5);

/// Tells the owner from everybody else. The token is read when it is first needed.
#[derive(Debug)]
pub struct Owner {
    source: Option<Source>,
    clock: Clock,
    last: Mutex<Option<Read>>,
}

#[derive(Clone, Debug)]
struct Read {
    at: Moment,
    token: Option<Token>,
}

/// How somebody has shown to be the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// By the token itself, which no browser adds to a request that another site makes.
    Token,
    /// By the session's cookie.
    Session,
}

/// The program cannot use the owner's token that the settings name. It is found at the start, but for a secret's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableToken {
    /// The program lacks the feature.
    #[error(
        "VISITS_OWNER_TOKEN: this program was built without Secrets Manager, which secret: needs: \
         build it with --features secrets-manager"
    )]
    NoSecretsManager,
    /// The file cannot be read, or holds no token that is accepted.
    #[error("VISITS_OWNER_TOKEN: {0}")]
    File(String),
}

impl Owner {
    /// The owner whom the settings name.
    #[cfg(feature = "secrets-manager")]
    pub fn new(config: &Config) -> Result<Self, UnreadableToken> {
        Self::by(config, config.clock(), Aws::new(config.clock()))
    }

    /// The owner whom the settings name.
    #[cfg(not(feature = "secrets-manager"))]
    pub fn new(config: &Config) -> Result<Self, UnreadableToken> {
        let source = config.owner_token.as_ref().map(Source::file).transpose()?;
        Ok(Self { source, clock: config.clock(), last: Mutex::new(None) })
    }

    /// The same, with AWS's variables and a clock of its own.
    #[cfg(feature = "secrets-manager")]
    pub fn with_aws(config: &Config, clock: Clock, environment: Environment) -> Result<Self, UnreadableToken> {
        Self::by(config, clock.clone(), Aws::with(clock, environment))
    }

    #[cfg(feature = "secrets-manager")]
    fn by(config: &Config, clock: Clock, aws: Aws) -> Result<Self, UnreadableToken> {
        let secrets = Secrets::new(Arc::new(aws));
        let source = config.owner_token.as_ref().map(|source| Source::new(source, &secrets)).transpose()?;
        Ok(Self { source, clock, last: Mutex::new(None) })
    }

    /// Whether a request is the owner's. 401 where it is not, 403 where nobody is the owner, 503 where the token cannot
    /// be read.
    pub async fn authorize(&self, request: &Request) -> Result<Shown, Problem> {
        let token = self.token().await?;
        if let Some(header) = &request.headers.authorization {
            let given = bearer(header).ok_or_else(|| Problem::unauthorized(NO_BEARER))?;
            return if token.is(given) { Ok(Shown::Token) } else { Err(Problem::unauthorized(WRONG)) };
        }
        let (sessions, now) = (&request.headers.sessions, self.clock.now());
        if sessions.iter().any(|session| session::is_open(session, &token, now)) {
            return Ok(Shown::Session);
        }
        Err(Problem::unauthorized(if sessions.is_empty() { NOTHING } else { ENDED }))
    }

    /// The same for a request that changes something: by cookie it needs a header that no other site can send (403).
    pub async fn authorize_change(&self, request: &Request) -> Result<(), Problem> {
        let by_us = request.headers.requested_with.as_deref() == Some("visits");
        match self.authorize(request).await? {
            Shown::Session if !by_us => Err(Problem::forged_request()),
            _ => Ok(()),
        }
    }

    /// Opens a session for who knows the token: the cookie to set.
    pub async fn open_session(&self, given: &str) -> Result<String, Problem> {
        let token = self.token().await?;
        if !token.is(given) {
            return Err(Problem::unauthorized(WRONG));
        }
        let session = session::open(&token, self.clock.now());
        Ok(cookie(&session, SESSION))
    }

    /// The cookie that ends a session in the browser.
    pub fn closed_session() -> String {
        cookie("", Duration::ZERO)
    }

    async fn token(&self) -> Result<Token, Problem> {
        let source = self.source.as_ref().ok_or_else(Problem::owner_token_missing)?;
        let now = self.clock.now();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let kept = |read: &Read| now.since(read.at) < if read.token.is_some() { KEPT } else { PAUSE };
        let read = match last {
            Some(read) if kept(&read) => read,
            _ => self.read(source, now).await,
        };
        read.token.ok_or_else(|| Problem::owner_token_unavailable(PAUSE))
    }

    async fn read(&self, source: &Source, at: Moment) -> Read {
        let token = source.token().await;
        if let Err(error) = &token {
            tracing::error!(%error, "the owner's token cannot be used");
        }
        let token = token.ok();
        let read = Read { at, token };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(read.clone());
        read
    }
}

const NOTHING: &str = "this needs the owner's token: send it as Authorization: Bearer, or open a session at /dashboard";
const NO_BEARER: &str = "the header Authorization is not understood; Bearer and the owner's token are accepted";
const WRONG: &str = "this is not the owner's token; VISITS_OWNER_TOKEN says where it is kept";
const ENDED: &str = "the session has ended, or is none; open a new one at /dashboard, or send Authorization: Bearer";

/// The token of `Authorization: Bearer …` (RFC 6750); the scheme's case is free.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

fn cookie(value: &str, age: Duration) -> String {
    let seconds = age.as_secs();
    format!("{SESSION_COOKIE}={value}; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age={seconds}")
}

#[cfg(test)]
mod tests;
