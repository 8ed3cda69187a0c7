//! Many shards on one cluster: each is served by the node that has its slot.

use crate::helpers::{SHARDS, call, config, key, store, url};
use futures_util::future::join_all;
use redis::Commands;
use std::collections::BTreeSet;
use test_support::{CertificateAuthority, RedisCluster};
use visits_core::batch::WriterId;
use visits_core::clock::{Clock, Timing};
use visits_core::config::Config;
use visits_core::handoff::deliver;
use visits_core::handoff::{Park, Parked};
use visits_core::store::redis::RedisStore;
use visits_core::store::{Ledger, Nearness, StoreError};
use visits_core::tests::{batch, page};

/// Clients of a node that are no nodes, besides the one that asks.
fn clients(cluster: &RedisCluster, node: usize) -> usize {
    let mut redis = cluster.node(node).connect();
    let list: String = redis::cmd("CLIENT").arg(&["LIST", "TYPE", "normal"]).query(&mut redis).unwrap();
    list.lines().count() - 1
}

#[tokio::test]
async fn many_shards_share_a_cluster_each_on_its_node_over_one_connection_a_node() {
    let cluster = RedisCluster::start();
    // The seed is a replica: any node will do.
    let store = store(&cluster, 5);
    for shard in 0..SHARDS {
        let visits = shard as u64 + 1;
        for duplicate in [false, true] {
            let applied = store.apply(shard, &call(1, &[("home", visits)])).await.unwrap();
            assert_eq!((applied.set.visits, applied.fresh.is_empty()), (visits, duplicate));
        }
    }
    let home = page("home");
    let totals = join_all((0..SHARDS).map(|shard| store.total(shard, &home))).await;
    assert_eq!(totals, (1..=SHARDS as u64).map(Ok).collect::<Vec<_>>());

    let nodes: Vec<usize> = (0..SHARDS).map(|shard| cluster.primary(&key(shard, "shard"))).collect();
    for (shard, node) in nodes.iter().enumerate() {
        assert_eq!(cluster.node(*node).connect().hget(key(shard, "page:home"), "total"), Ok(shard + 1));
    }
    assert_eq!(nodes.iter().collect::<BTreeSet<_>>().len(), 3, "the shards are on all nodes: {nodes:?}");
    let connections: Vec<usize> = (0..RedisCluster::NODES).map(|node| clients(&cluster, node)).collect();
    assert_eq!(connections, [1, 1, 1, 0, 0, 1]);

    for (one, other) in [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4), (0, 7)] {
        let near = if nodes[one] == nodes[other] { Nearness::OneServer } else { Nearness::OneEndpoint };
        assert_eq!(store.nearness(one, other), near);
    }
    for node in 0..RedisCluster::PRIMARIES {
        let _: () = redis::cmd("SCRIPT").arg("FLUSH").query(&mut cluster.node(node).connect()).unwrap();
    }
    let answers = join_all((0..SHARDS).map(|shard| async move { shard }).map(|shard| async {
        store.apply(shard.await, &call(2, &[("home", 1)])).await.map(|applied| applied.set.floor)
    }))
    .await;
    assert_eq!(answers, [const { Ok(2) }; SHARDS], "scripts that a node forgot are loaded again");
}

#[tokio::test]
async fn copies_are_parked_on_other_nodes_and_delivered() {
    let cluster = RedisCluster::start();
    let store = store(&cluster, 0);
    let ring = config(&url(&cluster, 0), SHARDS).ring();
    let writer = WriterId::from_u128(7);
    for owner in 0..SHARDS {
        let park = Park { owner: ring.name(owner).clone(), writer, batches: vec![batch(1, &[("home", 5)])] };
        for refuge in (0..SHARDS).filter(|refuge| *refuge != owner) {
            assert!(matches!(store.park(refuge, &park).await, Ok(Parked::Taken { .. })));
        }
    }
    let timing = Timing::REAL.faster(1_000_000);
    let mut visits = 0;
    loop {
        let done = deliver(&store, &ring, &Clock::system(), timing, std::time::Duration::from_secs(10)).await;
        assert_eq!((done.calls_failed, done.copies_set_aside), (0, 0));
        visits += done.visits_delivered;
        if done.copies_tried == 0 {
            break;
        }
    }
    assert_eq!(visits, 5 * SHARDS as u64);
}

