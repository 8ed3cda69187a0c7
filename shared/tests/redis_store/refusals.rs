//! A server that answers with an error has applied nothing; a key that cannot be counted up spoils only
//! its own page.

use crate::helpers::{
    WRITER, apply, batch, call, client_ids, close_all_but_ours, configure, contents, page, store, store_on, total,
    visit,
};
use redis::{Commands, Connection};
use std::time::Duration;
use test_support::{RedisServer, wait_for};
use visits_core::store::StoreError;

fn is_refused<T>(answer: &Result<T, StoreError>, word: &str) -> bool {
    matches!(answer, Err(StoreError::Refused { reason, .. }) if reason.contains(word))
}

#[tokio::test]
async fn a_server_that_may_evict_any_key_is_refused_and_nothing_is_written() {
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
        let server = RedisServer::builder().option("maxmemory-policy", policy).start();
        let answer = apply(&store_on(&server), &visit()).await;
        assert!(
            matches!(&answer, Err(StoreError::UnfitServer { reason, .. }) if reason.contains(policy)
                && reason.contains("set noeviction or volatile-*")),
            "{answer:?}"
        );
        assert!(contents(&mut server.connect()).is_empty());
    }
    for policy in ["noeviction", "volatile-lru", "volatile-ttl"] {
        let server = RedisServer::builder().option("maxmemory-policy", policy).start();
        assert!(apply(&store_on(&server), &visit()).await.is_ok(), "{policy}");
    }
}

#[tokio::test]
async fn a_server_that_forbids_info_is_asked_by_config_and_one_that_forbids_both_is_trusted() {
    for (forbidden, taken) in [("-info", false), ("-info -config", true)] {
        let server = RedisServer::builder().option("maxmemory-policy", "allkeys-lru").start();
        let rules = format!("SETUSER app on nopass ~* +@all {forbidden}");
        let _: () = redis::cmd("ACL").arg(rules.split(' ').collect::<Vec<_>>()).query(&mut server.connect()).unwrap();
        let endpoint = format!("redis_7070={}", server.url().replace("redis://", "redis://app:any@"));
        assert_eq!(apply(&store(&endpoint), &visit()).await.is_ok(), taken, "{forbidden}");
    }
}

#[tokio::test]
async fn where_info_is_forbidden_each_connection_is_taken_for_a_run_of_its_own() {
    let server = RedisServer::start();
    let rules = "SETUSER app on nopass ~* +@all -info";
    let _: () = redis::cmd("ACL").arg(rules.split(' ').collect::<Vec<_>>()).query(&mut server.connect()).unwrap();
    let store = store(&format!("redis_7070={}", server.url().replace("redis://", "redis://app:any@")));
    let run = async || apply(&store, &visit()).await.unwrap().incarnation;
    let first = run().await;
    assert_eq!(run().await, first);
    close_all_but_ours(&mut server.connect());
    let second = run().await;
    assert!(second != first && run().await == second);
}

#[tokio::test]
async fn a_page_that_cannot_be_read_is_refused_and_the_connection_kept() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let _: () = redis.set("visits:{redis_7070}:page:text", "not a hash").unwrap();
    let _: () = redis.hset("visits:{redis_7070}:page:word", "total", "many").unwrap();
    let store = store_on(&server);
    assert_eq!(total(&store, "home").await, 0);
    let connections = client_ids(&mut redis);
    for id in ["text", "word"] {
        let answer = store.total(0, &page(id)).await;
        assert!(is_refused(&answer, ""), "{id}: {answer:?}");
        assert_eq!(total(&store, "home").await, 0);
    }
    let all = store.read_all(0, &["text", "home", "word"].map(page)).await.unwrap();
    assert!(is_refused(&all[0], "WRONGTYPE") && all[1].is_ok() && is_refused(&all[2], "no count"), "{all:?}");
    assert_eq!(client_ids(&mut redis), connections);
}

#[tokio::test]
async fn a_server_without_memory_applies_nothing_and_later_all_of_it_once() {
    let server = RedisServer::builder().option("maxmemory-policy", "noeviction").start();
    let mut redis = server.connect();
    let store = store_on(&server);
    apply(&store, &visit()).await.unwrap();
    let before = contents(&mut redis);

    let _: () = redis.set("filler", "x".repeat(4 << 20)).unwrap();
    configure(&mut redis, "maxmemory", "1mb");
    let call = call(&[batch(2, &[("home", 10), ("new", 100)]), batch(4, &[("home", 1_000)])]);
    for _ in 0..2 {
        let answer = apply(&store, &call).await;
        assert!(is_refused(&answer, "OOM"), "{answer:?}");
    }
    assert_eq!(total(&store, "home").await, 1, "reading goes on");
    let _: () = redis.del("filler").unwrap();
    assert_eq!(contents(&mut redis), before);

    configure(&mut redis, "maxmemory", "0");
    for _ in 0..2 {
        let applied = apply(&store, &call).await.unwrap();
        assert_eq!((applied.set.floor, applied.set.visits), (2, 1_111));
    }
    assert_eq!((total(&store, "home").await, total(&store, "new").await), (1_011, 100));
}

