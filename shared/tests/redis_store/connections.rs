//! One connection for each endpoint, opened late, and replaced unnoticed when the server closed it.

use crate::helpers::{apply, batch, call, clients, close_all_but_ours, endpoint, page, store, store_on, total, visit};
use crate::tls::trusting;
use futures_util::future::join_all;
use test_support::{CertificateAuthority, RedisServer};
use visits_core::store::Ledger;

#[tokio::test]
async fn nothing_connects_before_the_first_call() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let store = store_on(&server);
    assert_eq!(clients(&mut redis), 0);
    apply(&store, &visit()).await.unwrap();
    assert_eq!(clients(&mut redis), 1);
}

#[tokio::test]
async fn the_shards_of_one_endpoint_share_a_connection_and_keep_their_keys_apart() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let store = store(&format!("a={0},b={0}/0,c={0}", server.url()));
    for shard in 0..2 {
        let visits = u64::try_from(shard).unwrap() + 5;
        store.apply(shard, &call(&[batch(1, &[("home", visits)])])).await.unwrap();
    }
    assert_eq!(clients(&mut redis), 1);
    let home = page("home");
    let totals = join_all((0..3).map(|shard| store.total(shard, &home))).await;
    assert_eq!(totals, [Ok(5), Ok(6), Ok(0)]);
}

#[tokio::test]
async fn calls_that_come_at_once_open_one_connection() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let store = store_on(&server);
    let home = page("home");
    let totals = join_all((0..50).map(|_| store.total(0, &home))).await;
    assert!(totals.iter().all(|total| *total == Ok(0)), "{totals:?}");
    assert_eq!(clients(&mut redis), 1);
}

#[tokio::test]
async fn a_connection_closed_or_a_server_restarted_between_two_calls_costs_no_call_and_no_visit() {
    let authority = CertificateAuthority::new();
    let kept = || RedisServer::builder().append_only(true);
    for mut server in [kept().start(), kept().tls(authority.certificate(&["127.0.0.1"])).start()] {
        let store = trusting(&authority, &endpoint(&server));
        for number in 1..=5 {
            let applied = apply(&store, &call(&[batch(number, &[("home", 1)])])).await.unwrap();
            assert_eq!(applied.set.floor, number);
            close_all_but_ours(&mut server.connect());
            assert_eq!(total(&store, "home").await, number);
            close_all_but_ours(&mut server.connect());
            assert_eq!(store.writers(0).await.unwrap().len(), 1);
            server.restart();
            assert_eq!(total(&store, "home").await, number);
            server.restart();
        }
        assert_eq!((total(&store, "home").await, clients(&mut server.connect())), (5, 1));
    }
}

#[tokio::test]
async fn scripts_that_the_server_forgot_are_loaded_again() {
    let server = RedisServer::start();
    let store = store_on(&server);
    for number in 1..=3 {
        apply(&store, &call(&[batch(number, &[("home", 1)])])).await.unwrap();
        assert_eq!(store.tidy(0).await, Ok(0));
        let _: () = redis::cmd("SCRIPT").arg("FLUSH").query(&mut server.connect()).unwrap();
    }
    assert_eq!(total(&store, "home").await, 3);
}
