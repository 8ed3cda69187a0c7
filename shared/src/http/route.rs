//! Routes: the action, the page and the query that a request asks for.
//!
//! Whether a path is still encoded depends on the front end, which [`event`](super::event) recognises.

use crate::http::cors::Cors;
use crate::http::event::Request;
use crate::http::reply::{Problem, Response};
use crate::page::PageId;
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use std::ops::RangeInclusive;
use url::form_urlencoded;

/// Placeholder of the page id in a path. It comes last, since an id may hold slashes.
const PAGE_ID: &str = "{page_id}";

/// One method of one path. `HEAD` is a method of each path that has `GET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<A> {
    /// The method.
    pub method: &'static str,
    /// The path; `{page_id}` at its end stands for the rest.
    pub path: &'static str,
    /// The action that is asked for.
    pub action: A,
}

/// All that a function answers.
#[derive(Clone, Copy, Debug)]
pub struct Routes<A: 'static> {
    /// The routes; the first that fits is taken.
    pub routes: &'static [Route<A>],
}

/// The page that a route's path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'r> {
    id: &'r str,
    is_encoded: bool,
}

impl Target<'_> {
    /// Returns the page, with its id percent-decoded exactly once in all. 400 for what is no page id, and on a route
    /// without one.
    pub fn page(&self) -> Result<PageId, Problem> {
        let page = if self.is_encoded { PageId::from_encoded(self.id) } else { PageId::from_decoded(self.id) };
        page.map_err(Problem::invalid_page_id)
    }
}

impl<A> Route<A> {
    /// A row of [`Routes`].
    pub const fn new(method: &'static str, path: &'static str, action: A) -> Self {
        Self { method, path, action }
    }

    fn takes(&self, method: &str) -> bool {
        method == self.method || (method == "HEAD" && self.method == "GET")
    }

    /// Returns the part of `path` in place of the page id, if the path is this route's.
    fn id<'p>(&self, path: &'p str) -> Option<&'p str> {
        match self.path.strip_suffix(PAGE_ID) {
            Some(prefix) => path.strip_prefix(prefix),
            None => (path == self.path).then_some(""),
        }
    }
}

impl<A: Copy> Routes<A> {
    /// Finds the action that `request` asks for. `Err` is the answer where there is none: to `GET /` the routes, to a preflight
    /// (`OPTIONS`) from a script that `cors` knows of the methods of the path, else 404 for another path and 405 for another method.
    pub fn find<'r>(&self, request: &'r Request, cors: Option<&Cors>) -> Result<(A, Target<'r>), Response> {
        if request.malformed {
            let detail =
                "the request cannot be read: its event is none of API Gateway, a function URL or a load balancer";
            return Err(Problem::new("malformed-request", StatusCode::BAD_REQUEST, detail).into());
        }
        let (path, method) = (self.without_stage(&request.path, request.stage.as_deref()), request.method.as_str());
        for route in self.routes {
            if let Some(id) = route.id(path)
                && route.takes(method)
            {
                return Ok((route.action, Target { id, is_encoded: request.path_is_encoded }));
            }
        }
        Err(self.without_action(path, request, cors))
    }

    /// Returns the path without the stage that an HTTP API puts in front of it. Only where the rest is a route: behind
    /// a custom domain the stage is not there, and a page may be called like it.
    fn without_stage<'p>(&self, path: &'p str, stage: Option<&str>) -> &'p str {
        let behind = |stage| path.strip_prefix('/')?.strip_prefix(stage);
        let known = |rest: &&str| self.routes.iter().any(|route| route.id(rest).is_some());
        stage.and_then(behind).filter(known).unwrap_or(path)
    }

    #[cold]
    fn without_action(&self, path: &str, request: &Request, cors: Option<&Cors>) -> Response {
        let known: Vec<_> = self.routes.iter().filter(|route| route.id(path).is_some()).collect();
        let Some(first) = known.first() else {
            let all: Vec<_> = self.routes.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
            if path == "/" && matches!(request.method, Method::GET | Method::HEAD) {
                let text = format!("This is a visit counter. It answers:\n\n{}\n", all.join("\n"));
                return Response::new(StatusCode::OK, "text/plain; charset=utf-8", "max-age=300", text);
            }
            let detail = format!("this function answers {}", all.join(", "));
            return Problem::new("unknown-route", StatusCode::NOT_FOUND, detail).into();
        };
        let mut methods: Vec<_> = known.iter().map(|route| route.method).collect();
        methods.extend(methods.contains(&"GET").then_some("HEAD"));
        if let Some(cors) = cors {
            if request.method == Method::OPTIONS {
                return cors.preflight(request, methods.join(", "));
            }
            methods.push("OPTIONS");
        }
        let methods = methods.join(", ");
        let detail = format!("{} is answered for these methods only: {methods}", first.path);
        Problem::new("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, detail).with("allow", methods).into()
    }
}

/// The parameters of a query string, as `application/x-www-form-urlencoded` has them and WHATWG's `URLSearchParams` writes
/// them: `+` is a space, everything else is percent-encoded, once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a [`Request`]'s query. 400 for a `%` without two hexadecimal digits and for what is not UTF-8: both would make one
    /// page of two.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let is_escape = |rest: &str| rest.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        if !text.split('%').skip(1).all(is_escape) {
            let detail = "a `%` in the query is not followed by two hexadecimal digits; write a percent sign as `%25`";
            return Err(Problem::invalid_query(detail));
        }
        let not_utf8 =
            |_| Problem::invalid_query("the query is not UTF-8 once percent-decoded; only UTF-8 is accepted");
        percent_decode_str(text).decode_utf8().map_err(not_utf8)?;
        Ok(Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect()))
    }

    /// Returns a parameter's value: the first, if it comes more than once.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Returns all values of a parameter, in order.
    pub fn all<'q>(&'q self, name: &str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns a whole number within `bounds`; `default` if the parameter is not there. 400 for anything else.
    pub fn number(&self, name: &str, default: u64, bounds: RangeInclusive<u64>) -> Result<u64, Problem> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| digits && bounds.contains(number)).ok_or_else(|| {
            let (from, to) = (bounds.start(), bounds.end());
            Problem::invalid_query(format!("{name}={text}: a whole number from {from} to {to} is accepted"))
        })
    }
}

#[cfg(test)]
mod tests;
