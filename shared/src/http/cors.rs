//! Which scripts of other origins may read an answer (Fetch standard, "CORS protocol").

use super::event::Request;
use super::reply::Response;
use crate::config::Origins;

/// How long a browser may remember a preflight's answer, in seconds; browsers cap it at a day or less.
const REMEMBERED: &str = "86400";

/// Adds to answers what browsers ask for.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Origins,
}

impl Cors {
    /// For scripts of these origins.
    pub fn new(origins: Origins) -> Self {
        Self { origins }
    }

    /// The answer as scripts of allowed origins can read it. Every answer needs this, problems too: else a script cannot
    /// tell one that is worth another try.
    #[must_use]
    pub fn admit(&self, request: &Request, response: Response) -> Response {
        let response = match &self.origins {
            Origins::Any => response.with("access-control-allow-origin", "*"),
            Origins::Only(_) => {
                // A cache must not give one origin's answer to another.
                let response = response.with("vary", "Origin");
                match request.headers.origin.as_deref().filter(|origin| self.origins.allow(origin)) {
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

impl Response {
    /// The answer to a preflight for a path with these methods. It counts for whom [`Cors::admit`] admits.
    #[must_use]
    pub fn preflight(methods: String) -> Self {
        Self::no_content()
            .with("access-control-allow-methods", methods)
            .with("access-control-allow-headers", "Authorization, Content-Type")
            .with("access-control-max-age", REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::Cors;
    use crate::http::{Headers, Problem, Request, Response};
    use std::time::Duration;

    fn from(origin: Option<&str>) -> Request {
        let headers = Headers { origin: origin.map(str::to_owned), ..Headers::default() };
        Request { headers, ..Request::default() }
    }

    fn cors(origins: &str) -> Cors {
        Cors::new(origins.parse().unwrap())
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
        let problem = Problem::buffer_full(Duration::from_secs(3)).into_response();
        let response = cors("*").admit(&from(None), problem);
        assert_eq!(response.header("access-control-expose-headers"), Some("Retry-After"));
        assert_eq!(cors("*").admit(&from(None), Response::no_content()).header("access-control-expose-headers"), None);
    }

    #[test]
    fn a_preflight_tells_the_methods_and_counts_for_allowed_origins() {
        let list = cors("https://a.test");
        let response = list.admit(&from(Some("https://a.test")), Response::preflight("GET, PUT".to_owned()));
        assert_eq!((response.status().as_u16(), response.body()), (204, ""));
        assert_eq!(response.header("access-control-allow-origin"), Some("https://a.test"));
        assert_eq!(response.header("access-control-allow-methods"), Some("GET, PUT"));
        assert_eq!(response.header("access-control-allow-headers"), Some("Authorization, Content-Type"));
        assert_eq!(response.header("access-control-max-age"), Some("86400"));
        assert_eq!(response.header("access-control-allow-credentials"), None, "cookies are for the owner's own pages");
        let refused = list.admit(&from(Some("https://c.test")), Response::preflight("GET".to_owned()));
        assert_eq!((refused.status().as_u16(), refused.header("access-control-allow-origin")), (204, None));
    }
}
