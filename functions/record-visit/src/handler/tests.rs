mod fuzz;
mod rules;
mod several;

use super::*;
use serde_json::{Value, json};
use visits_core::clock::ManualClock;
use visits_core::flusher::Limits;
use visits_core::tests::{Fault, FrontEnd, Shards, page};

const SCHEDULE: &str = include_str!("../../../../shared/tests/fixtures/aws/example-eventbridge-schedule.json");

struct World {
    handler: Handler,
    store: Shards,
    time: ManualClock,
}

fn world_of(settings: &[(&str, &str)], pages: usize) -> World {
    let (store, time) = (Shards::with(2, settings), ManualClock::new());
    let config = store.config();
    let limits = Limits { pages, ..Limits::from(config) };
    let flusher = Arc::new(Flusher::new(Arc::clone(store.store()), config.ring(), time.clock(), limits));
    World { handler: Handler::new(flusher, config, time.clock()), store, time }
}

fn world_with(durability: Durability, pages: usize) -> World {
    let durability = if durability == Durability::Direct { "direct" } else { "buffered" };
    world_of(&[("VISITS_DURABILITY", durability)], pages)
}

fn world() -> World {
    world_with(Durability::Buffered, 10_000)
}

fn request(method: &str, target: &str) -> Event {
    event(&FrontEnd::HttpApi.event(method, target))
}

fn event(json: &Value) -> Event {
    serde_json::from_str(&json.to_string()).unwrap()
}

fn body(response: &Response) -> Value {
    serde_json::from_str(response.body()).unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.header(name).unwrap()
}

/// What a client gets.
fn response(reply: Reply) -> Response {
    match reply {
        Reply::Http(response) => response,
        Reply::Direct(value) => panic!("{value} is for nobody with a browser"),
    }
}

/// What who invoked the function directly gets.
fn value(reply: Reply) -> Value {
    match reply {
        Reply::Direct(value) => value,
        Reply::Http(response) => panic!("{response:?} is for a browser"),
    }
}

impl World {
    async fn post(&self, path: &str) -> Response {
        response(self.handle(request("POST", path)).await.unwrap())
    }

    async fn send(&self, event: &str) -> Result<Reply, Error> {
        self.handle(serde_json::from_str(event).unwrap()).await
    }

    async fn handle(&self, event: Event) -> Result<Reply, Error> {
        self.handler.handle(event, 0).await
    }

    fn counted(&self, id: &str) -> u64 {
        self.store.sum(&page(id))
    }
}

#[tokio::test]
async fn a_visit_is_acknowledged_from_memory() {
    let world = world();
    let answer = world.post("/visit/home").await;
    assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, "application/json"));
    let exact = r#"{"status":"success","message":"Visit recorded for page home"}"#;
    assert_eq!(answer.body(), exact);
    assert_eq!(world.store.calls(0) + world.store.calls(1), 0);
}

#[tokio::test]
async fn every_front_end_names_the_same_page() {
    let world = world();
    for front_end in FrontEnd::ALL {
        let visit = event(&front_end.event("POST", "/visit/a/caf%C3%A9%20%25"));
        let answer = response(world.handle(visit).await.unwrap());
        assert_eq!(body(&answer)["message"], "Visit recorded for page a/café %", "{front_end:?}");
    }
    world.handler.flusher.shutdown().await;
    assert_eq!(world.counted("a/café %"), 6);
}

#[tokio::test]
async fn wrong_requests_get_a_problem_and_count_nothing() {
    let world = world();
    for (method, path, status) in [
        ("GET", "/visit/home", 405),
        ("POST", "/pixel/home", 405),
        ("GET", "/visits", 405),
        ("GET", "/pixel/", 400),
        ("GET", "/pixel", 404),
        ("POST", "/visits/home", 404),
        ("POST", "/visit/", 400),
        ("POST", "/visit/a%07", 400),
    ] {
        let answer = response(world.handle(request(method, path)).await.unwrap());
        assert_eq!(answer.status(), status, "{method} {path}");
        assert_eq!(header(&answer, "access-control-allow-origin"), "*", "a script must see it");
        assert_eq!(
            (header(&answer, "content-type"), &body(&answer)["status"]),
            ("application/problem+json", &json!(status))
        );
    }
    for path in ["/visit/home", "/visits"] {
        let answer = response(world.handle(request("HEAD", path)).await.unwrap());
        assert_eq!((answer.status().as_u16(), header(&answer, "allow"), answer.body()), (405, "POST, OPTIONS", ""));
    }
    let answer = response(world.handle(request("PUT", "/pixel/home")).await.unwrap());
    assert_eq!(header(&answer, "allow"), "GET, HEAD, OPTIONS");
    assert_eq!(world.handler.flusher.shutdown().await.visits, 0);
}

#[tokio::test]
async fn the_bare_address_names_the_routes() {
    let world = world();
    let answer = response(world.handle(request("GET", "/")).await.unwrap());
    assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, "text/plain; charset=utf-8"));
    assert!(answer.body().contains("POST /visit/{page_id}\nPOST /visits\nGET /pixel/{page_id}\n"), "{}", answer.body());
    assert_eq!(response(world.handle(request("POST", "/")).await.unwrap()).status(), 404);
}

