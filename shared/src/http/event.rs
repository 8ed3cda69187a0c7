//! Events as the runtime hands them over: requests, requests of other kinds of HTTP proxies, direct invocations.

use super::body::Body;
use super::headers::{Cookies, Headers};
use super::lenient::{Flag, List, LongText, Object, Text};
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

/// An event, told apart by what its source fills in. Any JSON is one, read from a text or bytes.
///
/// ```
/// use visits_core::http::Event;
///
/// let event = r#"{"rawPath":"/visit/home","requestContext":{"http":{"method":"POST"}},"flush":{}}"#;
/// assert!(matches!(serde_json::from_str(event)?, Event::Http(_)), "whatever else it holds");
/// assert!(matches!(serde_json::from_str(r#"{"flush":{}}"#)?, Event::Direct(_)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug)]
pub enum Event {
    /// A request of an API Gateway HTTP API (payload version 2.0) or of a function URL: `requestContext.http` is an
    /// object. Whatever else such an event holds is the client's.
    Http(Box<Request>),
    /// A request of a REST API, of an HTTP API with payload version 1.0, or of a load balancer. What it
    /// holds is the client's, too: nothing in it may be taken for an order.
    Foreign,
    /// Everything else: an invocation by somebody who may invoke the function.
    Direct(DirectEvent),
}

/// What matters of a request. `Debug` shows neither the address nor the body, which may hold the owner's token.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// `requestContext.http.method`; empty if there is none.
    pub method: String,
    /// `rawPath`; empty if there is none.
    pub path: String,
    /// `requestContext.stage`.
    pub stage: Option<String>,
    /// `requestContext.domainName`.
    pub domain: Option<String>,
    /// `requestContext.http.sourceIp`: who opened the connection, as the event source saw it. The only address that is
    /// not the client's word.
    pub address: Option<String>,
    /// `rawQueryString`, as the client wrote it; empty if there is none.
    pub query: String,
    /// The headers that mean something here.
    pub headers: Headers,
    /// The body.
    pub body: Body,
}

impl Request {
    /// Whether it asks for the headers of `GET` alone.
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, stage, domain, query, headers, .. } = self;
        let mut request = f.debug_struct("Request");
        request.field("method", method).field("path", path).field("stage", stage).field("domain", domain);
        request.field("query", query).field("headers", headers).finish_non_exhaustive()
    }
}

/// What matters of a direct invocation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DirectEvent {
    /// The member `flush`.
    pub flush: Option<Value>,
    /// It is an object with nothing but that.
    pub nothing_else: bool,
}

