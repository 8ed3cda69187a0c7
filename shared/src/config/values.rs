//! Values of settings and their parsers.
//!
//! Reasons repeat nothing of a value or a file: it may hold a secret. Entries of a list are named by their number only: where a
//! password holds an unescaped separator, a part of it looks like a name.

use crate::ring::Ring;
use crate::shard::{Endpoint, PasswordError, PasswordSource, ShardConfig, Weight};
use crate::token::Token;
use http::HeaderName;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// Stands for a value that is not shown.
pub(super) const MASK: &str = "***";

/// Returns a value as it may be shown: `***` if it may hold a password or a key.
pub fn masked(value: &str) -> &str {
    if is_secret(value) { MASK } else { value }
}

/// Returns whether a value may hold a secret: a URL that is no plain address of a web server, a password's option, or PEM. In doubt it
/// does: a URL with a mistake in it hides its password no worse.
pub(super) fn is_secret(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    let bare = value.replace("https://", "").replace("http://", "");
    value.contains('@')
        || value.contains("pass")
        || value.contains("secret=")
        || value.contains("-----begin")
        || value.contains("://") && bare.contains(':')
}

/// Parses a duration from `least` to `most`, such as `500ms` or `1m 30s`; of the bare numbers only `0`.
pub(super) fn duration(least: &str, most: &str) -> impl Fn(&str) -> Result<Duration, &'static str> {
    let [least, most] = [least, most].map(|bound| humantime::parse_duration(bound).unwrap_or_default());
    move |text| {
        let duration = humantime::parse_duration(text).map_err(|error| match error {
            humantime::DurationError::UnknownUnit { unit, .. } if unit.is_empty() => "its unit is missing",
            _ => "not a duration",
        })?;
        if (least..=most).contains(&duration) { Ok(duration) } else { Err("out of range") }
    }
}

/// Parses a whole number from `least` to `most`.
pub(super) fn number<T: FromStr + PartialOrd>(least: T, most: T) -> impl Fn(&str) -> Result<T, &'static str> {
    move |text| {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("not a whole number");
        }
        // Digits that do not parse are too many.
        text.parse().ok().filter(|number| (&least..=&most).contains(&number)).ok_or("out of range")
    }
}

/// Parses `on` or `off`.
pub(super) fn switch(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("unknown word"),
    }
}

/// Refuses a URL by which a call of AWS would cross a network without TLS: its headers, the credentials' session among them, and the
/// secret in the answer could be read on the way.
pub(crate) fn aws_endpoint(text: &str) -> Result<(), &'static str> {
    let is_plain = text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"));
    let url = text.parse::<Url>().ok();
    let is_here = match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if is_plain && !is_here { Err("plain http to another machine would show what is sent to AWS") } else { Ok(()) }
}

/// Returns the URL of a server: scheme, host and, if it is not the scheme's own, port. None for another scheme than HTTP's, and for
/// more than these.
pub(crate) fn bare_origin(text: &str) -> Option<String> {
    let url: Url = text.parse().ok()?;
    let bare = format!("{}/", url.origin().ascii_serialization());
    (matches!(url.scheme(), "http" | "https") && url.as_str() == bare).then_some(bare)
}

/// Parses the characters of a name, a partial ARN or an ARN, with or without a version. Lambda knows the rest.
pub(super) fn function_name(text: &str) -> Result<String, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:$".contains(&byte);
    match text.len() {
        1..=170 if text.bytes().all(allowed) => Ok(text.to_owned()),
        1..=170 => Err("a character that no function name has"),
        _ => Err("too long"),
    }
}

const OPTIONS: &str = "after the URL only ;weight=N, ;cluster and one of ;password-file, ;password-secret, ;iam and ;iam-serverless may \
                       come, each once, and all but ;cluster with =value (write ; as %3B in a password)";

