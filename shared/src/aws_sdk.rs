//! How AWS's SDK is used, by whoever needs it: with the cryptography that Redis over TLS uses (the SDK's own choice would be a
//! second one, in C), and without its retries, since who calls decides whether to try again.

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use std::time::Duration;

/// Settings under which a call may take `timeout`. Nothing is looked for or sent before they are loaded.
pub fn settings(timeout: Duration) -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(timeout).build())
}
