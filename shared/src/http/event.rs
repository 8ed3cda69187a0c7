//! Events as the runtime hands them over: requests of four HTTP front ends, and direct invocations.
//!
//! `aws_lambda_events` describes the events; here each becomes a [`Request`] in which every front end looks alike. They differ
//! in what they have decoded:
//!
//! | source | path | query | caller's address |
//! | --- | --- | --- | --- |
//! | HTTP API, payload 2.0 | decoded, with the stage | as sent | `requestContext.http.sourceIp` |
//! | function URL, `cargo lambda watch` | as sent | as sent | `requestContext.http.sourceIp` |
//! | HTTP API, payload 1.0 | decoded, with the stage | decoded | `requestContext.identity.sourceIp` |
//! | REST API | as sent, without the stage | decoded | `requestContext.identity.sourceIp` |
//! | load balancer | as sent | as sent | the last of `X-Forwarded-For`, which the load balancer has added |
//!
//! Sources: API Gateway's guide, "Lambda proxy integrations" of HTTP APIs and of REST APIs; the load balancer's guide, "Lambda
//! functions as targets" ("does not decode"), and its attribute `routing.http.xff_header_processing.mode`, which must be
//! `append`, its default; captured events in middleapi/standard-server #93 and aws/aws-lambda-rust-runtime #543.

use crate::config::ProxyHeader;
use crate::http::reply::Problem;
use aws_lambda_events::alb::AlbTargetGroupRequest;
use aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayV2httpRequest};
use aws_lambda_events::query_map::QueryMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{COOKIE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::panic::{UnwindSafe, catch_unwind};
use url::form_urlencoded;

/// An event. Any JSON is one, read from a text or bytes.
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
    /// A request. Everything that such an event holds is the client's: nothing in it is an order.
    Http(Box<Request>),
    /// Everything else: an invocation by a caller with the permission to invoke the function.
    Direct(DirectEvent),
}

/// The members of a direct invocation that mean something.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DirectEvent {
    /// The member `flush`.
    pub flush: Option<Value>,
    /// Whether the event is an object with nothing but that.
    pub nothing_else: bool,
}

/// The front end that a request came through, which decides the shape of its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// An HTTP API with payload version 2.0, or a function URL.
    #[default]
    Version2,
    /// A REST API, or an HTTP API with payload version 1.0.
    Version1,
    /// An Application Load Balancer; its target group has multi-value headers or not.
    LoadBalancer {
        /// The answer has them, too.
        multi_value: bool,
    },
}

/// A request. `Debug` shows neither headers nor address nor body: the owner's token may be among them.
#[derive(Clone, Default)]
pub struct Request {
    /// The front end.
    pub source: Source,
    /// The event is a front end's, and cannot be read: [`Routes`](crate::http::Routes) answers it with a 400.
    pub malformed: bool,
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// The path is as the client wrote it, and still has to be percent-decoded.
    pub path_is_encoded: bool,
    /// The stage that may stand in front of the path.
    pub stage: Option<String>,
    /// Whether it came through `cargo lambda watch`.
    pub is_local: bool,
    /// The query, percent-encoded.
    pub query: String,
    /// The headers, cookies among them. All of them are the client's word.
    pub headers: HeaderMap,
    /// The address from which the connection was opened, as the front end saw it. It is not the client's word.
    pub address: Option<String>,
    /// The body.
    pub body: Body,
}

/// The domain that `cargo lambda watch` reports for every request, and AWS for none.
const EMULATOR: &str = "localhost";

/// Ends of the domains of function URLs, in AWS's public regions and in China.
const URL_DOMAINS: [&str; 2] = [".on.aws", ".on.amazonwebservices.com.cn"];

