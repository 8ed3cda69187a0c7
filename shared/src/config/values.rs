//! Settings that are more than a number or a word: shards, certificates, origins, pages, the owner's token.
//!
//! Reasons repeat nothing of a value or a file: it may hold a secret. Entries of a list are named by their number only: where a
//! password holds an unescaped separator, a part of it looks like a name.

use crate::config::error::masked;
use crate::config::variables::BUILT_IN_ROOTS;
use crate::ring::Ring;
use crate::shard::{
    Endpoint, EndpointError, NameError, PasswordError, PasswordSource, ShardConfig, Weight, WeightError,
};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
enum EntryError {
    #[error("it is empty")]
    Empty,
    #[error("it is not name=url")]
    NoName,
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error(transparent)]
    Weight(#[from] WeightError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(
        "after the URL only ;weight=N, ;cluster and one of ;password-file, ;password-secret, ;iam and ;iam-serverless \
         may come, each once, and all but ;cluster with =value (write ; as %3B in a password)"
    )]
    Option,
}

/// The shards of a comma-separated list, or one text with all that is wrong.
pub(crate) fn shards(list: &str) -> Result<Vec<ShardConfig>, String> {
    let mut shards = Vec::new();
    let mut wrong = Vec::new();
    for (number, text) in (1..).zip(list.split(',')) {
        match entry(text.trim()) {
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

fn entry(text: &str) -> Result<ShardConfig, EntryError> {
    if text.is_empty() {
        return Err(EntryError::Empty);
    }
    let (name, address) = text.split_once('=').ok_or(EntryError::NoName)?;
    let mut parts = address.split(';');
    let mut endpoint: Endpoint = parts.next().unwrap_or_default().trim().parse()?;
    let options = Options::parse(parts)?;
    let password = options.password.unwrap_or_default();
    password.check(&endpoint)?;
    if options.cluster {
        endpoint = endpoint.of_cluster()?;
    }
    Ok(ShardConfig { name: name.trim().parse()?, endpoint, password, weight: options.weight.unwrap_or_default() })
}

/// What follows an endpoint's URL: `;key=value` or `;flag`, each once.
#[derive(Default)]
struct Options {
    cluster: bool,
    weight: Option<Weight>,
    password: Option<PasswordSource>,
}

impl Options {
    fn parse<'a>(parts: impl Iterator<Item = &'a str>) -> Result<Self, EntryError> {
        let mut options = Self::default();
        for part in parts {
            let (key, value) = part.split_once('=').map_or((part, None), |(key, value)| (key, Some(value.trim())));
            match (key.trim(), value) {
                ("weight", Some(weight)) if options.weight.is_none() => options.weight = Some(weight.parse()?),
                ("cluster", None) if !options.cluster => options.cluster = true,
                (key, Some(value)) => {
                    let source = PasswordSource::from_option(key, value).ok_or(EntryError::Option)??;
                    if options.password.replace(source).is_some() {
                        return Err(PasswordError::Several.into());
                    }
                }
                _ => return Err(EntryError::Option),
            }
        }
        Ok(options)
    }
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
    /// Whether a browser may call from this origin, which is written as browsers do.
    pub fn allow(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(origins) => origins.iter().any(|allowed| is_origin(allowed, origin)),
        }
    }
}

/// Tells whether an origin is the allowed one, or one of those that it stands for.
fn is_origin(allowed: &str, origin: &str) -> bool {
    let Some((scheme, host)) = allowed.split_once("*.") else { return allowed == origin };
    let labels = origin.strip_prefix(scheme).and_then(|rest| rest.strip_suffix(host)?.strip_suffix('.'));
    // A forged referrer may have anything there, such as the end of its own host, and a slash.
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    labels.is_some_and(|labels| labels.split('.').all(is_label))
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
    /// One pattern; a comma in it stands for itself.
    pub fn one(pattern: &str) -> Result<Self, &'static str> {
        if pattern.is_empty() { Err("the pattern is empty") } else { Ok(Self(vec![pattern.to_owned()])) }
    }

    /// Whether a page may be counted. Paths begin with a slash and page ids do not, so that of a pattern may be left out.
    ///
    /// ```
    /// # use visits_core::config::PagePatterns;
    /// let patterns: PagePatterns = "home, blog/*".parse()?;
    /// assert!(patterns.allow("blog/2026/visits") && !patterns.allow("blog"));
    /// # Ok::<(), &str>(())
    /// ```
    pub fn allow(&self, page: &str) -> bool {
        let matches = |pattern: &str| matches(pattern.as_bytes(), page.as_bytes());
        self.0.iter().any(|pattern| matches(pattern) || pattern.strip_prefix('/').is_some_and(matches))
    }
}

