use super::{Answer, Server, post, post_trusting};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;
use test_support::{CertificateAuthority, ServerCertificate};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

fn request() -> Request<Full<Bytes>> {
    Request::post("/").header("host", "h").body(Full::new(Bytes::from_static(b"asked"))).unwrap()
}

/// Answers one request with `answer` and closes.
async fn serve(mut client: impl AsyncRead + AsyncWrite + Unpin, answer: &str) {
    let mut asked = Vec::new();
    while !asked.ends_with(b"asked") {
        if client.read_buf(&mut asked).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let _ = client.write_all(answer.as_bytes()).await;
    let _ = client.shutdown().await;
}

/// The port of a server that speaks TLS with this certificate.
async fn tls_server(certificate: &ServerCertificate) -> u16 {
    let chain = vec![CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            if let Ok(client) = acceptor.accept(client).await {
                serve(client, OK).await;
            }
        }
    });
    port
}

/// The port of a server without TLS that answers each request with this.
async fn plain_server(answer: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            serve(client, &answer).await;
        }
    });
    port
}

async fn asked(url: &str) -> Result<Answer, String> {
    post(&Server::from_url(url).unwrap(), request()).await
}

#[tokio::test]
async fn a_server_is_believed_by_its_certificate_and_the_name_in_it() {
    let authority = CertificateAuthority::new();
    let trusting = || {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
        roots
    };
    let port = tls_server(&authority.certificate(&["127.0.0.1"])).await;
    let url = format!("https://127.0.0.1:{port}");
    let answer = post_trusting(&Server::from_url(&url).unwrap(), request(), trusting).await.unwrap();
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, &b"hello"[..]));
    // The authority is nobody whom Mozilla knows.
    let reason = asked(&url).await.unwrap_err();
    assert!(reason.contains("UnknownIssuer"), "{reason}");
    let port = tls_server(&authority.certificate(&["another.test"])).await;
    let server = Server::from_url(&format!("https://127.0.0.1:{port}")).unwrap();
    let reason = post_trusting(&server, request(), trusting).await.unwrap_err();
    assert!(reason.contains("certificate"), "{reason}");
}

#[tokio::test]
async fn the_next_address_of_a_host_is_tried_where_the_first_leads_nowhere() {
    // `localhost` may be ::1 too, where nobody listens.
    let port = plain_server(OK.to_owned()).await;
    assert_eq!(&*asked(&format!("http://localhost:{port}")).await.unwrap().body, b"hello");
}

#[tokio::test]
async fn an_answer_that_is_cut_off_too_long_or_no_http_is_an_error_that_repeats_nothing() {
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 600000\r\n\r\n{}", "s3cret".repeat(100_000));
    for answer in ["HTTP/1.1 200 OK\r\ncontent-length: 60\r\n\r\ns3cret", "s3cret\r\n\r\n", "", &long] {
        let port = plain_server(answer.to_owned()).await;
        let reason = asked(&format!("http://127.0.0.1:{port}")).await.unwrap_err();
        assert!(reason.starts_with("no answer of 127.0.0.1:") && !reason.contains("s3cret"), "{reason}");
    }
}

#[test]
fn a_server_is_a_scheme_a_host_and_a_port() {
    for (url, authority) in [
        ("https://a.test", "a.test"),
        ("https://a.test:443/", "a.test"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("https://[::1]:1", "[::1]:1"),
    ] {
        let server = Server::from_url(url).unwrap();
        assert_eq!(server.authority(), authority);
        assert!(server.name().is_some(), "{url}");
    }
    for url in ["", "a.test", "ftp://a.test", "https://a.test/x", "https://a.test?q", "https://u@a.test", "unix:/x"] {
        assert_eq!(Server::from_url(url), None, "{url}");
    }
}
