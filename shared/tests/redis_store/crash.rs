//! A crash takes from counts and applied sets alike, so sending again repairs it.

use redis::Commands;
use test_support::RedisServer;
use visits_core::batch::WriterId;
use visits_core::store::redis::RedisStore;
use visits_core::store::{Apply, Ledger, ServerRun};
use visits_core::tests::{Shards, batch, call, page};

/// Writers and batches of each.
const WRITERS: u64 = 4;
const BATCHES: u64 = 40;

/// Visits of all of them that can be counted.
const ALL: u64 = WRITERS * (BATCHES * (BATCHES + 1) / 2 + 100 * BATCHES);

/// Batch `number`: some pages that all writers count, one of them rejected by its key.
fn send(writer: u64, number: u64) -> Apply {
    let ids = [format!("page {}", number % 7), format!("page {}", 7 + writer), "bad".to_owned()];
    let increments = [(ids[0].as_str(), number), (ids[1].as_str(), 100), (ids[2].as_str(), 1)];
    Apply { writer: WriterId::from_u128(writer.into()), ..call(&[batch(number, &increments)]) }
}

/// A shard on this server, with a page that cannot be counted.
fn shard(server: &RedisServer) -> Shards {
    let shards = Shards::on(&[server.url()], &[]);
    shards.break_page(0, &page("bad"));
    shards
}

fn sum(shards: &Shards, kind: &str, field: &str) -> u64 {
    let keys = shards.keys(0, &format!("{kind}:*")).into_iter().filter(|key| !key.ends_with(":bad"));
    let mut redis = shards.connect();
    keys.map(|key| redis.hget::<_, _, Option<u64>>(key, field).unwrap().unwrap_or(0)).sum()
}

/// Visits counted on pages, after checking that the applied sets say the same.
fn consistent(shards: &Shards) -> u64 {
    let counted = sum(shards, "page", "total");
    assert_eq!(counted, sum(shards, "applied", "visits") - sum(shards, "applied", "rejected"));
    counted
}

/// Sends every batch once more and checks that each has counted exactly once.
async fn mend(shards: &Shards) {
    for (writer, number) in (1..=WRITERS).flat_map(|writer| (1..=BATCHES).map(move |number| (writer, number))) {
        shards.store().apply(0, &send(writer, number)).await.unwrap();
    }
    assert_eq!((consistent(shards), shards.sum(&page("page 8"))), (ALL, 100 * BATCHES));
}

#[tokio::test]
async fn wherever_the_append_only_file_ends_counts_and_sets_agree_and_resending_mends_them() {
    let mut server = RedisServer::builder().append_only(true).start();
    let shards = shard(&server);
    mend(&shards).await;
    let mut before = u64::MAX;
    // Cuts of many lengths, so that they fall on every part of a script's writes.
    for cut in [0, 1, 20, 77, 150, 333, 512, 1_000, 2_048, 5_001, 9_999] {
        server.lose_log_beyond(server.log_length() - cut);
        let counted = consistent(&shards);
        assert!(counted <= before, "{cut}");
        before = counted;
    }
    assert!(0 < before && before < ALL, "something was lost and something left: {before} of {ALL}");
    mend(&shards).await;
}

/// A confirmation from before a restart proves nothing after it, so each answer states its run.
#[tokio::test]
async fn each_run_of_a_server_is_told_from_the_others_and_a_new_connection_is_none() {
    let mut server = RedisServer::start();
    let shards = Shards::on(&[server.url()], &[]);
    let run = async |store: &RedisStore| store.apply(0, &send(1, 1)).await.unwrap().server_run;
    let first = run(shards.store()).await;
    assert_eq!(first, run(&shards.another_store()).await, "another environment, another connection");
    server.restart();
    let after = run(shards.store()).await;
    assert!(after != first && after != ServerRun(0), "{after:?}");
}
