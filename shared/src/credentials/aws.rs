//! AWS: the identity of this program, asked for at each use, and AWS Signature Version 4 ("Create a signed AWS API request"
//! in the IAM User Guide) of the two requests that we make: without a path, and with names of parameters and headers that
//! their callers give in order.
//!
//! `aws-sigv4` signs any request, and brings a second SHA-256, a library of times and one of queries; the tests compare
//! with it.

use crate::clock::{Clock, Moment};
#[cfg(feature = "aws-identity")]
use crate::credentials::{TIMEOUT, told};
use crate::day::Day;
#[cfg(feature = "aws-identity")]
use aws_config::SdkConfig;
#[cfg(feature = "aws-identity")]
use aws_credential_types::provider::ProvideCredentials as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{digest, hmac};
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
#[cfg(feature = "aws-identity")]
use tokio::sync::OnceCell;

/// Where credentials come from, and the time that they sign.
#[derive(Debug)]
pub(crate) struct Aws {
    clock: Clock,
    environment: Environment,
    /// Where else credentials are looked for. None: nowhere.
    #[cfg(feature = "aws-identity")]
    chain: Option<Chain>,
}

/// Who signs, and for which region.
#[derive(Debug)]
pub(crate) struct Identity {
    keys: Keys,
    pub(crate) region: String,
}

/// AWS credentials.
#[derive(Clone)]
struct Keys {
    id: String,
    secret: String,
    /// The session's, if they are a role's.
    token: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.id)
    }
}

const NO_REGION: &str = "the region is unknown: set AWS_REGION";

const NO_KEYS: &str = "there are no AWS credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set (Lambda sets \
     them; to take a profile's or a container's, build with --features aws-identity)";

impl Aws {
    /// By this process's environment and, where it is built in, whatever else the SDK looks at.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            environment: Environment::of_process(),
            #[cfg(feature = "aws-identity")]
            chain: Some(Chain::default()),
        }
    }

    /// By these variables and nothing else.
    pub(crate) fn with(clock: Clock, environment: Environment) -> Self {
        Self {
            clock,
            environment,
            #[cfg(feature = "aws-identity")]
            chain: None,
        }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    #[cfg(feature = "secrets-manager")]
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Who this is now. An error says what is missing.
    #[cfg_attr(not(feature = "aws-identity"), expect(clippy::unused_async, reason = "with the feature it waits"))]
    pub(crate) async fn identity(&self) -> Result<Identity, String> {
        let (region, keys) = (self.region(), self.keys());
        if let (Some(region), Some(keys)) = (&region, &keys) {
            return Ok(Identity { keys: keys.clone(), region: region.clone() });
        }
        #[cfg(feature = "aws-identity")]
        if let Some(chain) = &self.chain {
            return chain.identity(region, keys).await;
        }
        Err(if region.is_none() { NO_REGION } else { NO_KEYS }.to_owned())
    }

    fn region(&self) -> Option<String> {
        self.environment.get("AWS_REGION").or_else(|| self.environment.get("AWS_DEFAULT_REGION"))
    }

    fn keys(&self) -> Option<Keys> {
        let id = self.environment.get("AWS_ACCESS_KEY_ID")?;
        let secret = self.environment.get("AWS_SECRET_ACCESS_KEY")?;
        Some(Keys { id, secret, token: self.environment.get("AWS_SESSION_TOKEN") })
    }
}

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Where AWS's variables are looked up. Each is read at each use, not at the start.
#[derive(Clone)]
pub struct Environment(Arc<Lookup>);

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    /// The variables that `lookup` knows.
    pub fn of(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// A variable's value without spaces around it. A blank one is none.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = (self.0)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What a query escapes: all but RFC 3986's unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Signs requests to one service at one time.
pub(crate) struct Signer<'a> {
    keys: &'a Keys,
    region: &'a str,
    service: &'a str,
    /// As the header `x-amz-date` has it.
    time: String,
}

impl<'a> Signer<'a> {
    pub(crate) fn new(identity: &'a Identity, service: &'a str, at: Moment) -> Self {
        Self { keys: &identity.keys, region: &identity.region, service, time: timestamp(at) }
    }

    /// `host/?query` with its signature in the query, so that a `GET` of it is good for `ttl`. `query` is in the order of
    /// its names, all of which come before `X-Amz-`.
    pub(crate) fn presigned(&self, host: &str, query: &[(&str, &str)], ttl: Duration) -> String {
        let mut text = String::new();
        for (name, value) in query {
            add(&mut text, name, value);
        }
        add(&mut text, "X-Amz-Algorithm", ALGORITHM);
        add(&mut text, "X-Amz-Credential", &format!("{}/{}", self.keys.id, self.scope()));
        add(&mut text, "X-Amz-Date", &self.time);
        add(&mut text, "X-Amz-Expires", &ttl.as_secs().to_string());
        if let Some(token) = &self.keys.token {
            add(&mut text, "X-Amz-Security-Token", token);
        }
        add(&mut text, "X-Amz-SignedHeaders", "host");
        let (_, signature) = self.sign("GET", &text, &[("host", host)], b"");
        format!("{host}/?{text}&X-Amz-Signature={signature}")
    }

