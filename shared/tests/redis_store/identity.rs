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

/// That all visits are counted on shards with these names and addresses.
async fn works(endpoints: &str) {
    let answers = visit_all(&store(endpoints), endpoints.split(',').count()).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

/// That every shard, each on a server of its own, is refused for this reason, and that no server changes.
async fn is_told(store: &RedisStore, servers: &[&RedisServer], reason: &str) -> String {
    let all = || servers.iter().map(|server| contents(&mut server.connect())).collect::<Vec<_>>();
    let (before, answers) = (all(), visit_all(store, servers.len()).await);
    let is_it = |answer: &Result<_, _>| matches!(answer, Err(StoreError::UnfitServer { reason: told, .. }) if told.contains(reason));
    assert!(answers.iter().all(is_it), "{answers:?}");
    assert_eq!(all(), before);
    answers[0].as_ref().unwrap_err().to_string()
}

#[tokio::test]
async fn swapped_endpoints_are_told_and_nothing_is_written() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let [one, two] = servers.each_ref().map(RedisServer::url);
    works(&format!("a={one},b={two}")).await;
    is_told(&store(&format!("a={two},b={one}")), &[&servers[0], &servers[1]], "are the endpoints swapped?").await;
}

/// Another deployment's, another version's, one that came back empty and was taken; and how a shard is forgotten.
#[tokio::test]
async fn a_server_that_is_not_this_deployments_is_told_and_nothing_is_written() {
    let mut server = RedisServer::start();
    let [theirs, ours] = ["theirs", "ours"].map(|name| format!("{name}={}", server.url()));
    works(&theirs).await;
    let store_of_ours = store(&ours);
    let told = is_told(&store_of_ours, &[&server], "VISITS_NAMESPACE").await;
    assert!(matches!(store_of_ours.total(0, &page("home")).await, Err(StoreError::UnfitServer { .. })));
    assert!(matches!(store_of_ours.writers(0).await, Err(StoreError::UnfitServer { .. })));
    assert!(matches!(store_of_ours.tidy(0).await, Err(StoreError::UnfitServer { .. })));
    // A shard that left its server for good is forgotten as the message says.
    assert!(told.contains("for good: SREM visits:shards theirs)"), "{told}");
    let _: i64 = server.connect().srem("visits:shards", "theirs").unwrap();
    assert_eq!(visit_all(&store_of_ours, 1).await, [Ok(())]);
    // It comes back and kept nothing, and they are faster.
    server.restart();
    works(&theirs).await;
    is_told(&store_of_ours, &[&server], "holds shard theirs").await;
    let _: i64 = server.connect().hset("visits:{theirs}:shard", "format", "2").unwrap();
    is_told(&store(&theirs), &[&server], "version 2").await;
}

#[tokio::test]
async fn environments_that_meet_a_new_shard_at_once_agree_on_it() {
    let server = RedisServer::start();
    let both = format!("a={0},b={0}", server.url());
    join_all((0..20).map(|_| works(&both))).await;
    works(&format!("{both},joins={}", server.url())).await;
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
