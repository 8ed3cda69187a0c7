//! The events that the functions are given: AWS's own sample of an HTTP API, for other routes and pages.

use crate::runtime_api::Events;
use serde_json::Value;
use std::sync::Arc;

const SAMPLE: &str = include_str!("../../shared/tests/fixtures/aws/example-apigw-v2-request-no-authorizer.json");

/// Stands in the sample where the path goes. Nothing in it is escaped in JSON.
const PATH: &str = "/the-path/";

/// A route: the method and what comes before the page.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    method: &'static str,
    prefix: &'static str,
}

/// `POST /visit/{page_id}`.
pub const RECORD: Route = Route { method: "POST", prefix: "/visit/" };

/// `GET /visits/{page_id}`.
pub const READ: Route = Route { method: "GET", prefix: "/visits/" };

/// Holds for every right answer of ours and of the bare handler's.
pub const OK: &str = "\"statusCode\":200";

/// Events of a route; `page` names the page of each by its number.
///
/// # Panics
/// Never: AWS's sample is JSON.
pub fn events(route: Route, page: impl Fn(usize) -> String + Send + Sync + 'static) -> Events {
    let mut sample: Value = serde_json::from_str(SAMPLE).expect("AWS's sample is JSON");
    let http = &mut sample["requestContext"]["http"];
    http["method"] = route.method.into();
    http["path"] = PATH.into();
    sample["rawPath"] = PATH.into();
    let text = sample.to_string();
    let parts: Vec<String> = text.split(PATH).map(str::to_owned).collect();
    Arc::new(move |number| parts.join(&format!("{}{}", route.prefix, page(number))).into_bytes())
}

/// Events of a route for `pages` pages in turn, with ids of 20 bytes.
pub fn in_turn(route: Route, pages: usize) -> Events {
    events(route, move |number| id(number % pages))
}

/// The id of page number `number`: 20 bytes.
pub fn id(number: usize) -> String {
    format!("blog-article-{number:07}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_its_page() {
        let event: Value = serde_json::from_slice(&in_turn(RECORD, 3)(4)).unwrap();
        assert_eq!(event["rawPath"], "/visit/blog-article-0000001");
        assert_eq!(event["requestContext"]["http"]["method"], "POST");
        assert_eq!(id(1).len(), 20);
    }
}
