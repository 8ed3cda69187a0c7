//! From a request to what it asks for, and to the page that it is about.

use super::event::Request;
use super::problem::Problem;
use super::source::{PathForm, path_form, stage};
use crate::page::PageId;

/// What stands for the page id in a path. It comes last, since an id may hold slashes.
const PAGE_ID: &str = "{page_id}";

/// One method of one path. `HEAD` is a method of each path that has `GET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<A> {
    /// The method.
    pub method: &'static str,
    /// The path; `{page_id}` at its end stands for the rest.
    pub path: &'static str,
    /// What is asked for.
    pub action: A,
}

/// All that a function answers.
#[derive(Clone, Copy, Debug)]
pub struct Routes<A: 'static> {
    /// The routes; the first that fits is taken.
    pub routes: &'static [Route<A>],
    /// Whether scripts of other origins may ask for the methods of a path (`OPTIONS`).
    pub cors: bool,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'r, A> {
    /// The action of a route.
    Route(A, Target<'r>),
    /// `OPTIONS`, with the methods of the path.
    Preflight(String),
    /// `GET /` where no route is for it, with the routes that there are.
    Index(String),
}

/// What a route's path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'r> {
    id: &'r str,
    form: PathForm,
}

impl Target<'_> {
    /// The page, with its id percent-decoded exactly once in all. 400 for what is no page id, and on a route
    /// without one.
    pub fn page(&self) -> Result<PageId, Problem> {
        let page = match self.form {
            PathForm::Decoded => PageId::from_decoded(self.id),
            PathForm::Encoded => PageId::from_encoded(self.id),
        };
        page.map_err(|error| Problem::invalid_page_id(&error))
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

    /// What `path` has in place of the page id, if it is this route's.
    fn id<'p>(&self, path: &'p str) -> Option<&'p str> {
        match self.path.strip_suffix(PAGE_ID) {
            Some(prefix) => path.strip_prefix(prefix),
            None => (path == self.path).then_some(""),
        }
    }
}

impl<A: Copy> Routes<A> {
    /// What `request` asks for; otherwise 404 for another path, 405 for another method, in this order.
    pub fn find<'r>(&self, request: &'r Request) -> Result<Found<'r, A>, Problem> {
        let path = self.without_stage(&request.path, stage(request));
        for route in self.routes {
            if let Some(id) = route.id(path)
                && route.takes(&request.method)
            {
                return Ok(Found::Route(route.action, Target { id, form: path_form(request) }));
            }
        }
        self.without_action(path, &request.method)
    }

    /// The path without the stage that an HTTP API puts in front of it. Only where the rest is a route: behind
    /// a custom domain the stage is not there, and a page may be called like it.
    fn without_stage<'p>(&self, path: &'p str, stage: Option<&str>) -> &'p str {
        let behind = |stage| path.strip_prefix('/')?.strip_prefix(stage);
        let known = |rest: &&str| self.routes.iter().any(|route| route.id(rest).is_some());
        stage.and_then(behind).filter(known).unwrap_or(path)
    }

    #[cold]
    fn without_action<'r>(&self, path: &str, method: &str) -> Result<Found<'r, A>, Problem> {
        let known: Vec<_> = self.routes.iter().filter(|route| route.id(path).is_some()).collect();
        let Some(first) = known.first() else {
            let all: Vec<_> = self.routes.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
            return match (path, method) {
                ("/", "GET" | "HEAD") => Ok(Found::Index(all.join("\n"))),
                _ => Err(Problem::unknown_route(&all.join(", "))),
            };
        };
        let mut methods: Vec<_> = known.iter().map(|route| route.method).collect();
        methods.extend(methods.contains(&"GET").then_some("HEAD"));
        if self.cors && method == "OPTIONS" {
            return Ok(Found::Preflight(methods.join(", ")));
        }
        methods.extend(self.cors.then_some("OPTIONS"));
        Err(Problem::method_not_allowed(first.path, methods.join(", ")))
    }
}
