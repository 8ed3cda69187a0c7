//! The Python counter answers as ours does, under the benchmark's Runtime API.

use test_support::RedisServer;
use visits_bench::subject::{READ, RECORD, Subject, events_of};

#[test]
fn the_python_counter_answers_as_ours_does_and_gathers_visits_until_its_flush_is_due() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let endpoints = format!("redis_7070={},redis_7071={}", servers[0].url(), servers[1].url());
    let start = |flush_seconds| {
        let python = Subject::python(&servers, flush_seconds).with("REDIS_ENDPOINTS", &endpoints);
        python.on_any_processor().start()
    };
    let [post, get] = [RECORD, READ].map(|route| events_of(route, |_| "home".to_owned()));
    let gathering = start(600);
    gathering.run_for(&post, 0..3, "Visit recorded");
    gathering.run_for(&get, 0..1, r#"{\"count\":0,"#);
    let python = start(0);
    python.run_for(&post, 0..3, r#"{\"status\":\"success\",\"message\":\"Visit recorded for page home\"}"#);
    // The crc32 of "home" is even.
    python.run_for(&get, 0..1, r#"{\"count\":3,\"served_via\":\"redis_7070\"}"#);
    python.run_for(&get, 0..1, r#"{\"count\":3,\"served_via\":\"in_memory\"}"#);
}
