//! Stores on a cluster, and its keys.

use test_support::RedisCluster;
use visits_core::config::Config;
use visits_core::store::Apply;
use visits_core::store::redis::RedisStore;
use visits_core::tests::batch;

/// The shards of most tests: `s0` to `s7`, which three nodes share.
pub(crate) const SHARDS: usize = 8;

/// Settings with the shards `s0…` at an address.
pub(crate) fn config(url: &str, shards: usize) -> Config {
    let endpoints: Vec<String> = (0..shards).map(|shard| format!("s{shard}={url}")).collect();
    let endpoints = endpoints.join(",");
    let settings =
        [("REDIS_ENDPOINTS", endpoints.as_str()), ("REDIS_CONNECT_TIMEOUT", "300ms"), ("REDIS_TIMEOUT", "500ms")];
    let value = |name: &str| settings.iter().find(|(set, _)| *set == name).map(|(_, value)| value.into());
    Config::from_vars(value).unwrap()
}

/// Settings with shards on the cluster, known by one node's address.
pub(crate) fn known_by(cluster: &RedisCluster, seed: usize) -> Config {
    config(&url(cluster, seed), SHARDS)
}

/// A store of shards on the cluster, which knows it by one node's address.
pub(crate) fn store(cluster: &RedisCluster, seed: usize) -> RedisStore {
    RedisStore::new(&known_by(cluster, seed)).unwrap()
}

pub(crate) fn url(cluster: &RedisCluster, node: usize) -> String {
    format!("{};cluster", cluster.node(node).url())
}

/// A key of a shard.
pub(crate) fn key(shard: usize, key: &str) -> String {
    format!("visits:{{s{shard}}}:{key}")
}

/// A call with one batch and base 1.
pub(crate) fn call(number: u64, increments: &[(&str, u64)]) -> Apply {
    visits_core::tests::call(&[batch(number, increments)])
}
