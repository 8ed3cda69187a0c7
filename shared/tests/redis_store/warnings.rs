//! Warnings about a server for an operator: each is logged when it is due, and once.

use crate::helpers::{apply, close_all_but_ours, configure, endpoint, store, store_on, store_with, visit};
use crate::refusals::forbidden;
use redis::Commands;
use test_support::{Logs, RedisServer, RedisServerBuilder};
use visits_core::store::{Ledger, StoreError};

/// Returns the number of warnings with `text`; all of them for "".
fn warnings(logs: &Logs, text: &str) -> usize {
    let log = logs.text();
    log.lines().filter(|line| line.contains(" WARN ") && line.contains(text)).count()
}

/// As `make run` starts its servers.
fn sound() -> RedisServerBuilder {
    RedisServer::builder().append_only(true)
}

const EVICTION: &str = "its maxmemory-policy is allkeys-lru";

#[tokio::test]
async fn a_sound_server_gives_no_warning() {
    let snapshots = RedisServer::builder().option("save", "3600 1");
    for server in [sound().start(), snapshots.start()] {
        let logs = Logs::capture();
        apply(&store_on(&server), &visit()).await.unwrap();
        assert_eq!(warnings(&logs, ""), 0);
    }
}

#[tokio::test]
async fn a_server_that_keeps_nothing_is_told_once_for_each_shard_and_environment() {
    let (server, logs) = (RedisServer::start(), Logs::capture());
    for environment in 1..=2 {
        let store = store(&format!("one={0},two={0}", server.url()));
        for _ in 0..3 {
            for shard in 0..2 {
                store.apply(shard, &visit()).await.unwrap();
            }
            close_all_but_ours(&mut server.connect());
        }
        for shard in ["one", "two"] {
            assert_eq!(warnings(&logs, &format!("set appendonly yes shard=\"{shard}\"")), environment, "{shard}");
        }
        assert_eq!(warnings(&logs, ""), 2 * environment);
    }
}

#[tokio::test]
async fn a_warning_that_becomes_due_later_is_told_with_the_next_connection_and_once() {
    let server = sound().option("maxclients", "10").start();
    let (logs, mut redis, store) = (Logs::capture(), server.connect(), store_on(&server));
    apply(&store, &visit()).await.unwrap();
    assert_eq!(warnings(&logs, ""), 0);

    // Large, so that what some connections take is little against it.
    let _: () = redis.set("filler", "x".repeat(8 << 20)).unwrap();
    for _ in 0..2 {
        close_all_but_ours(&mut redis);
        let others: Vec<_> = (0..6).map(|_| server.connect()).collect();
        let used: u64 = server.info("memory", "used_memory").unwrap().parse().unwrap();
        configure(&mut redis, "maxmemory", &(used / 95 * 100).to_string());
        apply(&store, &visit()).await.unwrap();
        drop(others);
        configure(&mut redis, "maxmemory", "0");
        let told = ["8 of 10 connections are open", "bytes of memory are used", ""].map(|text| warnings(&logs, text));
        assert_eq!(told, [1, 1, 2], "{}", logs.text());
    }
}

#[tokio::test]
async fn an_evicting_server_is_used_with_a_warning_where_the_settings_allow_it() {
    let server = sound().option("maxmemory-policy", "allkeys-lru").start();
    let logs = Logs::capture();
    let allow = |value| store_with(&[("REDIS_ENDPOINTS", &endpoint(&server)), ("VISITS_ALLOW_EVICTION", value)]);
    let refused = apply(&allow("off"), &visit()).await;
    let told = matches!(&refused, Err(StoreError::UnfitServer { reason, .. })
        if reason.contains(EVICTION) && reason.contains("VISITS_ALLOW_EVICTION=on"));
    assert!(told && warnings(&logs, "") == 0, "{refused:?}");

    let store = allow("on");
    for _ in 0..2 {
        apply(&store, &visit()).await.unwrap();
        close_all_but_ours(&mut server.connect());
    }
    assert_eq!((warnings(&logs, EVICTION), warnings(&logs, "")), (1, 1));
}

/// As managed services do, which forbid `CONFIG` to all users.
#[tokio::test]
async fn what_a_server_forbids_to_ask_gives_no_warning_but_that_info_is_missing() {
    for (commands, told, hidden) in [("", 1, 0), ("-config", 0, 0), ("-info", 1, 1), ("-info -config", 0, 1)] {
        let (server, logs) = (RedisServer::start(), Logs::capture());
        let store = forbidden(&server, commands);
        for _ in 0..2 {
            apply(&store, &visit()).await.unwrap();
            close_all_but_ours(&mut server.connect());
        }
        let counted = ["it keeps nothing on disk", "INFO is forbidden", ""].map(|text| warnings(&logs, text));
        assert_eq!(counted, [told, hidden, told + hidden], "{commands}: {}", logs.text());
        assert_eq!(warnings(&logs, "allow the user +info"), hidden);
    }
}
