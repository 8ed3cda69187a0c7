//! A server that answers with an error has applied nothing; a key that cannot be counted up spoils only
//! its own page.

use crate::helpers::{
    WRITER, acl, apply, batch, call, client_ids, close_all_but_ours, contents, endpoint, page, store, store_on, total,
    visit,
};
use redis::{Commands, Connection};
use std::time::Duration;
use test_support::{RedisServer, wait_for};
use visits_core::store::StoreError;
use visits_core::store::redis::RedisStore;

fn is_refused<T>(answer: &Result<T, StoreError>, word: &str) -> bool {
    matches!(answer, Err(StoreError::Refused { reason, .. }) if reason.contains(word))
}

/// Runs a command given as one line.
fn run(redis: &mut Connection, line: &str) {
    let mut words = line.split(' ');
    let _: redis::Value = redis::cmd(words.next().unwrap()).arg(words.collect::<Vec<_>>()).query(redis).unwrap();
}

/// A store whose user may not use these commands.
pub(crate) fn forbidden(server: &RedisServer, commands: &str) -> RedisStore {
    acl(&mut server.connect(), format!("SETUSER app on nopass ~* +@all {commands}").trim_end());
    store(&endpoint(server).replace("redis://", "redis://app:any@"))
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
        for (commands, taken) in [("-info", false), ("-info -config", true)] {
            assert_eq!(apply(&forbidden(&server, commands), &visit()).await.is_ok(), taken, "{commands}");
        }
    }
    for policy in ["noeviction", "volatile-lru", "volatile-ttl"] {
        let server = RedisServer::builder().option("maxmemory-policy", policy).start();
        assert!(apply(&store_on(&server), &visit()).await.is_ok(), "{policy}");
    }
}

#[tokio::test]
async fn where_info_is_forbidden_each_connection_is_taken_for_a_run_of_its_own() {
    let server = RedisServer::start();
    let store = forbidden(&server, "-info");
    let run = async || apply(&store, &visit()).await.unwrap().server_run;
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

/// Without memory, a replica, without the replicas that it needs, unable to save.
#[tokio::test]
async fn a_server_that_refuses_writes_applies_nothing_and_later_all_of_it_once() {
    for (refuse, allow, told) in [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OOM"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "read only replica"),
        ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", "NOREPLICAS"),
        ("BGSAVE", "CONFIG SET stop-writes-on-bgsave-error no", "MISCONF"),
    ] {
        let server = RedisServer::builder().option("save", "3600 1").start();
        // A folder where the dump belongs: it cannot be renamed there.
        std::fs::create_dir(server.data().join("dump.rdb")).unwrap();
        let (mut redis, store) = (server.connect(), store_on(&server));
        apply(&store, &visit()).await.unwrap();
        let before = contents(&mut redis);
        run(&mut redis, refuse);
        let status = || server.info("persistence", "rdb_last_bgsave_status");
        assert!(told != "MISCONF" || wait_for(Duration::from_secs(20), || status().as_deref() == Some("err")));
        let call = call(&[batch(2, &[("home", 10), ("new", 100)]), batch(4, &[("home", 1_000)])]);
        for _ in 0..2 {
            let answer = apply(&store, &call).await;
            assert!(is_refused(&answer, told), "{answer:?}");
        }
        assert_eq!((total(&store, "home").await, contents(&mut redis)), (1, before), "reading goes on");
        run(&mut redis, allow);
        for _ in 0..2 {
            let applied = apply(&store, &call).await.unwrap();
            assert_eq!((applied.set.floor, applied.set.visits), (2, 1_111));
        }
        assert_eq!((total(&store, "home").await, total(&store, "new").await), (1_011, 100));
    }
}

#[tokio::test]
async fn a_new_shard_on_a_server_without_memory_is_refused_and_leaves_nothing() {
    let server = RedisServer::builder().option("maxmemory", "1").option("maxmemory-policy", "noeviction").start();
    let answer = apply(&store_on(&server), &visit()).await;
    assert!(is_refused(&answer, "OOM"), "{answer:?}");
    assert_eq!(contents(&mut server.connect()).len(), 0);
}

/// "The shard answered with an error, so the call was not applied": also where a list of writers is not one.
#[tokio::test]
async fn a_key_of_a_writer_of_the_wrong_type_never_makes_an_error_of_an_applied_call() {
    for key in [format!("applied:{WRITER}"), "writers".to_owned(), "sets".to_owned()] {
        let server = RedisServer::start();
        let store = store_on(&server);
        assert_eq!(total(&store, "home").await, 0);
        let _: () = server.connect().set(format!("visits:{{redis_7070}}:{key}"), "text").unwrap();
        let answer = apply(&store, &visit()).await;
        assert_eq!(total(&store, "home").await, u64::from(answer.is_ok()), "{key}: {answer:?}");
        assert!(!key.starts_with("applied") || is_refused(&answer, "WRONGTYPE"), "{answer:?}");
    }
}
