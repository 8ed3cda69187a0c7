//! The files that browsers load. They are part of the program, and compressed when it is built.

use http::StatusCode;
use visits_core::http::{Request, Response};

/// A file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    /// The dashboard's page.
    Page,
    /// Its program.
    Program,
    /// Its style.
    Style,
    /// The script that a site includes to be counted.
    Counter,
    /// The API's description in `OpenAPI` 3.1.
    OpenApi,
    /// A page that counts itself, for the local run.
    Demo,
    /// The program of that page.
    DemoProgram,
}

struct Content {
    plain: &'static str,
    gzip: &'static [u8],
    /// Changes with the content.
    tag: &'static str,
    media_type: &'static str,
    cache_control: &'static str,
}

macro_rules! content {
    ($name:literal, $media_type:literal, $cache_control:expr) => {
        Content {
            plain: include_str!(concat!("../assets/", $name)),
            gzip: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")),
            tag: include_str!(concat!(env!("OUT_DIR"), "/", $name, ".tag")),
            media_type: $media_type,
            cache_control: $cache_control,
        }
    };
}

/// Kept by the browser and asked about at each use: page, program and style of different versions never meet.
const ASKED_ABOUT: &str = "no-cache";

/// Other sites' pages load it with each first visit. After an hour a browser looks for a new one, without waiting for it.
const FOR_AN_HOUR: &str = "public, max-age=3600, stale-while-revalidate=86400";

const PAGE: Content = content!("index.html", "text/html; charset=utf-8", ASKED_ABOUT);
const PROGRAM: Content = content!("app.js", "text/javascript; charset=utf-8", ASKED_ABOUT);
const STYLE: Content = content!("app.css", "text/css; charset=utf-8", ASKED_ABOUT);
const COUNTER: Content = content!("counter.js", "text/javascript; charset=utf-8", FOR_AN_HOUR);
const OPENAPI: Content = content!("openapi.json", "application/json", "public, max-age=300");
const DEMO: Content = content!("demo.html", "text/html; charset=utf-8", ASKED_ABOUT);
const DEMO_PROGRAM: Content = content!("demo.js", "text/javascript; charset=utf-8", ASKED_ABOUT);

/// Content that the pages may load: from their own origin only; no page may frame them.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                                       connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

impl File {
    fn content(self) -> &'static Content {
        match self {
            Self::Page => &PAGE,
            Self::Program => &PROGRAM,
            Self::Style => &STYLE,
            Self::Counter => &COUNTER,
            Self::OpenApi => &OPENAPI,
            Self::Demo => &DEMO,
            Self::DemoProgram => &DEMO_PROGRAM,
        }
    }

    fn is_page(self) -> bool {
        matches!(self, Self::Page | Self::Demo)
    }

    /// Whether only the local run answers it.
    pub(crate) fn is_local_only(self) -> bool {
        matches!(self, Self::Demo | Self::DemoProgram)
    }

    /// Whether scripts and pages of other origins may load it.
    fn is_for_all(self) -> bool {
        matches!(self, Self::Counter | Self::OpenApi)
    }

    /// The file, compressed if the client takes that; 304 if the client has it.
    pub(crate) fn answer(self, request: &Request) -> Response {
        let content = self.content();
        let gzip = request.header("accept-encoding").is_some_and(takes_gzip);
        // The compressed bytes are others, so they have another tag (RFC 9110, section 8.8.3.3).
        let tag = if gzip { format!("\"{}-gzip\"", content.tag) } else { format!("\"{}\"", content.tag) };
        let known = request.header("if-none-match").is_some_and(|tags| names(tags, &tag));
        let Content { media_type, cache_control, .. } = *content;
        let response = match (known, gzip) {
            (true, _) => Response::new(StatusCode::NOT_MODIFIED, media_type, cache_control, ""),
            (false, false) => Response::new(StatusCode::OK, media_type, cache_control, content.plain),
            (false, true) => Response::binary(media_type, cache_control, content.gzip).with("content-encoding", "gzip"),
        };
        self.secured(response.with("etag", tag).with("vary", "accept-encoding"))
    }

    fn secured(self, response: Response) -> Response {
        let response = response.with("referrer-policy", "no-referrer");
        let response =
            if self.is_page() { response.with("content-security-policy", CONTENT_SECURITY_POLICY) } else { response };
        if !self.is_for_all() {
            return response;
        }
        response.with("access-control-allow-origin", "*").with("cross-origin-resource-policy", "cross-origin")
    }
}

