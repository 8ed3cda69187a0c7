//! Answers as the front ends take them, and the errors among them.
//!
//! Errors are problems after RFC 9457, "Problem Details for HTTP APIs". They say what the client can do, and nothing of
//! what went wrong inside: no internal error text, no address.

use crate::http::event::{Request, Source};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::StatusCode;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

/// A header's name in lower case, and its value.
type Header = (&'static str, Cow<'static, str>);

/// Keeps browsers from taking an answer for a script or a page that it is not.
const NOSNIFF: Header = ("x-content-type-options", Cow::Borrowed("nosniff"));

/// The answer to an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To a client, through a front end.
    Http(Response),
    /// To the caller of a direct invocation, as it is.
    Direct(Value),
}

/// An HTTP answer. It serializes in the shape that its request's front end takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    source: Source,
    status: StatusCode,
    headers: Vec<Header>,
    body: Cow<'static, str>,
    is_base64: bool,
}

impl Response {
    /// Makes an answer with a body of text in this media type. `cache_control` is the header's value.
    pub fn new(
        status: StatusCode,
        content_type: &'static str,
        cache_control: impl Into<Cow<'static, str>>,
        body: impl Into<Cow<'static, str>>,
    ) -> Self {
        // Room for what CORS adds.
        let mut headers = Vec::with_capacity(8);
        headers.extend([("content-type", content_type.into()), ("cache-control", cache_control.into()), NOSNIFF]);
        Self { source: Source::default(), status, headers, body: body.into(), is_base64: false }
    }

    /// Makes a 200 with a body in JSON. A body that cannot be written as JSON gives an empty 500.
    pub fn json(body: &impl Serialize, cache_control: impl Into<Cow<'static, str>>) -> Self {
        match serde_json::to_string(body) {
            Ok(text) => Self::new(StatusCode::OK, "application/json", cache_control, text),
            Err(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "application/json", "no-store", String::new()),
        }
    }

    /// Makes a 200 with a body of bytes.
    pub fn binary(content_type: &'static str, cache_control: impl Into<Cow<'static, str>>, body: &[u8]) -> Self {
        let text = BASE64.encode(body);
        Self { is_base64: true, ..Self::new(StatusCode::OK, content_type, cache_control, text) }
    }

    /// Makes a 200 with a picture in SVG. Opened by itself it is a document, whose scripts, had it any, would not run.
    pub fn svg(body: String, cache_control: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::OK, "image/svg+xml", cache_control, body)
            .with("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
    }

    /// Makes a 204, which has no body.
    pub fn no_content() -> Self {
        let mut response = Self::new(StatusCode::NO_CONTENT, "", "no-store", "");
        response.headers.remove(0);
        response
    }

    /// Adds a header, whose name is in lower case and not there yet.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Leaves the body out, and says how long it is.
    fn without_body(mut self) -> Self {
        if !self.body.is_empty() {
            let padding = self.body.bytes().rev().take_while(|byte| *byte == b'=').count();
            let length = if self.is_base64 { self.body.len() / 4 * 3 - padding } else { self.body.len() };
            self.headers.push(("content-length", length.to_string().into()));
        }
        Self { body: "".into(), is_base64: false, ..self }
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns a header's value, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }

    /// Returns the body; in base64 where it is one of bytes.
    pub fn body(&self) -> &str {
        &self.body
    }
}

impl Reply {
    /// Answers a request in the shape of its front end. `HEAD` is answered like `GET`, without the body.
    pub fn to(request: &Request, response: Response) -> Self {
        let response = if request.is_head() { response.without_body() } else { response };
        Self::Http(Response { source: request.source, ..response })
    }
}

impl Serialize for Reply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Http(response) => response.payload().serialize(serializer),
            Self::Direct(value) => value.serialize(serializer),
        }
    }
}

impl Response {
    /// Returns the members of the answer that its front end takes, and no others: a REST API fails at an unknown one.
    fn payload(&self) -> Value {
        let mut payload =
            json!({"statusCode": self.status.as_u16(), "body": self.body, "isBase64Encoded": self.is_base64});
        let mut headers: Map<_, Value> =
            self.headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_ref().into())).collect();
        if self.source == Source::Version2 {
            // Mostly none, but `cargo lambda watch` insists on the member.
            payload["cookies"] = headers.remove("set-cookie").into_iter().collect();
        }
        if let Source::LoadBalancer { .. } = self.source {
            payload["statusDescription"] = self.status.to_string().into();
        }
        if let Source::Version1 | Source::LoadBalancer { multi_value: true } = self.source {
            headers.values_mut().for_each(|value| *value = json!([value]));
            payload["multiValueHeaders"] = headers.into();
        } else {
            payload["headers"] = headers.into();
        }
        payload
    }
}

/// An error answer, which is never cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(Response);

impl Problem {
    /// Makes a problem of a kind, which is a word like `invalid-page-id`: its title follows from it. `detail` says what was wrong
    /// and what is accepted.
    pub fn new(kind: &'static str, status: StatusCode, detail: impl Display) -> Self {
        let title = [&kind[..1].to_ascii_uppercase(), &kind[1..]].concat().replace('-', " ");
        let (number, detail) = (status.as_u16(), json!(detail.to_string()));
        let body =
            format!(r#"{{"type":"urn:visits:problem:{kind}","title":"{title}","status":{number},"detail":{detail}}}"#);
        Self(Response::new(status, "application/problem+json", "no-store", body))
    }

    /// Makes a 503 with `Retry-After`.
    pub fn unavailable(kind: &'static str, detail: &str, retry_after: Duration) -> Self {
        // Whole seconds, and never 0: that would invite the client to come back in a loop.
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        Self::new(kind, StatusCode::SERVICE_UNAVAILABLE, detail).with("retry-after", seconds.max(1).to_string())
    }

    /// Returns a 400: a text that names no page.
    pub fn invalid_page_id(error: impl Display) -> Self {
        Self::new("invalid-page-id", StatusCode::BAD_REQUEST, error)
    }

    /// Returns a 400: a body that is not what the route takes; `accepted` is.
    pub fn invalid_body(error: impl Display, accepted: &str) -> Self {
        let detail = format!("the body cannot be read: {error}; {accepted}");
        Self::new("invalid-body", StatusCode::BAD_REQUEST, detail)
    }

    /// Returns a 400: a query that is not what the route takes. The detail says what is.
    pub fn invalid_query(detail: impl Display) -> Self {
        Self::new("invalid-query", StatusCode::BAD_REQUEST, detail)
    }

    /// Adds a header, whose name is in lower case and not there yet.
    #[must_use]
    pub fn with(self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        Self(self.0.with(name, value))
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        problem.0
    }
}

#[cfg(test)]
mod tests;
