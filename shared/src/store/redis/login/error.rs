//! Why a connection was not opened: one sentence for the operator, which never holds a password.

use crate::credentials::CredentialsError;
use redis::{ErrorKind, RedisError, ServerError};

/// Why there is no connection.
#[derive(Debug)]
pub(in crate::store::redis) enum ConnectError {
    /// None could be opened.
    Closed(RedisError),
    /// It was opened, and not answered as Redis answers. None: not in time.
    Unanswered(Option<RedisError>),
    /// It was opened, and nobody could log in.
    Login(LoginError),
}

impl ConnectError {
    /// Whether nothing was sent, since there was no password to send.
    pub(in crate::store::redis) fn is_without_password(&self) -> bool {
        matches!(self, Self::Login(LoginError::Credentials(_)))
    }
}

impl ConnectError {
    /// The same as an error of a command: one that is no answer of the server that the command was for.
    pub(in crate::store::redis) fn into_redis(self) -> RedisError {
        match self {
            Self::Closed(error) | Self::Unanswered(Some(error)) => error,
            Self::Unanswered(None) => (ErrorKind::Io, "no answer to the login in time").into(),
            Self::Login(error) => (ErrorKind::AuthenticationFailed, "no login", error.to_string()).into(),
        }
    }
}

impl From<LoginError> for ConnectError {
    fn from(error: LoginError) -> Self {
        Self::Login(error)
    }
}

impl From<CredentialsError> for ConnectError {
    fn from(error: CredentialsError) -> Self {
        Self::Login(error.into())
    }
}

/// Why nobody could log in, and what to do.
#[derive(Clone, Debug, thiserror::Error)]
pub(in crate::store::redis) enum LoginError {
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("the server refuses the login of user {user} ({said}); {mend}")]
    Refused { user: String, said: String, mend: &'static str },
    #[error("the server refuses the database {number} ({said}); it is the URL's path in REDIS_ENDPOINTS")]
    Database { number: i64, said: String },
}

/// What servers say that helps and repeats nothing of what they were sent: a server that does not know a command
/// repeats its arguments, the password among them.
const HARMLESS: [&str; 5] = [
    "invalid username-password pair",
    "AUTH <password> called without any password configured",
    "max number of clients reached",
    "wrong number of arguments for 'auth' command",
    "DB index is out of range",
];

/// A server's own word for no.
#[derive(Debug)]
pub(super) struct Refusal {
    code: String,
    detail: &'static str,
}

impl Refusal {
    pub(super) fn of(error: &ServerError) -> Self {
        let said = error.details().unwrap_or_default();
        let detail = HARMLESS.into_iter().find(|detail| said.starts_with(detail)).unwrap_or_default();
        Self { code: error.code().to_owned(), detail }
    }

    pub(super) fn text(&self) -> String {
        if self.detail.is_empty() { self.code.clone() } else { format!("{}: {}", self.code, self.detail) }
    }
}

/// Whether the server wants a login that this connection lacks, or no longer has.
pub(in crate::store::redis) fn is_no_login(error: &RedisError) -> bool {
    error.code() == Some("NOAUTH")
}

/// What to do about an error of a connection, where its text does not say.
pub(in crate::store::redis) fn advice(error: &str) -> &'static str {
    if error.contains("lookup address") {
        "; is the host in REDIS_ENDPOINTS right?"
    } else if error.contains("UnknownIssuer") {
        "; REDIS_CA_FILE says which authorities are believed"
    } else if error.contains("NOAUTH") {
        "; give user and password in REDIS_ENDPOINTS"
    } else {
        ""
    }
}
