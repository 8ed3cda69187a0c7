//! The owner's rights: for requests with the token of `VISITS_OWNER_TOKEN`, or with a session that was opened with it.
//!
//! A session is a cookie, `<end, seconds since the Unix epoch>.<MAC of it under the token, in base64url>`. The server
//! keeps nothing of it, and a new token ends all sessions. A file is read at each request, a secret at most once a minute.

use crate::clock::{Clock, Moment};
use crate::config::Config;
use crate::credentials::{Aws, Password, Secret};
use crate::http::event::{Request, SESSION_COOKIE};
use crate::http::reply::Problem;
use crate::shard::PasswordSource;
use crate::token::Token;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http::StatusCode;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Lifetime of a session.
pub const SESSION: Duration = Duration::from_hours(12);

/// Age from which on the secret is asked for again.
const KEPT: Duration = Duration::from_mins(1);

/// Time after which a client may try again where the token cannot be read.
const PAUSE: Duration = Duration::from_secs(5);

/// Tells the owner from everybody else. The token is read when it is needed.
#[derive(Debug)]
pub struct Owner {
    source: Option<Source>,
    clock: Clock,
}

/// Proof that a request is the owner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// By the token itself, which no browser adds to a request that another site makes.
    Token,
    /// By the session's cookie.
    Session,
}

impl Owner {
    /// Returns the owner that the settings name. `Err` says why the file with the token cannot be used.
    pub fn new(config: &Config) -> Result<Self, String> {
        Self::with_aws(config, &Aws::from_env(config.clock()))
    }

    /// Returns the owner that the settings name. A token in Secrets Manager is asked for as `aws`, whose clock tells the time.
    pub fn with_aws(config: &Config, aws: &Aws) -> Result<Self, String> {
        let source = config.owner_token.as_ref().map(|source| Source::new(source, aws)).transpose();
        let source = source.map_err(|reason| format!("VISITS_OWNER_TOKEN: {reason}"))?;
        Ok(Self { source, clock: aws.clock().clone() })
    }

    /// Tells by which proof a request is the owner's. 401 where it is not, 403 where there is no owner, 503 where the token cannot
    /// be read.
    pub async fn authorize(&self, request: &Request) -> Result<Shown, Problem> {
        let token = self.token().await?;
        if let Some(header) = request.header("authorization") {
            let given = bearer(header).ok_or_else(|| unauthorized(NO_BEARER))?;
            return if token.is(given) { Ok(Shown::Token) } else { Err(unauthorized(WRONG)) };
        }
        let (mut sessions, now) = (request.sessions().peekable(), self.clock.now());
        let refusal = if sessions.peek().is_none() { NOTHING } else { ENDED };
        if sessions.any(|session| is_open(&token, session, now)) {
            return Ok(Shown::Session);
        }
        Err(unauthorized(refusal))
    }

    /// Authorizes a request that changes something: by cookie it needs a header that no other site can send (403).
    pub async fn authorize_change(&self, request: &Request) -> Result<(), Problem> {
        let by_us = request.header("x-requested-with") == Some("visits");
        match self.authorize(request).await? {
            Shown::Session if !by_us => {
                let detail = "a change by session cookie needs the header X-Requested-With: visits, which no other site can \
                              send; or send the token as Authorization: Bearer";
                Err(Problem::new("forged-request", StatusCode::FORBIDDEN, detail))
            }
            _ => Ok(()),
        }
    }

    /// Opens a session for who knows the token: the cookie to set.
    pub async fn open_session(&self, given: &str) -> Result<String, Problem> {
        let token = self.token().await?;
        if !token.is(given) {
            return Err(unauthorized(WRONG));
        }
        Ok(cookie(&session(&token, self.clock.now()), SESSION))
    }

    /// The cookie that ends a session in the browser.
    pub fn closed_session() -> String {
        cookie("", Duration::ZERO)
    }

    async fn token(&self) -> Result<Token, Problem> {
        let missing = "this needs the owner's token, and none is set up; VISITS_OWNER_TOKEN says where it comes from";
        let missing = || Problem::new("owner-token-missing", StatusCode::FORBIDDEN, missing);
        self.source.as_ref().ok_or_else(missing)?.token().await.map_err(|error| {
            tracing::error!(%error, "the owner's token cannot be used");
            let detail = "the owner's token cannot be used at the moment; the log of the function says why";
            Problem::unavailable("owner-token-unavailable", detail, PAUSE)
        })
    }
}

const NOTHING: &str = "this needs the owner's token: send it as Authorization: Bearer, or open a session at /dashboard";
const NO_BEARER: &str = "the header Authorization is not understood; Bearer and the owner's token are accepted";
const WRONG: &str = "this is not the owner's token; VISITS_OWNER_TOKEN says where it is kept";
const ENDED: &str = "the session has ended, or is none; open a new one at /dashboard, or send Authorization: Bearer";

/// Returns a 401 with `WWW-Authenticate`. The detail says whether the token is missing or wrong.
fn unauthorized(detail: &str) -> Problem {
    Problem::new("unauthorized", StatusCode::UNAUTHORIZED, detail).with("www-authenticate", "Bearer")
}

/// The token of `Authorization: Bearer …` (RFC 6750); the scheme's case is free.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

fn cookie(value: &str, age: Duration) -> String {
    let seconds = age.as_secs();
    format!("{SESSION_COOKIE}={value}; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age={seconds}")
}

/// Returns a session from now on.
fn session(token: &Token, now: Moment) -> String {
    let end = now.epoch_millis() / 1000 + SESSION.as_secs();
    format!("{end}.{}", BASE64.encode(token.sign(&signed(end))))
}

/// Tells, in constant time, whether this is a session that was opened with the token and has not ended.
fn is_open(token: &Token, session: &str, now: Moment) -> bool {
    let Some((end, mac)) = session.split_once('.') else { return false };
    let (Ok(end), Ok(mac)) = (end.parse(), BASE64.decode(mac)) else { return false };
    token.has_signed(&signed(end), &mac) && now.epoch_millis() / 1000 < end
}

/// Returns the text that is signed. It names its purpose, so that nothing else signed by the token will ever be a session.
fn signed(end: u64) -> String {
    format!("visits session until {end}")
}

#[derive(Debug)]
enum Source {
    File(PathBuf),
    Secret(Secret),
}

impl Source {
    /// Reads a file once, so that a wrong one stops the start. The settings name no other places than a file and a secret.
    fn new(source: &PasswordSource, aws: &Aws) -> Result<Self, String> {
        match source {
            PasswordSource::Secret { id, key } => Ok(Self::Secret(Secret::new(aws.clone(), id, key.as_deref()))),
            PasswordSource::File(path) => read_token(path).map(|_| Self::File(path.clone())),
            _ => Err("a token comes from a file or a secret".to_owned()),
        }
    }

    /// Returns the token that the file holds now, or the secret held a minute ago at most.
    async fn token(&self) -> Result<Token, String> {
        match self {
            Self::File(path) => read_token(path),
            Self::Secret(secret) => {
                let held = secret.password(Some(KEPT)).await.map_err(|error| error.to_string())?;
                Ok(Token::new(held.expose())?)
            }
        }
    }
}

fn read_token(path: &Path) -> Result<Token, String> {
    let held = Password::read(path).map_err(|error| error.to_string())?;
    Token::new(held.expose()).map_err(|reason| format!("the file {}: {reason}", path.display()))
}

#[cfg(test)]
mod tests;
