mod secret {
    use super::super::member;

    #[test]
    fn the_member_of_a_json_object_is_the_password() {
        let json = r#"{"username":"app","pass word":"s3cr\"et","port":6379}"#;
        assert_eq!(member(json, "pass word").as_deref(), Ok("s3cr\"et"));
        for (json, key) in [(json, "port"), (json, "x"), ("s3cret", "x"), (r#"["s3cret"]"#, "x"), ("\"s3cret\"", "x")] {
            let reason = member(json, key).unwrap_err();
            assert!(!reason.contains("s3cr") && reason.contains("JSON"), "{reason}");
        }
    }
}

mod https {
    use super::super::{Answer, Server, post, post_trusting};
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
        for url in ["", "a.test", "ftp://a.test", "https://a.test/x", "https://a.test?q", "https://u@a.test", "unix:/x"]
        {
            assert_eq!(Server::from_url(url), None, "{url}");
        }
    }
}

mod secrets_manager {
    use super::super::{Answer, secret_of as secret, server};
    use crate::credentials::Environment;
    use http::StatusCode;

    fn of(status: u16, body: &str) -> Result<String, String> {
        secret(&Answer { status: StatusCode::from_u16(status).unwrap(), body: body.to_owned().into() })
    }

    fn told(variables: &'static [(&str, &str)], region: &str) -> Result<(String, bool), String> {
        let find = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        server(&Environment::of(find), region).map(|server| (server.authority(), server.is_tls()))
    }

    #[test]
    fn each_region_has_its_own_server_and_chinas_and_the_sovereign_clouds_their_domain() {
        for (region, host) in [
            ("eu-west-1", "secretsmanager.eu-west-1.amazonaws.com"),
            ("us-gov-west-1", "secretsmanager.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "secretsmanager.cn-north-1.amazonaws.com.cn"),
            ("eusc-de-east-1", "secretsmanager.eusc-de-east-1.amazonaws.eu"),
        ] {
            assert_eq!(told(&[], region), Ok((host.to_owned(), true)));
        }
        for region in ["eu west", "a/b", "a?b", "a@b"] {
            assert_eq!(told(&[], region), Err("AWS_REGION is no region".to_owned()), "{region}");
        }
    }

    #[test]
    fn awss_own_variables_name_another_server() {
        let (one, all) = ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL");
        assert_eq!(told(&[("AWS_ENDPOINT_URL", "https://a.test")], "x-y-1"), Ok(("a.test".to_owned(), true)));
        let both = &[("AWS_ENDPOINT_URL", "https://a.test"), ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://[::1]:80/")];
        assert_eq!(told(both, "x-y-1"), Ok(("[::1]".to_owned(), false)), "{one} before {all}");
        let reason = told(&[("AWS_ENDPOINT_URL", "ftp://a.test")], "x-y-1").unwrap_err();
        assert_eq!(reason, "AWS_ENDPOINT_URL is not http:// or https:// with a host only");
        let reason = told(&[("AWS_ENDPOINT_URL", "http://a.test")], "x-y-1").unwrap_err();
        assert!(reason.starts_with("AWS_ENDPOINT_URL: plain http to another machine"), "{reason}");
    }

    #[test]
    fn only_a_text_is_a_secret() {
        assert_eq!(
            of(200, r#"{"ARN":"a","SecretString":"s3\"cret","VersionStages":["x"]}"#).as_deref(),
            Ok("s3\"cret")
        );
        assert_eq!(of(200, r#"{"SecretBinary":"c2VjcmV0"}"#).unwrap_err(), "it is binary, text is wanted");
    }

    #[test]
    fn a_refusal_is_told_by_its_name_and_reason() {
        for (body, told) in [
            (r#"{"__type":"AccessDeniedException","Message":"no"}"#, "AccessDeniedException: no"),
            (
                r#"{"__type":"com.amazonaws.x#ResourceNotFoundException:http://y","message":"gone"}"#,
                "ResourceNotFoundException: gone",
            ),
            (r#"{"__type":"ThrottlingException"}"#, "ThrottlingException: no reason is given"),
        ] {
            assert_eq!(of(400, body).unwrap_err(), told);
        }
    }

    #[test]
    fn nothing_is_repeated_of_an_answer_that_is_not_understood() {
        for (status, body) in [
            (200, "s3cret"),
            (200, r#"{"SecretString":["s3cret"]}"#),
            (200, r#"{"SecretString":"s3cret"#),
            (200, r#"{"Secret":"s3cret"}"#),
            (302, "s3cret"),
            (500, "<html>s3cret"),
            (400, r#"{"SecretString":"s3cret"}"#),
        ] {
            assert_eq!(of(status, body).unwrap_err(), "the answer is not Secrets Manager's", "{body}");
        }
    }
}
