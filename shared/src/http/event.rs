//! Events as the runtime hands them over: requests, requests of other kinds of HTTP proxies, direct invocations.
//!
//! Only the members and headers that mean something here are kept; all others are skipped where they stand. JSON that
//! has another type than expected counts as missing, so that no event can be malformed.

use crate::http::reply::Problem;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

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

/// The session cookie's name. By its prefix a browser takes it from this host only, over TLS, and for all paths: a page of a
/// neighbouring subdomain can set none.
pub const SESSION_COOKIE: &str = "__Host-visits_session";

/// What matters of a request's headers. All of them are the client's word. `Debug` hides what shows to be the owner.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// `Origin`.
    pub origin: Option<String>,
    /// `Referer`.
    pub referer: Option<String>,
    /// `Authorization`.
    pub authorization: Option<String>,
    /// `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// `X-Requested-With`.
    pub requested_with: Option<String>,
    /// `Accept-Encoding`.
    pub accept_encoding: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `Access-Control-Request-Headers`.
    pub asked_headers: Option<String>,
    /// `DNT: 1` or `Sec-GPC: 1`.
    pub do_not_track: bool,
    /// The browser loads this for a page that it may never show: `Sec-Purpose: prefetch`, or one of the names that were
    /// used before that.
    pub speculative: bool,
    /// The values of all cookies that are called [`SESSION_COOKIE`]. Other cookies are not kept.
    pub sessions: Vec<String>,
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user_agent, origin, referer, .. } = self;
        let mut headers = f.debug_struct("Headers");
        headers
            .field("user_agent", user_agent)
            .field("origin", origin)
            .field("referer", referer)
            .finish_non_exhaustive()
    }
}

/// HTTP APIs, function URLs and `cargo lambda watch` write names in lower case.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "kebab-case")]
enum Name {
    UserAgent,
    Origin,
    Referer,
    Authorization,
    IdempotencyKey,
    #[serde(rename = "x-requested-with")]
    RequestedWith,
    AcceptEncoding,
    IfNoneMatch,
    AccessControlRequestHeaders,
    SecPurpose,
    Purpose,
    XPurpose,
    XMoz,
    Dnt,
    SecGpc,
    Cookie,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
        let mut headers = Headers::default();
        while let Some(name) = map.next_key()? {
            if matches!(name, Name::Other) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let Text(value) = map.next_value()?;
            match name {
                Name::UserAgent => headers.user_agent = value,
                Name::Origin => headers.origin = value,
                Name::Referer => headers.referer = value,
                Name::Authorization => headers.authorization = value,
                Name::IdempotencyKey => headers.idempotency_key = value,
                Name::RequestedWith => headers.requested_with = value,
                Name::AcceptEncoding => headers.accept_encoding = value,
                Name::IfNoneMatch => headers.if_none_match = value,
                Name::AccessControlRequestHeaders => headers.asked_headers = value,
                Name::SecPurpose | Name::Purpose | Name::XPurpose | Name::XMoz => {
                    headers.speculative |= value.is_some_and(|value| is_speculative(&value));
                }
                Name::Dnt | Name::SecGpc => headers.do_not_track |= value.is_some_and(|value| value.trim() == "1"),
                Name::Cookie => {
                    headers.sessions.extend(value.iter().flat_map(|cookies| cookies.split(';').filter_map(session)));
                }
                Name::Other => {}
            }
        }
        Ok(headers)
    }
}

/// Tells whether a purpose is to load ahead: `prefetch`, `prefetch;prerender`, and Safari's `preview`.
fn is_speculative(purpose: &str) -> bool {
    let is_known =
        |word: &str| ["prefetch", "prerender", "preview"].iter().any(|known| word.eq_ignore_ascii_case(known));
    purpose.split([',', ';']).map(str::trim).any(is_known)
}

/// The sessions among the cookies of an event's own list.
struct Cookies(Vec<String>);

impl<'de> Deserialize<'de> for Cookies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(CookiesVisitor).map(Self)
    }
}

struct CookiesVisitor;

impl<'de> Visitor<'de> for CookiesVisitor {
    type Value = Vec<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("cookies")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
        let mut sessions = Vec::new();
        while let Some(Text(cookie)) = items.next_element()? {
            sessions.extend(cookie.as_deref().and_then(session));
        }
        Ok(sessions)
    }
}

/// Returns the value of `name=value` if the name is that of the session's cookie.
fn session(cookie: &str) -> Option<String> {
    Some(cookie.trim().strip_prefix(SESSION_COOKIE)?.strip_prefix('=')?.to_owned())
}

/// Longest body in bytes: a hundred page ids of the greatest length, in JSON, fit.
pub const MOST_BODY: usize = 64 * 1024;

/// A request's body as its event source hands it over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body(Content);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Content {
    #[default]
    None,
    Text(String),
    /// What the event source takes for no text, in base64.
    Base64(String),
    TooLong,
}

