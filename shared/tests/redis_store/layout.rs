//! The keys of a shard, pinned: whoever changes them moves all counts that exist.

use crate::helpers::{WRITER, apply, batch, call, store, store_on, total, visit};
use redis::{Commands, Connection};
use std::collections::BTreeMap;
use test_support::RedisServer;
use visits_core::page::PageId;
use visits_core::store::{Apply, Standing};

/// All keys and their types.
fn keys(redis: &mut Connection) -> BTreeMap<String, String> {
    let keys: Vec<String> = redis.keys("*").unwrap();
    keys.into_iter().map(|key| (key.clone(), redis::cmd("TYPE").arg(key).query(redis).unwrap())).collect()
}

#[tokio::test]
async fn the_keys_and_fields_are_as_documented() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let call = call(&[batch(1, &[("home", 2), ("a/b", 3)]), batch(3, &[("home", 5)])]);
    apply(&store_on(&server), &call).await.unwrap();

    let applied = "visits:{redis_7070}:applied:00000000000000000000000000000001";
    let expected = [
        ("visits:shards", "set"),
        (applied, "hash"),
        ("visits:{redis_7070}:journal", "stream"),
        ("visits:{redis_7070}:page:a/b", "hash"),
        ("visits:{redis_7070}:page:home", "hash"),
        ("visits:{redis_7070}:sets", "zset"),
        ("visits:{redis_7070}:shard", "hash"),
        ("visits:{redis_7070}:writers", "zset"),
    ];
    let found = keys(&mut redis);
    assert_eq!(found.iter().map(|(key, kind)| (key.as_str(), kind.as_str())).collect::<Vec<_>>(), expected);

    let fields = |redis: &mut Connection, key: &str| -> BTreeMap<String, String> { redis.hgetall(key).unwrap() };
    let is = |fields: BTreeMap<String, String>, expected: &[(&str, &str)]| {
        assert_eq!(fields.iter().map(|(field, value)| (field.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
    };
    is(fields(&mut redis, "visits:{redis_7070}:page:home"), &[("total", "7")]);
    is(fields(&mut redis, applied), &[("3", "1"), ("floor", "1"), ("visits", "10")]);
    let mut shard = fields(&mut redis, "visits:{redis_7070}:shard");
    assert_eq!(shard.remove("identity").map(|identity| identity.len()), Some(32));
    is(shard, &[("format", "1"), ("journal", "105"), ("name", "redis_7070"), ("namespace", "visits")]);
    assert_eq!(redis.smembers("visits:shards"), Ok(["redis_7070".to_owned()]));
    for list in ["writers", "sets"] {
        let members: Vec<String> = redis.zrange(format!("visits:{{redis_7070}}:{list}"), 0, -1).unwrap();
        assert_eq!(members, [WRITER.to_string()], "{list}");
    }
}

#[tokio::test]
async fn the_lists_hold_milliseconds_of_the_servers_clock() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let store = store_on(&server);
    let day = 24.0 * 3_600_000.0;
    for (standing, kept) in [(Standing::Active, 14.0 * day), (Standing::Settled, day / 24.0)] {
        let now = |redis: &mut Connection| -> f64 {
            let (seconds, micros): (f64, f64) = redis::cmd("TIME").query(redis).unwrap();
            seconds.mul_add(1e3, (micros / 1e3).floor())
        };
        let before = now(&mut redis);
        apply(&store, &Apply { standing, ..visit() }).await.unwrap();
        let flushed: Option<f64> = redis.zscore("visits:{redis_7070}:writers", WRITER.to_string()).unwrap();
        let until: f64 = redis.zscore("visits:{redis_7070}:sets", WRITER.to_string()).unwrap();
        let after = now(&mut redis);
        assert_eq!(flushed.is_some(), standing == Standing::Active);
        assert!(flushed.is_none_or(|at| (before..=after).contains(&at)), "{before} {flushed:?} {after}");
        assert!((before + kept..=after + kept).contains(&until), "{before} {until} {after}");
    }
}

#[tokio::test]
async fn no_key_ever_has_a_ttl_and_all_but_the_roster_carry_the_shards_hash_tag() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let store = store_on(&server);
    let mut check = |after: &str| {
        let keys = keys(&mut redis);
        assert!(!keys.is_empty(), "{after}");
        for key in keys.into_keys() {
            assert_eq!(redis.ttl(&key), Ok(-1), "{key} after {after}");
            assert!(key == "visits:shards" || key.starts_with("visits:{redis_7070}:"), "{key} after {after}");
        }
    };
    total(&store, "home").await;
    check("reading");
    for standing in [Standing::Active, Standing::Gone, Standing::Settled, Standing::Active] {
        apply(&store, &Apply { standing, ..visit() }).await.unwrap();
        check("applying");
        apply(&store, &Apply { standing, ..call(&[]) }).await.unwrap();
        check("asking");
    }
    store.writers(0).await.unwrap();
    check("listing");
    store.tidy(0).await.unwrap();
    check("tidying");
}

#[tokio::test]
async fn a_page_id_is_the_end_of_its_key_whatever_it_holds() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let store = store(&format!("a={0},b={0}", server.url()));
    let (ascii, wide) = ("x".repeat(PageId::MAX_BYTES), "🦀".repeat(PageId::MAX_BYTES / 4));
    let ids = ["{}", "{b}", "}{", " ", "a b", "a:b", ":", "page:home", "*", "[a]", "\\", "'\"", "日本", &ascii, &wide];
    let increments: Vec<(&str, u64)> = ids.into_iter().zip(1..).collect();
    apply(&store, &call(&[batch(1, &increments)])).await.unwrap();
    for (id, visits) in increments {
        assert_eq!(redis.hget(format!("visits:{{a}}:page:{id}"), "total"), Ok(visits), "{id:?}");
        assert_eq!(total(&store, id).await, visits, "{id:?}");
    }
}

#[tokio::test]
async fn a_page_with_a_writers_name_does_not_meet_its_set() {
    let server = RedisServer::start();
    let store = store_on(&server);
    let ids = [format!("applied:{WRITER}"), "writers".to_owned(), "sets".to_owned(), "shard".to_owned()];
    let increments: Vec<(&str, u64)> = ids.iter().map(|id| (id.as_str(), 1)).collect();
    let applied = apply(&store, &call(&[batch(1, &increments)])).await.unwrap();
    assert_eq!((applied.set.visits, applied.rejected.len(), store.writers(0).await.unwrap().len()), (4, 0, 1));
}
