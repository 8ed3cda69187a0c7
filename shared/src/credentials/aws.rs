//! AWS as far as a login needs it: this program's identity, tokens for `ElastiCache`, and secrets of Secrets Manager.
//!
//! Requests are signed by `aws-sigv4`. `GetSecretValue` goes out by hyper over a connection of its own, once, without a retry: AWS's
//! client for it is larger than a function. A server's certificate and name are always verified, against Mozilla's roots, which are
//! compiled in for Redis too.

use super::{CredentialsError, Password};
use crate::clock::Clock;
use crate::config::{aws_endpoint, bare_origin};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningInstructions, SigningSettings, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use std::{env, fmt};

/// Longest wait for AWS at one login. A first TLS connection in a small function takes some 0.3 s.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Longest wait for a connection, shared by a host's addresses of one kind. Addresses of the other kind, IPv6 or IPv4, are tried
/// beside them after 0.3 s: in a network without a way out by one of them, packets may vanish.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Lifetime of a token before its use; `ElastiCache` knows no other duration.
const TOKEN_TTL: Duration = Duration::from_mins(15);

/// Longest answer, in bytes: a secret has at most 64 KiB, each byte of which JSON may write as six.
const MAX_ANSWER_BYTES: usize = 512 * 1024;

/// JSON 1.1 of AWS: the call's name is a header, its arguments are the body.
const HEADERS: [(&str, &str); 2] =
    [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "secretsmanager.GetSecretValue")];

/// An answer that is neither a secret nor a refusal. It may hold the secret, so nothing of it is repeated.
const STRANGE: &str = "the answer is not Secrets Manager's";

const NO_REGION: &str = "the region is unknown: set AWS_REGION";

const NO_KEYS: &str =
    "there are no AWS credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set (Lambda sets them)";

/// The caller of AWS, and the clock that it signs by. Clones are the same.
#[derive(Clone)]
pub struct Aws(Arc<Source>);

struct Source {
    clock: Clock,
    variable: Box<Lookup>,
    /// The source of an identity that the variables do not tell. A closure, so that programs without one do not link the SDK.
    fallback: Option<Box<Fallback>>,
}

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

type Fallback = dyn Fn() -> BoxFuture<'static, Result<Identity, String>> + Send + Sync;

struct Identity {
    credentials: Credentials,
    region: String,
}

impl Aws {
    /// Reads AWS's variables from the environment of this process, at each use.
    pub fn from_env(clock: Clock) -> Self {
        Self::of(clock, |name| env::var(name).ok())
    }

    /// Reads the variables that `variable` knows, at each use.
    pub fn of(clock: Clock, variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Source { clock, variable: Box::new(variable), fallback: None }))
    }

    /// Reads the environment like [`from_env`](Self::from_env), and asks AWS's SDK for an identity that it does not tell: a profile, a
    /// web identity, a container or an instance. The SDK's settings are loaded at their first use.
    #[cfg(feature = "aws-sdk")]
    pub fn with_sdk(clock: Clock) -> Self {
        use aws_credential_types::provider::ProvideCredentials as _;
        let loaded = Arc::new(tokio::sync::OnceCell::new());
        let fallback = move || -> BoxFuture<'static, Result<Identity, String>> {
            let loaded = Arc::clone(&loaded);
            Box::pin(async move {
                let settings: &aws_config::SdkConfig = loaded.get_or_init(|| super::sdk_settings(TIMEOUT).load()).await;
                let region = settings.region().ok_or(NO_REGION)?.to_string();
                let provider = settings.credentials_provider().ok_or(NO_KEYS)?;
                let credentials = provider.provide_credentials().await.map_err(|error| report(&error))?;
                Ok(Identity { credentials, region })
            })
        };
        let variable = Box::new(|name: &str| env::var(name).ok());
        Self(Arc::new(Source { clock, variable, fallback: Some(Box::new(fallback)) }))
    }

    /// Returns the clock that signs, and by which logins and secrets age.
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Returns a token by which `user` logs in to a cache. Both are letters, digits and hyphens, so nothing is escaped.
    pub(crate) async fn token(&self, cache: &str, serverless: bool, user: &str) -> Result<Password, CredentialsError> {
        let token = in_time(Box::pin(async {
            let identity = self.identity().await?;
            let kind = if serverless { "&ResourceType=ServerlessCache" } else { "" };
            let url = format!("http://{cache}/?Action=connect{kind}&User={user}");
            let mut settings = SigningSettings::default();
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(TOKEN_TTL);
            let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::empty());
            let signed = self.sign(&identity, "elasticache", settings, request)?;
            let mut request = Request::get(&url).body(()).map_err(|error| report(&error))?;
            signed.apply_to_request_http1x(&mut request);
            Ok(Password::new(request.uri().to_string().trim_start_matches("http://")))
        }));
        token.await.map_err(|reason| CredentialsError::Aws(format!("no token for an IAM login: {reason}")))
    }

    /// Returns the text of the secret with this name or ARN.
    pub(crate) async fn secret(&self, id: &str) -> Result<String, String> {
        in_time(Box::pin(async {
            let identity = self.identity().await?;
            let url = self.secrets_manager(&identity.region)?;
            let body = serde_json::json!({ "SecretId": id }).to_string();
            let signable =
                SignableRequest::new("POST", &url, HEADERS.into_iter(), SignableBody::Bytes(body.as_bytes()));
            let signed = self.sign(&identity, "secretsmanager", SigningSettings::default(), signable)?;
            let headers = HEADERS.into_iter().chain(signed.headers());
            let request = headers.fold(Request::post(&url), |request, (name, value)| request.header(name, value));
            let request = request.body(Full::from(body)).map_err(|error| report(&error))?;
            let (status, answer) = send(request, connector(GaiResolver::new()), mozilla()).await?;
            secret_of(status, &answer)
        }))
        .await
    }

    /// Returns a variable's value without spaces around it. A blank one is none.
    fn variable(&self, name: &str) -> Option<String> {
        (self.0.variable)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// Returns the identity to sign with now. An error says what is missing.
    async fn identity(&self) -> Result<Identity, String> {
        let region = self.variable("AWS_REGION").or_else(|| self.variable("AWS_DEFAULT_REGION"));
        let keys = self.variable("AWS_ACCESS_KEY_ID").zip(self.variable("AWS_SECRET_ACCESS_KEY"));
        match (region, keys, &self.0.fallback) {
            (Some(region), Some((id, secret)), _) => {
                let session = self.variable("AWS_SESSION_TOKEN");
                Ok(Identity { credentials: Credentials::new(id, secret, session, None, "environment"), region })
            }
            (_, _, Some(fallback)) => fallback().await,
            (None, _, None) => Err(NO_REGION.to_owned()),
            (Some(_), None, None) => Err(NO_KEYS.to_owned()),
        }
    }

    fn sign<E: Error + 'static>(
        &self,
        identity: &Identity,
        service: &str,
        settings: SigningSettings,
        request: Result<SignableRequest<'_>, E>,
    ) -> Result<SigningInstructions, String> {
        let credentials = identity.credentials.clone().into();
        let time = UNIX_EPOCH + Duration::from_millis(self.clock().now().epoch_millis());
        let params = SigningParams::builder().identity(&credentials).region(&identity.region).name(service);
        let params = params.time(time).settings(settings).build().map_err(|error| report(&error))?.into();
        let request = request.map_err(|error| report(&error))?;
        sign(request, &params).map(|signed| signed.into_parts().0).map_err(|error| report(&error))
    }

    /// Returns the URL of Secrets Manager in a region, which is reached by IPv4 and IPv6.
    fn secrets_manager(&self, region: &str) -> Result<String, String> {
        for name in ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"] {
            if let Some(url) = self.variable(name) {
                aws_endpoint(&url).map_err(|reason| format!("{name}: {reason}; https:// is accepted"))?;
                return bare_origin(&url).ok_or_else(|| format!("{name} is not http:// or https:// with a host only"));
            }
        }
        // The partitions that are open to everybody.
        let domain = match region.split('-').next() {
            Some("cn") => "amazonaws.com.cn",
            Some("eusc") => "amazonaws.eu",
            _ => "amazonaws.com",
        };
        bare_origin(&format!("https://secretsmanager.{region}.{domain}"))
            .ok_or_else(|| "AWS_REGION is no region".to_owned())
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aws")
    }
}

