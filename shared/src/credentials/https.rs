//! One request over a connection of its own, with TLS where the address says so.
//!
//! The certificate and its name are always verified, against Mozilla's roots, which are compiled in for Redis too.

use super::told;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// Longest answer, in bytes: a secret has at most 64 KiB, each byte of which JSON may write as six.
const MAX_BYTES: usize = 512 * 1024;

/// A connection, with or without TLS. Boxed, so that the client's code is there once.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where to connect to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Server {
    host: Host,
    port: u16,
    tls: bool,
    /// Whether the port is the scheme's own.
    usual: bool,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Server {
    /// None for what is more, or less, than a scheme, a host and a port.
    pub(super) fn from_url(url: &str) -> Option<Self> {
        let url: Url = url.parse().ok()?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        let known = matches!(url.scheme(), "http" | "https");
        let (host, port) = (url.host()?.to_owned(), url.port_or_known_default()?);
        let (tls, usual) = (url.scheme() == "https", url.port().is_none());
        (bare && known && url.password().is_none()).then_some(Self { host, port, tls, usual })
    }

    /// As the header `host` has it.
    pub(super) fn authority(&self) -> String {
        if self.usual { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }

    #[cfg(test)]
    pub(super) fn is_tls(&self) -> bool {
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
pub(super) async fn post(server: &Server, request: Request<Full<Bytes>>) -> Result<Answer, String> {
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
    let body = Limited::new(body, MAX_BYTES).collect().await?.to_bytes();
    Ok(Answer { status: head.status, body })
}

#[cfg(test)]
mod tests;