/// Parses the shards of a comma-separated list. An error tells all that is wrong.
pub(super) fn shards(list: &str) -> Result<Vec<ShardConfig>, String> {
    let (mut shards, mut wrong) = (Vec::new(), Vec::new());
    for (number, text) in (1..).zip(list.split(',')) {
        match shard(text.trim()) {
            Ok(shard) => shards.push(shard),
            Err(error) => wrong.push(format!("entry {number}: {error}")),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong.join(", "));
    }
    // The ring knows which shards can share the pages.
    let placed = shards.iter().map(|shard| (shard.name.clone(), shard.weight));
    Ring::new(placed).map_err(|error| error.to_string())?;
    Ok(shards)
}

/// Parses `name=url`, and after it `;key=value` or `;flag`, each once.
fn shard(text: &str) -> Result<ShardConfig, Box<dyn Error>> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    let (name, address) = text.split_once('=').ok_or("it is not name=url")?;
    let mut parts = address.split(';');
    let mut endpoint: Endpoint = parts.next().unwrap_or_default().trim().parse()?;
    let (mut cluster, mut weight, mut password) = (false, None, None);
    for part in parts {
        let (key, value) = part.split_once('=').map_or((part, None), |(key, value)| (key, Some(value.trim())));
        match (key.trim(), value) {
            ("weight", Some(value)) if weight.is_none() => weight = Some(value.parse::<Weight>()?),
            ("cluster", None) if !cluster => cluster = true,
            (key, Some(value)) => {
                let source = PasswordSource::from_option(key, value).ok_or(OPTIONS)??;
                if password.replace(source).is_some() {
                    return Err(PasswordError::Several.into());
                }
            }
            _ => return Err(OPTIONS.into()),
        }
    }
    let password: PasswordSource = password.unwrap_or_default();
    password.check(&endpoint)?;
    if cluster {
        endpoint = endpoint.of_cluster()?;
    }
    Ok(ShardConfig { name: name.trim().parse()?, endpoint, password, weight: weight.unwrap_or_default() })
}

/// Origins that may call from a browser (`VISITS_ORIGINS`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Any.
    Any,
    /// These, as browsers write them: scheme and host in lower case, no slash at the end. `*.` before a host stands for one
    /// or more labels, so not for the host itself.
    Only(Vec<String>),
}

impl Origins {
    /// Returns whether a browser may call from this origin, which is written as browsers do.
    pub fn allow(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(origins) => origins.iter().any(|allowed| is_origin(allowed, origin)),
        }
    }
}

impl FromStr for Origins {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Self::Any);
        }
        text.split(',').map(|origin| parse_origin(origin.trim())).collect::<Result<_, _>>().map(Self::Only)
    }
}

/// Returns whether an origin is the allowed one, or one of those that it stands for.
fn is_origin(allowed: &str, origin: &str) -> bool {
    let Some((scheme, host)) = allowed.split_once("*.") else { return allowed == origin };
    let labels = origin.strip_prefix(scheme).and_then(|rest| rest.strip_suffix(host)?.strip_suffix('.'));
    // A forged referrer may have anything there, such as the end of its own host, and a slash.
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    labels.is_some_and(|labels| labels.split('.').all(is_label))
}

/// Parses an origin (RFC 6454, section 6.2): scheme, host and, if it is not the scheme's own, port. `*.` may stand before the host.
/// Those that browsers never write are refused, since nothing would ever be allowed by them.
fn parse_origin(text: &str) -> Result<String, &'static str> {
    let subdomains = text.contains("://*.");
    let url: Url = text.replacen("://*.", "://", 1).parse().map_err(|_| "an entry is no origin")?;
    let origin = url.origin().ascii_serialization();
    match url.host() {
        _ if !matches!(url.scheme(), "http" | "https") => Err("an origin begins with http:// or https://"),
        _ if url.as_str() != format!("{origin}/") => Err("an origin ends behind its host and port"),
        _ if origin.contains('*') => {
            Err("a * stands alone, for any origin, or before a host, as *. in https://*.example.org")
        }
        Some(Host::Domain(host)) if host.ends_with('.') => Err("a host ends without a dot"),
        Some(Host::Domain(_)) if subdomains => Ok(origin.replacen("://", "://*.", 1)),
        _ if subdomains => Err("behind *. stands a host's name"),
        _ => Ok(origin),
    }
}

