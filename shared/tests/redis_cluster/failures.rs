//! Nodes that die, fall silent, hand over, and come back: exact as long as the writer lives.

use crate::helpers::{SHARDS, call, key, known_by, store};
use crate::load::Load;
use test_support::RedisCluster;
use visits_core::store::Ledger;
use visits_core::tests::page;

/// A node that has a shard, and that the writer knows the cluster by.
fn seed(cluster: &RedisCluster) -> usize {
    cluster.primary(&key(0, "shard"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_that_was_the_seed_costs_no_visit() {
    let mut cluster = RedisCluster::start();
    let seed = seed(&cluster);
    let load = Load::start(&known_by(&cluster, seed));
    load.goes_on().await;
    cluster.node_mut(seed).kill();
    assert_ne!(cluster.primary(&key(0, "shard")), seed);
    cluster.await_whole(2);
    load.goes_on().await;
    load.ends_exact().await;
}

/// Replicas are a little behind: what they had not got when they took over was acknowledged all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failover_lost_is_sent_again() {
    let mut cluster = RedisCluster::start();
    let seed = seed(&cluster);
    let load = Load::start(&known_by(&cluster, seed));
    load.goes_on().await;
    cluster.cut_off_replicas(seed);
    load.goes_on().await;
    cluster.node_mut(seed).kill();
    cluster.await_whole(2);
    assert!(load.ends_exact().await.healed > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primaries_that_hand_over_to_their_replicas_cost_no_visit() {
    let cluster = RedisCluster::start();
    let load = Load::start(&known_by(&cluster, 0));
    for node in 0..RedisCluster::PRIMARIES {
        cluster.fail_over_to(cluster.replica(node));
        cluster.await_whole(3);
    }
    load.ends_exact().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_falls_silent_and_goes_on_as_a_replica_costs_no_visit() {
    let mut cluster = RedisCluster::start();
    let seed = seed(&cluster);
    let load = Load::start(&known_by(&cluster, seed));
    load.goes_on().await;
    let replica = cluster.replica(seed);
    cluster.node_mut(seed).freeze();
    cluster.await_promotion(replica);
    load.goes_on().await;
    cluster.node_mut(seed).thaw();
    cluster.await_whole(3);
    load.goes_on().await;
    load.ends_exact().await;
}

/// The client's own cluster mode asks the silent node for ever: see `docs/decisions/0009`.
#[tokio::test]
async fn a_replica_that_took_over_is_found_while_its_primary_is_still_silent() {
    let mut cluster = RedisCluster::start();
    let primary = seed(&cluster);
    let store = store(&cluster, primary);
    for number in 1..=2 {
        if number == 2 {
            let replica = cluster.replica(primary);
            cluster.node_mut(primary).freeze();
            cluster.await_promotion(replica);
            assert!(store.apply(0, &call(2, &[("home", 1)])).await.is_err(), "the silent node is asked once");
        }
        let applied = store.apply(0, &call(number, &[("home", 1)])).await.unwrap();
        assert_eq!(applied.set.visits, number);
    }
    assert_eq!(store.total(0, &page("home")).await, Ok(2));
    cluster.node_mut(primary).thaw();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_back_at_another_address_is_found_there() {
    let mut cluster = RedisCluster::start();
    let primary = seed(&cluster);
    let load = Load::start(&known_by(&cluster, (primary + 1) % RedisCluster::PRIMARIES));
    load.goes_on().await;
    // So that no other node takes its slots.
    cluster.forbid_failover(cluster.replica(primary));
    cluster.node_mut(primary).restart_elsewhere();
    cluster.await_whole(3);
    load.goes_on().await;
    assert_eq!(cluster.primary(&key(0, "shard")), primary);
    load.ends_exact().await;
}

/// A store that has called once knows all nodes, not only the one that it was told of.
#[tokio::test]
async fn a_store_outlives_its_seed_also_if_no_call_ever_left_it() {
    let mut cluster = RedisCluster::start();
    let seed = seed(&cluster);
    store(&cluster, seed).apply(0, &call(1, &[("home", 1)])).await.unwrap();
    let store = store(&cluster, seed);
    assert_eq!(store.total(0, &page("home")).await, Ok(1));
    let elsewhere = (1..SHARDS).find(|shard| cluster.primary(&key(*shard, "shard")) != seed).unwrap();
    cluster.node_mut(seed).kill();
    assert_eq!(store.total(elsewhere, &page("home")).await, Ok(0));
}
