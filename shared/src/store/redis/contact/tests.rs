//! Each warning at its bound, and none from what a server does not tell.

use super::*;

/// The parts of `INFO` that are read, as a healthy server with an append-only file gives them.
const HEALTHY: &str = "# Server\r\nrun_id:95c9\r\n\r\n# Clients\r\nconnected_clients:7\r\nmaxclients:10000\r\n\r\n\
    # Memory\r\nused_memory:941520\r\nused_memory_human:919.45K\r\nmaxmemory:0\r\nmaxmemory_human:0B\r\n\
    maxmemory_policy:noeviction\r\n\r\n# Persistence\r\naof_enabled:1\r\n\r\n# Replication\r\nrole:master\r\n";

fn told(info: &str, config: &[&str]) -> Vec<String> {
    let config: Vec<String> = config.iter().map(ToString::to_string).collect();
    Health::read(info, &config).warnings().iter().map(Warning::to_string).collect()
}

#[test]
fn each_warning_comes_at_its_bound_and_says_what_to_do() {
    let evicts = "its maxmemory-policy is allkeys-lru, so that it may evict counts: set noeviction or volatile-*";
    let unsafe_ = "it keeps nothing on disk, a restart loses all counts: set appendonly yes";
    let clients = "8000 of 10000 connections are open: raise maxclients";
    let memory = "941520 of 1046133 bytes of memory are used, full it refuses visits: raise maxmemory";
    let replica = "it is a replica and refuses visits: promote it or give the primary's address";
    let table: [(&str, &str, &[&str], &[&str]); 15] = [
        ("", "", &["save", ""], &[]),
        ("noeviction", "volatile-lru", &[], &[]),
        ("noeviction", "allkeys-lru", &[], &[evicts]),
        // Before 7.0, and where `INFO` is forbidden, `CONFIG` tells.
        (
            "maxmemory_policy:noeviction\r\n",
            "",
            &["maxmemory-samples", "5", "maxmemory-policy", "allkeys-lru"],
            &[evicts],
        ),
        ("aof_enabled:1", "aof_enabled:0", &["save", ""], &[unsafe_]),
        ("aof_enabled:1", "aof_enabled:0", &["save", "3600 1"], &[]),
        // `CONFIG` is forbidden: there may be snapshots.
        ("aof_enabled:1", "aof_enabled:0", &[], &[]),
        ("clients:7", "clients:7999", &[], &[]),
        ("clients:7", "clients:8000", &[], &[clients]),
        ("clients:7\r\nmaxclients:10000", "clients:8000", &["maxclients", "10000"], &[clients]),
        ("clients:7\r\nmaxclients:10000", "clients:8000", &[], &[]),
        ("maxmemory:0", "maxmemory:1046134", &[], &[]),
        ("maxmemory:0", "maxmemory:1046133", &[], &[memory]),
        // A server that evicts is full as a rule.
        (
            "maxmemory:0\r\nmaxmemory_human:0B\r\nmaxmemory_policy:noeviction",
            "maxmemory:1\r\nmaxmemory_policy:allkeys-lru",
            &[],
            &[evicts],
        ),
        ("role:master", "role:slave", &[], &[replica]),
    ];
    for (from, to, config, expected) in table {
        assert!(HEALTHY.contains(from), "{from}");
        assert_eq!(told(&HEALTHY.replacen(from, to, 1), config), expected, "{to} {config:?}");
    }
    let hidden = Health { hides_run: true, ..Health::default() }.warnings();
    assert!(hidden.len() == 1 && hidden[0].to_string().ends_with("is kept: allow the user +info"), "{hidden:?}");
}

#[test]
fn a_server_that_tells_nothing_gives_no_warning() {
    assert_eq!(Health::read("", &[]), Health::default());
    assert_eq!(Health::default().warnings(), []);
}

#[test]
fn a_node_of_a_cluster_is_known_where_the_server_tells() {
    let table = [("cluster_enabled:1\r\n", Some(true)), ("cluster_enabled:0\r\n", Some(false)), ("", None)];
    for (info, cluster) in table {
        assert_eq!(Health::read(info, &[]).cluster, cluster, "{info:?}");
    }
}
