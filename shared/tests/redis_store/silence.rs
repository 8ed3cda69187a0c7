//! Servers that do not answer: an error within the configured times, and never a visit counted twice.

use crate::helpers::{apply, batch, call, impatient_store_on, page, store_on, store_with, total, visit};
use futures_util::future::join_all;
use redis::Commands;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use test_support::{RedisServer, ReservedPort, wait_for};
use visits_core::store::StoreError;

/// The store's longest wait for an answer.
const TIMEOUT: Duration = Duration::from_millis(100);

/// Longest time of a call: it connects, is recognised, calls, each with a bound; generous, since a machine
/// that runs many tests at once may be slow.
const GENEROUS: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_refused_port_is_unreachable_at_once() {
    let nobody = ReservedPort::new();
    // With times far above what is allowed here: only the refusal itself can be that quick.
    let endpoints = format!("a=redis://{}", nobody.address());
    let store =
        store_with(&[("REDIS_ENDPOINTS", &endpoints), ("REDIS_TIMEOUT", "10s"), ("REDIS_CONNECT_TIMEOUT", "10s")]);
    let started = Instant::now();
    let answer = apply(&store, &visit()).await;
    assert!(matches!(answer, Err(StoreError::Unreachable { .. })), "{answer:?}");
    assert!(started.elapsed() < GENEROUS, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_listener_that_never_answers_is_given_up_in_time() {
    for scheme in ["redis", "rediss"] {
        let mute = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoints = format!("a={scheme}://{}", mute.local_addr().unwrap());
        let times = [("REDIS_TIMEOUT", "100ms"), ("REDIS_CONNECT_TIMEOUT", "100ms")];
        let store = store_with(&[("REDIS_ENDPOINTS", &endpoints), times[0], times[1]]);
        let started = Instant::now();
        let applied = apply(&store, &visit()).await;
        assert!(matches!(applied, Err(StoreError::Unreachable { .. })), "{applied:?}");
        let read = store.total(0, &page("home")).await;
        assert!(matches!(read, Err(StoreError::Unreachable { .. })), "{read:?}");
        assert!((2 * TIMEOUT..GENEROUS).contains(&started.elapsed()), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn calls_that_wait_for_one_mute_listener_do_not_queue_up() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoints = format!("a=redis://{}", mute.local_addr().unwrap());
    let store = store_with(&[("REDIS_ENDPOINTS", &endpoints), ("REDIS_TIMEOUT", "500ms")]);
    let started = Instant::now();
    let call = visit();
    let answers = join_all((0..20).map(|_| apply(&store, &call))).await;
    assert!(answers.iter().all(Result::is_err));
    assert!(started.elapsed() < GENEROUS, "one after the other they take 10 s: {:?}", started.elapsed());
}

#[tokio::test]
async fn a_call_to_a_silent_server_has_an_unknown_outcome_in_time_and_its_resend_counts_once() {
    let mut server = RedisServer::start();
    let store = impatient_store_on(&server, TIMEOUT);
    apply(&store, &visit()).await.unwrap();
    let mut redis = server.connect();
    let late = call(&[batch(2, &[("home", 10)])]);

    server.freeze();
    let started = Instant::now();
    let answer = apply(&store, &late).await;
    assert!(matches!(answer, Err(StoreError::Unknown { .. })), "{answer:?}");
    assert!((TIMEOUT..GENEROUS).contains(&started.elapsed()), "{:?}", started.elapsed());
    server.thaw();

    // The server finds the call that was given up, and applies it.
    let mut counted = || redis.hget::<_, _, u64>("visits:{redis_7070}:page:home", "total").unwrap();
    assert!(wait_for(Duration::from_secs(20), || counted() == 11));
    let resent = apply(&store_on(&server), &late).await.unwrap();
    assert_eq!((resent.set.floor, resent.set.visits), (2, 11));
    assert_eq!(total(&store, "home").await, 11);
}

#[tokio::test]
async fn after_a_timeout_no_late_answer_is_taken_for_a_newer_one() {
    let mut server = RedisServer::start();
    let store = impatient_store_on(&server, TIMEOUT);
    apply(&store, &call(&[batch(1, &[("one", 1), ("two", 2)])])).await.unwrap();
    server.freeze();
    let given_up = store.total(0, &page("one")).await;
    assert!(given_up.is_err(), "{given_up:?}");
    server.thaw();
    // This one waits until the server is awake.
    let _: String = server.connect().ping().unwrap();
    assert_eq!(total(&store, "two").await, 2);
}
