//! AWS's settings and credentials, found at their first use: a start does not wait for them.

use super::secret::Secret;
use crate::clock::Clock;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Longest wait for AWS at one login. A first TLS connection in a small function takes some 0.3 s.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A secret's name or ARN, and the member of its JSON.
type SecretName = (String, Option<String>);

/// What the logins of a deployment share: AWS's settings, and each secret, which is fetched once for all of them.
#[derive(Debug)]
pub(crate) struct Shared {
    aws: Arc<Aws>,
    secrets: Mutex<HashMap<SecretName, Arc<Secret>>>,
}

impl Shared {
    pub(crate) fn new(aws: Aws) -> Self {
        Self { aws: Arc::new(aws), secrets: Mutex::default() }
    }

    pub(crate) fn secret(&self, id: &str, key: Option<&str>) -> Arc<Secret> {
        let name = (id.to_owned(), key.map(str::to_owned));
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = secrets
            .entry(name)
            .or_insert_with_key(|(id, key)| Arc::new(Secret::new(Arc::clone(&self.aws), id.clone(), key.clone())));
        Arc::clone(secret)
    }

    pub(crate) fn aws(&self) -> Arc<Aws> {
        Arc::clone(&self.aws)
    }
}

/// How AWS is reached.
#[derive(Debug)]
pub(crate) struct Aws {
    clock: Clock,
    settings: OnceCell<SdkConfig>,
}

impl Aws {
    /// By what the SDK finds: environment, profile, the function's or container's role.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, settings: OnceCell::new() }
    }

    /// By these settings.
    pub(crate) fn with(clock: Clock, settings: SdkConfig) -> Self {
        Self { clock, settings: OnceCell::from(settings) }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) async fn settings(&self) -> &SdkConfig {
        let load = || {
            // A failed login is retried by whoever wanted the connection.
            aws_config::defaults(BehaviorVersion::latest())
                .retry_config(RetryConfig::disabled())
                .timeout_config(TimeoutConfig::builder().operation_timeout(TIMEOUT).build())
                .load()
        };
        self.settings.get_or_init(load).await
    }
}

/// The outcome of `call` if it comes in time. Boxed, since the SDK's futures are large, and every call to a shard would
/// carry room for one.
pub(crate) async fn in_time<T>(call: BoxFuture<'_, Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(TIMEOUT, call).await.unwrap_or_else(|_| Err(format!("no answer within {TIMEOUT:?}")))
}

/// What an error and its causes say, each in its own words only: `Debug` may show what was sent or received.
pub(crate) fn told(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}
