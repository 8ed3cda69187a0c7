//! Stores on given servers, calls, and looks inside.

use redis::Connection;
use std::time::{Duration, Instant};
use test_support::RedisServer;
use visits_core::config::Config;
use visits_core::store::redis::RedisStore;
use visits_core::store::{Applied, Apply, Ledger, StoreError};
pub(crate) use visits_core::tests::{WRITER, batch, call, contents, page, visit};

/// A store with these settings.
pub(crate) fn store_with(settings: &[(&str, &str)]) -> RedisStore {
    let value = |name: &str| settings.iter().find(|(set, _)| *set == name).map(|(_, value)| value.into());
    RedisStore::new(&Config::from_vars(value).unwrap()).unwrap()
}

/// A store with the shards that `endpoints` names.
pub(crate) fn store(endpoints: &str) -> RedisStore {
    store_with(&[("REDIS_ENDPOINTS", endpoints)])
}

/// A store whose only shard, `redis_7070`, is `server`.
pub(crate) fn store_on(server: &RedisServer) -> RedisStore {
    store(&endpoint(server))
}

/// Returns a store that gives up after `timeout`.
pub(crate) fn impatient_store_on(server: &RedisServer, timeout: Duration) -> RedisStore {
    let timeout = format!("{}ms", timeout.as_millis());
    store_with(&[("REDIS_ENDPOINTS", &endpoint(server)), ("REDIS_TIMEOUT", &timeout)])
}

pub(crate) fn endpoint(server: &RedisServer) -> String {
    format!("redis_7070={}", server.url())
}

/// Applies on the first shard.
pub(crate) async fn apply(store: &RedisStore, call: &Apply) -> Result<Applied, StoreError> {
    store.apply(0, call).await
}

/// The count on the first shard.
pub(crate) async fn total(store: &RedisStore, id: &str) -> u64 {
    store.total(0, &page(id)).await.unwrap()
}

/// Far above the store's timeouts, and far below a wait without end.
const GENEROUS: Duration = Duration::from_secs(5);

/// Returns the reason why the first shard is not reached; fails if that took long.
pub(crate) async fn unreachable(store: &RedisStore) -> String {
    let started = Instant::now();
    let answer = apply(store, &visit()).await;
    assert!(started.elapsed() < GENEROUS, "{:?}", started.elapsed());
    match answer {
        Err(StoreError::Unreachable { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

/// `ACL` with these words.
pub(crate) fn acl(redis: &mut Connection, rules: &str) {
    let _: () = redis::cmd("ACL").arg(rules.split(' ').collect::<Vec<_>>()).query(redis).unwrap();
}

/// Returns how often the server was sent this command.
pub(crate) fn calls_of(redis: &mut Connection, command: &str) -> usize {
    let statistics: String = redis::cmd("INFO").arg("commandstats").query(redis).unwrap();
    let line = format!("cmdstat_{command}:calls=");
    let calls = statistics.lines().find_map(|statistic| statistic.strip_prefix(&line)?.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

/// The server's numbers of the clients that are connected, besides `redis`.
pub(crate) fn client_ids(redis: &mut Connection) -> Vec<u64> {
    let ours: u64 = redis::cmd("CLIENT").arg("ID").query(redis).unwrap();
    let list: String = redis::cmd("CLIENT").arg("LIST").query(redis).unwrap();
    let ids = list.lines().filter_map(|line| line.strip_prefix("id=")?.split(' ').next()?.parse().ok());
    ids.filter(|id| *id != ours).collect()
}

/// Returns how many clients are connected, besides `redis`.
pub(crate) fn clients(redis: &mut Connection) -> usize {
    client_ids(redis).len()
}

/// Closes every connection of the server besides `redis`.
pub(crate) fn close_all_but_ours(redis: &mut Connection) {
    let _: i64 = redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).query(redis).unwrap();
}

pub(crate) fn configure(redis: &mut Connection, setting: &str, value: &str) {
    let _: () = redis::cmd("CONFIG").arg("SET").arg(setting).arg(value).query(redis).unwrap();
}
