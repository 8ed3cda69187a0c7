//! Error answers after RFC 9457, "Problem Details for HTTP APIs". They say what the client can do about it,
//! and nothing of what went wrong inside: no internal error text, no address.

mod kinds;

use super::Response;
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
    /// A problem of this kind: `kind` is an URN, `detail` says what was wrong and what is accepted.
    pub fn new(kind: &'static str, title: &'static str, status: StatusCode, detail: impl Into<String>) -> Self {
        Self { kind, title, status, detail: detail.into(), headers: Vec::new() }
    }

    /// 503, with `Retry-After`.
    pub fn unavailable(kind: &'static str, title: &'static str, detail: &str, retry_after: Duration) -> Self {
        // Whole seconds, and never 0: that would invite the client to come back in a loop.
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        Self::new(kind, title, StatusCode::SERVICE_UNAVAILABLE, detail).with("retry-after", seconds.max(1).to_string())
    }

    fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
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
        let response = Response::new(self.status, "application/problem+json", "no-store", body);
        self.headers.into_iter().fold(response, |response, (name, value)| response.with(name, value))
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
    use super::{Problem, Response};
    use crate::page::{PageId, PageIdError};
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
            (Problem::invalid_body(&"EOF", "JSON is accepted"), 400, "invalid-body", None),
            (Problem::invalid_query("x"), 400, "invalid-query", None),
            (Problem::invalid_idempotency_key("x"), 400, "invalid-idempotency-key", None),
            (Problem::unauthorized("x"), 401, "unauthorized", None),
            (Problem::origin_not_allowed(None), 403, "origin-not-allowed", None),
            (Problem::page_not_allowed(&PageId::from_decoded("a").unwrap()), 403, "page-not-allowed", None),
            (Problem::forged_request(), 403, "forged-request", None),
            (Problem::owner_token_missing(), 403, "owner-token-missing", None),
            (Problem::unknown_route("GET /"), 404, "unknown-route", None),
            (Problem::method_not_allowed("/", "GET".to_owned()), 405, "method-not-allowed", None),
            (Problem::body_too_large(), 413, "body-too-large", None),
            (Problem::owner_token_unavailable(wait), 503, "owner-token-unavailable", Some("2")),
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
        let response = Problem::method_not_allowed("/visit/{page_id}", "POST, OPTIONS".to_owned()).into_response();
        assert_eq!(response.header("allow"), Some("POST, OPTIONS"));
        assert_eq!(Problem::unauthorized("x").into_response().header("www-authenticate"), Some("Bearer"));
        let table = [
            (Problem::method_not_allowed("/a", "GET".to_owned()), "/a is answered for these methods only: GET"),
            (Problem::unknown_route("GET /visits/{page_id}"), "this function answers GET /visits/{page_id}"),
            (Problem::not_confirmed(Duration::ZERO), "may still be counted"),
            (Problem::body_too_large(), "at most 65536 bytes"),
            (Problem::origin_not_allowed(None), "from requests without an origin"),
            (Problem::origin_not_allowed(Some("https://a.test")), "from the origin https://a.test"),
            (Problem::owner_token_missing(), "VISITS_OWNER_TOKEN"),
            (Problem::forged_request(), "X-Requested-With: visits"),
        ];
        for (problem, told) in table {
            let detail = body(&problem.into_response())["detail"].clone();
            assert!(detail.as_str().unwrap().contains(told), "{detail}");
        }
    }

    #[test]
    fn what_a_client_sent_is_repeated_as_json_text_only() {
        let page = PageId::from_decoded("\"},<script>").unwrap();
        let detail = body(&Problem::page_not_allowed(&page).into_response())["detail"].clone();
        assert!(detail.as_str().unwrap().starts_with("the page \"},<script> is not counted here"), "{detail}");
    }
}
