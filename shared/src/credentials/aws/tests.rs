use super::*;
use http::StatusCode;
use std::io;
use std::net::SocketAddr;
use test_support::{CertificateAuthority, ServerCertificate};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

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

/// Starts a server that answers each request with `answer`, by TLS where it has a certificate. Returns its port.
async fn server(answer: String, certificate: Option<ServerCertificate>) -> u16 {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let acceptor = certificate.map(|certificate| {
        let chain = vec![CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(certificate.key_pem().as_bytes()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            match &acceptor {
                None => serve(client, &answer).await,
                Some(acceptor) => {
                    if let Ok(client) = acceptor.accept(client).await {
                        serve(client, &answer).await;
                    }
                }
            }
        }
    });
    port
}

fn request(url: &str) -> Request<Full<Bytes>> {
    Request::post(url).body(Full::from("asked")).unwrap()
}

#[tokio::test]
async fn a_server_is_believed_by_its_certificate_and_the_name_in_it() {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let authority = CertificateAuthority::new();
    let mut trusting = RootCertStore::empty();
    trusting.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let ask = async |name: &str, roots: RootCertStore| {
        let port = server(OK.to_owned(), Some(authority.certificate(&[name]))).await;
        send(request(&format!("https://127.0.0.1:{port}")), connector(GaiResolver::new()), roots).await
    };
    let (status, body) = ask("127.0.0.1", trusting.clone()).await.unwrap();
    assert_eq!((status.as_u16(), &*body), (200, &b"hello"[..]));
    let reason = ask("127.0.0.1", mozilla()).await.unwrap_err();
    assert!(reason.contains("UnknownIssuer"), "{reason}");
    let reason = ask("another.test", trusting).await.unwrap_err();
    assert!(reason.contains("certificate not valid for name"), "{reason}");
}

/// Returns an address that takes no more connections: packets to it vanish.
async fn black_hole(address: &str) -> (SocketAddr, tokio::net::TcpListener, Vec<TcpStream>) {
    let address: SocketAddr = address.parse().unwrap();
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
    socket.bind(address).unwrap();
    let (listener, mut waiting) = (socket.listen(1).unwrap(), Vec::new());
    let address = listener.local_addr().unwrap();
    while let Ok(Ok(client)) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        waiting.push(client);
    }
    (address, listener, waiting)
}

