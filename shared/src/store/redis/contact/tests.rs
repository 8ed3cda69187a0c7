//! Each warning at its bound, and none from what a server does not tell.

use super::*;

/// The parts of `INFO` that are read, as a healthy server with an append-only file gives them.
const HEALTHY: &str = "# Server\r\nrun_id:95c9\r\n\r\n# Clients\r\nconnected_clients:7\r\nmaxclients:10000\r\n\r\n\
    # Memory\r\nused_memory:941520\r\nused_memory_human:919.45K\r\nmaxmemory:0\r\nmaxmemory_human:0B\r\n\
    maxmemory_policy:noeviction\r\n\r\n# Persistence\r\naof_enabled:1\r\n\r\n# Replication\r\nrole:master\r\n";

fn config(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]).collect()
}

/// The warnings of a healthy server after a change.
fn changed(from: &str, to: &str) -> Vec<Warning> {
    assert!(HEALTHY.contains(from), "{from}");
    Health::read(&HEALTHY.replace(from, to), &config(&[("save", "")])).warnings()
}

#[test]
fn a_healthy_server_gives_no_warning() {
    assert_eq!(Health::read(HEALTHY, &config(&[("save", "")])).warnings(), []);
    assert_eq!(changed("noeviction", "volatile-lru"), []);
}

#[test]
fn a_server_that_tells_nothing_gives_no_warning() {
    assert_eq!(Health::read("", &[]), Health::default());
    assert_eq!(Health::default().warnings(), []);
}

#[test]
fn an_allkeys_policy_is_told_from_info_or_from_config() {
    let policy = || Warning::Eviction { policy: "allkeys-lfu".to_owned() };
    assert_eq!(changed("noeviction", "allkeys-lfu"), [policy()]);
    let config = config(&[("maxmemory-samples", "5"), ("maxmemory-policy", "allkeys-lfu")]);
    assert_eq!(Health::read("", &config).warnings(), [policy()]);
}

#[test]
fn missing_persistence_is_told_only_where_both_ways_are_known_to_be_off() {
    assert_eq!(changed("aof_enabled:1", "aof_enabled:0"), [Warning::NoPersistence]);
    let info = HEALTHY.replace("aof_enabled:1", "aof_enabled:0");
    assert_eq!(Health::read(&info, &config(&[("save", "3600 1")])).warnings(), []);
    assert_eq!(Health::read(&info, &[]).warnings(), [], "CONFIG is forbidden: there may be snapshots");
    assert_eq!(Health::read(HEALTHY, &[]).warnings(), []);
}

#[test]
fn clients_are_told_from_four_fifths_of_the_most_on() {
    assert_eq!(changed("connected_clients:7", "connected_clients:7999"), []);
    let told = [Warning::Clients { open: 8_000, most: 10_000 }];
    assert_eq!(changed("connected_clients:7", "connected_clients:8000"), told);
    let before_7_0 = "connected_clients:8000\r\n";
    assert_eq!(Health::read(before_7_0, &config(&[("maxclients", "10000")])).warnings(), told);
    assert_eq!(Health::read(before_7_0, &[]).warnings(), []);
}

#[test]
fn memory_is_told_from_nine_tenths_on_unless_the_server_evicts() {
    assert_eq!(changed("maxmemory:0", "maxmemory:1046134"), [], "just below");
    assert_eq!(changed("maxmemory:0", "maxmemory:1046133"), [Warning::Memory { used: 941_520, most: 1_046_133 }]);
    let full = HEALTHY.replace("maxmemory:0", "maxmemory:941520").replace("noeviction", "allkeys-lru");
    assert!(matches!(Health::read(&full, &[]).warnings()[..], [Warning::Eviction { .. }]));
}

#[test]
fn a_node_of_a_cluster_is_known_where_the_server_tells() {
    let table = [("cluster_enabled:1\r\n", Some(true)), ("cluster_enabled:0\r\n", Some(false)), ("", None)];
    for (info, cluster) in table {
        assert_eq!(Health::read(info, &[]).cluster, cluster, "{info:?}");
    }
}

#[test]
fn a_replica_is_told() {
    assert_eq!(changed("role:master", "role:slave"), [Warning::Replica]);
}

#[test]
fn each_warning_says_what_to_do() {
    let all = Health {
        eviction_policy: Some("noeviction".to_owned()),
        is_replica: true,
        hides_run: true,
        cluster: None,
        persistent: Some(false),
        clients: 9,
        max_clients: 10,
        used_memory: 95,
        max_memory: 100,
    };
    let told: Vec<String> = all.warnings().iter().map(Warning::to_string).collect();
    assert_eq!(
        told,
        [
            "it keeps nothing on disk, a restart loses all counts: set appendonly yes",
            "9 of 10 connections are open: raise maxclients",
            "95 of 100 bytes of memory are used, full it refuses visits: raise maxmemory",
            "it is a replica and refuses visits: promote it or give the primary's address",
            "INFO is forbidden, so that a new connection counts as a restart and what no second look confirms is kept: allow the user +info",
        ]
    );
    let evicts = Warning::Eviction { policy: "allkeys-lru".to_owned() }.to_string();
    assert!(evicts.contains("allkeys-lru") && evicts.ends_with("set noeviction or volatile-*"), "{evicts}");
}
