//! Forming a cluster of six servers.

use super::{PATIENCE, RedisCluster, SLOTS, ask};
use crate::{CertificateAuthority, RedisServer, RedisServerBuilder, ReservedPort, wait_for};

/// A node silent for this long is taken for dead, in ms. Long against the pauses of a busy machine.
const NODE_TIMEOUT: &str = "1000";

impl RedisCluster {
    /// Starts six servers that keep an append-only file and joins them.
    ///
    /// # Panics
    /// If there is no server program, or they do not find together.
    pub fn start() -> Self {
        Self::form(&RedisServer::builder())
    }

    /// Starts them as [`RedisCluster::start`] does, over TLS throughout: each shows a certificate for 127.0.0.1 of this authority.
    ///
    /// # Panics
    /// As [`RedisCluster::start`].
    pub fn start_with_tls(authority: &CertificateAuthority) -> Self {
        let builder = RedisServer::builder().tls(authority.certificate(&["127.0.0.1"]));
        Self::form(&builder.option("tls-cluster", "yes").option("tls-replication", "yes"))
    }

    fn form(builder: &RedisServerBuilder) -> Self {
        let buses: Vec<ReservedPort> = (0..Self::NODES).map(|_| ReservedPort::new()).collect();
        let nodes = buses.iter().map(|bus| start_node(builder.clone(), bus.number())).collect();
        let cluster = Self { nodes, buses };
        cluster.meet();
        cluster.give_slots();
        for replica in Self::PRIMARIES..Self::NODES {
            let _: () = cluster.tell(replica, &["CLUSTER", "REPLICATE", &cluster.id(replica - Self::PRIMARIES)]);
        }
        cluster.await_whole(Self::NODES - Self::PRIMARIES);
        cluster
    }

    fn meet(&self) {
        for (node, bus) in self.buses.iter().enumerate() {
            let _: () = self.tell(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(node + 1).to_string()]);
            let (port, bus) = (self.node(node).port().to_string(), bus.number().to_string());
            let _: () = self.tell(0, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        let all = || (0..Self::NODES).all(|node| self.knows_all(node));
        assert!(wait_for(PATIENCE, all), "the nodes do not meet");
    }

    fn knows_all(&self, node: usize) -> bool {
        let nodes = self.running(node).and_then(|mut redis| ask::<String>(&mut redis, &["CLUSTER", "NODES"]).ok());
        nodes.is_some_and(|nodes| nodes.lines().count() == Self::NODES && !nodes.contains("handshake"))
    }

    fn give_slots(&self) {
        let bound = |primary: usize| usize::from(SLOTS) * primary / Self::PRIMARIES;
        for primary in 0..Self::PRIMARIES {
            let [first, last] = [bound(primary), bound(primary + 1) - 1].map(|slot| slot.to_string());
            let _: () = self.tell(primary, &["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
        }
    }
}

fn start_node(builder: RedisServerBuilder, bus: u16) -> RedisServer {
    let options = [
        ("cluster-enabled", "yes"),
        ("cluster-port", &bus.to_string()),
        ("cluster-node-timeout", NODE_TIMEOUT),
        // A replica may be elected however long it was cut off; none moves to another primary by itself.
        ("cluster-replica-validity-factor", "0"),
        ("cluster-allow-replica-migration", "no"),
        // Replicas are filled at once, not together with others that may come.
        ("repl-diskless-sync-delay", "0"),
    ];
    options.iter().fold(builder.append_only(true), |builder, (name, value)| builder.option(name, value)).start()
}