/// Waits for `call` as long as a login may take. Boxed, since the futures of a call are large, and every call to a shard would carry
/// room for one.
async fn in_time<T>(call: BoxFuture<'_, Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(TIMEOUT, call).await.unwrap_or_else(|_| Err(format!("no answer within {TIMEOUT:?}")))
}

/// Returns an error's message and its causes', each in its own words only: `Debug` may show what was sent or received.
fn report(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Returns a connector that tries the addresses of `resolver`, IPv6 and IPv4 side by side.
fn connector<R>(resolver: R) -> HttpConnector<R> {
    let mut connector = HttpConnector::new_with_resolver(resolver);
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector
}

/// Returns the authorities that Mozilla trusts.
fn mozilla() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// Sends a request over a connection of its own. An error says what went wrong, and nothing of what was sent or received.
async fn send<C>(request: Request<Full<Bytes>>, http: C, roots: RootCertStore) -> Result<(StatusCode, Bytes), String>
where
    HttpsConnector<C>: Connect + Clone + Send + Sync + 'static,
{
    let server = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let tls = tls.with_safe_default_protocol_versions().map_err(|error| report(&error))?;
    let tls = tls.with_root_certificates(roots).with_no_client_auth();
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http);
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https);
    let no_answer = |error: &(dyn Error + 'static)| format!("no answer of {server}: {}", report(error));
    let (head, body) = client.request(request).await.map_err(|error| no_answer(&error))?.into_parts();
    let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| no_answer(&*error))?;
    Ok((head.status, body.to_bytes()))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SecretValue {
    secret_string: Option<String>,
    secret_binary: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "__type")]
    kind: String,
    #[serde(alias = "Message")]
    message: Option<String>,
}

/// Returns the secret that an answer of Secrets Manager holds, or the reason why it holds none.
fn secret_of(status: StatusCode, answer: &[u8]) -> Result<String, String> {
    if !status.is_success() {
        let refusal: Refusal = serde_json::from_slice(answer).map_err(|_| STRANGE)?;
        // `namespace#Name:link`, of which AWS says that only the name counts.
        let name = refusal.kind.rsplit('#').next().and_then(|name| name.split(':').next()).unwrap_or_default();
        return Err(format!("{name}: {}", refusal.message.as_deref().unwrap_or("no reason is given")));
    }
    match serde_json::from_slice(answer) {
        Ok(SecretValue { secret_string: Some(text), .. }) => Ok(text),
        Ok(SecretValue { secret_binary: Some(_), .. }) => Err("it is binary, text is wanted".to_owned()),
        _ => Err(STRANGE.to_owned()),
    }
}

#[cfg(test)]
mod tests;
