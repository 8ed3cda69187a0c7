//! From a request to the page that it is about.

use super::event::Request;
use super::problem::Problem;
use super::source::{PathForm, path_form, stage};
use crate::page::PageId;

/// A route: what follows its prefix is the page id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The one method that it answers.
    pub method: &'static str,
    /// With a slash at either end.
    pub prefix: &'static str,
}

impl Route {
    /// `POST /visit/{page_id}`.
    pub const RECORD: Self = Self { method: "POST", prefix: "/visit/" };
    /// `GET /visits/{page_id}`.
    pub const READ: Self = Self { method: "GET", prefix: "/visits/" };

    /// The path without the stage that an HTTP API puts in front of it. Only where the rest is this route: behind
    /// a custom domain the stage is not there, and a page may be called like it.
    fn without_stage<'a>(&self, path: &'a str, stage: Option<&str>) -> &'a str {
        let behind = |stage| path.strip_prefix('/')?.strip_prefix(stage);
        stage.and_then(behind).filter(|rest| rest.starts_with(self.prefix)).unwrap_or(path)
    }
}

/// The page that `request` is about, with its id percent-decoded exactly once in all; otherwise 404 for
/// another path, 405 for another method, 400 for what is no page id, in this order.
pub fn page_of(route: &Route, request: &Request) -> Result<PageId, Problem> {
    let path = route.without_stage(&request.path, stage(request));
    let id = path.strip_prefix(route.prefix).ok_or_else(|| Problem::unknown_route(route))?;
    if request.method != route.method {
        return Err(Problem::method_not_allowed(route));
    }
    let page = match path_form(request) {
        PathForm::Decoded => PageId::from_decoded(id),
        PathForm::Encoded => PageId::from_encoded(id),
    };
    page.map_err(|error| Problem::invalid_page_id(&error))
}
