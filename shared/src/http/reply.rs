//! Answers as the front ends take them, and the errors among them.
//!
//! Errors are problems after RFC 9457, "Problem Details for HTTP APIs". They say what the client can do, and nothing of
//! what went wrong inside: no internal error text, no address.

use crate::http::event::{MAX_BODY, Request, Source};
use crate::page::PageId;
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
    /// An answer with a body of text in this media type. `cache_control` is the header's value.
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

    /// A 200 with a body in JSON. A body that cannot be written as JSON gives an empty 500.
    pub fn json(body: &impl Serialize, cache_control: impl Into<Cow<'static, str>>) -> Self {
        match serde_json::to_string(body) {
            Ok(text) => Self::new(StatusCode::OK, "application/json", cache_control, text),
            Err(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "application/json", "no-store", String::new()),
        }
    }

    /// A 200 with a body of bytes.
    pub fn binary(content_type: &'static str, cache_control: impl Into<Cow<'static, str>>, body: &[u8]) -> Self {
        let text = BASE64.encode(body);
        Self { is_base64: true, ..Self::new(StatusCode::OK, content_type, cache_control, text) }
    }

    /// A 200 with a picture in SVG. Opened by itself it is a document, whose scripts, had it any, would not run.
    pub fn svg(body: String, cache_control: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::OK, "image/svg+xml", cache_control, body)
            .with("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
    }

    /// Names the `routes` of a function, one in each line, for a browser that opens its bare address.
    pub fn index(routes: &str) -> Self {
        let text = format!("This is a visit counter. It answers:\n\n{routes}\n");
        Self::new(StatusCode::OK, "text/plain; charset=utf-8", "max-age=300", text)
    }

    /// A 204, which has no body.
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

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// A header's value, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }

    /// The body; in base64 where it is one of bytes.
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

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    kind: &'static str,
    status: StatusCode,
    detail: String,
    header: Option<Header>,
}

impl Problem {
    /// Makes a problem of a kind, which is a word like `invalid-page-id`: its title follows from it. `detail` says what was wrong
    /// and what is accepted.
    pub fn new(kind: &'static str, status: StatusCode, detail: impl Into<String>) -> Self {
        Self { kind, status, detail: detail.into(), header: None }
    }

    /// Makes a 503 with `Retry-After`.
    pub fn unavailable(kind: &'static str, detail: &str, retry_after: Duration) -> Self {
        // Whole seconds, and never 0: that would invite the client to come back in a loop.
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        Self::new(kind, StatusCode::SERVICE_UNAVAILABLE, detail).with("retry-after", seconds.max(1).to_string())
    }

