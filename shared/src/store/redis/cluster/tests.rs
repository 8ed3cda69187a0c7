//! The nodes of a cluster, as answers of its nodes tell of them.

use super::*;
use crate::config::Config;
use crate::credentials::{Aws, Logins};

fn nodes() -> Nodes {
    let endpoints = |name: &str| (name == "REDIS_ENDPOINTS").then(|| "a=redis://:pw@seed:7000".into());
    let config = Config::from_vars(endpoints).unwrap();
    Nodes::new(Link::new(&config.shards[0], &Logins::new(Aws::from_env(config.clock())), &config).unwrap(), true)
}

fn address(link: &Link) -> String {
    let (host, port) = link.address();
    format!("{host}:{port}")
}

#[test]
fn a_node_has_one_link_and_one_that_fails_is_asked_last() {
    let nodes = nodes();
    let seed = nodes.entry();
    let other = nodes.at(&("other".into(), 7000));
    assert!(Arc::ptr_eq(&other, &nodes.at(&("other".into(), 7000))));
    nodes.failed(&seed);
    assert_eq!(address(&nodes.entry()), "other:7000");
    nodes.failed(&nodes.entry());
    assert!(Arc::ptr_eq(&seed, &nodes.entry()));
}

#[test]
fn a_redirection_names_a_node_and_an_unknown_host_is_the_one_that_was_asked() {
    let asked = nodes().entry();
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
fn the_nodes_of_a_topology_and_the_seed_are_known_and_no_others() {
    let nodes = nodes();
    let asked = nodes.entry();
    nodes.at(&("b".into(), 2));
    nodes.at(&("gone".into(), 1));
    nodes.failed(&asked);
    let node = |host: Value, port| Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".into())]);
    let host = |host: &str| Value::BulkString(host.into());
    let range = |nodes: Vec<Value>| Value::Array([vec![Value::Int(0), Value::Int(99)], nodes].concat());
    let answer = Value::Array(vec![
        range(vec![node(host("a"), 1), node(host("b"), 2)]),
        range(vec![node(Value::Nil, 3), node(host(""), 4), node(host("c"), 0), node(host("c"), 70_000)]),
    ]);
    for (answer, known) in [
        (Value::Nil, vec!["b:2", "gone:1", "seed:7000"]),
        (answer, vec!["b:2", "seed:7000", "a:1", "seed:3", "seed:4"]),
    ] {
        nodes.learn(&answer, &asked);
        assert_eq!(nodes.known().iter().map(|link| address(link)).collect::<Vec<_>>(), known);
    }
}
