//! A server is taken for a shard only if it is the one: a wrong address is an error, not a wrong count.

use crate::helpers::{contents, page, store, store_with, visit};
use futures_util::future::join_all;
use redis::Commands;
use test_support::RedisServer;
use visits_core::store::redis::RedisStore;
use visits_core::store::{Ledger, StoreError};

async fn visit_all(store: &RedisStore, shards: usize) -> Vec<Result<(), StoreError>> {
    let visit = visit();
    join_all((0..shards).map(|shard| store.apply(shard, &visit))).await.into_iter().map(|a| a.map(|_| ())).collect()
}

fn told(answer: &Result<(), StoreError>) -> &str {
    match answer {
        Err(StoreError::UnfitServer { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn swapped_endpoints_are_told_and_nothing_is_written() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let [one, two] = [servers[0].url(), servers[1].url()];
    assert_eq!(visit_all(&store(&format!("a={one},b={two}")), 2).await, [Ok(()), Ok(())]);
    let before = servers.each_ref().map(|server| contents(&mut server.connect()));

    let answers = visit_all(&store(&format!("a={two},b={one}")), 2).await;
    assert!(answers.iter().all(|answer| told(answer).contains("are the endpoints swapped?")), "{answers:?}");
    assert_eq!(servers.each_ref().map(|server| contents(&mut server.connect())), before);
}

#[tokio::test]
async fn a_foreign_deployment_in_our_namespace_is_told_and_nothing_is_written() {
    let server = RedisServer::start();
    assert_eq!(visit_all(&store(&format!("theirs={}", server.url())), 1).await, [Ok(())]);
    let before = contents(&mut server.connect());
    let ours = store(&format!("ours={}", server.url()));
    let answers = visit_all(&ours, 1).await;
    assert!(told(&answers[0]).contains("VISITS_NAMESPACE"), "{answers:?}");
    assert!(matches!(ours.total(0, &page("home")).await, Err(StoreError::UnfitServer { .. })));
    assert!(matches!(ours.writers(0).await, Err(StoreError::UnfitServer { .. })));
    assert!(matches!(ours.tidy(0).await, Err(StoreError::UnfitServer { .. })));
    assert_eq!(contents(&mut server.connect()), before);
}

#[tokio::test]
async fn environments_that_meet_a_new_shard_at_once_agree_on_it() {
    let server = RedisServer::start();
    let stores: Vec<RedisStore> = (0..20).map(|_| store(&format!("a={0},b={0}", server.url()))).collect();
    let answers = join_all(stores.iter().map(|store| visit_all(store, 2))).await;
    assert!(answers.iter().flatten().all(Result::is_ok), "{answers:?}");
    assert_eq!(visit_all(&store(&format!("a={0},b={0},joins={0}", server.url())), 3).await, [const { Ok(()) }; 3]);
    let identity: String = server.connect().hget("visits:{a}:shard", "identity").unwrap();
    assert_eq!(identity.len(), 32);
}

#[tokio::test]
async fn deployments_with_namespaces_of_their_own_share_a_server() {
    let server = RedisServer::start();
    for (namespace, name) in [("visits", "a"), ("shop", "a"), ("blog", "b")] {
        let endpoints = format!("{name}={}", server.url());
        let store = store_with(&[("REDIS_ENDPOINTS", &endpoints), ("VISITS_NAMESPACE", namespace)]);
        assert_eq!(visit_all(&store, 1).await, [Ok(())], "{namespace}");
        assert_eq!(server.connect().hget(format!("{namespace}:{{{name}}}:page:home"), "total"), Ok(1));
    }
}

#[tokio::test]
async fn a_shard_that_left_its_server_for_good_is_forgotten_as_the_message_says() {
    let server = RedisServer::start();
    assert_eq!(visit_all(&store(&format!("old={}", server.url())), 1).await, [Ok(())]);
    let new = store(&format!("new={}", server.url()));
    let answers = visit_all(&new, 1).await;
    let told = told(&answers[0]);
    let command = told.rsplit_once("for good: ").unwrap().1.trim_end_matches(')');
    assert_eq!(command, "SREM visits:shards old");
    let _: i64 = server.connect().srem("visits:shards", "old").unwrap();
    assert_eq!(visit_all(&new, 1).await, [Ok(())]);
}

#[tokio::test]
async fn a_layout_of_another_version_is_told() {
    let server = RedisServer::start();
    assert_eq!(visit_all(&store(&format!("a={}", server.url())), 1).await, [Ok(())]);
    let _: i64 = server.connect().hset("visits:{a}:shard", "format", "2").unwrap();
    let answers = visit_all(&store(&format!("a={}", server.url())), 1).await;
    assert!(told(&answers[0]).contains("version 2"), "{answers:?}");
}

#[tokio::test]
async fn a_server_that_comes_back_as_another_deployments_is_told() {
    let mut server = RedisServer::start();
    let ours = store(&format!("ours={}", server.url()));
    assert_eq!(visit_all(&ours, 1).await, [Ok(())]);
    // It kept nothing, and they were faster.
    server.restart();
    assert_eq!(visit_all(&store(&format!("theirs={}", server.url())), 1).await, [Ok(())]);
    let before = contents(&mut server.connect());
    let answers = visit_all(&ours, 1).await;
    assert!(told(&answers[0]).contains("holds shard theirs"), "{answers:?}");
    assert_eq!(contents(&mut server.connect()), before);
}