    fn with(self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        Self { header: Some((name, value.into())), ..self }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Makes the answer, which is never to be cached.
    pub fn into_response(self) -> Response {
        let mut response = Response::new(self.status, "application/problem+json", "no-store", self.body());
        response.headers.extend(self.header);
        response
    }

    /// The body as JSON text, with RFC 9457's names.
    pub(crate) fn body(&self) -> String {
        let Self { kind, status, detail, .. } = self;
        let title = [&kind[..1].to_ascii_uppercase(), &kind[1..]].concat().replace('-', " ");
        let (status, detail) = (status.as_u16(), json!(detail));
        format!(r#"{{"type":"urn:visits:problem:{kind}","title":"{title}","status":{status},"detail":{detail}}}"#)
    }
}

/// Requests that cannot be understood.
impl Problem {
    /// Returns a 400: a front end's event that cannot be read.
    pub fn malformed_request() -> Self {
        let detail = "the request cannot be read: its event is none of API Gateway, a function URL or a load balancer";
        Self::new("malformed-request", StatusCode::BAD_REQUEST, detail)
    }

    /// Returns a 400: a text that names no page.
    pub fn invalid_page_id(error: &dyn Display) -> Self {
        Self::new("invalid-page-id", StatusCode::BAD_REQUEST, error.to_string())
    }

    /// Returns a 400: a body that is not what the route takes; `accepted` is.
    pub fn invalid_body(error: &dyn Display, accepted: &str) -> Self {
        let detail = format!("the body cannot be read: {error}; {accepted}");
        Self::new("invalid-body", StatusCode::BAD_REQUEST, detail)
    }

    /// Returns a 400: a query that is not what the route takes. The detail says what is.
    pub fn invalid_query(detail: impl Into<String>) -> Self {
        Self::new("invalid-query", StatusCode::BAD_REQUEST, detail)
    }

    /// Returns a 400: no idempotency key, or one that is none. The detail says what is.
    pub fn invalid_idempotency_key(detail: impl Into<String>) -> Self {
        Self::new("invalid-idempotency-key", StatusCode::BAD_REQUEST, detail)
    }

    /// Returns a 404: a path that this function does not answer; `answered` are the routes that it does.
    pub fn unknown_route(answered: &str) -> Self {
        Self::new("unknown-route", StatusCode::NOT_FOUND, format!("this function answers {answered}"))
    }

    /// Returns a 405 with `Allow`.
    pub fn method_not_allowed(path: &str, methods: String) -> Self {
        let detail = format!("{path} is answered for these methods only: {methods}");
        Self::new("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, detail).with("allow", methods)
    }

    /// Returns a 413: a body that is too long.
    pub fn body_too_large() -> Self {
        let detail = format!("the body is too long; at most {MAX_BODY} bytes are accepted");
        Self::new("body-too-large", StatusCode::PAYLOAD_TOO_LARGE, detail)
    }
}

/// Requests that are not allowed.
impl Problem {
    /// Returns a 403: `VISITS_ORIGINS` does not list the calling page's origin, or there is none.
    pub fn origin_not_allowed(origin: Option<&str>) -> Self {
        let caller = origin.map_or("requests without an origin".into(), |origin| format!("the origin {origin}"));
        let detail = format!("visits are not taken from {caller}; the site owner lists the origins that are accepted");
        Self::new("origin-not-allowed", StatusCode::FORBIDDEN, detail)
    }

    /// Returns a 403: no pattern of `VISITS_PAGES` is for the page.
    pub fn page_not_allowed(page: &PageId) -> Self {
        let detail = format!("the page {page} is not counted here; the site owner lists the pages that are");
        Self::new("page-not-allowed", StatusCode::FORBIDDEN, detail)
    }

    /// Returns a 401 with `WWW-Authenticate`: no token, or a wrong one. The detail says which.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new("unauthorized", StatusCode::UNAUTHORIZED, detail).with("www-authenticate", "Bearer")
    }

    /// Returns a 403: a change by cookie that may be another site's doing.
    pub fn forged_request() -> Self {
        let detail = "a change by session cookie needs the header X-Requested-With: visits, which no other site can send; \
                      or send the token as Authorization: Bearer";
        Self::new("forged-request", StatusCode::FORBIDDEN, detail)
    }

    /// Returns a 403: no token is configured, so nobody is the owner.
    pub fn owner_token_missing() -> Self {
        let detail = "this needs the owner's token, and none is set up; VISITS_OWNER_TOKEN says where it comes from";
        Self::new("owner-token-missing", StatusCode::FORBIDDEN, detail)
    }
}

/// Requests that cannot be answered now.
impl Problem {
    /// Returns a 503: the owner's token cannot be read, or is none that is accepted. The log has the reason.
    pub fn owner_token_unavailable(retry_after: Duration) -> Self {
        let detail = "the owner's token cannot be used at the moment; the log of the function says why";
        Self::unavailable("owner-token-unavailable", detail, retry_after)
    }

    /// Returns a 503: the buffer has no room, since its shards have been unreachable for long. Nothing is counted.
    pub fn buffer_full(retry_after: Duration) -> Self {
        let detail = "too many visits are waiting to be stored; this request is not counted";
        Self::unavailable("buffer-full", detail, retry_after)
    }

    /// Returns a 503: this environment is about to end, another one will answer. Nothing is counted.
    pub fn shutting_down() -> Self {
        let detail = "this instance is shutting down; this request is not counted";
        Self::unavailable("shutting-down", detail, Duration::from_secs(1))
    }

    /// Returns a 503: with `VISITS_DURABILITY=direct` the visit could not be confirmed in time.
    pub fn not_confirmed(retry_after: Duration) -> Self {
        let detail = "the visit could not be confirmed in time; it may still be counted, \
                      so a repeated request may count it twice";
        Self::unavailable("not-confirmed", detail, retry_after)
    }

    /// Returns a 503: with `VISITS_DURABILITY=direct` the page's shard does not answer. Nothing is counted.
    pub fn store_unavailable(retry_after: Duration) -> Self {
        let detail = "nothing can be stored at the moment; this request is not counted";
        Self::unavailable("store-unavailable", detail, retry_after)
    }

    /// Returns a 503: the count cannot be read now.
    pub fn count_unavailable(retry_after: Duration) -> Self {
        Self::unavailable("count-unavailable", "the count cannot be read at the moment", retry_after)
    }
}

#[cfg(test)]
mod tests;
