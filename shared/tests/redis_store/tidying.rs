//! Old applied sets are deleted, and nothing else is. How long they are kept is in `store_contract`.

use crate::helpers::{apply, store_on, total, visit};
use redis::{Commands, Connection, Script};
use test_support::RedisServer;
use visits_core::batch::WriterId;
use visits_core::store::Apply;

const SETS: &str = "visits:{redis_7070}:sets";
const WRITERS: &str = "visits:{redis_7070}:writers";

fn applied(writer: u128) -> String {
    format!("visits:{{redis_7070}}:applied:{}", WriterId::from_u128(writer))
}

/// Sets the time from which the writer's set may be deleted.
fn keep_until(redis: &mut Connection, writer: u128, millis: u64) {
    let changed: i64 = redis::cmd("ZADD")
        .arg(&[SETS, "CH"])
        .arg(millis)
        .arg(WriterId::from_u128(writer).to_string())
        .query(redis)
        .unwrap();
    assert_eq!(changed, 1);
}

/// What the caller read as past its time is looked at again by the script, in one step with the deletion.
#[tokio::test]
async fn a_set_whose_writer_flushed_in_between_stays() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let store = store_on(&server);
    for writer in [1, 2] {
        apply(&store, &Apply { writer: WriterId::from_u128(writer), ..visit() }).await.unwrap();
    }
    keep_until(&mut redis, 2, 1);
    let script = Script::new(concat!(
        include_str!("../../src/store/redis/prelude.lua"),
        include_str!("../../src/store/redis/tidy.lua")
    ));
    let mut tidy = script.key(SETS);
    tidy.key(WRITERS).arg(3_600_000);
    for writer in [1, 2, 3] {
        tidy.key(applied(writer)).arg(WriterId::from_u128(writer).to_string());
    }
    assert_eq!(tidy.invoke::<usize>(&mut redis), Ok(1));
    assert_eq!([1, 2].map(|writer| redis.exists::<_, bool>(applied(writer)).unwrap()), [true, false]);
    let again = apply(&store, &visit()).await.unwrap();
    assert_eq!((again.set.visits, total(&store, "home").await), (1, 2));
}

#[tokio::test]
async fn members_that_are_no_writers_hold_up_nothing() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let store = store_on(&server);
    apply(&store, &visit()).await.unwrap();
    for (key, score) in [(SETS, 0), (WRITERS, 0)] {
        for number in 0..600 {
            let _: i64 = redis.zadd(key, format!("not a writer {number}"), score).unwrap();
        }
    }
    assert_eq!(store.writers(0).await.unwrap().len(), 1);
    keep_until(&mut redis, 1, 1);
    let mut removed = 0;
    for _ in 0..3 {
        removed += store.tidy(0).await.unwrap();
    }
    assert!(removed >= 1 && !redis.exists::<_, bool>(applied(1)).unwrap(), "removed {removed}");
}
