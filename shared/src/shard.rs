//! Shards as configured: name, share of the pages, the address of the Redis server, and where its password comes from.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use url::{Host, Url};

/// One shard as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardConfig {
    /// Decides which pages the shard owns.
    pub name: ShardName,
    /// Where it lives now. It may move; no page does.
    pub endpoint: Endpoint,
    /// Where the password for it comes from.
    pub password: PasswordSource,
    /// Its share of the pages.
    pub weight: Weight,
}

/// Why a text is neither a shard's name nor a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to {} of the characters A-Z a-z 0-9 _ -", NameError::MAX_CHARACTERS)]
pub struct NameError;

impl NameError {
    /// Longest name: it is a part of every key, and a longer one is of no use.
    pub const MAX_CHARACTERS: usize = 64;
}

/// The name of a shard, `[A-Za-z0-9_-]{1,64}`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardName(Arc<str>);

/// The first part of every key of a deployment, `[A-Za-z0-9_-]{1,64}`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// The name as it was configured.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
                let length_fits = (1..=NameError::MAX_CHARACTERS).contains(&text.len());
                if length_fits && text.bytes().all(allowed) { Ok(Self(text.into())) } else { Err(NameError) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}
name!(ShardName);
name!(Namespace);

/// A shard's share of the pages, relative to the other shards': 0 to 16, by default 1.
/// A shard of weight 0 is draining: it owns nothing, and is still read and emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u8);

/// A weight that is not a whole number from 0 to 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a weight is a whole number from 0 to {}", Weight::MAX)]
pub struct WeightError;

impl Weight {
    /// Largest weight. Placing a page costs a multiplication or two for each unit of weight.
    pub const MAX: u8 = 16;

    /// A weight from 0 to [`Weight::MAX`].
    pub const fn new(weight: u8) -> Result<Self, WeightError> {
        if weight <= Self::MAX { Ok(Self(weight)) } else { Err(WeightError) }
    }

    /// The weight as a number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self(1)
    }
}

impl FromStr for Weight {
    type Err = WeightError;

    fn from_str(text: &str) -> Result<Self, WeightError> {
        Self::new(whole_number(text).ok_or(WeightError)?)
    }
}

/// Digits only: `u8` alone would take `+1` too.
fn whole_number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The address of a Redis server and the database there: `redis://[user][:password]@host[:port][/db]`,
/// or `rediss://` for TLS.
///
/// Two texts that mean the same address are equal, so that the shards of one server share a client.
/// `Display` and `Debug` mask the password.
///
/// ```
/// # use visits_core::shard::Endpoint;
/// let endpoint: Endpoint = "redis://app:secret@localhost".parse()?;
/// assert_eq!(endpoint.to_string(), "redis://app:***@localhost:6379/0");
/// assert_eq!(endpoint.expose(), "redis://app:secret@localhost:6379/0");
/// # Ok::<(), visits_core::shard::EndpointError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    full: Arc<str>,
    masked: Arc<str>,
    cluster: bool,
}

/// Reason why a text is not an endpoint. No message repeats a part of the text, since any part may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The text is no URL at all.
    #[error("the URL does not parse: {0}")]
    Url(#[from] url::ParseError),
    /// The URL has a part that no Redis server has.
    #[error("{0}")]
    Part(&'static str),
}

impl Endpoint {
    /// Port of a URL that names none.
    pub const DEFAULT_PORT: u16 = 6379;

    /// The whole URL with its password: for the Redis client only, never for a log or an answer.
    pub fn expose(&self) -> &str {
        &self.full
    }

    /// Whether the server is spoken to over TLS.
    pub fn is_tls(&self) -> bool {
        self.full.starts_with("rediss:")
    }

    /// Returns the same address as one node of a Redis or Valkey Cluster, whose nodes say which of them holds a shard.
    pub fn of_cluster(self) -> Result<Self, EndpointError> {
        let has_database = !self.full.ends_with("/0");
        refuse(has_database, "a cluster has database 0 only: leave out the number in the URL's path")?;
        Ok(Self { cluster: true, ..self })
    }

    /// Whether the server is a node of a cluster.
    pub fn is_cluster(&self) -> bool {
        self.cluster
    }

    /// The user to log in as, as the URL writes it; empty where it names none.
    pub fn user(&self) -> &str {
        self.credentials().0
    }

    /// Whether the URL has a password.
    pub fn has_password(&self) -> bool {
        !self.credentials().1.is_empty()
    }

    /// User and password, percent-encoded: neither has a `:` or `@` of its own.
    fn credentials(&self) -> (&str, &str) {
        let address = self.full.split_once("://").map_or("", |(_, address)| address);
        let credentials = address.split_once('@').map_or("", |(credentials, _)| credentials);
        credentials.split_once(':').unwrap_or((credentials, ""))
    }

    fn from_url(url: &Url) -> Result<Self, EndpointError> {
        let (scheme, password) = (url.scheme(), url.password().unwrap_or_default());
        refuse(!["redis", "rediss"].contains(&scheme), "the URL's scheme is not redis:// or rediss://")?;
        let has_more = url.query().is_some() || url.fragment().is_some();
        refuse(has_more, "the URL has a query or fragment; write ? as %3F and # as %23 in a password")?;
        let host = host(url).ok_or(EndpointError::Part("the URL names no host to connect to"))?;
        let port = url.port().unwrap_or(Self::DEFAULT_PORT);
        refuse(port == 0, "the port is not from 1 to 65535")?;
        let no_number = EndpointError::Part("the URL's path is not a database number such as /0");
        let db = database(url.path()).ok_or(no_number)?;
        let is_text = decodes(url.username()) && decodes(password);
        refuse(!is_text, "the user or password is not UTF-8 once percent-decoded")?;
        let address = |secret: &str| match (url.username(), secret) {
            ("", "") => format!("{scheme}://{host}:{port}/{db}"),
            (user, "") => format!("{scheme}://{user}@{host}:{port}/{db}"),
            (user, secret) => format!("{scheme}://{user}:{secret}@{host}:{port}/{db}"),
        };
        let mask = if password.is_empty() { "" } else { "***" };
        Ok(Self { full: address(password).into(), masked: address(mask).into(), cluster: false })
    }
}

fn refuse(wrong: bool, reason: &'static str) -> Result<(), EndpointError> {
    if wrong { Err(EndpointError::Part(reason)) } else { Ok(()) }
}

/// The host as a URL writes it. None for a wildcard address: it is for listening, and the client refuses it.
fn host(url: &Url) -> Option<String> {
    let address = match url.host()? {
        Host::Domain(name) => name.parse().ok(),
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
    };
    let host = url.host_str().filter(|host| !host.is_empty())?;
    (!address.is_some_and(|address| address.is_unspecified())).then(|| host.to_ascii_lowercase())
}

fn database(path: &str) -> Option<u32> {
    match path.strip_prefix('/').unwrap_or(path) {
        "" => Some(0),
        db => whole_number(db),
    }
}

/// Whether the escapes are UTF-8, which the client insists on. The form decoder puts U+FFFD for what is not.
fn decodes(text: &str) -> bool {
    url::form_urlencoded::parse(text.as_bytes())
        .all(|(key, value)| !key.contains('\u{fffd}') && !value.contains('\u{fffd}'))
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        Self::from_url(&Url::parse(text)?)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked)
    }
}

