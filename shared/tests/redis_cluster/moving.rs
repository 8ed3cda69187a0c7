//! Slots that move to another node: calls follow, and what cannot be applied for the moment is kept.

use crate::helpers::{SHARDS, call, key, known_by, store};
use crate::load::Load;
use futures_util::future::join_all;
use std::time::Duration;
use test_support::RedisCluster;
use visits_core::store::{Ledger, ServerRun, StoreError};
use visits_core::tests::page;

#[tokio::test]
async fn while_a_slot_moves_each_key_is_read_and_written_where_it_is() {
    let cluster = RedisCluster::start();
    let store = store(&cluster, 0);
    let before = store.apply(0, &call(1, &[("a", 1), ("b", 20)])).await.unwrap().server_run;
    let from = cluster.primary(&key(0, "shard"));
    let to = (from + 1) % RedisCluster::PRIMARIES;
    let migration = cluster.migrate(&key(0, "shard"), to);

    // One page is there, one here, and the script that needs both can be run nowhere.
    migration.move_these(&[&key(0, "page:a")]);
    for (id, total) in [("a", 1), ("b", 20), ("unknown", 0)] {
        assert_eq!(store.total(0, &page(id)).await, Ok(total), "{id}");
    }
    let next = call(2, &[("a", 300), ("b", 4_000)]);
    let answer = store.apply(0, &next).await;
    assert!(matches!(&answer, Err(StoreError::Refused { reason, .. }) if reason.contains("TryAgain")), "{answer:?}");

    // However many ask at once over the same connections.
    let (home, unknown) = (page("a"), page("unknown"));
    let totals = join_all((0..100).map(|n| store.total(0, if n % 2 == 0 { &home } else { &unknown }))).await;
    assert!(totals.into_iter().eq((0..100).map(|n| Ok(1 - n % 2))));

    // All that the call names is there.
    migration.move_these(&[&key(0, "page:b"), &key(0, &format!("applied:{}", next.writer)), &key(0, "writers")]);
    migration.move_these(&[&key(0, "sets"), &key(0, "shard"), &key(0, "journal")]);
    let applied = store.apply(0, &next).await.unwrap();
    assert_eq!((applied.set.visits, applied.fresh.len()), (4_321, 1));
    assert!(![before, ServerRun(0)].contains(&applied.server_run), "another node has answered");
    let again = crate::helpers::store(&cluster, 0).apply(0, &next).await.unwrap();
    assert_eq!((again.set.visits, again.fresh.len()), (4_321, 0));

    assert_eq!(crate::helpers::store(&cluster, 0).total(0, &page("a")).await, Ok(301));
    migration.finish();
    let after = store.apply(0, &call(3, &[("a", 1)])).await.unwrap();
    assert_eq!((after.set.visits, store.total(0, &page("b")).await), (4_322, Ok(4_020)));
    let fresh = crate::helpers::store(&cluster, 0).apply(0, &call(3, &[("a", 1)])).await.unwrap();
    assert_eq!(fresh.server_run, after.server_run, "the new node's own run");
    assert_ne!(after.server_run, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_move_under_load_cost_no_visit_and_count_none_twice() {
    let cluster = RedisCluster::start();
    let load = Load::start(&known_by(&cluster, 0));
    for round in 0..3 {
        for shard in 0..SHARDS {
            let key = key(shard, "shard");
            let to = (cluster.primary(&key) + 1 + round % 2) % RedisCluster::PRIMARIES;
            let migration = cluster.migrate(&key, to);
            // A few at a time, so that calls come in between.
            while migration.move_keys(3) > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            migration.finish();
        }
    }
    assert!(load.ends_exact().await.visits > 1_000);
}

#[tokio::test]
async fn a_server_is_asked_about_itself_where_the_shard_s_slot_is_now() {
    let cluster = RedisCluster::start();
    let store = store(&cluster, 0);
    let port = async || store.facts(0).await.unwrap().info("tcp_port").unwrap().parse::<u16>().unwrap();
    let from = cluster.primary(&key(0, "shard"));
    assert_eq!(port().await, cluster.node(from).port());
    assert_eq!(store.fullest_memory().await, None, "no node has a bound");
    let to = (from + 1) % RedisCluster::PRIMARIES;
    let mut redis = cluster.node(to).connect();
    let _: () = redis::cmd("CONFIG").arg(&["SET", "maxmemory", "1gb"]).query(&mut redis).unwrap();
    cluster.migrate(&key(0, "shard"), to).finish();
    // The first question after the move names no key.
    assert!(store.fullest_memory().await.is_some());
    assert_eq!(port().await, cluster.node(to).port());
}