/// The session cookie's name. By its prefix a browser takes it from this host only, over TLS, and for all paths: a page of a
/// neighbouring subdomain can set none.
pub const SESSION_COOKIE: &str = "__Host-visits_session";

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        // Most events are of this kind, and none of another kind reads as one: to look at their members first takes a fifth of an
        // invocation's instructions.
        if let Some(request) = read(json, Request::version2) {
            return Ok(Self::Http(Box::new(request)));
        }
        let members = |json| serde_json::from_str::<HashMap<String, &RawValue>>(json).unwrap_or_default();
        let event = members(json);
        let has = |name| event.contains_key(name);
        // Members that front ends write.
        if !["requestContext", "httpMethod", "rawPath"].into_iter().any(has) {
            let flush = event.get("flush").and_then(|order| serde_json::from_str(order.get()).ok());
            return Ok(Self::Direct(DirectEvent { flush, nothing_else: event.keys().all(|name| name == "flush") }));
        }
        let context = event.get("requestContext").map(|context| members(context.get())).unwrap_or_default();
        let source = match () {
            () if context.contains_key("elb") => Source::LoadBalancer { multi_value: has("multiValueHeaders") },
            () if has("httpMethod") && !context.contains_key("http") => Source::Version1,
            () => Source::Version2,
        };
        let request = match source {
            Source::Version2 => None,
            // An HTTP API's event has a version, a REST API's has none.
            Source::Version1 => read(json, |event| Request::version1(event, has("version"))),
            Source::LoadBalancer { .. } => read(json, Request::load_balancer),
        };
        let request = request.unwrap_or_else(|| Request { malformed: true, ..Request::default() });
        Ok(Self::Http(Box::new(Request { source, ..request })))
    }
}

/// Reads an event of AWS's type `T`; `None` if it is none.
///
/// A `HeaderMap` panics at its 32,769th header, and a `QueryMap` at a parameter with an empty list of values.
fn read<T: DeserializeOwned>(json: &str, request: impl FnOnce(T) -> Request + UnwindSafe) -> Option<Request> {
    catch_unwind(|| serde_json::from_str(json).map(request)).ok()?.ok()
}

impl Request {
    fn version2(event: ApiGatewayV2httpRequest) -> Self {
        let (context, mut headers) = (event.request_context, event.headers);
        for cookie in event.cookies.iter().flatten().filter_map(|cookie| HeaderValue::from_str(cookie).ok()) {
            headers.append(COOKIE, cookie);
        }
        let domain = context.domain_name.unwrap_or_default();
        let is_local = domain == EMULATOR;
        Self {
            method: context.http.method,
            path: event.raw_path.unwrap_or_default(),
            path_is_encoded: is_local || is_function_url(&domain),
            stage: named_stage(context.stage),
            is_local,
            query: event.raw_query_string.unwrap_or_default(),
            headers,
            address: context.http.source_ip,
            body: Body { text: event.body, is_base64: event.is_base64_encoded },
            ..Self::default()
        }
    }