/// Where the password comes from. No password is in here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum PasswordSource {
    /// The endpoint's URL, or there is none.
    #[default]
    Url,
    /// This file, read at each new connection.
    File(PathBuf),
    /// AWS Secrets Manager.
    Secret {
        /// The secret's name or ARN.
        id: String,
        /// The member of a JSON object that holds the password. None: the secret is the password.
        key: Option<String>,
    },
    /// Tokens that AWS credentials sign, for an `ElastiCache` cache.
    Iam {
        /// The cache's name (of a serverless cache, or of a replication group), in lower case.
        cache: String,
        /// Whether it is a serverless cache.
        serverless: bool,
    },
}

/// Why an option that says where the password comes from cannot be used. No message repeats a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// A relative path, or a password in its place.
    #[error("the path of a ;password-file begins with /")]
    Path,
    /// Not what Secrets Manager calls a secret.
    #[error("a ;password-secret is the name or ARN of a secret, and #key after it for a member of its JSON")]
    Secret,
    /// Not what `ElastiCache` calls a cache.
    #[error("the name of a cache is 1 to 40 letters, digits and hyphens")]
    Cache,
    /// More than one source.
    #[error("a password comes from one place: the URL, ;password-file, ;password-secret, ;iam or ;iam-serverless")]
    Several,
    /// IAM without TLS.
    #[error("an IAM login needs TLS: write rediss://")]
    Tls,
    /// IAM without a user that IAM could know.
    #[error("an IAM login needs the user's id in the URL, of letters, digits and hyphens: rediss://USER@host")]
    User,
}

impl PasswordSource {
    /// Returns the source that the option `key` names with this value, if that is an option about passwords.
    pub fn from_option(key: &str, value: &str) -> Option<Result<Self, PasswordError>> {
        Some(match key {
            "password-file" if value.starts_with('/') => Ok(Self::File(value.into())),
            "password-file" => Err(PasswordError::Path),
            "password-secret" => secret_source(value).ok_or(PasswordError::Secret),
            "iam" | "iam-serverless" => cache(value)
                .map(|cache| Self::Iam { cache, serverless: key == "iam-serverless" })
                .ok_or(PasswordError::Cache),
            _ => return None,
        })
    }

    /// Checks that a password from here fits `endpoint`.
    pub fn check(&self, endpoint: &Endpoint) -> Result<(), PasswordError> {
        if *self == Self::Url {
            return Ok(());
        }
        if endpoint.has_password() {
            return Err(PasswordError::Several);
        }
        if matches!(self, Self::Iam { .. }) {
            let user = endpoint.user();
            if !endpoint.is_tls() {
                return Err(PasswordError::Tls);
            }
            if user.is_empty() || !user.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                return Err(PasswordError::User);
            }
        }
        Ok(())
    }
}

fn secret_source(value: &str) -> Option<PasswordSource> {
    let (id, key) = value.split_once('#').map_or((value, None), |(id, key)| (id, Some(key)));
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-:".contains(&byte);
    let fits = (1..=2048).contains(&id.len()) && id.bytes().all(allowed) && key != Some("");
    fits.then(|| PasswordSource::Secret { id: id.to_owned(), key: key.map(str::to_owned) })
}

fn cache(value: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    // The token that is signed has the name as ElastiCache keeps it.
    ((1..=40).contains(&value.len()) && value.bytes().all(allowed)).then(|| value.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