#[tokio::test]
async fn a_new_shard_on_a_server_without_memory_is_refused_and_leaves_nothing() {
    let server = RedisServer::builder().option("maxmemory", "1").option("maxmemory-policy", "noeviction").start();
    let answer = apply(&store_on(&server), &visit()).await;
    assert!(is_refused(&answer, "OOM"), "{answer:?}");
    assert_eq!(contents(&mut server.connect()).len(), 0);
}

#[tokio::test]
async fn a_replica_and_a_primary_without_the_replicas_that_it_needs_apply_nothing_and_later_all_of_it_once() {
    for (refusing, told) in [("REPLICAOF 127.0.0.1 1", "read only replica"), ("min-replicas-to-write", "NOREPLICAS")] {
        let server = RedisServer::start();
        let mut redis = server.connect();
        let store = store_on(&server);
        apply(&store, &visit()).await.unwrap();
        let before = contents(&mut redis);
        let follow = |whom: &str| redis::cmd("REPLICAOF").arg(whom.split(' ').collect::<Vec<_>>()).clone();
        match refusing.strip_prefix("REPLICAOF ") {
            Some(whom) => follow(whom).query::<()>(&mut redis).unwrap(),
            None => configure(&mut redis, refusing, "1"),
        }
        let call = call(&[batch(2, &[("home", 10)])]);
        let answer = apply(&store, &call).await;
        assert!(is_refused(&answer, told), "{answer:?}");
        assert_eq!(contents(&mut redis), before);
        follow("NO ONE").query::<()>(&mut redis).unwrap();
        configure(&mut redis, "min-replicas-to-write", "0");
        assert_eq!(apply(&store, &call).await.unwrap().set.floor, 2);
        assert_eq!(total(&store, "home").await, 11);
    }
}

#[tokio::test]
async fn a_server_that_cannot_save_applies_nothing() {
    let server = RedisServer::builder().option("save", "3600 1").start();
    let mut redis = server.connect();
    let store = store_on(&server);
    apply(&store, &visit()).await.unwrap();
    let before = contents(&mut redis);
    // A folder where the dump belongs: it cannot be renamed there.
    std::fs::create_dir(server.data().join("dump.rdb")).unwrap();
    let _: String = redis::cmd("BGSAVE").query(&mut redis).unwrap();
    let failed = |redis: &mut Connection| {
        redis::cmd("INFO").arg("persistence").query::<String>(redis).unwrap().contains("rdb_last_bgsave_status:err")
    };
    assert!(wait_for(Duration::from_secs(20), || failed(&mut redis)));
    let answer = apply(&store, &call(&[batch(2, &[("home", 10)])])).await;
    assert!(is_refused(&answer, "MISCONF"), "{answer:?}");
    assert_eq!(contents(&mut redis), before);
}

#[tokio::test]
async fn an_applied_set_of_the_wrong_type_refuses_its_writer_and_counts_nothing() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let store = store_on(&server);
    let _: () = redis.set(format!("visits:{{redis_7070}}:applied:{WRITER}"), "text").unwrap();
    let answer = apply(&store, &visit()).await;
    assert!(is_refused(&answer, "WRONGTYPE"), "{answer:?}");
    assert_eq!(total(&store, "home").await, 0);
}

/// "The shard answered with an error, so the call was not applied": also where a list of writers is not one.
#[tokio::test]
async fn a_list_of_writers_of_the_wrong_type_never_makes_an_error_of_an_applied_call() {
    for list in ["writers", "sets"] {
        let server = RedisServer::start();
        let store = store_on(&server);
        assert_eq!(total(&store, "home").await, 0);
        let _: () = server.connect().set(format!("visits:{{redis_7070}}:{list}"), "text").unwrap();
        let answer = apply(&store, &visit()).await;
        assert_eq!(total(&store, "home").await, u64::from(answer.is_ok()), "{list}: {answer:?}");
    }
}
