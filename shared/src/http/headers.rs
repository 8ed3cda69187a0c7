//! The few headers of a request that mean something here. All others are skipped where they stand.

use super::lenient::Text;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

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
pub(super) struct Cookies(pub(super) Vec<String>);

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

#[cfg(test)]
mod tests {
    use crate::http::{Event, Headers, Request};
    use serde_json::{Value, json};

    fn read(headers: &Value, cookies: &Value) -> Headers {
        let event =
            json!({"headers": headers, "cookies": cookies, "requestContext": {"http": {"sourceIp": "192.0.2.1"}}});
        match serde_json::from_str(&event.to_string()).unwrap() {
            Event::Http(request) => {
                let Request { headers, address, .. } = *request;
                assert_eq!(address.as_deref(), Some("192.0.2.1"), "whatever the headers say");
                headers
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_header_is_read_by_its_name_and_others_are_left_alone() {
        let headers = json!({
            "user-agent": "a", "origin": "b", "referer": "c", "authorization": "d", "idempotency-key": "e",
            "x-requested-with": "f", "x-forwarded-for": "203.0.113.7", "forwarded": "for=203.0.113.7", "accept": "*/*",
        });
        let text = |text: &str| Some(text.to_owned());
        let expected = Headers {
            user_agent: text("a"),
            origin: text("b"),
            referer: text("c"),
            authorization: text("d"),
            idempotency_key: text("e"),
            requested_with: text("f"),
            ..Headers::default()
        };
        assert_eq!(read(&headers, &json!(null)), expected);
    }

    #[test]
    fn who_asks_not_to_be_followed_says_1() {
        for (name, value, asks) in [
            ("dnt", "1", true),
            ("sec-gpc", "1", true),
            ("dnt", "0", false),
            ("dnt", "", false),
            ("sec-gpc", "11", false),
        ] {
            assert_eq!(read(&json!({name: value}), &json!([])).do_not_track, asks, "{name}: {value}");
        }
        assert!(read(&json!({"dnt": "1", "sec-gpc": "0"}), &json!([])).do_not_track);
    }

    #[test]
    fn a_page_that_is_loaded_ahead_is_told_by_each_name_that_browsers_have_for_it() {
        for (name, value, speculative) in [
            // Chromium 148 sends these for a prefetched file, and for all that a prerendered page loads.
            ("sec-purpose", "prefetch", true),
            ("sec-purpose", "prefetch;prerender", true),
            ("sec-purpose", "prefetch; anonymous-client-ip", true),
            ("purpose", "prefetch", true),
            ("x-moz", "Prefetch", true),
            ("x-purpose", "preview", true),
            ("sec-purpose", "", false),
            ("sec-purpose", "prefetched", false),
            ("purpose", "none", false),
        ] {
            assert_eq!(read(&json!({name: value}), &json!([])).speculative, speculative, "{name}: {value}");
        }
        assert!(read(&json!({"sec-purpose": "prefetch", "x-moz": "other"}), &json!([])).speculative);
    }

    #[test]
    fn of_all_cookies_each_session_is_kept_wherever_it_is() {
        let (first, second) = ("__Host-visits_session=1.x", "__Host-visits_session=2.y");
        let both: &[&str] = &["1.x", "2.y"];
        let table = [
            (json!({}), json!(["a=b", first, second]), both),
            (json!({"cookie": format!("a=b; {first}; c=d")}), json!(null), &["1.x"]),
            (json!({"cookie": format!("{first};{second}")}), json!([]), both),
            (json!({"cookie": first}), json!([second]), both),
            (
                json!({"cookie": "x__Host-visits_session=1; __Host-visits_sessionx=2; __Host-visits_session; visits_session=3"}),
                json!([7, null, [], "a", "__host-visits_session=4"]),
                &[],
            ),
            (json!({"cookie": 7}), json!(first), &[]),
            (json!([]), json!({}), &[]),
        ];
        for (headers, cookies, sessions) in table {
            assert_eq!(read(&headers, &cookies).sessions, sessions, "{headers} {cookies}");
        }
    }
}