impl Body {
    fn new(body: LongText, base64: Flag) -> Self {
        Self(match (body.0, base64.0) {
            (None, _) => Content::None,
            (Some(Err(TooLong)), _) => Content::TooLong,
            (Some(Ok(text)), false) => Content::Text(text),
            (Some(Ok(text)), true) => Content::Base64(text),
        })
    }

    /// The body read as JSON, whatever content type it claims. 413 for one over [`MOST_BODY`], 400 for what is no such
    /// JSON; `accepted` says there what is.
    pub fn json<T: DeserializeOwned>(&self, accepted: &str) -> Result<T, Problem> {
        let bytes = self.bytes(accepted)?;
        serde_json::from_slice(&bytes).map_err(|error| Problem::invalid_body(&error, accepted))
    }

    fn bytes(&self, accepted: &str) -> Result<Cow<'_, [u8]>, Problem> {
        let bytes = match &self.0 {
            Content::None => Cow::Borrowed(&[][..]),
            Content::Text(text) => Cow::Borrowed(text.as_bytes()),
            Content::Base64(text) => BASE64
                .decode(text)
                .map(Cow::Owned)
                .map_err(|_| Problem::invalid_body(&"it is marked as base64 and is none", accepted))?,
            Content::TooLong => return Err(Problem::body_too_large()),
        };
        if bytes.len() > MOST_BODY { Err(Problem::body_too_large()) } else { Ok(bytes) }
    }
}

/// An object read as `T`; `None` for any other JSON.
///
/// Derived structs also take an array for their members in order, which no event source means.
#[derive(Clone, Debug)]
struct Object<T>(Option<T>);

/// A text; `None` for any other JSON, and for a text of more than [`MOST_TEXT`] bytes.
#[derive(Clone, Debug, Default)]
struct Text(Option<String>);

/// A text that may be too long, which is then told from none.
#[derive(Clone, Debug, Default)]
struct LongText(Option<Result<String, TooLong>>);

/// More than [`MOST_TEXT`] bytes.
#[derive(Clone, Copy, Debug)]
struct TooLong;

/// `true`; anything else is not.
#[derive(Clone, Copy, Debug, Default)]
struct Flag(bool);

/// Longest text that is kept, in bytes: a body of 64 KiB in base64. No header, path or query of an event source is longer
/// than 16 KiB.
const MOST_TEXT: usize = (64 * 1024_usize).div_ceil(3) * 4;

/// An array read as `T`; `None` for any other JSON.
#[derive(Clone, Debug)]
struct List<T>(Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lenient(PhantomData::<(T, IgnoredAny)>)).map(|read| match read {
            Read::Object(object) => Self(Some(object)),
            _ => Self(None),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lenient(PhantomData::<(IgnoredAny, T)>)).map(|read| match read {
            Read::List(list) => Self(Some(list)),
            _ => Self(None),
        })
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer).map(|read| match read {
            Read::Text(text) => Self(Some(text)),
            _ => Self(None),
        })
    }
}

impl<'de> Deserialize<'de> for LongText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer).map(|read| match read {
            Read::Text(text) => Self(Some(Ok(text))),
            Read::TooLong => Self(Some(Err(TooLong))),
            _ => Self(None),
        })
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer).map(|read| Self(matches!(read, Read::Bool(true))))
    }
}

/// One instance for all that is neither an object nor an array.
fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Read<IgnoredAny, IgnoredAny>, D::Error> {
    deserializer.deserialize_any(Lenient(PhantomData))
}

enum Read<O, L> {
    Object(O),
    List(L),
    Text(String),
    TooLong,
    Bool(bool),
    Other,
}

/// Reads an object as `O` and an array as `L`.
struct Lenient<O, L>(PhantomData<(O, L)>);

impl<'de, O: Deserialize<'de>, L: Deserialize<'de>> Visitor<'de> for Lenient<O, L> {
    type Value = Read<O, L>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Read<O, L>, A::Error> {
        O::deserialize(MapAccessDeserializer::new(map)).map(Read::Object)
    }

    fn visit_str<E>(self, text: &str) -> Result<Read<O, L>, E> {
        Ok(if text.len() > MOST_TEXT { Read::TooLong } else { Read::Text(text.to_owned()) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Read<O, L>, A::Error> {
        L::deserialize(SeqAccessDeserializer::new(items)).map(Read::List)
    }

    fn visit_unit<E>(self) -> Result<Read<O, L>, E> {
        Ok(Read::Other)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Read<O, L>, E> {
        Ok(Read::Bool(flag))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Read<O, L>, E> {
        Ok(Read::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Read<O, L>, E> {
        Ok(Read::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Read<O, L>, E> {
        Ok(Read::Other)
    }
}

#[cfg(test)]
mod tests;
