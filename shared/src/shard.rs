//! What a shard is: its name, its share of the pages, and the address of the Redis server that holds it.

use std::fmt;
use std::net::IpAddr;
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
    /// Its share of the pages.
    pub weight: Weight,
}

/// Why a text is neither a shard's name nor a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to {} of the characters A-Z a-z 0-9 _ -", NameError::MAX_CHARACTERS)]
pub struct NameError;

impl NameError {
    /// Longest name: it is a part of every key, and a longer one helps nobody.
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

/// The address of a Redis server and the database there: `redis://[user][:password]@host[:port][/db]`.
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
}

/// Why a text is not an endpoint. No message repeats a part of the text, since any part may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL at all.
    #[error("the URL does not parse: {0}")]
    Url(#[from] url::ParseError),
    /// `rediss://`.
    #[error("rediss:// (Redis over TLS) is not supported yet; use redis://")]
    Tls,
    /// Any scheme but `redis`.
    #[error("the URL's scheme is not redis://")]
    Scheme,
    /// No host, or one that no server answers at.
    #[error("the URL names no host to connect to")]
    Host,
    /// Port 0.
    #[error("the port is not from 1 to 65535")]
    Port,
    /// A path that is no database number.
    #[error("the URL's path is not a database number such as /0")]
    Database,
    /// User or password with escapes that are not UTF-8.
    #[error("the user or password is not UTF-8 once percent-decoded")]
    Credentials,
    /// `?` or `#`: nothing is configured there, and a password with one must be percent-encoded.
    #[error("the URL has a query or fragment; write ? as %3F and # as %23 in a password")]
    Extra,
}

impl Endpoint {
    /// Port of a URL that names none.
    pub const DEFAULT_PORT: u16 = 6379;

    /// The whole URL with its password: for the Redis client only, never for a log or an answer.
    pub fn expose(&self) -> &str {
        &self.full
    }

    fn from_url(url: &Url) -> Result<Self, EndpointError> {
        match url.scheme() {
            "redis" => {}
            "rediss" => return Err(EndpointError::Tls),
            _ => return Err(EndpointError::Scheme),
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointError::Extra);
        }
        let host = host(url).ok_or(EndpointError::Host)?;
        let port = url.port().unwrap_or(Self::DEFAULT_PORT);
        if port == 0 {
            return Err(EndpointError::Port);
        }
        let db = database(url.path()).ok_or(EndpointError::Database)?;
        let password = url.password().unwrap_or_default();
        if !decodes(url.username()) || !decodes(password) {
            return Err(EndpointError::Credentials);
        }
        let address = |secret: &str| match (url.username(), secret) {
            ("", "") => format!("redis://{host}:{port}/{db}"),
            (user, "") => format!("redis://{user}@{host}:{port}/{db}"),
            (user, secret) => format!("redis://{user}:{secret}@{host}:{port}/{db}"),
        };
        let mask = if password.is_empty() { "" } else { "***" };
        Ok(Self { full: address(password).into(), masked: address(mask).into() })
    }
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

#[cfg(test)]
mod tests {
    use super::{Endpoint, EndpointError, NameError, Namespace, ShardName, Weight, WeightError};

    #[test]
    fn names_and_namespaces_have_1_to_64_letters_digits_underscores_and_hyphens() {
        for good in ["redis_7070", "a", "-", "_", "A-z_0", &"x".repeat(64)] {
            assert_eq!(good.parse::<ShardName>().unwrap().as_str(), good);
            assert_eq!(good.parse::<Namespace>().unwrap().to_string(), good);
        }
        for bad in ["", " ", "a b", "a#0", "a{b}", "a:b", "é", "a\n", &"x".repeat(65)] {
            assert_eq!(bad.parse::<ShardName>(), Err(NameError), "{bad:?}");
            assert_eq!(bad.parse::<Namespace>(), Err(NameError), "{bad:?}");
        }
    }

    #[test]
    fn a_weight_is_0_to_16_and_by_default_1() {
        assert_eq!(Weight::default().get(), 1);
        assert_eq!("0".parse(), Weight::new(0));
        assert_eq!("16".parse::<Weight>().map(Weight::get), Ok(16));
        for bad in ["", "17", "-1", "+1", "1.5", "256", "one"] {
            assert_eq!(bad.parse::<Weight>(), Err(WeightError), "{bad:?}");
        }
    }

    #[test]
    fn an_endpoint_is_completed_and_shows_no_password() {
        let table = [
            ("redis://h", "redis://h:6379/0", "redis://h:6379/0"),
            ("redis://H:7070/", "redis://h:7070/0", "redis://h:7070/0"),
            ("redis://127.0.0.1:7070/3", "redis://127.0.0.1:7070/3", "redis://127.0.0.1:7070/3"),
            ("redis://[::1]:7070", "redis://[::1]:7070/0", "redis://[::1]:7070/0"),
            ("redis://app@h", "redis://app@h:6379/0", "redis://app@h:6379/0"),
            ("redis://:pw@h", "redis://:pw@h:6379/0", "redis://:***@h:6379/0"),
            ("redis://app:p%40%3Bw@h", "redis://app:p%40%3Bw@h:6379/0", "redis://app:***@h:6379/0"),
        ];
        for (text, full, masked) in table {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.expose(), full);
            assert!(redis::IntoConnectionInfo::into_connection_info(full).is_ok(), "the client takes {masked}");
            assert_eq!(endpoint.to_string(), masked);
            assert_eq!(format!("{endpoint:?}"), masked);
        }
    }

    #[test]
    fn an_endpoint_that_could_not_work_is_refused() {
        let table = [
            ("", EndpointError::Url(url::ParseError::RelativeUrlWithoutBase)),
            ("127.0.0.1:7070", EndpointError::Url(url::ParseError::RelativeUrlWithoutBase)),
            ("redis://h:70707", EndpointError::Url(url::ParseError::InvalidPort)),
            ("localhost:7070", EndpointError::Scheme),
            ("http://h", EndpointError::Scheme),
            ("unix:///tmp/redis", EndpointError::Scheme),
            ("rediss://h", EndpointError::Tls),
            ("redis://", EndpointError::Host),
            ("redis:h", EndpointError::Host),
            ("redis:///0", EndpointError::Host),
            ("redis://0.0.0.0", EndpointError::Host),
            ("redis://[::]", EndpointError::Host),
            ("redis://h:0", EndpointError::Port),
            ("redis://h/-1", EndpointError::Database),
            ("redis://h/+1", EndpointError::Database),
            ("redis://h/0/1", EndpointError::Database),
            ("redis://h/zero", EndpointError::Database),
            ("redis://h?db=1", EndpointError::Extra),
            ("redis://h#", EndpointError::Extra),
            ("redis://a:%E9@h", EndpointError::Credentials),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<Endpoint>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn endpoints_that_mean_the_same_are_equal() {
        let endpoint = |text: &str| text.parse::<Endpoint>().unwrap();
        assert_eq!(endpoint("redis://h"), endpoint("redis://H:6379/0"));
        assert_ne!(endpoint("redis://h"), endpoint("redis://h/1"));
        assert_ne!(endpoint("redis://a:b@h"), endpoint("redis://a:c@h"));
    }
}
