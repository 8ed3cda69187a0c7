//! All kinds of problems, with what each says to the client.

use super::Problem;
use crate::http::body::MOST_BODY;
use crate::page::PageId;
use http::StatusCode;
use std::fmt::Display;
use std::time::Duration;

/// Requests that cannot be understood.
impl Problem {
    /// 400: a text that names no page.
    pub fn invalid_page_id(error: &dyn Display) -> Self {
        let detail = error.to_string();
        Self::new("urn:visits:problem:invalid-page-id", "Invalid page id", StatusCode::BAD_REQUEST, detail)
    }

    /// 400: a body that is not what the route takes; `accepted` is.
    pub fn invalid_body(error: &dyn Display, accepted: &str) -> Self {
        let detail = format!("the body cannot be read: {error}; {accepted}");
        Self::new("urn:visits:problem:invalid-body", "Invalid body", StatusCode::BAD_REQUEST, detail)
    }

    /// 400: a query that is not what the route takes. The detail says what is.
    pub fn invalid_query(detail: impl Into<String>) -> Self {
        Self::new("urn:visits:problem:invalid-query", "Invalid query", StatusCode::BAD_REQUEST, detail)
    }

    /// 400: no idempotency key, or one that is none. The detail says what is.
    pub fn invalid_idempotency_key(detail: impl Into<String>) -> Self {
        let (kind, title) = ("urn:visits:problem:invalid-idempotency-key", "Invalid idempotency key");
        Self::new(kind, title, StatusCode::BAD_REQUEST, detail)
    }

    /// 404: a path that this function does not answer; `answered` are the routes that it does.
    pub fn unknown_route(answered: &str) -> Self {
        let detail = format!("this function answers {answered}");
        Self::new("urn:visits:problem:unknown-route", "Unknown route", StatusCode::NOT_FOUND, detail)
    }

    /// 405, with `Allow`.
    pub fn method_not_allowed(path: &str, methods: String) -> Self {
        let detail = format!("{path} is answered for these methods only: {methods}");
        let (kind, title) = ("urn:visits:problem:method-not-allowed", "Method not allowed");
        Self::new(kind, title, StatusCode::METHOD_NOT_ALLOWED, detail).with("allow", methods)
    }

    /// 413: a body that is too long.
    pub fn body_too_large() -> Self {
        let detail = format!("the body is too long; at most {MOST_BODY} bytes are accepted");
        Self::new("urn:visits:problem:body-too-large", "Body too large", StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 501: an HTTP event of a kind that carries the path differently.
    pub fn unsupported_event() -> Self {
        let detail = "this function answers API Gateway HTTP APIs (payload version 2.0) and Lambda function URLs";
        let (kind, title) = ("urn:visits:problem:unsupported-event", "Unsupported event");
        Self::new(kind, title, StatusCode::NOT_IMPLEMENTED, detail)
    }
}

/// Requests that are not allowed.
impl Problem {
    /// 403: `VISITS_ORIGINS` does not list the calling page's origin, or there is none.
    pub fn origin_not_allowed(origin: Option<&str>) -> Self {
        let who =
            origin.map_or_else(|| "requests without an origin".to_owned(), |origin| format!("the origin {origin}"));
        let detail = format!("visits are not taken from {who}; the site owner lists the origins that are accepted");
        Self::new("urn:visits:problem:origin-not-allowed", "Origin not allowed", StatusCode::FORBIDDEN, detail)
    }

    /// 403: no pattern of `VISITS_PAGES` is for the page.
    pub fn page_not_allowed(page: &PageId) -> Self {
        let detail = format!("the page {page} is not counted here; the site owner lists the pages that are");
        Self::new("urn:visits:problem:page-not-allowed", "Page not allowed", StatusCode::FORBIDDEN, detail)
    }

    /// 401, with `WWW-Authenticate`: no token, or a wrong one. The detail says which.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new("urn:visits:problem:unauthorized", "Unauthorized", StatusCode::UNAUTHORIZED, detail)
            .with("www-authenticate", "Bearer")
    }

    /// 403: a change by cookie that may be another site's doing.
    pub fn forged_request() -> Self {
        let detail = "a change by session cookie needs the header X-Requested-With: visits, which no other site can send; \
                      or send the token as Authorization: Bearer";
        Self::new("urn:visits:problem:forged-request", "Forged request", StatusCode::FORBIDDEN, detail)
    }

    /// 403: no token is configured, so nobody is the owner.
    pub fn owner_token_missing() -> Self {
        let detail = "this needs the owner's token, and none is set up; VISITS_OWNER_TOKEN says where it comes from";
        Self::new("urn:visits:problem:owner-token-missing", "Owner token missing", StatusCode::FORBIDDEN, detail)
    }
}

/// Requests that cannot be answered now.
impl Problem {
    /// Returns a 503: the owner's token cannot be read, or is none that is accepted. The log has the reason.
    pub fn owner_token_unavailable(retry_after: Duration) -> Self {
        let (kind, title) = ("urn:visits:problem:owner-token-unavailable", "Owner token unavailable");
        Self::unavailable(
            kind,
            title,
            "the owner's token cannot be used at the moment; the log of the function says why",
            retry_after,
        )
    }

    /// 503: the buffer has no room, since its shards have been unreachable for long. Nothing is counted.
    pub fn buffer_full(retry_after: Duration) -> Self {
        let detail = "too many visits are waiting to be stored; this request is not counted";
        Self::unavailable("urn:visits:problem:buffer-full", "Buffer full", detail, retry_after)
    }

    /// 503: this environment is about to end, another one will answer. Nothing is counted.
    pub fn shutting_down() -> Self {
        let detail = "this instance is shutting down; this request is not counted";
        Self::unavailable("urn:visits:problem:shutting-down", "Shutting down", detail, Duration::from_secs(1))
    }

    /// 503: with `VISITS_DURABILITY=direct` the visit could not be confirmed in time.
    pub fn not_confirmed(retry_after: Duration) -> Self {
        let detail = "the visit could not be confirmed in time; it may still be counted, \
                      so a repeated request may count it twice";
        Self::unavailable("urn:visits:problem:not-confirmed", "Visit not confirmed", detail, retry_after)
    }

    /// 503: with `VISITS_DURABILITY=direct` the page's shard does not answer. Nothing is counted.
    pub fn store_unavailable(retry_after: Duration) -> Self {
        let detail = "nothing can be stored at the moment; this request is not counted";
        Self::unavailable("urn:visits:problem:store-unavailable", "Store unavailable", detail, retry_after)
    }

    /// 503: the count cannot be read now.
    pub fn count_unavailable(retry_after: Duration) -> Self {
        let detail = "the count cannot be read at the moment";
        Self::unavailable("urn:visits:problem:count-unavailable", "Count unavailable", detail, retry_after)
    }
}
