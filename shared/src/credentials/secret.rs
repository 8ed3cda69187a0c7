//! Passwords from AWS Secrets Manager: fetched at the first login, and again when the server refuses one.
//!
//! `GetSecretValue` is a signed `POST` over a connection of its own, once, without a retry. AWS's client for it would be
//! larger than a whole function (`docs/PERFORMANCE.md`); HTTP, TLS and the authorities are in the functions anyway. The
//! server's certificate and name are always verified, against Mozilla's roots, which are compiled in for Redis too.

use crate::clock::Moment;
use crate::config::aws_endpoint;
use crate::credentials::aws::{Aws, Environment, Signer};
use crate::credentials::{CredentialsError, Password, in_time, told};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// A secret is asked for at most this often: while it is wrong, every request may try to log in, and AWS bills each call.
const PAUSE: Duration = Duration::from_secs(5);

/// A secret's name or ARN, and the member of its JSON.
type SecretName = (String, Option<String>);

/// The secrets of a deployment, each of which is fetched once for all who want it.
#[derive(Debug)]
pub(crate) struct Secrets {
    aws: Arc<Aws>,
    secrets: Mutex<HashMap<SecretName, Arc<Secret>>>,
}

impl Secrets {
    pub(crate) fn new(aws: Arc<Aws>) -> Self {
        Self { aws, secrets: Mutex::default() }
    }

    pub(crate) fn get(&self, id: &str, key: Option<&str>) -> Arc<Secret> {
        let name = (id.to_owned(), key.map(str::to_owned));
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = secrets
            .entry(name)
            .or_insert_with_key(|(id, key)| Arc::new(Secret::new(Arc::clone(&self.aws), id.clone(), key.clone())));
        Arc::clone(secret)
    }
}

/// A secret that is, or holds, a password.
#[derive(Debug)]
pub(crate) struct Secret {
    aws: Arc<Aws>,
    id: String,
    /// The member of a JSON object.
    key: Option<String>,
    last: Mutex<Option<Fetched>>,
    /// One fetch at a time: those who wait take what the first one brings.
    fetching: Semaphore,
}

#[derive(Clone, Debug)]
struct Fetched {
    at: Moment,
    outcome: Result<Password, CredentialsError>,
}

impl Secret {
    fn new(aws: Arc<Aws>, id: String, key: Option<String>) -> Self {
        Self { aws, id, key, last: Mutex::new(None), fetching: Semaphore::const_new(1) }
    }

    /// The password as it was last fetched.
    pub(crate) async fn password(&self) -> Result<Password, CredentialsError> {
        self.last_or_fetched(|last| last.outcome.is_ok()).await
    }

    /// The password as it was fetched no longer ago than `age`.
    #[cfg(feature = "http")]
    pub(crate) async fn password_of(&self, age: Duration) -> Result<Password, CredentialsError> {
        let now = self.aws.clock().now();
        self.last_or_fetched(|last| last.outcome.is_ok() && now.since(last.at) < age).await
    }

    /// What the secret holds by now, if that is another password than `refused`.
    pub(crate) async fn newer(&self, refused: &Password) -> Result<Option<Password>, CredentialsError> {
        let is_other = |last: &Fetched| last.outcome.as_ref().is_ok_and(|password| password != refused);
        let password = self.last_or_fetched(is_other).await?;
        Ok((password != *refused).then_some(password))
    }

    async fn last_or_fetched(&self, serves: impl Fn(&Fetched) -> bool) -> Result<Password, CredentialsError> {
        let last = || self.last().filter(|last| serves(last) || self.is_recent(last)).map(|last| last.outcome);
        if let Some(outcome) = last() {
            return outcome;
        }
        // The semaphore is never closed; should it be, fetching twice is harmless.
        let _turn = self.fetching.acquire().await;
        match last() {
            Some(outcome) => outcome,
            None => self.fetch().await,
        }
    }

    async fn fetch(&self) -> Result<Password, CredentialsError> {
        let at = self.aws.clock().now();
        let asked = in_time(Box::pin(self.ask())).await;
        let outcome = asked.map_err(|reason| CredentialsError::Aws(format!("the secret {}: {reason}", self.id)));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Fetched { at, outcome: outcome.clone() });
        outcome
    }

    async fn ask(&self) -> Result<Password, String> {
        let text = get_secret(&self.aws, &self.id).await?;
        let password = match &self.key {
            None => text,
            Some(key) => member(&text, key)?,
        };
        if password.is_empty() { Err("the password is empty".to_owned()) } else { Ok(Password::new(&password)) }
    }

    fn last(&self) -> Option<Fetched> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_recent(&self, last: &Fetched) -> bool {
        self.aws.clock().now().since(last.at) < PAUSE
    }
}

/// The text at `key` of a JSON object. The parser's own message might repeat a value.
fn member(json: &str, key: &str) -> Result<String, String> {
    let object: HashMap<String, serde_json::Value> =
        serde_json::from_str(json).map_err(|_| "it is no JSON object, as its #key wants")?;
    let text = object.get(key).and_then(serde_json::Value::as_str);
    text.map(str::to_owned).ok_or_else(|| format!("its JSON has no text at {key}"))
}

const SERVICE: &str = "secretsmanager";

const TARGET: &str = "secretsmanager.GetSecretValue";

/// JSON 1.1 of AWS: the call's name is a header, its arguments are the body.
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// An answer in which nobody refuses anything: what it says may be the secret, so nothing of it is repeated.
const STRANGE: &str = "the answer is not Secrets Manager's";

