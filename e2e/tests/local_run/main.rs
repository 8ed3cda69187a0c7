//! The whole counter as `make run` starts it: `cargo lambda watch` with the four functions, two Redis
//! servers, real HTTP.
//!
//! The flush interval is its longest, 10 minutes. So of all visits only the very first goes to Redis by
//! itself; the others stay in memory until the sweep, and those after it until SIGTERM. Counts that are
//! right in the end prove both.

mod client;
mod local_run;
mod redis_servers;

use client::{Client, PROBLEM};
use local_run::{LocalRun, Place};
use redis_servers::RedisServers;
use serde_json::json;
use std::thread;

/// Page ids as they are written in a path, and as they are meant.
const PAGES: [(&str, &str); 10] = [
    ("home", "home"),
    ("a/b", "a/b"),
    ("blog/2024%2Fpost", "blog/2024/post"),
    ("caf%C3%A9", "café"),
    ("100%25", "100%"),
    ("%2525", "%25"),
    ("two%20words", "two words"),
    ("%7Bredis_7070%7D", "{redis_7070}"),
    ("visits:home", "visits:home"),
    ("%F0%9F%A6%80", "🦀"),
];
const CLIENTS: u64 = 8;
/// Times that each client visits every page.
const ROUNDS: u64 = 5;
const BURST: u64 = CLIENTS * ROUNDS;
const PAGE_COUNT: u64 = PAGES.len() as u64;
/// Visits of each page between the sweep and the end of the first run.
const AFTER_THE_SWEEP: u64 = 3;

#[test]
fn every_visit_is_counted_once_through_sweep_stop_and_restart() {
    let place = Place::new();
    {
        let mut run = LocalRun::start(&place);
        let (client, mut redis) = (Client::new(place.lambda_port()), RedisServers::connect(&place));
        an_unknown_page_has_count_0(&client);
        mistakes_are_told_as_problems(&client);
        head_is_answered_like_get_and_counts_nothing(&client);
        all_clients_visit_every_page(&client);
        assert_eq!(redis.sum(), 1, "the first visit goes out at once, the others wait in memory");
        the_sweep_brings_what_is_in_memory(&client, &mut redis);
        redis.hold_each_page_on_its_owner(BURST);
        counts_are_read_from_the_owner_and_then_from_memory(&client, BURST);
        visit(&client, 0, AFTER_THE_SWEEP);
        assert_eq!(redis.sum(), BURST * PAGE_COUNT, "these wait in memory again");
        run.interrupt();
    }
    {
        let mut run = LocalRun::start(&place);
        let (client, mut redis) = (Client::new(place.lambda_port()), RedisServers::connect(&place));
        redis.hold_each_page_on_its_owner(BURST + AFTER_THE_SWEEP);
        counts_are_read_from_the_owner_and_then_from_memory(&client, BURST + AFTER_THE_SWEEP);
        run.interrupt();
    }
}

fn an_unknown_page_has_count_0(client: &Client) {
    reads_from_the_owner_and_then_from_memory(client, "nobody", "nobody", 0);
}