/// Whether `text` is `pattern`, in which `*` stands for any bytes. Takes the product of both lengths at most.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match (pattern.get(p), star) {
            (Some(b'*'), _) => {
                star = Some((p, t));
                p += 1;
                // The last star takes all that is left.
                if p == pattern.len() {
                    return true;
                }
            }
            (Some(byte), _) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            // The last star takes one byte more.
            (_, Some((at, taken))) => {
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            }
            _ => return false,
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

impl std::str::FromStr for PagePatterns {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let patterns: Vec<String> = text.split(',').map(|pattern| pattern.trim().to_owned()).collect();
        if patterns.iter().any(String::is_empty) { Err("a pattern is empty") } else { Ok(Self(patterns)) }
    }
}

impl std::str::FromStr for Origins {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Self::Any);
        }
        text.split(',').map(|origin| parse_origin(origin.trim())).collect::<Result<_, _>>().map(Self::Only)
    }
}

/// RFC 6454, section 6.2: scheme, host and, if it is not the scheme's own, port. `*.` may stand before the host.
fn parse_origin(text: &str) -> Result<String, &'static str> {
    let subdomains = text.contains("://*.");
    let url: url::Url = text.replacen("://*.", "://", 1).parse().map_err(|_| "an entry is no origin")?;
    let origin = url.origin();
    if !matches!(url.scheme(), "http" | "https") || !origin.is_tuple() {
        return Err("an origin begins with http:// or https://");
    }
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !bare {
        return Err("an origin ends behind its host and port");
    }
    // Browsers write none of these, so that nothing would ever be allowed.
    let origin = origin.ascii_serialization();
    if origin.contains('*') {
        return Err("a * stands alone, for any origin, or before a host, as *. in https://*.example.org");
    }
    match url.host() {
        Some(url::Host::Domain(host)) if host.ends_with('.') => Err("a host ends without a dot"),
        Some(url::Host::Domain(_)) if subdomains => Ok(origin.replacen("://", "://*.", 1)),
        _ if subdomains => Err("behind *. stands a host's name"),
        _ => Ok(origin),
    }
}

/// Where the owner's token comes from (`VISITS_OWNER_TOKEN`). None: nobody is the owner over HTTP. Whether this program can
/// read it is asked by who does: all functions have the same variables.
pub(crate) fn owner_token(text: &str) -> Result<Option<PasswordSource>, &'static str> {
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

/// When a visit is acknowledged (`VISITS_DURABILITY`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once it is in memory. An environment that is killed loses at most what it had not flushed.
    #[default]
    Buffered,
    /// Once Redis has it.
    Direct,
}

/// Whether a timer flushes the buffer (`VISITS_TIMER`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timer {
    /// Exactly where Lambda never freezes the environment.
    #[default]
    Auto,
    /// Always, as for a local run.
    On,
    /// Never.
    Off,
}

/// What a visit with `DNT: 1` or `Sec-GPC: 1` is taken for (`VISITS_DO_NOT_TRACK`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DoNotTrack {
    /// It counts, and its visitor is in no sketch.
    #[default]
    Respect,
    /// The same as any other.
    Ignore,
}

/// What a page's count says (`VISITS_COUNT`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counted {
    /// All recorded visits.
    #[default]
    All,
    /// Those that are not by bots.
    People,
}

