//! The AWS client and the Redis client each speak TLS, and each believes authorities of its own.

use super::{INVOKE_TIMEOUT, RecordFunction};
use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::{Credentials, Region};
use std::fs;
use test_support::{CertificateAuthority, RedisServer};
use visits_core::config::Config;
use visits_core::credentials::sdk_settings;
use visits_core::store::redis::RedisStore;
use visits_core::sweep::{Environments, FlushOrder};

/// A function whose Lambda API is the port `port` here.
async fn function_at(port: u16) -> RecordFunction {
    let config = sdk_settings(INVOKE_TIMEOUT)
        .endpoint_url(format!("https://127.0.0.1:{port}"))
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"));
    RecordFunction { client: Client::new(&config.load().await), name: "record-visit".to_owned() }
}

#[tokio::test]
async fn invoking_and_redis_over_tls_work_in_one_process_in_any_order() {
    let authority = CertificateAuthority::new();
    let server = RedisServer::builder().tls(authority.certificate(&["127.0.0.1"])).start();
    let trusted = server.data().join("ca.pem");
    fs::write(&trusted, authority.pem()).unwrap();
    let config = Config::from_vars(|name| match name {
        "REDIS_ENDPOINTS" => Some(format!("a={}", server.url()).into()),
        "REDIS_CA_FILE" => Some(trusted.clone().into()),
        _ => None,
    });
    let store = RedisStore::new(&config.unwrap()).unwrap();
    for _ in 0..2 {
        // The AWS client gets as far as the certificate, which it has no reason to trust.
        let error = function_at(server.port()).await.flush(FlushOrder::default()).await.unwrap_err();
        assert!(error.0.contains("certificate"), "{error}");
        assert!(store.writers(0).await.unwrap().is_empty());
    }
}