#[tokio::test]
async fn a_full_buffer_is_a_503_that_says_when_to_try_again() {
    let world = world_with(Durability::Buffered, 1);
    world.post("/visit/home").await;
    let answer = world.post("/visit/other").await;
    assert_eq!((answer.status().as_u16(), &body(&answer)["type"]), (503, &json!("urn:visits:problem:buffer-full")));
    assert_eq!(header(&answer, "retry-after"), "1");
    assert_eq!(world.post("/visit/home").await.status(), 200, "a known page has its place");
}

#[tokio::test]
async fn an_ending_environment_refuses_visits() {
    let world = world();
    world.handler.flusher.shutdown().await;
    let answer = world.post("/visit/home").await;
    assert_eq!((answer.status().as_u16(), &body(&answer)["type"]), (503, &json!("urn:visits:problem:shutting-down")));
}

#[tokio::test]
async fn a_direct_visit_is_counted_when_it_is_acknowledged() {
    let world = world_with(Durability::Direct, 10_000);
    assert_eq!(world.post("/visit/home").await.status(), 200);
    assert_eq!(world.counted("home"), 1);
}

#[tokio::test]
async fn a_direct_visit_without_an_answer_may_still_be_counted_and_says_so() {
    let world = world_with(Durability::Direct, 10_000);
    let owner = world.store.ring().owner("home");
    world.store.set_down(1 - owner, Some(Fault::Unreachable));
    world.store.fail_next(owner, [Some(Fault::AnswerLost)]);
    let answer = world.post("/visit/home").await;
    assert_eq!((answer.status().as_u16(), &body(&answer)["type"]), (503, &json!("urn:visits:problem:not-confirmed")));
    assert!(body(&answer)["detail"].as_str().unwrap().contains("may still be counted"));
    let refused = world.post("/visit/home").await;
    assert_eq!(body(&refused)["type"], "urn:visits:problem:store-unavailable", "while the shard pauses");
    world.time.advance(Duration::from_secs(1));
    world.handler.flusher.shutdown().await;
    assert_eq!(world.counted("home"), 1);
}

#[tokio::test]
async fn a_direct_visit_is_answered_in_time_also_when_no_shard_is() {
    let world = world_of(&[("VISITS_DURABILITY", "direct"), ("REDIS_TIMEOUT", "100ms")], 10_000);
    for shard in 0..2 {
        world.store.set_down(shard, Some(Fault::Mute));
    }
    let started = std::time::Instant::now();
    let answer = world.post("/visit/home").await;
    assert_eq!(body(&answer)["type"], "urn:visits:problem:not-confirmed");
    assert!(started.elapsed() <= budget::LONGEST, "the function's timeout would take the buffer");
    for shard in 0..2 {
        world.store.set_down(shard, None);
    }
    world.handler.flusher.shutdown().await;
    assert_eq!(world.counted("home"), 1, "it is kept");
}

#[tokio::test]
async fn no_answer_shows_an_internal_error() {
    let world = world_with(Durability::Direct, 10_000);
    for shard in 0..2 {
        world.store.set_down(shard, Some(Fault::Unreachable));
    }
    let answer = world.post("/visit/home").await;
    assert_eq!(answer.status(), 503);
    let text = answer.body();
    assert!(!text.contains("cannot be reached") && !text.contains("planned"), "{text}");
}

#[tokio::test]
async fn an_order_to_flush_is_obeyed_and_reported() {
    let world = world();
    world.post("/visit/home").await;
    let report = value(world.send(r#"{"flush":{"hold_until":0}}"#).await.unwrap());
    assert_eq!((&report["visits"], &report["visits_held"]), (&json!(1), &json!(0)));
    assert_eq!(report["writer"].as_str().unwrap().len(), 32);
    assert_eq!(world.counted("home"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_order_to_flush_holds_its_answer() {
    let world = world();
    let started = tokio::time::Instant::now();
    let hold_until = world.time.clock().now().epoch_millis() + 700;
    world.send(&json!({"flush": {"hold_until": hold_until}}).to_string()).await.unwrap();
    assert_eq!(started.elapsed().as_millis() / 10, 70);
    world.send(&json!({"flush": {"hold_until": u64::MAX}}).to_string()).await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(2_750), "at most two seconds, whatever it says");
}

#[tokio::test]
async fn no_http_request_can_order_a_flush() {
    let world = world();
    world.post("/visit/home").await;
    for front_end in FrontEnd::ALL {
        let mut order = front_end.event("POST", "/events");
        order["body"] = json!(r#"{"flush":{"hold_until":0}}"#);
        assert_eq!(response(world.send(&order.to_string()).await.unwrap()).status(), 404, "{front_end:?}");
        order["flush"] = json!({"hold_until": 0});
        assert_eq!(response(world.send(&order.to_string()).await.unwrap()).status(), 404, "{front_end:?}");
        for member in ["requestContext", "body"] {
            order[member] = json!(7);
            assert_eq!(response(world.send(&order.to_string()).await.unwrap()).status(), 400, "{front_end:?}");
        }
    }
    assert_eq!(world.counted("home"), 0);
}

#[tokio::test]
async fn events_of_other_shapes_get_a_clear_error_and_cost_nothing() {
    let world = world();
    world.post("/visit/home").await;
    let more = r#"{"flush":{},"x":1}"#;
    for event in ["[]", "null", "{}", "7", "\"POST\"", SCHEDULE, r#"{"flush":[]}"#, more] {
        let error = world.send(event).await.unwrap_err().to_string();
        assert!(error.starts_with("not a flush event") && error.ends_with("is accepted"), "{event}: {error}");
    }
    assert_eq!(world.handler.flusher.shutdown().await.visits, 1);
}