/// The members that decide what an event is.
#[derive(Default)]
struct Members {
    raw_path: Text,
    raw_query_string: Text,
    headers: Object<Headers>,
    cookies: List<Cookies>,
    body: LongText,
    is_base64_encoded: Flag,
    request_context: Object<RequestContext>,
    http_method: Text,
    path: Text,
    flush: Option<Value>,
    others: bool,
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Member {
    RawPath,
    RawQueryString,
    Headers,
    Cookies,
    Body,
    IsBase64Encoded,
    RequestContext,
    HttpMethod,
    Path,
    Flush,
    #[serde(other)]
    Other,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RequestContext {
    domain_name: Text,
    stage: Text,
    http: Object<Http>,
    elb: Object<IgnoredAny>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Http {
    method: Text,
    #[serde(rename = "sourceIp")]
    source_ip: Text,
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The runtime's deserializer notes the path to each value that is read, key by key, for errors that these cannot
        // have: it is asked for the text alone, and that is read without.
        let json = <&RawValue>::deserialize(deserializer)?;
        let Object(members): Object<Members> = serde_json::from_str(json.get()).map_err(D::Error::custom)?;
        Ok(members.map_or(Self::Direct(DirectEvent::default()), Self::from))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Members::default();
        while let Some(member) = map.next_key()? {
            members.others |= !matches!(member, Member::Flush);
            match member {
                Member::RawPath => members.raw_path = map.next_value()?,
                Member::RawQueryString => members.raw_query_string = map.next_value()?,
                Member::Headers => members.headers = map.next_value()?,
                Member::Cookies => members.cookies = map.next_value()?,
                Member::Body => members.body = map.next_value()?,
                Member::IsBase64Encoded => members.is_base64_encoded = map.next_value()?,
                Member::RequestContext => members.request_context = map.next_value()?,
                Member::HttpMethod => members.http_method = map.next_value()?,
                Member::Path => members.path = map.next_value()?,
                Member::Flush => members.flush = Some(map.next_value()?),
                Member::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(members)
    }
}

impl From<Members> for Event {
    fn from(members: Members) -> Self {
        let context = members.request_context.0.unwrap_or_default();
        if let Some(http) = context.http.0 {
            let mut headers = members.headers.0.unwrap_or_default();
            headers.sessions.extend(members.cookies.0.into_iter().flat_map(|Cookies(sessions)| sessions));
            return Self::Http(Box::new(Request {
                method: http.method.0.unwrap_or_default(),
                path: members.raw_path.0.unwrap_or_default(),
                stage: context.stage.0,
                domain: context.domain_name.0,
                address: http.source_ip.0,
                query: members.raw_query_string.0.unwrap_or_default(),
                headers,
                body: Body::new(members.body, members.is_base64_encoded),
            }));
        }
        let rest = members.http_method.0.is_some() && members.path.0.is_some();
        if rest || context.elb.0.is_some() {
            return Self::Foreign;
        }
        Self::Direct(DirectEvent { flush: members.flush, nothing_else: !members.others })
    }
}

#[cfg(test)]
mod tests {
    use super::{DirectEvent, Event};
    use crate::http::tests::{FUNCTION_URL, HTTP_API, event};
    use serde_json::{Value, json};

    const SCHEDULE: &str = include_str!("../../tests/fixtures/aws/example-eventbridge-schedule.json");
    const OTHER_PROXIES: [&str; 3] = [
        include_str!("../../tests/fixtures/aws/example-apigw-request.json"),
        include_str!("../../tests/fixtures/aws/example-alb-lambda-target-request-headers-only.json"),
        include_str!("../../tests/fixtures/aws/example-alb-lambda-target-request-multivalue-headers.json"),
    ];

    fn read(text: &str) -> Event {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn whatever_json_is_no_http_request_is_a_direct_event() {
        for text in ["[]", "null", "{}", "7", "-7", "1.5", "\"text\"", "true", "[{}]", "[{\"flush\":{}}]", SCHEDULE] {
            assert!(matches!(read(text), Event::Direct(DirectEvent { flush: None, .. })), "{text}");
        }
    }

    #[test]
    fn an_order_is_the_only_member_or_told_from_one() {
        let direct = |text| match read(text) {
            Event::Direct(event) => event,
            other => panic!("{other:?}"),
        };
        let order = direct(r#"{"flush":{"hold_until":1}}"#);
        assert_eq!(order, DirectEvent { flush: Some(json!({"hold_until": 1})), nothing_else: true });
        for with_more in [r#"{"flush":{},"x":1}"#, r#"{"rawPath":1,"flush":{}}"#, r#"{"requestContext":{},"flush":{}}"#]
        {
            assert!(!direct(with_more).nothing_else, "{with_more}");
        }
    }

    #[test]
    fn an_http_request_is_never_a_direct_event() {
        for sample in [HTTP_API, FUNCTION_URL] {
            let mut event = event(sample, "POST", "/events");
            event["body"] = json!(r#"{"flush":{"hold_until":1}}"#);
            event["flush"] = json!({"hold_until": 1});
            assert!(matches!(read(&event.to_string()), Event::Http(_)));
            event["requestContext"]["http"] = json!({});
            event["rawPath"] = Value::Null;
            assert!(matches!(read(&event.to_string()), Event::Http(request) if request.path.is_empty()));
        }
    }

    #[test]
    fn requests_of_other_proxies_are_told_from_orders() {
        for sample in OTHER_PROXIES {
            assert!(matches!(read(sample), Event::Foreign), "{sample}");
            let mut event: Value = serde_json::from_str(sample).unwrap();
            event["flush"] = json!({});
            assert!(matches!(read(&event.to_string()), Event::Foreign), "{sample}");
        }
        // Payload version 1.0 of an HTTP API, in short.
        let first =
            json!({"version": "1.0", "path": "/visit/a", "httpMethod": "POST", "requestContext": {"stage": "s"}});
        assert!(matches!(read(&first.to_string()), Event::Foreign));
        let neither = json!({"httpMethod": 1, "path": "/", "requestContext": {"elb": 1, "http": null}});
        assert!(matches!(read(&neither.to_string()), Event::Direct(_)));
    }

    #[test]
    fn no_log_shows_address_or_token() {
        let mut event = event(HTTP_API, "POST", "/session");
        event["requestContext"]["http"]["sourceIp"] = json!("192.0.2.99");
        event["headers"] = json!({"authorization": "Bearer s3cret", "cookie": "__Host-visits_session=s3cret"});
        event["body"] = json!(r#"{"token":"s3cret"}"#);
        let shown = format!("{:?}", read(&event.to_string()));
        assert!(shown.contains("/session") && !shown.contains("s3cret") && !shown.contains("192.0.2.99"), "{shown}");
    }

    #[test]
    fn members_of_another_type_are_as_good_as_missing() {
        for odd in [json!(null), json!(1), json!(-1), json!(1.5), json!([["x"]]), json!({"a": {}}), json!(true)] {
            let mut event = event(HTTP_API, "POST", "/visit/home");
            event["rawPath"] = odd.clone();
            event["requestContext"]["stage"] = odd.clone();
            event["requestContext"]["domainName"] = odd.clone();
            event["requestContext"]["http"]["method"] = odd.clone();
            event["requestContext"]["http"]["sourceIp"] = odd.clone();
            for member in ["rawQueryString", "cookies", "headers", "body", "isBase64Encoded"] {
                event[member] = odd.clone();
            }
            assert!(matches!(read(&event.to_string()), Event::Http(request) if *request == super::Request::default()));
        }
    }
}
