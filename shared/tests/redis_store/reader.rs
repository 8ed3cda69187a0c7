//! The user of `get-visits`: the rules that `template.yaml` gives to it are enough to read every count, and allow nothing else.

use crate::helpers::{acl, contents};
use redis::{Commands, RedisResult, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use test_support::{Logs, RedisServer};
use visits_core::cache::{Count, CountCache};
use visits_core::clock::Clock;
use visits_core::store::redis::RedisStore;
use visits_core::store::{Ledger, StoreError};
use visits_core::tests::{Shards, batch, call, page, visit};

const TEMPLATE: &str = include_str!("../../../template.yaml");

/// The reader's rules.
fn rules() -> &'static str {
    let (_, reader) = TEMPLATE.split_once("\n  RedisReader:\n").unwrap();
    let line = reader.lines().find_map(|line| line.trim().strip_prefix("AccessString: \"")).unwrap();
    line.trim_end_matches('"')
}

/// Two shards on servers of their own, on which the reader has a login.
struct World {
    servers: [RedisServer; 2],
    /// As a writer sees them.
    shards: Shards,
}

impl World {
    fn start() -> Self {
        let servers = [RedisServer::start(), RedisServer::start()];
        for server in &servers {
            acl(&mut server.connect(), &format!("SETUSER reader >pw {}", rules()));
        }
        let shards = Shards::on(&servers.each_ref().map(RedisServer::url), &[]);
        Self { servers, shards }
    }

    /// The shards as a new environment of `get-visits` sees them, over new connections.
    fn as_reader(&self) -> Shards {
        Shards::on(&self.servers.each_ref().map(|server| server.url().replace("//", "//reader:pw@")), &[])
    }

    fn cache(&self) -> CountCache {
        let config = self.as_reader().config().clone();
        let store = Arc::new(RedisStore::new(&config).unwrap().looking());
        CountCache::new(store, config.ring(), Clock::system(), &config)
    }

    fn contents(&self) -> Vec<BTreeMap<String, Vec<u8>>> {
        self.servers.iter().map(|server| contents(&mut server.connect())).collect()
    }
}

async fn counts(cache: &CountCache) -> (u64, Vec<u64>) {
    let one = cache.get(&page("home")).await.unwrap().count;
    let all = cache.get_all(&["home", "none", "blog/é"].map(page)).await;
    (one, all.into_iter().map(|count| count.map(|Count { count, .. }| count).unwrap()).collect())
}

#[tokio::test]
async fn the_reader_reads_every_count_of_new_moving_and_settled_shards_and_changes_nothing() {
    let (world, logs) = (World::start(), Logs::capture());
    let kept = world.cache();
    assert_eq!(counts(&kept).await, (0, vec![0, 0, 0]));
    assert!(world.contents().iter().all(BTreeMap::is_empty), "a shard that is new stays so");

    let ring = world.shards.ring();
    for (number, (id, visits)) in (1..).zip([("home", 7), ("blog/é", 5)]) {
        world.shards.store().apply(ring.owner(id), &call(&[batch(number, &[(id, visits)])])).await.unwrap();
    }
    let before = world.contents();
    assert_eq!(counts(&world.cache()).await, (7, vec![7, 0, 5]), "from all shards, since no ring is known");
    assert_eq!(world.contents(), before);
    for shard in 0..2 {
        world.shards.set_fields(shard, "shard", &[("ring", ring.fingerprint().to_string())]);
    }
    let before = world.contents();
    assert_eq!(counts(&world.cache()).await, (7, vec![7, 0, 5]), "from the page's shard");
    assert_eq!((counts(&kept).await.0, world.contents()), (0, before), "from memory");
    for server in &world.servers {
        let denied: Vec<BTreeMap<String, Value>> = redis::cmd("ACL").arg("LOG").query(&mut server.connect()).unwrap();
        // A server's settings are asked for wherever they may be, as a hint to the operator.
        assert!(denied.iter().all(|entry| entry["object"] == Value::BulkString(b"config|get".to_vec())), "{denied:?}");
    }
    assert!(!logs.text().contains("another identity"), "{}", logs.text());
}

#[tokio::test]
async fn the_reader_may_write_nothing_and_read_nothing_of_visitors() {
    let world = World::start();
    world.shards.store().apply(0, &visit()).await.unwrap();
    let mut redis = world.servers[0].connect();
    let _: () = redis.set("visits:{a}:secret:2026-11-30", "s3cret").unwrap();
    world.shards.set_fields(0, "out:batches:b", &[("1:1", "s3cret")]);
    let before = contents(&mut redis);

    let denied = world.as_reader().store().apply(0, &visit()).await;
    assert!(matches!(&denied, Err(StoreError::Refused { reason, .. }) if reason.contains("NoPerm")), "{denied:?}");
    let mut reader = world.as_reader().connect();
    for words in [
        "HSET visits:{a}:page:home total 9",
        "HINCRBY visits:{a}:page:home total 9",
        "HDEL visits:{a}:page:home total",
        "DEL visits:{a}:page:home",
        "RENAME visits:{a}:page:home visits:{a}:page:x",
        "EXPIRE visits:{a}:page:home 1",
        "SET visits:{a}:page:x 1",
        "SADD visits:shards x",
        "EVAL return{} 0",
        "SCRIPT LOAD return{}",
        "FLUSHALL",
        "CONFIG GET *",
        "ACL LIST",
        "SCAN 0",
        "KEYS *",
        "GET visits:{a}:secret:2026-11-30",
        "HGETALL visits:{a}:out:batches:b",
        "HGETALL visits:{a}:site",
        "SMEMBERS elsewhere",
    ] {
        let mut command = redis::Cmd::new();
        for word in words.split(' ') {
            command.arg(word);
        }
        let answer: RedisResult<Value> = command.query(&mut reader);
        assert!(answer.as_ref().is_err_and(|error| error.code() == Some("NOPERM")), "{words}: {answer:?}");
    }
    assert_eq!(contents(&mut redis), before);
}

#[test]
fn none_of_the_readers_commands_writes() {
    let server = RedisServer::start();
    let rules = rules();
    let documented = include_str!("../../../SECURITY.md");
    assert!(documented.contains(rules.strip_prefix("on ").unwrap()), "{rules}");
    let commands: Vec<&str> = rules.split(' ').filter_map(|rule| rule.strip_prefix('+')).collect();
    assert!(commands.contains(&"hmget") && !rules.contains("+@") && rules.contains("-@all"), "{rules}");
    for command in commands {
        let info: Vec<Vec<Value>> =
            redis::cmd("COMMAND").arg("INFO").arg(command).query(&mut server.connect()).unwrap();
        let flags: Vec<String> = redis::FromRedisValue::from_redis_value(info[0][2].clone()).unwrap();
        assert!(!flags.contains(&"write".to_owned()), "{command}: {flags:?}");
    }
}
