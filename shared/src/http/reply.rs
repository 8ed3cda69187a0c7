//! What goes back to the Runtime API.

use super::event::Request;
use super::problem::Problem;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::StatusCode;
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;

/// Keeps browsers from taking an answer for a script or a page that is none.
const NOSNIFF: (&str, Cow<'static, str>) = ("x-content-type-options", Cow::Borrowed("nosniff"));

/// The answer to an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To a client, through an HTTP API or a function URL.
    Http(Response),
    /// To whoever invoked the function directly, as it is.
    Direct(Value),
}

/// An HTTP answer. It serializes as the payload version 2.0 of HTTP APIs and function URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: StatusCode,
    headers: Vec<(&'static str, Cow<'static, str>)>,
    body: Cow<'static, str>,
    base64: bool,
    cookies: Vec<String>,
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
        Self { status, headers, body: body.into(), base64: false, cookies: Vec::new() }
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
        Self { base64: true, ..Self::new(StatusCode::OK, content_type, cache_control, text) }
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
        let headers = vec![("cache-control", "no-store".into()), NOSNIFF];
        Self { status: StatusCode::NO_CONTENT, headers, body: "".into(), base64: false, cookies: Vec::new() }
    }

    /// The same with a further header, whose name is in lower case.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with a cookie, as `Set-Cookie` has it.
    #[must_use]
    pub fn with_cookie(mut self, cookie: String) -> Self {
        self.cookies.push(cookie);
        self
    }

    /// Leaves the body out, and says how long it is.
    fn without_body(mut self) -> Self {
        if !self.body.is_empty() {
            let padding = self.body.bytes().rev().take_while(|byte| *byte == b'=').count();
            let length = if self.base64 { self.body.len() / 4 * 3 - padding } else { self.body.len() };
            self.headers.push(("content-length", length.to_string().into()));
        }
        Self { body: "".into(), base64: false, ..self }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// A header's value, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }

    /// The cookies that it sets.
    pub fn cookies(&self) -> &[String] {
        &self.cookies
    }

    /// The body; in base64 where it is one of bytes.
    pub fn body(&self) -> &str {
        &self.body
    }
}

impl Reply {
    /// Answers a request. `HEAD` is answered like `GET`, without the body.
    pub fn to(request: &Request, response: Response) -> Self {
        Self::Http(if request.is_head() { response.without_body() } else { response })
    }

    /// The answer to an [`Event::Foreign`](super::Event::Foreign): such proxies show it to the client as a 501
    /// problem.
    pub fn unsupported_event() -> Self {
        let problem = Problem::unsupported_event();
        let status = problem.status();
        Self::Direct(serde_json::json!({
            "statusCode": status.as_u16(),
            // Load balancers want the reason, too.
            "statusDescription": status.to_string(),
            "headers": { "content-type": "application/problem+json", "cache-control": "no-store", "x-content-type-options": "nosniff" },
            "isBase64Encoded": false,
            "body": problem.body(),
        }))
    }
}

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Self {
        Self::Http(problem.into_response())
    }
}

impl Serialize for Reply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Http(response) => response.serialize(serializer),
            Self::Direct(value) => value.serialize(serializer),
        }
    }
}

impl Serialize for Response {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut response = serializer.serialize_struct("Response", 5)?;
        response.serialize_field("statusCode", &self.status.as_u16())?;
        response.serialize_field("headers", &Headers(&self.headers))?;
        response.serialize_field("body", &self.body)?;
        response.serialize_field("isBase64Encoded", &self.base64)?;
        // Mostly none, but `cargo lambda watch` insists on it.
        response.serialize_field("cookies", &self.cookies)?;
        response.end()
    }
}

