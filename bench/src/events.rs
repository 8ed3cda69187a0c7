//! The events that the functions are given: AWS's own sample of an HTTP API, for other routes and pages, with the headers
//! that a browser sends when a page's script records or reads a visit.

use crate::runtime_api::Events;
use serde_json::{Value, json};
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

/// A browser's own, and of a person: a bot's visit costs less.
const USER_AGENT: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

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
    http["userAgent"] = USER_AGENT.into();
    sample["rawPath"] = PATH.into();
    sample["headers"] = headers(&sample["headers"]);
    let text = sample.to_string();
    let parts: Vec<String> = text.split(PATH).map(str::to_owned).collect();
    Arc::new(move |number| parts.join(&format!("{}{}", route.prefix, page(number))).into_bytes())
}

/// What the sample's API adds to a browser's headers stays as it is.
fn headers(sample: &Value) -> Value {
    let mut headers = json!({
        "accept-encoding": "gzip, deflate, br, zstd",
        "accept-language": "en-GB,en;q=0.9,de;q=0.8",
        "cache-control": "no-cache",
        "origin": "https://www.example.org",
        "pragma": "no-cache",
        "priority": "u=1, i",
        "referer": "https://www.example.org/",
        "sec-ch-ua": "\"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\"",
        "sec-ch-ua-mobile": "?0",
        "sec-ch-ua-platform": "\"Windows\"",
        "sec-fetch-dest": "empty",
        "sec-fetch-mode": "cors",
        "sec-fetch-site": "cross-site",
        "user-agent": USER_AGENT,
    });
    for (name, value) in sample.as_object().into_iter().flatten().filter(|(name, _)| *name != "user-agent") {
        headers[name] = value.clone();
    }
    headers
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
        assert_eq!(event["headers"]["x-forwarded-for"], event["requestContext"]["http"]["sourceIp"]);
        assert_eq!(id(1).len(), 20);
    }
}