/// Whether a client that sends this `Accept-Encoding` takes gzip (RFC 9110, section 12.5.3).
fn takes_gzip(accepted: &str) -> bool {
    let weight = |name: &str| {
        let mut codings = accepted.split(',').map(|coding| coding.split(';').map(str::trim));
        codings.find_map(|mut coding| {
            let named = coding.next()?.eq_ignore_ascii_case(name);
            named.then(|| coding.find_map(|part| part.strip_prefix("q=")).unwrap_or("1"))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q > 0.0))
}

/// Whether an `If-None-Match` names this tag. The comparison is the weak one (RFC 9110, section 13.1.2).
fn names(tags: &str, tag: &str) -> bool {
    tags.trim() == "*" || tags.split(',').map(str::trim).any(|known| known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use super::{CONTENT_SECURITY_POLICY, File, names, takes_gzip};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use std::io::Read as _;
    use visits_core::http::{Request, Response};

    const ALL: [File; 7] =
        [File::Page, File::Program, File::Style, File::Counter, File::OpenApi, File::Demo, File::DemoProgram];

    fn answer(file: File, accept_encoding: &str, if_none_match: Option<&str>) -> Response {
        let mut request = Request::default();
        request.headers.insert("accept-encoding", accept_encoding.parse().unwrap());
        if_none_match.map(|tags| request.headers.insert("if-none-match", tags.parse().unwrap()));
        file.answer(&request)
    }

    #[test]
    fn a_file_is_the_same_compressed_or_not() {
        for file in ALL {
            let plain = answer(file, "identity", None);
            let gzip = answer(file, "gzip, deflate, br", None);
            assert_eq!((plain.header("content-encoding"), gzip.header("content-encoding")), (None, Some("gzip")));
            let mut text = String::new();
            let bytes = BASE64.decode(gzip.body()).unwrap();
            flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
            assert!(text == plain.body(), "{file:?}");
            assert_eq!((plain.header("vary"), gzip.header("vary")), (Some("accept-encoding"), Some("accept-encoding")));
            assert_ne!(plain.header("etag"), gzip.header("etag"), "{file:?}");
        }
    }

    #[test]
    fn a_client_that_has_the_file_gets_304_and_no_body() {
        for file in ALL {
            for accepted in ["", "gzip"] {
                let tag = answer(file, accepted, None).header("etag").unwrap().to_owned();
                let again = answer(file, accepted, Some(&format!("\"x\", W/{tag}")));
                assert_eq!((again.status().as_u16(), again.body()), (304, ""), "{file:?}");
                assert_eq!(again.header("etag"), Some(tag.as_str()));
                assert_eq!(answer(file, accepted, Some("\"x\"")).status(), 200);
            }
        }
    }

    #[test]
    fn pages_may_load_from_their_own_origin_only_and_others_load_what_is_theirs_to_load() {
        for file in ALL {
            let response = answer(file, "gzip", None);
            let page = matches!(file, File::Page | File::Demo);
            assert_eq!(response.header("content-security-policy"), page.then_some(CONTENT_SECURITY_POLICY));
            let all = matches!(file, File::Counter | File::OpenApi);
            assert_eq!(response.header("access-control-allow-origin"), all.then_some("*"), "{file:?}");
        }
        let policy = CONTENT_SECURITY_POLICY;
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn the_first_load_is_small() {
        let bytes = |file: File| answer(file, "gzip", None).body().len() / 4 * 3;
        let dashboard: usize = [File::Page, File::Program, File::Style].map(bytes).iter().sum();
        assert!(dashboard <= 150 * 1024 && bytes(File::Counter) <= 1900, "{dashboard} {}", bytes(File::Counter));
    }

    #[test]
    fn gzip_goes_only_to_who_takes_it() {
        for accepted in ["gzip", "GZIP", "br, gzip;q=0.5", "deflate,gzip ; q=1", "*", "*;q=0.1"] {
            assert!(takes_gzip(accepted), "{accepted}");
        }
        for accepted in ["", "br", "identity", "gzip;q=0", "gzip; q=0.000", "*;q=0", "gzip;q=0, *", "gzip;q=x", "xgzip"]
        {
            assert!(!takes_gzip(accepted), "{accepted}");
        }
    }

    #[test]
    fn a_tag_is_found_among_others() {
        assert!(names("*", "\"a\"") && names("\"b\" , \"a\"", "\"a\"") && names("W/\"a\"", "\"a\""));
        assert!(!names("", "\"a\"") && !names("a", "\"a\"") && !names("\"ab\"", "\"a\""));
    }
}
