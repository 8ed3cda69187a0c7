//! A cluster without `;cluster`, and `;cluster` without a cluster: one message that says what to change.

use crate::helpers::{SHARDS, call, config, url};
use futures_util::future::join_all;
use test_support::{RedisCluster, RedisServer};
use visits_core::store::redis::RedisStore;
use visits_core::store::{Ledger, StoreError};
use visits_core::tests::page;

fn told<T: std::fmt::Debug>(answer: &Result<T, StoreError>, word: &str) -> bool {
    matches!(answer, Err(StoreError::UnfitServer { reason, .. }) if reason.contains(word))
}

#[tokio::test]
async fn a_cluster_given_without_the_flag_is_told_and_nothing_is_counted() {
    let cluster = RedisCluster::start();
    let store = RedisStore::new(&config(&cluster.node(0).url(), SHARDS)).unwrap();
    let visit = call(1, &[("home", 1)]);
    let answers = join_all((0..SHARDS).map(|shard| store.apply(shard, &visit))).await;
    // Shards that the node has itself may be served, unless their roster is elsewhere.
    let refused: Vec<_> = answers.iter().filter(|answer| answer.is_err()).collect();
    assert!(refused.len() >= SHARDS / 2, "{answers:?}");
    assert!(refused.iter().all(|answer| told(answer, "add ;cluster to its entry in REDIS_ENDPOINTS")), "{answers:?}");

    let store = RedisStore::new(&config(&url(&cluster, 0), SHARDS)).unwrap();
    let answers = join_all((0..SHARDS).map(|shard| store.apply(shard, &visit))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

#[tokio::test]
async fn a_server_given_as_a_cluster_is_told_and_nothing_is_written() {
    let server = RedisServer::start();
    let store = RedisStore::new(&config(&format!("{};cluster", server.url()), 1)).unwrap();
    let mend = "take ;cluster off its entry in REDIS_ENDPOINTS";
    assert!(told(&store.apply(0, &call(1, &[("home", 1)])).await, mend));
    assert!(told(&store.total(0, &page("home")).await, mend));
    let keys: usize = redis::cmd("DBSIZE").query(&mut server.connect()).unwrap();
    assert_eq!(keys, 0);
}