    fn version1(event: ApiGatewayProxyRequest, is_http_api: bool) -> Self {
        let context = event.request_context;
        let parameters = fuller(event.multi_value_query_string_parameters, event.query_string_parameters);
        Self {
            method: event.http_method,
            path: event.path.unwrap_or_default(),
            path_is_encoded: !is_http_api,
            stage: named_stage(context.stage).filter(|_| is_http_api),
            query: form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters.iter()).finish(),
            headers: if event.multi_value_headers.is_empty() { event.headers } else { event.multi_value_headers },
            address: context.identity.source_ip,
            body: Body { text: event.body, is_base64: event.is_base64_encoded },
            ..Self::default()
        }
    }

    fn load_balancer(event: AlbTargetGroupRequest) -> Self {
        let parameters = fuller(event.multi_value_query_string_parameters, event.query_string_parameters);
        let pairs: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let headers = if event.multi_value_headers.is_empty() { event.headers } else { event.multi_value_headers };
        let forwarded = headers.get_all("x-forwarded-for").iter().next_back().and_then(text);
        // With the attribute `xff_client_port` the port is there, too, which is another one for each connection.
        let address = forwarded
            .and_then(|addresses| addresses.rsplit(',').next())
            .map(|last| ip(last.trim()).map_or_else(|| last.trim().to_owned(), |address| address.to_string()));
        Self {
            method: event.http_method,
            path: event.path.unwrap_or_default(),
            path_is_encoded: true,
            query: pairs.join("&"),
            address,
            headers,
            body: Body { text: event.body, is_base64: event.is_base64_encoded },
            ..Self::default()
        }
    }

    /// Returns the client's address: the one that the proxy tells, if `proxy` is set and the request carries its secret, else the
    /// one from which the connection was opened.
    ///
    /// Only an address alone is taken, with or without a port: the elements of a list (`X-Forwarded-For`) may be the client's word.
    pub fn client_address(&self, proxy: Option<&ProxyHeader>) -> Cow<'_, str> {
        let told = proxy.filter(|proxy| self.header("x-visits-proxy").is_some_and(|given| proxy.secret.is(given)));
        let told = told.and_then(|ProxyHeader { name, .. }| {
            let mut values = self.headers.get_all(name).iter();
            let value = values.next().filter(|_| values.next().is_none()).and_then(text)?.trim();
            // CloudFront always tells the port, and writes no brackets.
            ip(if name == "cloudfront-viewer-address" { value.rsplit_once(':')?.0 } else { value })
        });
        let source = || self.address.as_deref().unwrap_or_default().into();
        told.map_or_else(source, |address| address.to_string().into())
    }

    /// Tells whether only the headers of the answer to `GET` are asked for.
    pub fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// Returns a header's first value, unless it is no UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(text)
    }

    /// Tells whether the client asks not to be tracked: `DNT: 1` or `Sec-GPC: 1`.
    pub fn do_not_track(&self) -> bool {
        ["dnt", "sec-gpc"].into_iter().any(|name| self.header(name).is_some_and(|value| value.trim() == "1"))
    }

    /// Tells whether the browser loads this for a page that it may never show: `Sec-Purpose: prefetch`,
    /// `prefetch;prerender`, Safari's `preview`, or one of the names that were used before that.
    pub fn is_speculative(&self) -> bool {
        let is_known =
            |word: &str| ["prefetch", "prerender", "preview"].iter().any(|known| word.eq_ignore_ascii_case(known));
        let is_ahead = |purpose: &str| purpose.split([',', ';']).map(str::trim).any(is_known);
        ["sec-purpose", "purpose", "x-purpose", "x-moz"].into_iter().any(|name| self.header(name).is_some_and(is_ahead))
    }

    /// Returns the values of all cookies that are called [`SESSION_COOKIE`].
    pub fn sessions(&self) -> impl Iterator<Item = &str> {
        let cookies = self.headers.get_all(COOKIE).iter().filter_map(text).flat_map(|cookies| cookies.split(';'));
        cookies.filter_map(|cookie| cookie.trim().strip_prefix(SESSION_COOKIE)?.strip_prefix('='))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, method, path, query, .. } = self;
        let mut request = f.debug_struct("Request");
        request.field("source", source).field("method", method).field("path", path).field("query", query);
        request.finish_non_exhaustive()
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok()
}

/// Returns the parameters with all their values, if the event has them.
fn fuller(all: QueryMap, one: QueryMap) -> QueryMap {
    if all.is_empty() { one } else { all }
}

/// Returns the stage, unless it is the one that leaves no mark in the path.
fn named_stage(stage: Option<String>) -> Option<String> {
    stage.filter(|stage| stage != "$default")
}

/// Reads an address: alone, or with a port behind it, where an IPv6 address is in brackets.
fn ip(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()))
}

/// Tells whether a domain is `<id>.lambda-url.<region>.on.aws`. Without regard to case and to a root dot, in case that AWS
/// should ever repeat the domain as the client wrote it.
fn is_function_url(domain: &str) -> bool {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let name = URL_DOMAINS.iter().find_map(|suffix| domain.strip_suffix(suffix));
    let Some((service, region)) = name.and_then(|name| name.rsplit_once('.')) else { return false };
    !region.is_empty() && service.strip_suffix(".lambda-url").is_some_and(|id| !id.is_empty() && !id.contains('.'))
}

/// Longest body in bytes: a hundred page ids of the greatest length, in JSON, fit.
pub const MAX_BODY: usize = 64 * 1024;

/// A request's body as its front end hands it over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    text: Option<String>,
    is_base64: bool,
}

impl Body {
    /// Reads the body as JSON, whatever content type it claims. 413 for one over [`MAX_BODY`], 400 for what is no such
    /// JSON; `accepted` says there what is.
    pub fn json<T: DeserializeOwned>(&self, accepted: &str) -> Result<T, Problem> {
        let text = self.text.as_deref().unwrap_or_default();
        let bytes = if self.is_base64 { BASE64.decode(text).map(Cow::Owned) } else { Ok(text.as_bytes().into()) };
        let not_base64 = |_| Problem::invalid_body("it is marked as base64 and is none", accepted);
        let bytes = bytes.map_err(not_base64)?;
        if bytes.len() > MAX_BODY {
            let detail = format!("the body is too long; at most {MAX_BODY} bytes are accepted");
            return Err(Problem::new("body-too-large", StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        serde_json::from_slice(&bytes).map_err(|error| Problem::invalid_body(error, accepted))
    }
}