/// The pages that may be counted (`VISITS_PAGES`): patterns, in which `*` stands for any characters.
#[derive(Clone, PartialEq, Eq)]
pub struct PagePatterns(Vec<String>);

impl fmt::Debug for PagePatterns {
    /// Any text is a pattern, also a URL with a password that landed in the wrong variable.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PagePatterns").field(&masked(&self.0.join(","))).finish()
    }
}

impl PagePatterns {
    /// Takes one pattern; a comma in it stands for itself.
    pub fn one(pattern: &str) -> Result<Self, &'static str> {
        if pattern.is_empty() { Err("the pattern is empty") } else { Ok(Self(vec![pattern.to_owned()])) }
    }

    /// Returns whether a page may be counted. Paths begin with a slash and page ids do not, so that of a pattern may be left out.
    ///
    /// ```
    /// # use visits_core::config::PagePatterns;
    /// let patterns: PagePatterns = "home, blog/*".parse()?;
    /// assert!(patterns.allow("blog/2026/visits") && !patterns.allow("blog"));
    /// # Ok::<(), &str>(())
    /// ```
    pub fn allow(&self, page: &str) -> bool {
        let matches = |pattern: &str| matches(pattern, page);
        self.0.iter().any(|pattern| matches(pattern) || pattern.strip_prefix('/').is_some_and(matches))
    }
}

impl FromStr for PagePatterns {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let patterns: Vec<String> = text.split(',').map(|pattern| pattern.trim().to_owned()).collect();
        if patterns.iter().any(String::is_empty) { Err("a pattern is empty") } else { Ok(Self(patterns)) }
    }
}

/// Returns whether `text` is `pattern`, in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let (inner, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let inside = text.strip_prefix(first).and_then(|text| text.strip_suffix(last));
    // The first place of each part leaves the most room for the next.
    inside
        .is_some_and(|inside| inner.split('*').try_fold(inside, |left, part| Some(left.split_once(part)?.1)).is_some())
}

/// Parses the source of the owner's token (`VISITS_OWNER_TOKEN`). None: there is no owner over HTTP. Programs that read it check whether
/// they can: all functions have the same variables.
pub(super) fn owner_token(text: &str) -> Result<Option<PasswordSource>, &'static str> {
    let (key, value) = match text.split_once(':') {
        None if text == "off" => return Ok(None),
        Some(("file", path)) => ("password-file", path),
        Some(("secret", id)) => ("password-secret", id),
        _ => return Err("neither off nor a place; the token itself is not written here"),
    };
    match PasswordSource::from_option(key, value) {
        Some(Ok(source)) => Ok(Some(source)),
        Some(Err(PasswordError::Path)) => Err("the path of the file begins with /"),
        _ => Err("the name or ARN of a secret is wanted, and #key after it for a member of its JSON"),
    }
}

/// The header in which a proxy tells the client's address (`VISITS_CLIENT_ADDRESS`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// The header's name.
    pub name: HeaderName,
    /// The value of `X-Visits-Proxy` that shows the request to be the proxy's.
    pub secret: Token,
}

/// Parses the header of a proxy and its secret; none for `source`.
pub(super) fn client_address(text: &str) -> Result<Option<ProxyHeader>, &'static str> {
    if text == "source" {
        return Ok(None);
    }
    let (name, secret) = text.split_once(";secret=").ok_or("neither source nor a header with ;secret=VALUE")?;
    let name = name.parse().map_err(|_| "no header has this name")?;
    if ["x-forwarded-for", "forwarded"].iter().any(|list| name == *list) {
        return Err("a client can write into a list of addresses; name a header that holds one");
    }
    Ok(Some(ProxyHeader { name, secret: Token::new(secret)? }))
}

