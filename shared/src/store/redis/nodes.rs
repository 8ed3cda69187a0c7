//! The servers behind one endpoint: its only one, or the nodes of a cluster that were heard of.
//!
//! Each has one connection at most, opened when it is first needed. All are spoken to as the endpoint's URL says.

use super::connection::Link;
use redis::{RedisError, Value};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most nodes that are remembered: some more than any cluster that this program was made for, since a node that
/// came back at another address is remembered twice.
const MOST_KNOWN: usize = 256;

/// Where a node listens.
pub(super) type Address = (String, u16);

#[derive(Debug)]
pub(super) struct Nodes {
    /// What the endpoint's URL names.
    seed: Arc<Link>,
    /// The nodes of a cluster, the seed included. The first is asked for shards whose node is not known; one that
    /// fails goes to the end, so that a cluster without its seed is still found. None: a single server.
    known: Option<Mutex<Vec<Arc<Link>>>>,
}

impl Nodes {
    pub(super) fn new(seed: Link, cluster: bool) -> Self {
        let seed = Arc::new(seed);
        Self { known: cluster.then(|| Mutex::new(vec![Arc::clone(&seed)])), seed }
    }

    /// Whom to ask for a shard whose node is not known.
    pub(super) fn entry(&self) -> Arc<Link> {
        let first = self.known().and_then(|known| known.first().cloned());
        first.unwrap_or_else(|| Arc::clone(&self.seed))
    }

    /// The node that listens there.
    pub(super) fn at(&self, (host, port): &Address) -> Arc<Link> {
        let Some(mut known) = self.known() else { return Arc::clone(&self.seed) };
        if let Some(link) = known.iter().find(|link| link.address() == (host, *port)) {
            return Arc::clone(link);
        }
        if known.len() >= MOST_KNOWN {
            // The one that failed last, but for the seed: its name may mean another server by now.
            let gone = known.iter().rposition(|link| !Arc::ptr_eq(link, &self.seed));
            gone.map(|gone| known.remove(gone));
        }
        let link = Arc::new(self.seed.beside(host, *port));
        known.push(Arc::clone(&link));
        link
    }

    /// Whether these are the nodes of a cluster.
    pub(super) fn is_cluster(&self) -> bool {
        self.known.is_some()
    }

    /// Has this node be asked last from now on.
    pub(super) fn failed(&self, node: &Arc<Link>) {
        let Some(mut known) = self.known() else { return };
        if let Some(place) = known.iter().position(|link| Arc::ptr_eq(link, node)) {
            known[place..].rotate_left(1);
        }
    }

    /// Learns of the nodes that `asked` names in its answer to `CLUSTER SLOTS`, so that it is not the only one known
    /// should it fail. Any other answer teaches nothing.
    pub(super) fn learn(&self, answer: &Value, asked: &Link) {
        addresses(answer, asked, &mut |address| drop(self.at(&address)));
    }

    fn known(&self) -> Option<MutexGuard<'_, Vec<Arc<Link>>>> {
        self.known.as_ref().map(|known| known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Finds the addresses in an answer to `CLUSTER SLOTS`, nested lists with `[host, port, id, …]` at the ends. A node
/// that does not know its own host tells none: it is the one that it was reached at.
fn addresses(answer: &Value, asked: &Link, found: &mut impl FnMut(Address)) {
    let Value::Array(items) = answer else { return };
    if let [host @ (Value::BulkString(_) | Value::Nil), Value::Int(port), ..] = items.as_slice() {
        let host = if let Value::BulkString(host) = host { String::from_utf8_lossy(host) } else { "".into() };
        if let Some(port) = u16::try_from(*port).ok().filter(|port| *port != 0) {
            found((host_or(&host, asked), port));
        }
        return;
    }
    for item in items {
        addresses(item, asked, found);
    }
}

/// The address in a `MOVED` or `ASK` that `asked` gave.
pub(super) fn redirection(error: &RedisError, asked: &Link) -> Option<Address> {
    let (address, _slot) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    Some((host_or(host, asked), port.parse().ok()?))
}

fn host_or(host: &str, asked: &Link) -> String {
    let unknown = host.is_empty() || host == "?";
    if unknown { asked.address().0 } else { host }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(cluster: bool) -> Nodes {
        Nodes::new(Link::to("redis://:pw@seed:7000"), cluster)
    }

    fn address(link: &Link) -> String {
        let (host, port) = link.address();
        format!("{host}:{port}")
    }

    #[test]
    fn a_node_has_one_link_and_one_that_fails_is_asked_last() {
        let nodes = nodes(true);
        let seed = nodes.entry();
        let other = nodes.at(&("other".into(), 7000));
        assert!(Arc::ptr_eq(&other, &nodes.at(&("other".into(), 7000))));
        nodes.failed(&seed);
        assert_eq!(address(&nodes.entry()), "other:7000");
        nodes.failed(&nodes.entry());
        assert!(Arc::ptr_eq(&seed, &nodes.entry()));
    }

    #[test]
    fn however_many_nodes_are_heard_of_the_seed_is_kept() {
        let nodes = nodes(true);
        let seed = nodes.entry();
        for port in 1..=1_000 {
            nodes.at(&("other".into(), port));
            nodes.failed(&seed);
        }
        let known = nodes.known().unwrap();
        assert!(known.len() == MOST_KNOWN && known.iter().any(|link| Arc::ptr_eq(link, &seed)));
    }

    #[test]
    fn a_single_server_is_its_only_node() {
        let nodes = nodes(false);
        nodes.failed(&nodes.entry());
        assert_eq!(address(&nodes.entry()), "seed:7000");
    }

    #[test]
    fn a_redirection_names_a_node_and_an_unknown_host_is_the_one_that_was_asked() {
        let asked = nodes(true).entry();
        let table = [
            ("MOVED 1 10.0.0.2:7001", Some("10.0.0.2:7001")),
            ("ASK 1 ::1:7001", Some("::1:7001")),
            ("MOVED 1 :7001", Some("seed:7001")),
            ("MOVED 1 ?:7001", Some("seed:7001")),
            ("MOVED 1 h:0x1", None),
            ("MOVED 1", None),
            ("TRYAGAIN 1 h:1", None),
        ];
        for (answer, expected) in table {
            let error = redis::parse_redis_value(format!("-{answer}\r\n").as_bytes()).unwrap().extract_error();
            let found = redirection(&error.unwrap_err(), &asked).map(|(host, port)| format!("{host}:{port}"));
            assert_eq!(found.as_deref(), expected, "{answer}");
        }
    }

    #[test]
    fn every_node_of_a_topology_is_heard_of() {
        let asked = nodes(true).entry();
        let node = |host: Value, port| Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".into())]);
        let host = |host: &str| Value::BulkString(host.into());
        let range = |nodes: Vec<Value>| Value::Array([vec![Value::Int(0), Value::Int(99)], nodes].concat());
        let answer = Value::Array(vec![
            range(vec![node(host("a"), 1), node(host("b"), 2)]),
            range(vec![node(Value::Nil, 3), node(host(""), 4), node(host("c"), 0), node(host("c"), 70_000)]),
        ]);
        let mut found = Vec::new();
        addresses(&answer, &asked, &mut |(host, port)| found.push(format!("{host}:{port}")));
        assert_eq!(found, ["a:1", "b:2", "seed:3", "seed:4"]);
    }
}
