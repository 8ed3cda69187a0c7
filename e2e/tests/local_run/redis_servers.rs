//! The two Redis servers, looked into directly.

use crate::PAGES;
use crate::local_run::{FLUSH_INTERVAL, Place};
use redis::{Client, Commands, Connection};
use std::collections::BTreeMap;
use visits_core::ring::Ring;
use visits_core::shard::Weight;

/// The shards' names, which do not follow the ports.
const SHARDS: [&str; 2] = ["redis_7070", "redis_7071"];

fn owner_index(id: &str) -> usize {
    Ring::new(SHARDS.map(|name| (name.parse().unwrap(), Weight::default()))).unwrap().owner(id)
}

/// The name of the shard that owns a page.
pub(crate) fn owner(id: &str) -> &'static str {
    SHARDS[owner_index(id)]
}

pub(crate) struct RedisServers([Connection; 2]);

impl RedisServers {
    pub(crate) fn connect(place: &Place) -> Self {
        Self(place.redis_urls().map(|url| Client::open(url).unwrap().get_connection().unwrap()))
    }

    /// All pages on a server with their counts.
    fn counts(&mut self, shard: usize) -> BTreeMap<String, u64> {
        let prefix = format!("visits:{{{}}}:page:", SHARDS[shard]);
        let redis = &mut self.0[shard];
        let keys: Vec<String> = redis.keys("*:page:*").unwrap();
        let count = |key: String| (key.strip_prefix(&prefix).unwrap().to_owned(), redis.hget(&key, "total").unwrap());
        keys.into_iter().map(count).collect()
    }

    /// All visits on both servers.
    pub(crate) fn sum(&mut self) -> u64 {
        (0..SHARDS.len()).map(|shard| self.counts(shard).values().sum::<u64>()).sum()
    }

    /// Checks that every page has `count` visits on the shard that owns it, and that there is no other page.
    pub(crate) fn hold_each_page_on_its_owner(&mut self, count: u64) {
        for (shard, name) in SHARDS.into_iter().enumerate() {
            let owned = PAGES.iter().filter(|(_, id)| owner_index(id) == shard);
            let expected: BTreeMap<String, u64> = owned.map(|(_, id)| ((*id).to_owned(), count)).collect();
            assert!(!expected.is_empty(), "each shard owns some of the pages");
            assert_eq!(self.counts(shard), expected, "{name}");
        }
    }

    /// Moves every writer's last flush into the past, so that the sweep takes it for idle.
    pub(crate) fn let_the_flush_interval_pass(&mut self) {
        let millis = i64::try_from(FLUSH_INTERVAL.as_millis()).unwrap() + 1;
        for (redis, shard) in self.0.iter_mut().zip(SHARDS) {
            let key = format!("visits:{{{shard}}}:writers");
            let writers: Vec<String> = redis.zrange(&key, 0, -1).unwrap();
            for writer in writers {
                let _: f64 = redis.zincr(&key, writer, -millis).unwrap();
            }
        }
    }
}
