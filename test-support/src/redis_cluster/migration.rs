//! Moving a slot from node to node, one step at a time.

use super::{PATIENCE, RedisCluster, ask};
use crate::wait_for;
use redis::RedisResult;
use std::time::Duration;

/// Time that news of a slot takes to reach all nodes, with room.
const AGREEMENT: Duration = Duration::from_secs(2);

/// A slot on its way. Until it is finished, the old node has it and sends to the new one for keys that it lacks.
#[derive(Debug)]
pub struct Migration<'a> {
    cluster: &'a RedisCluster,
    slot: String,
    from: usize,
    to: usize,
}

impl RedisCluster {
    /// Begins to move the slot of `key` to the primary `to`.
    ///
    /// # Panics
    /// If a node refuses.
    pub fn migrate(&self, key: &str, to: usize) -> Migration<'_> {
        let (from, slot) = (self.primary(key), self.slot(key).to_string());
        let _: () = self.tell(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &self.id(from)]);
        let _: () = self.tell(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &self.id(to)]);
        Migration { cluster: self, slot, from, to }
    }
}

impl Migration<'_> {
    /// Moves up to `most` keys that are still there; returns how many. 0: all are gone.
    ///
    /// # Panics
    /// If a node refuses.
    pub fn move_keys(&self, most: usize) -> usize {
        let keys: Vec<String> =
            self.cluster.tell(self.from, &["CLUSTER", "GETKEYSINSLOT", &self.slot, &most.to_string()]);
        self.move_these(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        keys.len()
    }

    /// Moves these keys.
    ///
    /// # Panics
    /// If a node refuses.
    pub fn move_these(&self, keys: &[&str]) {
        if !keys.is_empty() {
            let port = self.cluster.node(self.to).port().to_string();
            let words = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            let _: () = self.cluster.tell(self.from, &[&words[..], keys].concat());
        }
    }

    /// Moves the keys that are left, and returns when all nodes know the new owner.
    ///
    /// Slots that move one right after the other may get into each other's way: news of an earlier owner takes the slot from
    /// the new one, while the old one has given it up already. So the nodes are told again until they agree.
    ///
    /// # Panics
    /// If the new owner refuses, or the nodes do not agree.
    pub fn finish(self) {
        while self.move_keys(100) > 0 {}
        let id = self.cluster.id(self.to);
        // The new owner first: told after the old one, it would send callers back meanwhile.
        let others = (0..RedisCluster::NODES).filter(|node| *node != self.to);
        let nodes: Vec<usize> = [self.to].into_iter().chain(others).collect();
        let agreed = wait_for(PATIENCE, || {
            for &node in &nodes {
                let Some(mut redis) = self.cluster.running(node) else { continue };
                // A replica hears of it from its primary.
                let told: RedisResult<()> = ask(&mut redis, &["CLUSTER", "SETSLOT", &self.slot, "NODE", &id]);
                assert!(told.is_ok() || node != self.to, "{told:?}");
            }
            wait_for(AGREEMENT, || self.cluster.agrees_on_owner(&self.slot, &id))
        });
        assert!(agreed, "the nodes do not agree that slot {} has moved", self.slot);
    }
}
