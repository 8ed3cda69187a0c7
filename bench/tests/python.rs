//! The Python counter answers as ours does, under the benchmark's Runtime API.

use std::path::Path;
use std::sync::Arc;
use test_support::RedisServer;
use visits_bench::environment::Environment;
use visits_bench::python::fixture;
use visits_bench::runtime_api::Events;

/// The event of an HTTP API for a request.
fn event(method: &str, path: &str) -> Events {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/tests/fixtures/aws/example-apigw-v2-request-no-authorizer.json");
    let mut event: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    event["rawPath"] = path.into();
    event["requestContext"]["http"]["path"] = path.into();
    event["requestContext"]["http"]["method"] = method.into();
    let event: Arc<[u8]> = serde_json::to_vec(&event).unwrap().into();
    Arc::new(move |_| event.to_vec())
}

fn start(servers: &[RedisServer; 2], flush_seconds: u64) -> Environment {
    let endpoints = format!("redis_7070={},redis_7071={}", servers[0].url(), servers[1].url());
    fixture(&endpoints, flush_seconds).on_any_processor().start()
}

#[test]
fn the_python_counter_answers_as_ours_does() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let python = start(&servers, 0);
    let (post, get) = (event("POST", "/visit/home"), event("GET", "/visits/home"));
    python.run(&post, r#"{\"status\":\"success\",\"message\":\"Visit recorded for page home\"}"#, 3);
    // The crc32 of "home" is even.
    python.run(&get, r#"{\"count\":3,\"served_via\":\"redis_7070\"}"#, 1);
    python.run(&get, r#"{\"count\":3,\"served_via\":\"in_memory\"}"#, 1);
}

#[test]
fn the_python_counter_gathers_visits_until_its_flush_is_due() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let python = start(&servers, 600);
    python.run(&event("POST", "/visit/home"), "Visit recorded", 3);
    python.run(&event("GET", "/visits/home"), r#"{\"count\":0,"#, 1);
}
