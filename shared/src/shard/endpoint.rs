//! The address of a shard's server.

use super::whole_number;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use url::{Host, Url};

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

/// Why a text is not an endpoint. No message repeats a part of the text, since any part may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL at all.
    #[error("the URL does not parse: {0}")]
    Url(#[from] url::ParseError),
    /// Any scheme but `redis` and `rediss`.
    #[error("the URL's scheme is not redis:// or rediss://")]
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
    /// A cluster with another database than 0.
    #[error("a cluster has database 0 only: leave out the number in the URL's path")]
    ClusterDatabase,
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

    /// The same address as one node of a Redis or Valkey Cluster, whose nodes say which of them holds a shard.
    pub fn of_cluster(self) -> Result<Self, EndpointError> {
        if self.full.ends_with("/0") { Ok(Self { cluster: true, ..self }) } else { Err(EndpointError::ClusterDatabase) }
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
        let scheme = url.scheme();
        if !["redis", "rediss"].contains(&scheme) {
            return Err(EndpointError::Scheme);
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
            ("", "") => format!("{scheme}://{host}:{port}/{db}"),
            (user, "") => format!("{scheme}://{user}@{host}:{port}/{db}"),
            (user, secret) => format!("{scheme}://{user}:{secret}@{host}:{port}/{db}"),
        };
        let mask = if password.is_empty() { "" } else { "***" };
        Ok(Self { full: address(password).into(), masked: address(mask).into(), cluster: false })
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
    use super::{Endpoint, EndpointError};

    #[test]
    fn an_endpoint_is_completed_and_shows_no_password() {
        let table = [
            ("redis://h", "redis://h:6379/0", "redis://h:6379/0"),
            ("redis://H:7070/", "redis://h:7070/0", "redis://h:7070/0"),
            ("redis://127.0.0.1:7070/3", "redis://127.0.0.1:7070/3", "redis://127.0.0.1:7070/3"),
            ("redis://[::1]:7070", "redis://[::1]:7070/0", "redis://[::1]:7070/0"),
            ("redis://app@h", "redis://app@h:6379/0", "redis://app@h:6379/0"),
            ("redis://:pw@h", "redis://:pw@h:6379/0", "redis://:***@h:6379/0"),
            ("rediss://H", "rediss://h:6379/0", "rediss://h:6379/0"),
            ("rediss://app:pw@[::1]:7070/3", "rediss://app:pw@[::1]:7070/3", "rediss://app:***@[::1]:7070/3"),
            ("redis://app:p%40%3Bw@h", "redis://app:p%40%3Bw@h:6379/0", "redis://app:***@h:6379/0"),
        ];
        for (text, full, masked) in table {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.expose(), full);
            assert!(redis::IntoConnectionInfo::into_connection_info(full).is_ok(), "the client takes {masked}");
            assert_eq!(endpoint.to_string(), masked);
            assert_eq!(format!("{endpoint:?}"), masked);
            assert_eq!(endpoint.is_tls(), text.starts_with("rediss"));
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
            ("valkeys://h", EndpointError::Scheme),
            ("rediss://", EndpointError::Host),
            ("rediss://h#insecure", EndpointError::Extra),
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
    fn an_endpoint_knows_its_user_and_whether_it_has_a_password() {
        let table = [
            ("redis://h", "", false),
            ("redis://app@h", "app", false),
            ("redis://:pw@h", "", true),
            ("rediss://app:p@w:x@[::1]", "app", true),
            ("redis://a%40b:pw@h", "a%40b", true),
        ];
        for (text, user, has_password) in table {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.user(), endpoint.has_password()), (user, has_password), "{text}");
        }
    }

    #[test]
    fn endpoints_that_mean_the_same_are_equal() {
        let endpoint = |text: &str| text.parse::<Endpoint>().unwrap();
        assert_eq!(endpoint("redis://h"), endpoint("redis://H:6379/0"));
        assert_eq!(endpoint("rediss://h"), endpoint("REDISS://H:6379/0"));
        assert_ne!(endpoint("redis://h"), endpoint("redis://h/1"));
        assert_ne!(endpoint("redis://h"), endpoint("rediss://h"));
        assert_ne!(endpoint("redis://a:b@h"), endpoint("redis://a:c@h"));
    }
}