/// Reads a setting that is a choice of words.
macro_rules! choice {
    ($type:ty: $($word:literal => $variant:ident),+) => {
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
choice!(Durability: "buffered" => Buffered, "direct" => Direct);
choice!(Timer: "auto" => Auto, "on" => On, "off" => Off);
choice!(DoNotTrack: "respect" => Respect, "ignore" => Ignore);
choice!(Counted: "all" => All, "people" => People);

/// Longest namespace that `CloudWatch` takes, in bytes.
const MAX_NAMESPACE_BYTES: usize = 255;

/// A namespace of `CloudWatch`: what tells these metrics from those of others. Needs no escaping in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsNamespace(String);

impl fmt::Display for MetricsNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The namespace; none for `off`.
pub(crate) fn metrics_namespace(text: &str) -> Result<Option<MetricsNamespace>, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._/#:-".contains(&byte);
    match text {
        "off" => Ok(None),
        "on" => Err("on is no namespace; name one, such as VisitCounter"),
        _ if text.len() > MAX_NAMESPACE_BYTES => Err("too long"),
        _ if !text.bytes().all(allowed) => Err("a character that no namespace has"),
        _ if text.starts_with(':') => Err("a namespace does not begin with a colon"),
        _ if text.starts_with("AWS/") => Err("namespaces that begin with AWS/ are Amazon's own"),
        _ => Ok(Some(MetricsNamespace(text.to_owned()))),
    }
}

/// Largest file, in bytes. All of Mozilla's roots take 220 KiB.
const MAX_CA_FILE_BYTES: u64 = 1 << 20;

/// The certificates of the authorities that are trusted instead of the built-in ones, checked. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct CaCertificates(Arc<str>);

impl CaCertificates {
    /// The file as it was read: at least one certificate, as PEM, and each of them is one.
    pub fn pem(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CaCertificates {
    /// Without the text: where somebody put it there, a private key is a part of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaCertificates").finish_non_exhaustive()
    }
}

/// What is wrong with the file. Nothing of what it holds is repeated: it may be a private key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaFileError {
    #[error(transparent)]
    File(#[from] TextFileError),
    #[error("it holds PEM itself; the path of a file with it is wanted")]
    Pem,
    #[error("the file has no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    #[error("certificate {0} of the file is broken: {1}")]
    Broken(usize, String),
}

/// None: the built-in roots. No file is touched then.
pub(crate) fn ca_certificates(value: &str) -> Result<Option<CaCertificates>, CaFileError> {
    if value == BUILT_IN_ROOTS {
        return Ok(None);
    }
    if value.contains("-----BEGIN") {
        return Err(CaFileError::Pem);
    }
    let pem = read_text_file(Path::new(value), MAX_CA_FILE_BYTES)?;
    check_certificates(&pem)?;
    Ok(Some(CaCertificates(pem.into())))
}

/// As the Redis client will read it, so that it never fails there.
fn check_certificates(pem: &str) -> Result<(), CaFileError> {
    let mut roots = RootCertStore::empty();
    for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(pem.as_bytes())) {
        let broken = |error: &dyn ToString| CaFileError::Broken(number, error.to_string());
        let certificate = certificate.map_err(|error| broken(&error))?;
        roots.add(certificate).map_err(|error| broken(&error))?;
    }
    if roots.is_empty() { Err(CaFileError::NoCertificate) } else { Ok(()) }
}

/// Why a file was not read. Nothing of what it holds is repeated: it may be a secret.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum TextFileError {
    #[error("the file cannot be read: {0}")]
    Read(String),
    #[error("it is not a file")]
    NotAFile,
    #[error("the file is longer than {0} bytes")]
    TooLong(u64),
    #[error("the file is not text")]
    NotText,
}

impl From<io::Error> for TextFileError {
    fn from(error: io::Error) -> Self {
        Self::Read(error.to_string())
    }
}

/// The whole file, which has at most `most` bytes of UTF-8. Blocks for as long as the disk takes.
pub(crate) fn read_text_file(path: &Path, most: u64) -> Result<String, TextFileError> {
    // First, since opening a named pipe would wait for its writer.
    if !path.metadata()?.is_file() {
        return Err(TextFileError::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(TextFileError::TooLong(most));
    }
    String::from_utf8(bytes).map_err(|_| TextFileError::NotText)
}

#[cfg(test)]
mod tests;
