//! A real Redis (or Valkey) Cluster for one test: three primaries with a replica each.

mod forming;
mod migration;

pub use migration::Migration;

use crate::{RedisServer, ReservedPort, wait_for};
use redis::{Connection, FromRedisValue, RedisResult};
use std::time::Duration;

/// Slots of a cluster.
const SLOTS: u16 = 16_384;

/// Longest wait for the nodes to agree on something; a failover takes some three seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// Six servers on free loopback ports, `0..3` primaries at the start and `3..6` their replicas in the same order.
/// Stopped when dropped.
///
/// ```
/// use test_support::RedisCluster;
///
/// let cluster = RedisCluster::start();
/// let node = cluster.primary("{some}:key");
/// let _: () = redis::cmd("SET").arg("{some}:key").arg(1).query(&mut cluster.node(node).connect())?;
/// # Ok::<(), redis::RedisError>(())
/// ```
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    /// Where the nodes talk to each other. A node keeps its own over a restart.
    buses: Vec<ReservedPort>,
}

impl RedisCluster {
    /// Primaries at the start; as many replicas follow them.
    pub const PRIMARIES: usize = 3;

    /// Number of nodes.
    pub const NODES: usize = 2 * Self::PRIMARIES;

    /// A node, to look inside or to find its address.
    pub fn node(&self, node: usize) -> &RedisServer {
        &self.nodes[node]
    }

    /// A node, to stop, freeze or restart it.
    pub fn node_mut(&mut self, node: usize) -> &mut RedisServer {
        &mut self.nodes[node]
    }

    /// The slot of a key, as the cluster sees it.
    ///
    /// # Panics
    /// If no node runs.
    pub fn slot(&self, key: &str) -> u16 {
        let node = self.nodes.iter().find(|node| node.runs()).expect("a node runs");
        ask(&mut node.connect(), &["CLUSTER", "KEYSLOT", key]).expect("every key has a slot")
    }

    /// The running node that has the key's slot, or will have after a failover under way: waits for it.
    ///
    /// # Panics
    /// If none takes it.
    pub fn primary(&self, key: &str) -> usize {
        let slot = self.slot(key);
        let mut found = None;
        let whole = wait_for(PATIENCE, || {
            found = self.owner(slot);
            found.is_some()
        });
        assert!(whole, "no node has slot {slot}");
        found.unwrap_or_default()
    }

    /// The replica of the primary `node`.
    ///
    /// # Panics
    /// If it has none.
    pub fn replica(&self, node: usize) -> usize {
        let id = self.id(node);
        let follows = |&other: &usize| self.view(other).is_some_and(|view| view.follows == id);
        (0..Self::NODES).find(follows).expect("the primary has a replica")
    }

    /// Has the replica `node` take the place of its primary, which agrees: `CLUSTER FAILOVER`.
    ///
    /// # Panics
    /// If it does not.
    pub fn fail_over_to(&self, node: usize) {
        let _: () = self.tell(node, &["CLUSTER", "FAILOVER"]);
        self.await_promotion(node);
    }

    /// Waits until the replica `node` has become a primary, for whatever reason.
    ///
    /// # Panics
    /// If it does not.
    pub fn await_promotion(&self, node: usize) {
        let promoted = || self.view(node).is_some_and(|view| view.follows == "-");
        assert!(wait_for(PATIENCE, promoted), "node {node} does not take over");
    }

    /// Has the replica `node` stay one, also when its primary is gone.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn forbid_failover(&self, node: usize) {
        let _: () = self.tell(node, &["CONFIG", "SET", "cluster-replica-no-failover", "yes"]);
    }

    /// Cuts off the replicas of the primary `node`: they stay, and get no more of its writes.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn cut_off_replicas(&self, node: usize) {
        let _: () = self.tell(node, &["ACL", "SETUSER", "default", "-psync", "-sync"]);
        let _: i64 = self.tell(node, &["CLIENT", "KILL", "TYPE", "replica"]);
    }

    /// Waits until the running nodes agree that all slots are served, each primary with `replicas` in all.
    ///
    /// # Panics
    /// If they do not.
    pub fn await_whole(&self, replicas: usize) {
        let whole = || {
            self.nodes.iter().filter(|node| node.runs()).all(|node| {
                node.try_connect()
                    .and_then(|mut redis| ask::<String>(&mut redis, &["CLUSTER", "INFO"]))
                    .is_ok_and(|info| info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384"))
            })
        };
        let in_step = || (0..Self::NODES).filter(|&node| self.is_replica_in_step(node)).count() == replicas;
        assert!(wait_for(PATIENCE, || whole() && in_step()), "the cluster does not become whole");
    }

    fn tell<T: FromRedisValue>(&self, node: usize, command: &[&str]) -> T {
        ask(&mut self.nodes[node].connect(), command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    fn is_replica_in_step(&self, node: usize) -> bool {
        let info = self.running(node).and_then(|mut redis| ask::<String>(&mut redis, &["INFO", "replication"]).ok());
        info.is_some_and(|info| info.contains("master_link_status:up"))
    }

    /// The running node that says itself that it has the slot; where two do, one of them not knowing better yet, the
    /// one elected last.
    fn owner(&self, slot: u16) -> Option<usize> {
        let views = (0..Self::NODES).filter_map(|node| Some((node, self.view(node)?)));
        let owners = views.filter(|(_, view)| view.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot)));
        owners.max_by_key(|(_, view)| view.epoch).map(|(node, _)| node)
    }

    /// Whether every running node knows that the node with this id has the slot.
    fn agrees_on_owner(&self, slot: &str, id: &str) -> bool {
        let Ok(slot) = slot.parse() else { return false };
        let has_it = |view: &View| view.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot));
        (0..Self::NODES).filter_map(|node| self.running(node)).all(|mut redis| {
            let nodes: String = ask(&mut redis, &["CLUSTER", "NODES"]).unwrap_or_default();
            nodes.lines().find(|line| line.starts_with(id)).and_then(View::read).is_some_and(|view| has_it(&view))
        })
    }

    fn id(&self, node: usize) -> String {
        self.tell(node, &["CLUSTER", "MYID"])
    }

    fn running(&self, node: usize) -> Option<Connection> {
        let node = &self.nodes[node];
        node.runs().then(|| node.try_connect().ok())?
    }

    /// Returns a running node's own view of itself.
    fn view(&self, node: usize) -> Option<View> {
        let nodes: String = ask(&mut self.running(node)?, &["CLUSTER", "NODES"]).ok()?;
        nodes.lines().find(|line| line.contains("myself")).and_then(View::read)
    }
}

/// A node's description of itself in `CLUSTER NODES`.
#[derive(Debug)]
struct View {
    /// Its primary, `-` for none.
    follows: String,
    epoch: u64,
    slots: Vec<(u16, u16)>,
}

impl View {
    fn read(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        // A slot that moves is named in brackets, besides.
        let ranges = fields.iter().skip(8).filter(|range| !range.starts_with('['));
        let slots = ranges.map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some((first.parse().ok()?, last.parse().ok()?))
        });
        Some(Self {
            follows: (*fields.get(3)?).to_owned(),
            epoch: fields.get(6)?.parse().ok()?,
            slots: slots.collect::<Option<_>>()?,
        })
    }
}

/// Sends a command given by its words.
fn ask<T: FromRedisValue>(redis: &mut Connection, words: &[&str]) -> RedisResult<T> {
    redis::cmd(words[0]).arg(&words[1..]).query(redis)
}