fn reads_from_the_owner_and_then_from_memory(client: &Client, path: &str, id: &str, count: u64) {
    let longest = local_run::CACHE_TTL.as_secs();
    for (served_via, youngest) in [(redis_servers::owner(id), longest), ("in_memory", 1)] {
        let answer = client.get(&format!("/visits/{path}"));
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{answer:?}");
        assert_eq!(answer.body, format!(r#"{{"count":{count},"served_via":"{served_via}"}}"#), "{id}");
        let max_age: u64 = answer.header("cache-control").strip_prefix("max-age=").unwrap().parse().unwrap();
        assert!((youngest..=longest).contains(&max_age), "{answer:?}");
    }
}

fn counts_are_read_from_the_owner_and_then_from_memory(client: &Client, count: u64) {
    for (path, id) in PAGES {
        reads_from_the_owner_and_then_from_memory(client, path, id, count);
    }
}

fn mistakes_are_told_as_problems(client: &Client) {
    let table = [
        ("POST", "/visit/%FF", 400, "invalid-page-id", ""),
        ("POST", "/visit/%", 400, "invalid-page-id", ""),
        ("POST", "/visit/", 400, "invalid-page-id", ""),
        ("GET", "/visits/%00", 400, "invalid-page-id", ""),
        ("GET", "/nothing/here", 404, "unknown-route", ""),
        ("GET", "/visit/home", 405, "method-not-allowed", "POST, OPTIONS"),
        ("POST", "/visits/home", 405, "method-not-allowed", "GET, HEAD, OPTIONS"),
        ("DELETE", "/visits", 405, "method-not-allowed", "GET, HEAD, OPTIONS"),
        ("POST", "/visits", 400, "invalid-body", ""),
        ("GET", "/visits", 400, "invalid-query", ""),
        ("POST", "/pixel/home", 405, "method-not-allowed", "GET, HEAD, OPTIONS"),
    ];
    for (method, path, status, kind, allow) in table {
        let answer = client.send(method, path, "");
        assert_eq!((answer.status, answer.header("content-type")), (status, PROBLEM), "{method} {path}: {answer:?}");
        assert_eq!((answer.header("allow"), answer.header("cache-control")), (allow, "no-store"), "{method} {path}");
        let problem = answer.json();
        assert_eq!(problem["type"], format!("urn:visits:problem:{kind}"), "{method} {path}");
        assert_eq!(problem["status"], status, "{method} {path}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{method} {path}: {problem}");
    }
}

/// The pages' counts, which are looked at later, show that no HEAD of the pixel is a visit.
fn head_is_answered_like_get_and_counts_nothing(client: &Client) {
    for (path, _) in PAGES {
        let head = client.send("HEAD", &format!("/pixel/{path}"), "");
        assert_eq!((head.status, head.header("content-length"), head.body.as_str()), (200, "43", ""), "{head:?}");
    }
    for path in ["/", "/dashboard", "/counter.js", "/badge/home?color=nocolor", "/visits"] {
        let (get, head) = (client.get(path), client.send("HEAD", path, ""));
        let length = get.body.len().to_string();
        assert_eq!(
            (head.status, head.header("content-length"), head.body.as_str()),
            (get.status, &*length, ""),
            "{path}"
        );
    }
    assert_eq!(client.get("/").header("location"), "dashboard");
}

fn all_clients_visit_every_page(client: &Client) {
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            scope.spawn(move || visit(client, usize::try_from(number).unwrap(), ROUNDS));
        }
    });
}

/// Visits every page `rounds` times, beginning with page number `first`.
fn visit(client: &Client, first: usize, rounds: u64) {
    for _ in 0..rounds {
        for (path, id) in PAGES.into_iter().cycle().skip(first).take(PAGES.len()) {
            let answer = client.send("POST", &format!("/visit/{path}"), "");
            assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{answer:?}");
            assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
            assert_eq!(answer.body, format!(r#"{{"status":"success","message":"Visit recorded for page {id}"}}"#));
        }
    }
}

fn the_sweep_brings_what_is_in_memory(client: &Client, redis: &mut RedisServers) {
    redis.let_the_flush_interval_pass();
    let answer = client.invoke("flush-visits", &json!({}));
    let summary = answer.json();
    assert_eq!(answer.status, 200, "{answer:?}");
    let expected = [
        ("writers_known", 1),
        ("writers_answered", 1),
        ("visits_flushed", BURST * PAGE_COUNT - 1),
        ("rounds", 1),
        ("invocations", 1),
        ("invocations_failed", 0),
        ("sets_removed", 0),
        ("shards_failed", 0),
    ];
    for (figure, value) in expected {
        assert_eq!(summary[figure], value, "{figure} of {summary}");
    }
}
