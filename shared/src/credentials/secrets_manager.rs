//! `GetSecretValue`, the one call of AWS Secrets Manager that we make: a signed `POST`, once, without a retry.
//!
//! AWS's client for it would be larger than a whole function (docs/PERFORMANCE.md); HTTP, TLS and the authorities are in the
//! functions anyway.

use super::aws::Aws;
use super::environment::Environment;
use super::https::{Answer, Server, post};
use super::signature::Signer;
use crate::config::parse::aws_endpoint;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde::Deserialize;

const SERVICE: &str = "secretsmanager";

const TARGET: &str = "secretsmanager.GetSecretValue";

/// JSON 1.1 of AWS: the call's name is a header, its arguments are the body.
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// An answer in which nobody refuses anything: what it says may be the secret, so nothing of it is repeated.
const STRANGE: &str = "the answer is not Secrets Manager's";

/// The text of the secret with this name or ARN.
pub(super) async fn get(aws: &Aws, id: &str) -> Result<String, String> {
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
    secret(&post(&server, request).await?)
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

fn secret(answer: &Answer) -> Result<String, String> {
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

#[cfg(test)]
mod tests;
