//! Old applied sets are deleted, and nothing else is.

use crate::helpers::{apply, call, store_on, total, visit};
use redis::{Commands, Connection, Script};
use test_support::RedisServer;
use visits_core::batch::WriterId;
use visits_core::store::{Apply, Standing};
use visits_core::timing::SETTLED_SET_KEPT;

const SETS: &str = "visits:{redis_7070}:sets";
const WRITERS: &str = "visits:{redis_7070}:writers";

fn applied(writer: u128) -> String {
    format!("visits:{{redis_7070}}:applied:{}", WriterId::from_u128(writer))
}

fn now(redis: &mut Connection) -> u64 {
    let (seconds, micros): (u64, u64) = redis::cmd("TIME").query(redis).unwrap();
    seconds * 1000 + micros / 1000
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

#[tokio::test]
async fn only_sets_past_their_time_are_deleted() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let store = store_on(&server);
    for writer in 1..=4 {
        apply(&store, &Apply { writer: WriterId::from_u128(writer), ..visit() }).await.unwrap();
    }
    let now = now(&mut redis);
    keep_until(&mut redis, 1, now - 1);
    keep_until(&mut redis, 2, now + 60_000);
    keep_until(&mut redis, 3, 1);
    assert_eq!((store.tidy(0).await, store.tidy(0).await), (Ok(2), Ok(0)));
    let left = [1, 2, 3, 4].map(|writer| redis.exists::<_, bool>(applied(writer)).unwrap());
    assert_eq!(left, [false, true, false, true]);
    assert_eq!((redis.zcard(SETS), redis.zcard(WRITERS)), (Ok(2), Ok(2)));
    assert_eq!(total(&store, "home").await, 4, "the counts stay");
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
    let script = Script::new(include_str!("../../src/store/redis/tidy.lua"));
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
async fn a_settled_writers_set_is_due_after_an_hour_and_with_a_new_visit_no_more() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let store = store_on(&server);
    let hour = u64::try_from(SETTLED_SET_KEPT.as_millis()).unwrap();
    apply(&store, &Apply { standing: Standing::Settled, ..visit() }).await.unwrap();
    let due: f64 = redis.zscore(SETS, WriterId::from_u128(1).to_string()).unwrap();
    let due_too_late = f64::from(u32::try_from(hour).unwrap()) * 2.0;
    apply(&store, &call(&[])).await.unwrap();
    let later: f64 = redis.zscore(SETS, WriterId::from_u128(1).to_string()).unwrap();
    assert!(later - due > due_too_late, "{due} {later}");
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