    /// The headers that sign a `POST` of `body` to `/`, besides `headers`, which it has and which are signed: in lower case,
    /// in the order of their names, all of which come before `x-amz-`, and without spaces around their values. `target` is
    /// the header `x-amz-target`.
    #[cfg(feature = "secrets-manager")]
    pub(crate) fn headers(&self, headers: &[(&str, &str)], target: &str, body: &[u8]) -> Vec<(&'static str, String)> {
        let mut ours = vec![("x-amz-date", self.time.clone())];
        ours.extend(self.keys.token.clone().map(|token| ("x-amz-security-token", token)));
        ours.push(("x-amz-target", target.to_owned()));
        let all = headers.iter().copied().chain(ours.iter().map(|(name, value)| (*name, value.as_str())));
        let (signed, signature) = self.sign("POST", "", &all.collect::<Vec<_>>(), body);
        let (id, scope) = (&self.keys.id, self.scope());
        let authorization =
            format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}");
        ours.push(("authorization", authorization));
        ours
    }

    /// The names of the signed headers, and the signature.
    fn sign(&self, method: &str, query: &str, headers: &[(&str, &str)], body: &[u8]) -> (String, String) {
        let (mut names, mut lines) = (String::new(), String::new());
        for (name, value) in headers {
            names.push_str(if names.is_empty() { "" } else { ";" });
            names.push_str(name);
            let _ = writeln!(lines, "{name}:{value}");
        }
        let request = format!("{method}\n/\n{query}\n{lines}\n{names}\n{}", hex(sha256(body).as_ref()));
        let digest = hex(sha256(request.as_bytes()).as_ref());
        let text = format!("{ALGORITHM}\n{}\n{}\n{digest}", self.time, self.scope());
        let signature = hex(mac(self.key().as_ref(), &text).as_ref());
        (names, signature)
    }

    /// The key that signs this day's requests to the service.
    fn key(&self) -> hmac::Tag {
        let of_day = mac(format!("AWS4{}", self.keys.secret).as_bytes(), self.date());
        let of_region = mac(of_day.as_ref(), self.region);
        let of_service = mac(of_region.as_ref(), self.service);
        mac(of_service.as_ref(), "aws4_request")
    }

    fn date(&self) -> &str {
        self.time.split('T').next().unwrap_or_default()
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date(), self.region, self.service)
    }
}

/// Basic format of ISO 8601: `20150830T123600Z`.
fn timestamp(at: Moment) -> String {
    let seconds = at.epoch_millis() / 1000 % 86_400;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}{minute:02}{second:02}Z", Day::of(at).to_string().replace('-', ""))
}

/// Adds `name=value` to a query.
fn add(query: &mut String, name: &str, value: &str) {
    let separator = if query.is_empty() { "" } else { "&" };
    let (name, value) = (utf8_percent_encode(name, ESCAPED), utf8_percent_encode(value, ESCAPED));
    // Writing to a text does not fail.
    let _ = write!(query, "{separator}{name}={value}");
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn sha256(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The SDK's settings, loaded at their first use.
#[cfg(feature = "aws-identity")]
#[derive(Debug, Default)]
struct Chain(OnceCell<SdkConfig>);

#[cfg(feature = "aws-identity")]
impl Chain {
    /// Who this is, of which the environment has told `region` and `keys` or one of them or none.
    async fn identity(&self, region: Option<String>, keys: Option<Keys>) -> Result<Identity, String> {
        let settings = self.0.get_or_init(|| super::sdk_settings(TIMEOUT).load()).await;
        let region = region.or_else(|| settings.region().map(ToString::to_string)).ok_or(NO_REGION)?;
        let keys = match keys {
            Some(keys) => keys,
            None => found(settings).await?,
        };
        Ok(Identity { keys, region })
    }
}

#[cfg(feature = "aws-identity")]
async fn found(settings: &SdkConfig) -> Result<Keys, String> {
    let provider = settings.credentials_provider().ok_or("there are no AWS credentials")?;
    let found = provider.provide_credentials().await.map_err(|error| told(&error))?;
    Ok(Keys {
        id: found.access_key_id().to_owned(),
        secret: found.secret_access_key().to_owned(),
        token: found.session_token().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests;