/// Declares a setting that is a choice of words.
macro_rules! choice {
    ($(#[$doc:meta])+ $type:ident { $($(#[$of_variant:meta])+ $variant:ident = $word:literal),+ }) => {
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $type { $($(#[$of_variant])+ $variant),+ }

        impl FromStr for $type {
            type Err = &'static str;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err("unknown word"),
                }
            }
        }
    };
}

choice! {
    /// The time at which a visit is acknowledged (`VISITS_DURABILITY`).
    Durability {
        /// Once it is in memory. An environment that is killed loses at most what it had not flushed.
        #[default]
        Buffered = "buffered",
        /// Once Redis has it.
        Direct = "direct"
    }
}

choice! {
    /// Whether a timer flushes the buffer (`VISITS_TIMER`).
    Timer {
        /// Exactly where Lambda never freezes the environment.
        #[default]
        Auto = "auto",
        /// Always, as for a local run.
        On = "on",
        /// Never.
        Off = "off"
    }
}

choice! {
    /// Treatment of a visit with `DNT: 1` or `Sec-GPC: 1` (`VISITS_DO_NOT_TRACK`).
    DoNotTrack {
        /// The visit counts, and its visitor is in no sketch.
        #[default]
        Respect = "respect",
        /// The visit is like any other.
        Ignore = "ignore"
    }
}

choice! {
    /// The visits that a page's count has (`VISITS_COUNT`).
    Counted {
        /// All recorded visits.
        #[default]
        All = "all",
        /// Visits that are not by bots.
        People = "people"
    }
}

/// Parses a namespace of `CloudWatch`, which needs no escaping in JSON; none for `off`.
pub(super) fn metrics_namespace(text: &str) -> Result<Option<String>, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._/#:-".contains(&byte);
    match text {
        "off" => Ok(None),
        "on" => Err("on is no namespace; name one, such as VisitCounter"),
        _ if text.len() > 255 => Err("too long"),
        _ if !text.bytes().all(allowed) => Err("a character that no namespace has"),
        _ if text.starts_with(':') => Err("a namespace does not begin with a colon"),
        _ if text.starts_with("AWS/") => Err("namespaces that begin with AWS/ are Amazon's own"),
        _ => Ok(Some(text.to_owned())),
    }
}

/// The certificates of the authorities that are trusted instead of the built-in ones, checked. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct CaCertificates(Arc<str>);

impl CaCertificates {
    /// Returns the file as it was read: at least one certificate, as PEM, and each of them is one.
    pub fn pem(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CaCertificates {
    /// Leaves the text out: a private key may be a part of it by mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaCertificates").finish_non_exhaustive()
    }
}

/// Reads the file with certificates and checks each as the Redis client will read it, so that it never fails there. None for
/// `built-in`: no file is touched then.
pub(super) fn ca_certificates(value: &str) -> Result<Option<CaCertificates>, String> {
    if value == "built-in" {
        return Ok(None);
    }
    if value.contains("-----BEGIN") {
        return Err("it holds PEM itself; the path of a file with it is wanted".to_owned());
    }
    // All of Mozilla's roots take 220 KiB.
    let pem = read_text_file(Path::new(value), 1 << 20)?;
    let mut roots = RootCertStore::empty();
    for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(pem.as_bytes())) {
        let broken =
            |error: &dyn ToString| format!("certificate {number} of the file is broken: {}", error.to_string());
        roots.add(certificate.map_err(|error| broken(&error))?).map_err(|error| broken(&error))?;
    }
    if roots.is_empty() {
        return Err("the file has no certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned());
    }
    Ok(Some(CaCertificates(pem.into())))
}

/// Returns the whole file, which has at most `most` bytes of UTF-8. Blocks for as long as the disk takes. An error repeats nothing of
/// the file: it may be a secret.
pub(crate) fn read_text_file(path: &Path, most: u64) -> Result<String, String> {
    let unreadable = |error: io::Error| format!("the file cannot be read: {error}");
    // First, since opening a named pipe would wait for its writer.
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most {
        return Err(format!("the file is longer than {most} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "the file is not text".to_owned())
}

#[cfg(test)]
mod tests;
