//! The keys of a shard, pinned: a change of them moves all counts that exist.

use crate::helpers::{WRITER, apply, batch, call, store_on};
use redis::{Commands, Connection};
use std::collections::BTreeMap;
use test_support::RedisServer;

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
    let journal: usize = call.batches.iter().map(|(batch, _)| 32 + batch.encode().len()).sum();

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
    is(shard, &[("format", "1"), ("journal", &journal.to_string()), ("name", "redis_7070"), ("namespace", "visits")]);
    assert_eq!(redis.smembers("visits:shards"), Ok(["redis_7070".to_owned()]));
    for list in ["writers", "sets"] {
        let members: Vec<String> = redis.zrange(format!("visits:{{redis_7070}}:{list}"), 0, -1).unwrap();
        assert_eq!(members, [WRITER.to_string()], "{list}");
    }
}