/// The text of the secret with this name or ARN.
async fn get_secret(aws: &Aws, id: &str) -> Result<String, String> {
    let identity = aws.identity().await?;
    let server = server(aws.environment(), &identity.region)?;
    let body = serde_json::json!({ "SecretId": id }).to_string();
    let host = server.authority();
    let headers = [("content-type", CONTENT_TYPE), ("host", &host)];
    let signer = Signer::new(&identity, SERVICE, aws.clock().now());
    let mut request = Request::post("/");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    for (name, value) in signer.headers(&headers, TARGET, body.as_bytes()) {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(|_| "the AWS credentials fit in no header")?;
    secret_of(&post(&server, request).await?)
}

/// Where Secrets Manager of a region is. The names below are reached by IPv4 and IPv6.
fn server(environment: &Environment, region: &str) -> Result<Server, String> {
    for name in ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"] {
        if let Some(url) = environment.get(name) {
            aws_endpoint(&url).map_err(|reason| format!("{name}: {reason}; https:// is accepted"))?;
            return Server::from_url(&url).ok_or_else(|| format!("{name} is not http:// or https:// with a host only"));
        }
    }
    // The partitions that are open to everybody.
    let suffix = match region.split('-').next() {
        Some("cn") => "amazonaws.com.cn",
        Some("eusc") => "amazonaws.eu",
        _ => "amazonaws.com",
    };
    Server::from_url(&format!("https://{SERVICE}.{region}.{suffix}"))
        .ok_or_else(|| "AWS_REGION is no region".to_owned())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    secret_string: Option<String>,
    secret_binary: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Refused {
    #[serde(rename = "__type")]
    kind: String,
    #[serde(alias = "Message")]
    message: Option<String>,
}

fn secret_of(answer: &Answer) -> Result<String, String> {
    if !answer.status.is_success() {
        let Ok(refused) = serde_json::from_slice::<Refused>(&answer.body) else { return Err(STRANGE.to_owned()) };
        // `namespace#Name:link`, of which AWS says that only the name counts.
        let name = refused.kind.rsplit('#').next().and_then(|name| name.split(':').next()).unwrap_or_default();
        return Err(format!("{name}: {}", refused.message.as_deref().unwrap_or("no reason is given")));
    }
    match serde_json::from_slice(&answer.body) {
        Ok(Told { secret_string: Some(text), .. }) => Ok(text),
        Ok(Told { secret_binary: Some(_), .. }) => Err("it is binary, text is wanted".to_owned()),
        _ => Err(STRANGE.to_owned()),
    }
}

/// Longest answer, in bytes: a secret has at most 64 KiB, each byte of which JSON may write as six.
const MAX_ANSWER_BYTES: usize = 512 * 1024;

/// A connection, with or without TLS. Boxed, so that the client's code is there once.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where to connect to.
#[derive(Debug, PartialEq, Eq)]
struct Server {
    host: Host,
    port: u16,
    tls: bool,
    /// Whether the port is the scheme's own.
    usual: bool,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    body: Bytes,
}

impl Server {
    /// None for what is more, or less, than a scheme, a host and a port.
    fn from_url(url: &str) -> Option<Self> {
        let url: Url = url.parse().ok()?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        let known = matches!(url.scheme(), "http" | "https");
        let (host, port) = (url.host()?.to_owned(), url.port_or_known_default()?);
        let (tls, usual) = (url.scheme() == "https", url.port().is_none());
        (bare && known && url.password().is_none()).then_some(Self { host, port, tls, usual })
    }

    /// As the header `host` has it.
    fn authority(&self) -> String {
        if self.usual { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }

    #[cfg(test)]
    fn is_tls(&self) -> bool {
        self.tls
    }

    /// As its certificate has it.
    fn name(&self) -> Option<ServerName<'static>> {
        match &self.host {
            Host::Domain(name) => ServerName::try_from(name.clone()).ok(),
            Host::Ipv4(address) => Some(IpAddr::from(*address).into()),
            Host::Ipv6(address) => Some(IpAddr::from(*address).into()),
        }
    }

    /// Tries all addresses of the host in turn: in a network without a way out by IPv6, its first may lead nowhere.
    async fn connect(&self) -> std::io::Result<TcpStream> {
        match &self.host {
            Host::Domain(name) => TcpStream::connect((name.as_str(), self.port)).await,
            Host::Ipv4(address) => TcpStream::connect((*address, self.port)).await,
            Host::Ipv6(address) => TcpStream::connect((*address, self.port)).await,
        }
    }
}

/// What the server answers. An error says what went wrong, and nothing of what was sent or received.
async fn post(server: &Server, request: Request<Full<Bytes>>) -> Result<Answer, String> {
    post_trusting(server, request, roots).await
}

fn roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

async fn post_trusting(
    server: &Server,
    request: Request<Full<Bytes>>,
    roots: impl FnOnce() -> RootCertStore,
) -> Result<Answer, String> {
    let failed = |error: std::io::Error| format!("no connection to {}: {}", server.authority(), told(&error));
    let tcp = server.connect().await.map_err(failed)?;
    let stream: Box<dyn Stream> = if server.tls {
        let name = server.name().ok_or("the host's name fits no certificate")?;
        let connector = TlsConnector::from(Arc::new(tls(roots())?));
        Box::new(connector.connect(name, tcp).await.map_err(failed)?)
    } else {
        Box::new(tcp)
    };
    exchange(stream, request).await.map_err(|error| format!("no answer of {}: {}", server.authority(), told(&*error)))
}

fn tls(roots: RootCertStore) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| told(&error))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

async fn exchange(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with `sender`, and what it fails at is told there.
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?.to_bytes();
    Ok(Answer { status: head.status, body })
}

#[cfg(test)]
mod tests;
