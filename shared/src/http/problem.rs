//! Error answers after RFC 9457, "Problem Details for HTTP APIs". They say what the client can do about it,
//! and nothing of what went wrong inside: no internal error text, no address.

use super::{Response, Route};
use crate::page::PageIdError;
use http::StatusCode;
use serde::Serialize;
use std::borrow::Cow;
use std::time::Duration;

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    kind: &'static str,
    title: &'static str,
    status: StatusCode,
    detail: String,
    headers: Vec<(&'static str, Cow<'static, str>)>,
}

/// The body of a [`Problem`], with RFC 9457's names.
#[derive(Serialize)]
struct Details<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    fn new(kind: &'static str, title: &'static str, status: StatusCode, detail: impl Into<String>) -> Self {
        Self { kind, title, status, detail: detail.into(), headers: Vec::new() }
    }

    fn unavailable(kind: &'static str, title: &'static str, detail: &str, retry_after: Duration) -> Self {
        // Whole seconds, and never 0: that would invite the client to come back in a loop.
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        Self::new(kind, title, StatusCode::SERVICE_UNAVAILABLE, detail).with("retry-after", seconds.max(1).to_string())
    }

    fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// 400: the path names no page.
    pub fn invalid_page_id(error: &PageIdError) -> Self {
        let detail = error.to_string();
        Self::new("urn:visits:problem:invalid-page-id", "Invalid page id", StatusCode::BAD_REQUEST, detail)
    }

    /// 404: a path that this function does not answer.
    pub fn unknown_route(answered: &Route) -> Self {
        let detail = format!("this function answers {} {}{{page_id}}", answered.method, answered.prefix);
        Self::new("urn:visits:problem:unknown-route", "Unknown route", StatusCode::NOT_FOUND, detail)
    }

    /// 405, with `Allow`.
    pub fn method_not_allowed(answered: &Route) -> Self {
        let detail = format!("{}{{page_id}} is answered for the method {} only", answered.prefix, answered.method);
        let (kind, title) = ("urn:visits:problem:method-not-allowed", "Method not allowed");
        Self::new(kind, title, StatusCode::METHOD_NOT_ALLOWED, detail).with("allow", answered.method)
    }

    /// 503: the buffer has no room, since its shards have been unreachable for long. The visit is not counted.
    pub fn buffer_full(retry_after: Duration) -> Self {
        let detail = "too many visits are waiting to be stored; this one is not counted";
        Self::unavailable("urn:visits:problem:buffer-full", "Buffer full", detail, retry_after)
    }

    /// 503: this environment is about to end, another one will answer. The visit is not counted.
    pub fn shutting_down() -> Self {
        let detail = "this instance is shutting down; the visit is not counted";
        Self::unavailable("urn:visits:problem:shutting-down", "Shutting down", detail, Duration::from_secs(1))
    }

    /// 503: with `VISITS_DURABILITY=direct` the visit could not be confirmed in time.
    pub fn not_confirmed(retry_after: Duration) -> Self {
        let detail = "the visit could not be confirmed in time; it may still be counted, \
                      so a repeated request may count it twice";
        Self::unavailable("urn:visits:problem:not-confirmed", "Visit not confirmed", detail, retry_after)
    }

    /// 503: with `VISITS_DURABILITY=direct` the page's shard does not answer. The visit is not counted.
    pub fn store_unavailable(retry_after: Duration) -> Self {
        let detail = "the visit cannot be stored at the moment; it is not counted";
        Self::unavailable("urn:visits:problem:store-unavailable", "Store unavailable", detail, retry_after)
    }

    /// 503: the count cannot be read now.
    pub fn count_unavailable(retry_after: Duration) -> Self {
        let detail = "the count cannot be read at the moment";
        Self::unavailable("urn:visits:problem:count-unavailable", "Count unavailable", detail, retry_after)
    }

    /// 501: an HTTP event of a kind that carries the path differently.
    pub fn unsupported_event() -> Self {
        let detail = "this function answers API Gateway HTTP APIs (payload version 2.0) and Lambda function URLs";
        let (kind, title) = ("urn:visits:problem:unsupported-event", "Unsupported event");
        Self::new(kind, title, StatusCode::NOT_IMPLEMENTED, detail)
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The `type` of the body.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The answer, never to be cached.
    pub fn into_response(self) -> Response {
        let body = self.body();
        Response::new(self.status, "application/problem+json", "no-store", body).with(self.headers)
    }

    /// The body as JSON text.
    pub(super) fn body(&self) -> String {
        let Self { kind, title, status, detail, .. } = self;
        // Four plain fields: this cannot fail.
        serde_json::to_string(&Details { r#type: kind, title, status: status.as_u16(), detail }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Problem, Response, Route};
    use crate::page::PageIdError;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn body(response: &Response) -> Value {
        serde_json::from_str(response.body()).unwrap()
    }

    #[test]
    fn every_problem_is_problem_json_that_nobody_caches() {
        let wait = Duration::from_millis(1_500);
        let table = [
            (Problem::invalid_page_id(&PageIdError::Empty), 400, "invalid-page-id", None),
            (Problem::unknown_route(&Route::READ), 404, "unknown-route", None),
            (Problem::method_not_allowed(&Route::RECORD), 405, "method-not-allowed", None),
            (Problem::unsupported_event(), 501, "unsupported-event", None),
            (Problem::buffer_full(wait), 503, "buffer-full", Some("2")),
            (Problem::shutting_down(), 503, "shutting-down", Some("1")),
            (Problem::not_confirmed(Duration::ZERO), 503, "not-confirmed", Some("1")),
            (Problem::count_unavailable(Duration::from_secs(5)), 503, "count-unavailable", Some("5")),
        ];
        for (problem, status, kind, retry_after) in table {
            assert_eq!(problem.kind(), format!("urn:visits:problem:{kind}"));
            let response = problem.into_response();
            assert_eq!(response.status(), status, "{kind}");
            assert_eq!(response.header("content-type"), Some("application/problem+json"), "{kind}");
            assert_eq!(response.header("cache-control"), Some("no-store"), "{kind}");
            assert_eq!(response.header("retry-after"), retry_after, "{kind}");
            let body = body(&response);
            assert_eq!((&body["status"], body.as_object().unwrap().len()), (&json!(status), 4), "{kind}");
            assert!(
                ["title", "detail"].iter().all(|name| body[name].as_str().is_some_and(|text| !text.is_empty())),
                "{body}"
            );
        }
    }

    #[test]
    fn a_problem_says_what_is_answered_instead() {
        let response = Problem::method_not_allowed(&Route::RECORD).into_response();
        assert_eq!(response.header("allow"), Some("POST"));
        let detail = body(&Problem::unknown_route(&Route::READ).into_response())["detail"].clone();
        assert_eq!(detail, "this function answers GET /visits/{page_id}");
        let detail = body(&Problem::not_confirmed(Duration::ZERO).into_response())["detail"].clone();
        assert!(detail.as_str().unwrap().contains("may still be counted"), "{detail}");
    }
}
