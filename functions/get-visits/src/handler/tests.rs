mod fuzz;
mod several;
mod who;

use super::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use visits_core::clock::ManualClock;
use visits_core::tests::{Fault, FrontEnd, Shards};

const SCHEDULE: &str = include_str!("../../../../shared/tests/fixtures/aws/example-eventbridge-schedule.json");

struct World {
    handler: Handler,
    store: Shards,
    time: ManualClock,
}

fn world() -> World {
    world_of(&[])
}

fn world_of(settings: &[(&str, &str)]) -> World {
    let (store, time) = (Shards::with(2, settings), ManualClock::new());
    let cache = CountCache::new(Arc::clone(store.store()), store.ring(), time.clock(), store.config());
    World { handler: Handler::new(Arc::new(cache), store.config()).unwrap(), store, time }
}

impl World {
    fn owner(&self, page: &str) -> usize {
        self.store.ring().owner(page)
    }

    async fn get(&self, method: &str, target: &str) -> Response {
        self.send(&FrontEnd::HttpApi.event(method, target)).await
    }

    async fn get_with(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Response {
        let mut event = FrontEnd::HttpApi.event(method, target);
        for (name, value) in headers {
            FrontEnd::HttpApi.add_header(&mut event, name, value);
        }
        self.send(&event).await
    }

    async fn send(&self, event: &Value) -> Response {
        let reply = self.handler.handle(serde_json::from_str(&event.to_string()).unwrap()).await.unwrap();
        let Reply::Http(response) = reply else { panic!("{reply:?} is for nobody with a browser") };
        response
    }
}

fn body(response: &Response) -> Value {
    serde_json::from_str(response.body()).unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.header(name).unwrap()
}

#[tokio::test]
async fn a_count_comes_from_its_shard_and_then_from_memory() {
    let world = world();
    for front_end in FrontEnd::ALL {
        world.time.advance(Duration::from_secs(5));
        let first = world.send(&front_end.event("GET", "/visits/home")).await;
        assert_eq!(first.status(), 200);
        assert_eq!(
            first.body(),
            format!(r#"{{"count":0,"served_via":"{}"}}"#, world.store.names()[world.owner("home")])
        );
        assert_eq!(
            (header(&first, "cache-control"), header(&first, "content-type")),
            ("max-age=5", "application/json")
        );
        world.time.advance(Duration::from_millis(2_001));
        let second = world.send(&front_end.event("GET", "/visits/home")).await;
        assert_eq!(second.body(), r#"{"count":0,"served_via":"in_memory"}"#);
        assert_eq!(header(&second, "cache-control"), "max-age=2");
    }
}

#[tokio::test]
async fn a_shard_that_is_down_gives_the_old_count_as_stale() {
    let world = world();
    world.get("GET", "/visits/home").await;
    world.time.advance(Duration::from_mins(1));
    world.store.set_down(world.owner("home"), Some(Fault::Unreachable));
    let stale = world.get("GET", "/visits/home").await;
    assert_eq!(body(&stale), json!({"count": 0, "served_via": "in_memory", "stale": true}));
    assert_eq!(header(&stale, "cache-control"), "max-age=0");
}

#[tokio::test]
async fn a_shard_that_is_down_without_an_old_count_is_a_503() {
    let world = world();
    world.store.set_down(world.owner("home"), Some(Fault::Unreachable));
    let answer = world.get("GET", "/visits/home").await;
    assert_eq!(
        (answer.status().as_u16(), body(&answer)["type"].as_str()),
        (503, Some("urn:visits:problem:count-unavailable"))
    );
    assert_eq!(header(&answer, "retry-after"), "1");
}

#[tokio::test]
async fn wrong_requests_get_a_problem() {
    let world = world();
    for (method, path, status) in [
        ("POST", "/visits/home", 405),
        ("PUT", "/visits/home", 405),
        ("POST", "/visits", 405),
        ("GET", "/visit/home", 404),
        ("GET", "/visits/", 400),
        ("GET", "/visits", 400),
        ("GET", "/badge", 404),
        ("GET", "/nowhere", 404),
    ] {
        let answer = world.get(method, path).await;
        assert_eq!(answer.status(), status, "{method} {path}");
        assert_eq!(header(&answer, "content-type"), "application/problem+json");
        assert_eq!(header(&answer, "access-control-allow-origin"), "*");
        assert_eq!(body(&answer)["status"], status);
    }
}

#[tokio::test]
async fn head_is_answered_like_get_without_a_body() {
    let world = world();
    for path in ["/visits/home", "/badge/home", "/visits/", "/visits", "/"] {
        world.get("GET", path).await;
        let (get, head) = (world.get("GET", path).await, world.get("HEAD", path).await);
        assert_eq!((head.status(), head.body()), (get.status(), ""), "{path}");
        assert_eq!(header(&head, "content-length"), get.body().len().to_string(), "{path}");
        for name in ["content-type", "cache-control", "access-control-allow-origin"] {
            assert_eq!(header(&head, name), header(&get, name), "{path}");
        }
    }
    assert_eq!(header(&world.get("PUT", "/badge/home").await, "allow"), "GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn every_answer_may_be_shown_by_other_pages_and_is_taken_for_nothing_else() {
    let world = world();
    for (method, path) in [
        ("GET", "/visits/home"),
        ("GET", "/visits"),
        ("GET", "/badge/home"),
        ("GET", "/nowhere"),
        ("OPTIONS", "/visits"),
    ] {
        let answer = world.get(method, path).await;
        assert_eq!(header(&answer, "cross-origin-resource-policy"), "cross-origin", "{method} {path}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{method} {path}");
    }
    assert!(header(&world.get("GET", "/badge/home").await, "content-security-policy").ends_with("; sandbox"));
}

#[tokio::test]
async fn events_of_other_shapes_get_a_clear_error_and_cost_nothing() {
    let world = world();
    for event in ["[]", "null", "{}", "7", "\"GET\"", SCHEDULE, r#"{"flush":{}}"#] {
        let error = world.handler.handle(serde_json::from_str(event).unwrap()).await.unwrap_err().to_string();
        assert!(error.starts_with("get-visits answers HTTP requests only"), "{event}: {error}");
    }
    let still = world.get("GET", "/visits/home").await;
    assert_eq!(still.status(), 200);
}
