//! IAM logins to `ElastiCache`: the password is a request to its `connect` action, signed and never sent as one.
//!
//! `ElastiCache` takes a token for 15 minutes from its making and closes the connection 12 hours after a login. So a
//! token is made for each login, and a login is renewed in time ([`super::Login::is_due`]).

use crate::clock::Moment;
use crate::credentials::{Aws, CredentialsError, Password, in_time, told};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningParams, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::Request;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a token is taken; `ElastiCache` knows no other duration.
const TOKEN_TTL: Duration = Duration::from_mins(15);

const SERVICE: &str = "elasticache";

/// How to log in as one user to one cache.
#[derive(Debug)]
pub(super) struct Iam {
    aws: Arc<Aws>,
    /// What is signed.
    url: String,
}

impl Iam {
    /// `user` and `cache` have no characters that a URL escapes; `cache` is in lower case.
    pub(super) fn new(aws: Arc<Aws>, user: &str, cache: &str, serverless: bool) -> Self {
        let kind = if serverless { "&ResourceType=ServerlessCache" } else { "" };
        Self { aws, url: format!("http://{cache}/?Action=connect&User={user}{kind}") }
    }

    pub(super) fn now(&self) -> Moment {
        self.aws.clock().now()
    }

    /// A token that is taken from now on for 15 minutes.
    pub(super) async fn token(&self) -> Result<Password, CredentialsError> {
        in_time(Box::pin(self.make()))
            .await
            .map_err(|reason| CredentialsError::Aws(format!("no token for an IAM login: {reason}")))
    }

    async fn make(&self) -> Result<Password, String> {
        let settings = self.aws.settings().await;
        let region = settings.region().ok_or("the region is unknown: set AWS_REGION")?;
        let provider = settings.credentials_provider().ok_or("there are no AWS credentials")?;
        let credentials = provider.provide_credentials().await.map_err(|error| told(&error))?;
        let time = UNIX_EPOCH + Duration::from_millis(self.now().epoch_millis());
        let scope = Scope { service: SERVICE, region: region.as_ref(), time, expires_in: TOKEN_TTL };
        let signed = presigned(&self.url, &scope, credentials).map_err(|error| told(&*error))?;
        Ok(Password::new(signed.strip_prefix("http://").unwrap_or(&signed)))
    }
}

/// What a signature is valid for.
struct Scope<'a> {
    service: &'a str,
    region: &'a str,
    time: SystemTime,
    expires_in: Duration,
}

/// A `GET` of `url` with its signature (AWS Signature Version 4) in the query.
fn presigned(
    url: &str,
    scope: &Scope<'_>,
    credentials: Credentials,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(scope.expires_in);
    let identity = credentials.into();
    let params: SigningParams<'_> = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(scope.time)
        .settings(settings)
        .build()?
        .into();
    let request = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::empty())?;
    let (signature, _) = sign(request, &params)?.into_parts();
    let mut request = Request::get(url).body(())?;
    signature.apply_to_request_http1x(&mut request);
    Ok(request.uri().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of AWS's signing test suite (`aws-signing-test-suite/v4`), whose keys are public.
    fn signed_as_in_the_suite(url: &str, token: Option<&str>) -> String {
        let key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let credentials = Credentials::new("AKIDEXAMPLE", key, token.map(str::to_owned), None, "test");
        // 2015-08-30T12:36:00Z
        let time = UNIX_EPOCH + Duration::from_mins(24_015_636);
        let scope = Scope { service: "service", region: "us-east-1", time, expires_in: Duration::from_hours(1) };
        presigned(url, &scope, credentials).unwrap()
    }

    #[test]
    fn a_presigned_request_is_the_one_that_aws_publishes() {
        let signed = signed_as_in_the_suite("http://example.amazonaws.com/?Param2=value2&Param1=value1", None);
        let expected = "http://example.amazonaws.com/?Param2=value2&Param1=value1&X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fservice%2Faws4_request&X-Amz-Date=20150830T123600Z\
            &X-Amz-Expires=3600&X-Amz-SignedHeaders=host\
            &X-Amz-Signature=86012e2c9ad4d77369f5d81c11f75158aae4f895a085212cc6d3f923d300bed5";
        assert_eq!(signed, expected);
    }

    #[test]
    fn a_session_token_is_signed_too_as_aws_publishes() {
        let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        let signed = signed_as_in_the_suite("http://example.amazonaws.com/", Some(token));
        let signature = "7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c";
        let end = format!("&X-Amz-Signature={signature}&X-Amz-Security-Token={token}");
        assert!(signed.ends_with(&end), "{signed}");
    }
}