struct Headers<'a>(&'a [(&'static str, Cow<'static, str>)]);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::{Reply, Response};
    use crate::http::{Problem, Request};
    use serde_json::{Value, json};

    #[test]
    fn an_answer_carries_its_body_and_how_long_it_may_be_cached() {
        let response = Response::json(&json!({"count": 123}), "max-age=3");
        assert_eq!((response.status().as_u16(), response.body()), (200, r#"{"count":123}"#));
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.header("cache-control"), Some("max-age=3"));
        assert_eq!(response.header("allow"), None);
    }

    #[test]
    fn an_answer_is_written_as_payload_version_2() {
        let text = serde_json::to_string(&Reply::Http(Response::json(&json!({"a": "\"é"}), "no-store"))).unwrap();
        let exact = concat!(
            r#"{"statusCode":200,"headers":{"content-type":"application/json","cache-control":"no-store","#,
            r#""x-content-type-options":"nosniff"},"#,
            r#""body":"{\"a\":\"\\\"é\"}","isBase64Encoded":false,"cookies":[]}"#
        );
        assert_eq!(text, exact);
    }

    #[test]
    fn bytes_and_cookies_have_their_place() {
        let response = Response::binary("image/gif", "no-store", b"\xffGIF").with_cookie("a=b; Path=/".to_owned());
        let exact = concat!(
            r#"{"statusCode":200,"headers":{"content-type":"image/gif","cache-control":"no-store","#,
            r#""x-content-type-options":"nosniff"},"#,
            r#""body":"/0dJRg==","isBase64Encoded":true,"cookies":["a=b; Path=/"]}"#
        );
        assert_eq!(serde_json::to_string(&Reply::Http(response)).unwrap(), exact);
        let exact = concat!(
            r#"{"statusCode":204,"headers":{"cache-control":"no-store","x-content-type-options":"nosniff"},"#,
            r#""body":"","isBase64Encoded":false,"cookies":[]}"#
        );
        assert_eq!(serde_json::to_string(&Reply::Http(Response::no_content())).unwrap(), exact);
    }

    #[test]
    fn no_answer_is_taken_for_something_else() {
        let problem = Problem::shutting_down().into_response();
        let image = Response::svg(String::new(), "no-store");
        assert!(image.header("content-security-policy").unwrap().ends_with("; sandbox"));
        for response in [problem, image, Response::no_content(), Response::json(&1, ""), Response::binary("", "", b"")]
        {
            let sniffs = response.headers.iter().filter(|(name, _)| *name == "x-content-type-options");
            assert_eq!(sniffs.map(|(_, value)| value.as_ref()).collect::<Vec<_>>(), ["nosniff"]);
        }
    }

    #[test]
    fn head_is_answered_with_the_headers_of_get_and_the_length_of_its_body() {
        let answer = |method: &str, response: &Response| {
            let request = Request { method: method.to_owned(), ..Request::default() };
            let Reply::Http(response) = Reply::to(&request, response.clone()) else { panic!("it is for a client") };
            response
        };
        let text = Response::json(&json!({"a": "é"}), "no-store");
        let bytes = |length: usize| Response::binary("image/gif", "no-store", &vec![0xff; length]);
        let problem = Problem::invalid_query("x").into_response();
        let of_problem = problem.body().len();
        for (get, length) in [(text, 10), (bytes(1), 1), (bytes(2), 2), (bytes(3), 3), (problem, of_problem)] {
            assert_eq!(answer("GET", &get), get);
            let head = answer("HEAD", &get);
            assert_eq!(head.header("content-length"), Some(length.to_string().as_str()));
            assert_eq!((head.status(), head.body(), head.base64), (get.status(), "", false));
            assert_eq!(head.headers[..head.headers.len() - 1], get.headers);
        }
        let empty = Response::no_content();
        assert_eq!(answer("HEAD", &empty), empty, "a 204 and a 304 have no length");
    }

    #[test]
    fn a_direct_answer_is_written_as_it_is() {
        assert_eq!(serde_json::to_string(&Reply::Direct(json!({"visits": 3}))).unwrap(), r#"{"visits":3}"#);
    }

    #[test]
    fn other_proxies_get_an_answer_that_they_show_as_a_problem() {
        let Reply::Direct(response) = Reply::unsupported_event() else { panic!("it is not ours to write") };
        assert_eq!((&response["statusCode"], &response["isBase64Encoded"]), (&json!(501), &json!(false)));
        assert_eq!(response["headers"]["content-type"], "application/problem+json");
        assert_eq!(response["headers"]["x-content-type-options"], "nosniff");
        let problem: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&problem["status"], &problem["type"]),
            (&json!(501), &json!("urn:visits:problem:unsupported-event"))
        );
        assert!(problem["detail"].as_str().unwrap().contains("payload version 2.0"));
    }
}
