//! Redis over TLS: whom the store believes, and that a server it does not believe is told and never waited for.

use crate::helpers::{page, store_with, total, unreachable, visit};
use std::fs;
use tempfile::NamedTempFile;
use test_support::{CertificateAuthority, RedisServer, ServerCertificate};
use visits_core::store::Ledger;
use visits_core::store::redis::RedisStore;

/// Where the test servers listen.
const HERE: &[&str] = &["127.0.0.1"];

/// A store that trusts only `authority`.
pub(crate) fn trusting(authority: &CertificateAuthority, endpoints: &str) -> RedisStore {
    trusting_pem(&authority.pem(), endpoints)
}

fn trusting_pem(pem: &str, endpoints: &str) -> RedisStore {
    let file = NamedTempFile::new().unwrap();
    fs::write(&file, pem).unwrap();
    store_with(&[("REDIS_ENDPOINTS", endpoints), ("REDIS_CA_FILE", file.path().to_str().unwrap())])
}

fn serving(certificate: ServerCertificate) -> RedisServer {
    RedisServer::builder().tls(certificate).start()
}

pub(crate) fn trusted_server() -> (CertificateAuthority, RedisServer) {
    let authority = CertificateAuthority::new();
    let server = serving(authority.certificate(HERE));
    (authority, server)
}

#[tokio::test]
async fn servers_with_and_without_tls_stand_side_by_side() {
    let (authority, tls) = trusted_server();
    let plain = RedisServer::start();
    let store = trusting(&authority, &format!("a={},b={}", tls.url(), plain.url()));
    for shard in 0..2 {
        store.apply(shard, &visit()).await.unwrap();
        assert_eq!(store.total(shard, &page("home")).await, Ok(1));
    }
}

#[tokio::test]
async fn a_server_that_knows_no_newer_tls_than_1_2_is_reached_by_its_name() {
    let authority = CertificateAuthority::new();
    let certificate = authority.certificate(&["localhost"]);
    let server = RedisServer::builder().tls(certificate).option("tls-protocols", "TLSv1.2").start();
    let store = trusting(&authority, &format!("a={}", server.url().replace("127.0.0.1", "localhost")));
    assert_eq!(total(&store, "home").await, 0);
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let (authority, server) = trusted_server();
    let endpoints = format!("a={}", server.url());
    for store in [trusting(&CertificateAuthority::new(), &endpoints), store_with(&[("REDIS_ENDPOINTS", &endpoints)])] {
        let reason = unreachable(&store).await;
        assert!(reason.contains("certificate") && reason.contains("UnknownIssuer"), "{reason}");
        assert!(reason.contains("REDIS_CA_FILE"), "what to do is told: {reason}");
    }
    assert_eq!(total(&trusting(&authority, &endpoints), "home").await, 0, "only the trust was missing");
}

#[tokio::test]
async fn a_certificate_for_another_host_or_of_another_time_is_refused() {
    let authority = CertificateAuthority::new();
    let elsewhere = authority.certificate(&["redis.example", "127.0.0.2"]);
    for (certificate, told) in
        [(elsewhere, "not valid for name"), (authority.expired_certificate(HERE), "certificate expired")]
    {
        let server = serving(certificate);
        let reason = unreachable(&trusting(&authority, &format!("a={}", server.url()))).await;
        assert!(reason.contains("certificate") && reason.contains(told), "{reason}");
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_believed_only_where_it_is_in_the_file() {
    let certificate = ServerCertificate::self_signed(HERE);
    let server = serving(certificate.clone());
    let endpoints = format!("a={}", server.url());
    assert_eq!(total(&trusting_pem(certificate.pem(), &endpoints), "home").await, 0);
    let another = ServerCertificate::self_signed(HERE);
    let reason = unreachable(&trusting_pem(another.pem(), &endpoints)).await;
    assert!(reason.contains("invalid peer certificate"), "{reason}");
}

#[tokio::test]
async fn a_port_spoken_to_with_tls_where_it_has_none_or_without_where_it_has_is_told() {
    let (_, tls) = trusted_server();
    let plain = RedisServer::start();
    for (url, told) in [
        (tls.url().replace("rediss://", "redis://"), "rediss://"),
        // The server takes the greeting for a command whose end is still to come: it says nothing.
        (plain.url().replace("redis://", "rediss://"), "over TLS (rediss://)"),
    ] {
        let reason = unreachable(&store_with(&[("REDIS_ENDPOINTS", &format!("a={url}"))])).await;
        assert!(reason.contains(told), "{reason}");
    }
}
