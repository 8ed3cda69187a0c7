//! What a crash takes, it takes from counts and applied sets alike; so resending mends it.

use crate::helpers::{apply, batch, call, page, store_on};
use redis::{Commands, Connection};
use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::time::Duration;
use test_support::{RedisServer, wait_for};
use tokio::task::JoinSet;
use visits_core::batch::WriterId;
use visits_core::store::redis::RedisStore;
use visits_core::store::{Apply, Incarnation};

/// Writers and batches of each.
const WRITERS: u64 = 4;
const BATCHES: u64 = 40;

/// Batch `number`: some pages that all writers count, one of them rejected by its key.
fn send(writer: u64, number: u64) -> Apply {
    let ids = [format!("page {}", number % 7), format!("page {}", 7 + writer), "bad".to_owned()];
    let increments = [(ids[0].as_str(), number), (ids[1].as_str(), 100), (ids[2].as_str(), 1)];
    Apply { writer: WriterId::from_u128(writer.into()), ..call(&[batch(number, &increments)]) }
}

fn sum(redis: &mut Connection, pattern: &str, field: &str) -> u64 {
    let keys: Vec<String> = redis.keys(format!("visits:{{redis_7070}}:{pattern}:*")).unwrap();
    let numbers = keys.into_iter().filter(|key| !key.ends_with(":bad"));
    numbers.map(|key| redis.hget::<_, _, Option<u64>>(key, field).unwrap().unwrap_or(0)).sum()
}

/// Visits counted on pages, after checking that the applied sets say the same.
fn consistent(redis: &mut Connection) -> u64 {
    let counted = sum(redis, "page", "total");
    assert_eq!(counted, sum(redis, "applied", "visits") - sum(redis, "applied", "rejected"));
    counted
}

/// Sends every batch once more and checks that each has counted exactly once.
async fn mend(server: &RedisServer) {
    let store = store_on(server);
    for writer in 1..=WRITERS {
        for number in 1..=BATCHES {
            apply(&store, &send(writer, number)).await.unwrap();
        }
    }
    let expected = WRITERS * (BATCHES * (BATCHES + 1) / 2 + 100 * BATCHES);
    assert_eq!(consistent(&mut server.connect()), expected);
    assert_eq!(store.total(0, &page("page 8")).await, Ok(100 * BATCHES));
}

fn spoil(server: &RedisServer) {
    let _: () = server.connect().set("visits:{redis_7070}:page:bad", "not a hash").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_midst_of_writers_it_keeps_counts_and_sets_consistent() {
    // Under `everysec` a busy disk may have it hold back writes that it has acknowledged, for up to two seconds.
    let mut server = RedisServer::builder().append_only(true).option("appendfsync", "always").start();
    spoil(&server);
    let mut writers = JoinSet::new();
    for writer in 1..=WRITERS {
        let store = store_on(&server);
        writers.spawn(async move { write_until_it_fails(&store, writer).await });
    }
    // Once all have written a little: they never stop by themselves.
    let counted = || sum(&mut server.connect(), "page", "total") > 2_000;
    assert!(wait_for(Duration::from_secs(20), counted));
    server.kill();
    let applied: HashMap<u64, u64> = writers.join_all().await.into_iter().collect();
    server.restart();
    consistent(&mut server.connect());
    // It has handed all that it acknowledged to the system.
    for (writer, answered) in applied {
        let asked = Apply { batches: Vec::new(), ..send(writer, 1) };
        let set = apply(&store_on(&server), &asked).await.unwrap().set;
        assert!(
            set.floor >= answered,
            "writer {writer}: {answered} batches were acknowledged, {} are there",
            set.floor
        );
    }
}

/// Returns the writer and its last batch that was acknowledged.
async fn write_until_it_fails(store: &RedisStore, writer: u64) -> (u64, u64) {
    let mut number = 0;
    while apply(store, &send(writer, number + 1)).await.is_ok() {
        number += 1;
    }
    (writer, number)
}

#[tokio::test]
async fn wherever_the_append_only_file_ends_counts_and_sets_agree_and_resending_mends_them() {
    let mut server = RedisServer::builder().append_only(true).start();
    spoil(&server);
    mend(&server).await;
    let mut before = u64::MAX;
    // Cuts of many lengths, so that they fall on every part of a script's writes.
    for cut in [0_u64, 1, 20, 77, 150, 333, 512, 1_000, 2_048, 5_001, 9_999] {
        server.kill();
        let file = server.append_only_file();
        let length = fs::metadata(&file).unwrap().len();
        OpenOptions::new().write(true).open(&file).unwrap().set_len(length - cut).unwrap();
        server.restart();
        let counted = consistent(&mut server.connect());
        assert!(counted <= before, "{cut}");
        before = counted;
    }
    let complete = WRITERS * (BATCHES * (BATCHES + 1) / 2 + 100 * BATCHES);
    assert!(0 < before && before < complete, "something was lost and something left: {before} of {complete}");
    mend(&server).await;
}

/// What is seen before a restart proves nothing after it, so an answer tells which run it comes from.
#[tokio::test]
async fn each_run_of_a_server_is_told_from_the_others_and_a_new_connection_is_none() {
    let mut server = RedisServer::start();
    let store = store_on(&server);
    let first = apply(&store, &send(1, 1)).await.unwrap().incarnation;
    let again = apply(&store_on(&server), &send(1, 1)).await.unwrap().incarnation;
    assert_eq!(first, again, "another environment, another connection");
    server.restart();
    let after = apply(&store, &send(1, 1)).await.unwrap().incarnation;
    assert!(after != first && after != Incarnation(0), "{after:?}");
}
