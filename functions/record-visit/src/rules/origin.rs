//! The origin of the page that a request comes from.

use visits_core::http::Request;

/// `Origin`, where the browser sends it; else the origin of `Referer`, which images have. `null` is an origin that nobody can
/// list.
pub(super) fn of(request: &Request) -> Option<&str> {
    request.header("origin").or_else(|| request.header("referer").map(of_url))
}

/// Scheme, host and port of a URL, as browsers write them: in lower case, without the scheme's own port.
fn of_url(url: &str) -> &str {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[host..].find(['/', '?', '#', '\\']).map_or(url.len(), |length| host + length);
    &url[..end]
}

#[cfg(test)]
mod tests {
    use super::of;
    use visits_core::http::Request;

    fn origin(origin: Option<&str>, referer: Option<&str>) -> Option<String> {
        let mut request = Request::default();
        origin.map(|origin| request.headers.insert("origin", origin.parse().unwrap()));
        referer.map(|referer| request.headers.insert("referer", referer.parse().unwrap()));
        of(&request).map(str::to_owned)
    }

    #[test]
    fn the_origin_is_what_the_browser_says_or_what_its_referrer_has() {
        let table = [
            (Some("https://a.test"), None, Some("https://a.test")),
            (Some("https://a.test"), Some("https://b.test/x"), Some("https://a.test")),
            (Some("null"), Some("https://b.test/x"), Some("null")),
            (None, Some("https://b.test/x?y#z"), Some("https://b.test")),
            (None, Some("https://b.test"), Some("https://b.test")),
            (None, Some("http://b.test:8080/"), Some("http://b.test:8080")),
            (None, Some("https://b.test?https://c.test/"), Some("https://b.test")),
            (None, None, None),
        ];
        for (given, referer, expected) in table {
            assert_eq!(origin(given, referer).as_deref(), expected, "{given:?} {referer:?}");
        }
    }

    #[test]
    fn no_forged_referer_has_an_allowed_origin() {
        for forged in [
            "https://a.test@evil.test/",
            "https://a.test.evil.test/",
            "https://a.test:443@evil.test",
            "https://evil.test/https://a.test/",
            "https://evil.test\\https://a.test",
            "https://a.testé/",
            "//a.test/",
            "a.test",
            "",
        ] {
            assert_ne!(origin(None, Some(forged)).as_deref(), Some("https://a.test"), "{forged}");
        }
    }
}
