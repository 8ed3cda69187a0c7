//! Which pages and scripts of other origins may use an answer (Fetch standard, "CORS protocol").

use super::event::Request;
use super::reply::Response;
use crate::config::Origins;

/// Time for which a browser may remember a preflight's answer, in seconds; browsers cap it at a day or less.
const REMEMBERED: &str = "86400";

/// Longest list of headers that a preflight may ask for, in bytes. Tracing libraries add some ten names of 30 at most.
const MAX_ASKED: usize = 1024;

/// Adds to answers what browsers ask for.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Origins,
    takes_token: bool,
}

impl Cors {
    /// Allows scripts of these origins. `takes_token`: they may send `Authorization`.
    pub fn new(origins: Origins, takes_token: bool) -> Self {
        Self { origins, takes_token }
    }

    /// Answers a preflight for a path with these methods. The answer counts for the origins that [`Cors::admit`] admits.
    ///
    /// A page's tracing library adds headers to all requests, and nothing is counted where they are refused. So each
    /// header is allowed that is asked for, except what shows the owner: only the owner's routes take `X-Requested-With`,
    /// which scripts of other origins must not be able to send.
    pub(crate) fn preflight(&self, request: &Request, methods: String) -> Response {
        let asked = request.header("access-control-request-headers").filter(|asked| asked.len() <= MAX_ASKED);
        let allowed = asked.unwrap_or_default().split(',').map(str::trim).filter(|name| {
            let refused = name.eq_ignore_ascii_case("x-requested-with")
                || (!self.takes_token && name.eq_ignore_ascii_case("authorization"));
            // RFC 9110 would have more characters, among them the `*` that stands for any.
            !refused
                && !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        });
        let allowed: Vec<_> = allowed.collect();
        let response = Response::no_content().with("access-control-allow-methods", methods);
        let response = response.with("access-control-max-age", REMEMBERED);
        if allowed.is_empty() { response } else { response.with("access-control-allow-headers", allowed.join(", ")) }
    }

    /// Returns the answer as pages may show it, and scripts of allowed origins can read it. Every answer needs this, problems too:
    /// else a script cannot tell one that is worth another try.
    #[must_use]
    pub fn admit(&self, request: &Request, response: Response) -> Response {
        // Pages that ask for this of all that they load (`Cross-Origin-Embedder-Policy: require-corp`) show it, too.
        let response = response.with("cross-origin-resource-policy", "cross-origin");
        let response = match &self.origins {
            Origins::Any => response.with("access-control-allow-origin", "*"),
            Origins::Only(_) => {
                // A cache must not give one origin's answer to another.
                let response = response.with("vary", "Origin");
                match request.header("origin").filter(|origin| self.origins.allow(origin)) {
                    Some(origin) => response.with("access-control-allow-origin", origin.to_owned()),
                    None => return response,
                }
            }
        };
        if response.header("retry-after").is_none() {
            return response;
        }
        response.with("access-control-expose-headers", "Retry-After")
    }
}

#[cfg(test)]
mod tests {
    use super::Cors;
    use crate::http::{Problem, Request, Response};
    use std::time::Duration;

    fn with(name: &'static str, value: Option<&str>) -> Request {
        let mut request = Request::default();
        value.map(|value| request.headers.insert(name, value.parse().unwrap()));
        request
    }

    fn from(origin: Option<&str>) -> Request {
        with("origin", origin)
    }

    fn cors(origins: &str) -> Cors {
        Cors::new(origins.parse().unwrap(), false)
    }

    #[test]
    fn any_origin_may_read_by_default() {
        for origin in [None, Some("https://a.test"), Some("null")] {
            let response = cors("*").admit(&from(origin), Response::no_content());
            assert_eq!(response.header("access-control-allow-origin"), Some("*"));
            assert_eq!(response.header("vary"), None);
        }
    }

    #[test]
    fn of_a_list_each_origin_may_read_its_own_answer() {
        let list = cors("https://a.test,https://b.test");
        for (origin, allowed) in [
            (Some("https://b.test"), Some("https://b.test")),
            (Some("https://c.test"), None),
            (Some("https://a.test.evil.test"), None),
            (Some("null"), None),
            (Some("*"), None),
            (None, None),
        ] {
            let response = list.admit(&from(origin), Response::no_content());
            assert_eq!(response.header("access-control-allow-origin"), allowed, "{origin:?}");
            assert_eq!(response.header("vary"), Some("Origin"), "{origin:?}");
        }
    }

    #[test]
    fn a_script_may_see_when_to_try_again() {
        let problem = Problem::unavailable("buffer-full", "", Duration::from_secs(3)).into();
        let response = cors("*").admit(&from(None), problem);
        assert_eq!(response.header("access-control-expose-headers"), Some("Retry-After"));
        assert_eq!(cors("*").admit(&from(None), Response::no_content()).header("access-control-expose-headers"), None);
    }

    #[test]
    fn a_preflight_tells_the_methods_and_counts_for_allowed_origins() {
        let list = cors("https://a.test");
        let (ours, others) = (from(Some("https://a.test")), from(Some("https://c.test")));
        let response = list.admit(&ours, list.preflight(&ours, "GET, PUT".to_owned()));
        assert_eq!((response.status().as_u16(), response.body()), (204, ""));
        assert_eq!(response.header("access-control-allow-origin"), Some("https://a.test"));
        assert_eq!(response.header("access-control-allow-methods"), Some("GET, PUT"));
        assert_eq!(response.header("access-control-max-age"), Some("86400"));
        assert_eq!(response.header("access-control-allow-credentials"), None, "cookies are for the owner's own pages");
        let refused = list.admit(&others, list.preflight(&others, "GET".to_owned()));
        assert_eq!((refused.status().as_u16(), refused.header("access-control-allow-origin")), (204, None));
    }

    #[test]
    fn a_preflight_allows_the_headers_of_tracing_libraries_and_the_token_only_where_it_is_taken() {
        let allowed = |asked: Option<&str>, takes_token: bool| {
            let request = with("access-control-request-headers", asked);
            let response = Cors::new("*".parse().unwrap(), takes_token).preflight(&request, "POST".to_owned());
            response.header("access-control-allow-headers").map(str::to_owned)
        };
        let tracing = "baggage,content-type,sentry-trace,traceparent,tracestate,x-datadog-parent-id,x-datadog-trace-id";
        assert_eq!(allowed(Some(tracing), false), Some(tracing.replace(',', ", ")));
        let most = format!("{},{}", "a".repeat(500), "b".repeat(523));
        for (asked, expected) in [
            ("Authorization,traceparent", Some("traceparent")),
            ("authorization", None),
            ("traceparent, x-requested-with", Some("traceparent")),
            ("a b,c\tset-cookie: d,é,*,f\"g,h:i,,j", Some("j")),
            ("", None),
            (&most, Some(&*most.replace(',', ", "))),
            (&format!("{most}c"), None),
        ] {
            assert_eq!(allowed(Some(asked), false).as_deref(), expected, "{asked}");
        }
        assert_eq!(allowed(None, false), None);
        let with_token = allowed(Some("authorization,traceparent,x-requested-with"), true);
        assert_eq!(with_token.as_deref(), Some("authorization, traceparent"));
    }
}