/// The roster is one key of the whole cluster, in a slot that is no shard's.
#[tokio::test]
async fn two_deployments_on_one_cluster_in_one_namespace_are_told() {
    let cluster = RedisCluster::start();
    let ours = store(&cluster, 0);
    let visit = call(1, &[("home", 1)]);
    let answers = join_all((0..SHARDS).map(|shard| ours.apply(shard, &visit))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let roster =
        cluster.node(cluster.primary("visits:shards")).connect().smembers::<_, BTreeSet<String>>("visits:shards");
    assert_eq!(roster, Ok((0..SHARDS).map(|shard| format!("s{shard}")).collect()));

    let mut theirs = config(&url(&cluster, 1), SHARDS + 1);
    theirs.shards.drain(..SHARDS);
    let theirs = RedisStore::new(&theirs).unwrap();
    let answer = theirs.apply(0, &visit).await;
    assert!(
        matches!(&answer, Err(StoreError::UnfitServer { reason, .. }) if reason.contains("VISITS_NAMESPACE")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn the_templates_reader_reads_every_shard_of_a_cluster() {
    let template = include_str!("../../../template.yaml");
    let (_, reader) = template.split_once("\n  RedisReader:\n").unwrap();
    let rules = reader.lines().find_map(|line| line.trim().strip_prefix("AccessString: \"")).unwrap();
    let rules = rules.trim_end_matches('"');
    let cluster = RedisCluster::start();
    for node in 0..RedisCluster::NODES {
        let words: Vec<&str> = ["SETUSER", "reader", ">pw"].into_iter().chain(rules.split(' ')).collect();
        let _: () = redis::cmd("ACL").arg(&words).query(&mut cluster.node(node).connect()).unwrap();
    }
    let login = url(&cluster, 0).replace("redis://", "redis://reader:pw@");
    let (home, look) = (page("home"), || RedisStore::new(&config(&login, SHARDS)).unwrap().looking());
    let (new, writing) = (look(), store(&cluster, 0));
    for shard in 0..SHARDS {
        assert_eq!(new.total(shard, &home).await, Ok(0));
        writing.apply(shard, &call(1, &[("home", 1)])).await.unwrap();
    }
    for reading in [new, look()] {
        for shard in 0..SHARDS {
            assert_eq!(reading.total(shard, &home).await, Ok(1));
            assert!(reading.traces(shard, &home).await.is_ok());
        }
    }
}

/// A node tells only the address of another one: TLS, credentials and whom to trust are the endpoint's.
#[tokio::test]
async fn over_tls_every_node_is_verified_and_spoken_to_as_the_first() {
    let authority = CertificateAuthority::new();
    let cluster = RedisCluster::start_with_tls(&authority);
    for node in 0..RedisCluster::NODES {
        let rules = ["SETUSER", "app", "on", ">pw", "~visits:*", "+@all"];
        let _: () = redis::cmd("ACL").arg(&rules).query(&mut cluster.node(node).connect()).unwrap();
    }
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&ca, authority.pem()).unwrap();
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&password, "pw\n").unwrap();
    let as_user = |user: &str| url(&cluster, 0).replace("rediss://", &format!("rediss://{user}@"));
    let by_url = as_user("app:pw");
    let by_file = format!("{};password-file={}", as_user("app"), password.path().display());
    let [trusted, built_in] = [ca.path().to_str().unwrap(), "built-in"].map(|file| {
        let file = |name: &str| (name == "REDIS_CA_FILE").then(|| file.into());
        Config::from_vars(file).unwrap().redis_ca
    });
    for (login, authorities, good) in
        [(&by_url, &trusted, true), (&by_file, &trusted, true), (&by_url, &built_in, false)]
    {
        let mut config = config(login, SHARDS);
        config.redis_ca.clone_from(authorities);
        let store = RedisStore::new(&config).unwrap();
        let visit = call(1, &[("home", 1)]);
        let answers = join_all((0..SHARDS).map(|shard| store.apply(shard, &visit))).await;
        assert!(answers.iter().all(|answer| answer.is_ok() == good), "{answers:?}");
    }
}