#[tokio::test]
async fn where_packets_to_one_address_vanish_the_next_one_is_asked_in_time() {
    let good: SocketAddr = ([127, 0, 0, 1], server(OK.to_owned(), None).await).into();
    for nowhere in ["[::1]:0", "127.0.0.1:0"] {
        let (nowhere, _listener, _waiting) = black_hole(nowhere).await;
        let resolver = tower::service_fn(move |_| async move { Ok::<_, io::Error>([nowhere, good].into_iter()) });
        let answer = in_time(Box::pin(send(request("http://aws.test"), connector(resolver), mozilla()))).await;
        assert_eq!(&*answer.unwrap().1, b"hello", "{nowhere}");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_off_too_long_or_no_http_is_an_error_that_repeats_nothing() {
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 600000\r\n\r\n{}", "s3cret".repeat(100_000));
    for answer in ["HTTP/1.1 200 OK\r\ncontent-length: 60\r\n\r\ns3cret", "s3cret\r\n\r\n", "", &long] {
        let url = format!("http://127.0.0.1:{}", server(answer.to_owned(), None).await);
        let reason = send(request(&url), connector(GaiResolver::new()), mozilla()).await.unwrap_err();
        assert!(reason.starts_with("no answer of 127.0.0.1:") && !reason.contains("s3cret"), "{reason}");
    }
}

type Variables = &'static [(&'static str, &'static str)];

#[test]
fn each_region_has_its_own_server_and_awss_own_variables_name_another_one() {
    let (one, all) = ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL");
    let (no_region, no_url) =
        ("AWS_REGION is no region", "AWS_ENDPOINT_URL is not http:// or https:// with a host only");
    let table: [(&str, Variables, Result<&str, &str>); 17] = [
        ("eu-west-1", &[], Ok("https://secretsmanager.eu-west-1.amazonaws.com/")),
        ("us-gov-west-1", &[], Ok("https://secretsmanager.us-gov-west-1.amazonaws.com/")),
        ("cn-north-1", &[], Ok("https://secretsmanager.cn-north-1.amazonaws.com.cn/")),
        ("eusc-de-east-1", &[], Ok("https://secretsmanager.eusc-de-east-1.amazonaws.eu/")),
        ("eu west", &[], Err(no_region)),
        ("a/b", &[], Err(no_region)),
        ("a?b", &[], Err(no_region)),
        ("a@b", &[], Err(no_region)),
        ("x-y-1", &[("AWS_ENDPOINT_URL", "https://a.test:443")], Ok("https://a.test/")),
        (
            "x-y-1",
            &[("AWS_ENDPOINT_URL", "https://a.test"), ("AWS_ENDPOINT_URL_SECRETS_MANAGER", " http://[::1]:8080/ ")],
            Ok("http://[::1]:8080/"),
        ),
        ("x-y-1", &[("AWS_ENDPOINT_URL", "a.test")], Err(no_url)),
        ("x-y-1", &[("AWS_ENDPOINT_URL", "ftp://a.test")], Err(no_url)),
        ("x-y-1", &[("AWS_ENDPOINT_URL", "https://a.test/x")], Err(no_url)),
        ("x-y-1", &[("AWS_ENDPOINT_URL", "https://a.test?q")], Err(no_url)),
        ("x-y-1", &[("AWS_ENDPOINT_URL", "https://u@a.test")], Err(no_url)),
        ("x-y-1", &[("AWS_ENDPOINT_URL", "unix:/x")], Err(no_url)),
        (
            "x-y-1",
            &[("AWS_ENDPOINT_URL", "http://a.test")],
            Err("AWS_ENDPOINT_URL: plain http to another machine would show what is sent to AWS; https:// is accepted"),
        ),
    ];
    for (region, variables, expected) in table {
        let find =
            |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
        let url = Aws::of(Clock::system(), find).secrets_manager(region);
        assert_eq!(url.as_deref().map_err(String::as_str), expected, "{region} {variables:?}: {one} before {all}");
    }
}

#[test]
fn of_an_answer_only_a_secrets_text_or_the_name_and_reason_of_a_refusal_are_taken() {
    for (status, body, expected) in [
        (200, r#"{"ARN":"a","SecretString":"s3\"cret","VersionStages":["x"]}"#, Ok("s3\"cret")),
        (200, r#"{"SecretBinary":"c2VjcmV0"}"#, Err("it is binary, text is wanted")),
        (400, r#"{"__type":"AccessDeniedException","Message":"no"}"#, Err("AccessDeniedException: no")),
        (
            400,
            r#"{"__type":"com.amazonaws.x#ResourceNotFoundException:http://y","message":"gone"}"#,
            Err("ResourceNotFoundException: gone"),
        ),
        (400, r#"{"__type":"ThrottlingException"}"#, Err("ThrottlingException: no reason is given")),
        (200, "s3cret", Err(STRANGE)),
        (200, r#"{"SecretString":["s3cret"]}"#, Err(STRANGE)),
        (200, r#"{"SecretString":"s3cret"#, Err(STRANGE)),
        (200, r#"{"Secret":"s3cret"}"#, Err(STRANGE)),
        (302, "s3cret", Err(STRANGE)),
        (500, "<html>s3cret", Err(STRANGE)),
        (400, r#"{"SecretString":"s3cret"}"#, Err(STRANGE)),
    ] {
        let secret = secret_of(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert_eq!(secret.as_deref().map_err(String::as_str), expected, "{body}");
    }
}

#[tokio::test]
async fn credentials_that_fit_in_no_header_are_an_error_that_repeats_nothing() {
    let aws = Aws::of(Clock::system(), |name| match name {
        "AWS_ENDPOINT_URL_SECRETS_MANAGER" => Some("http://127.0.0.1:1".to_owned()),
        _ => Some("s3c\nret".to_owned()),
    });
    let reason = aws.secret("site/redis").await.unwrap_err();
    assert!(reason.contains("invalid header value") && !reason.contains("s3c"), "{reason}");
}
