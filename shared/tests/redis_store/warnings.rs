//! What an operator should change about a server is logged: each warning when it is due, and once.

use crate::helpers::{apply, close_all_but_ours, configure, endpoint, store, store_on, store_with, visit};
use redis::{Commands, Connection};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use test_support::{RedisServer, RedisServerBuilder};
use tracing::subscriber::DefaultGuard;
use visits_core::store::{Ledger, StoreError};

/// The warnings of this thread's log. Its tests run on one thread each.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        (log, tracing::subscriber::set_default(lines.with_max_level(tracing::Level::WARN).finish()))
    }

    /// How often `text` is in it; all its lines for "".
    fn count(&self, text: &str) -> usize {
        let log = self.0.lock().unwrap();
        String::from_utf8_lossy(&log).lines().filter(|line| line.contains(text)).count()
    }
}

/// As `make run` starts its servers.
fn sound() -> RedisServerBuilder {
    RedisServer::builder().append_only(true)
}

const EVICTION: &str = "its maxmemory-policy is allkeys-lru";
const NO_PERSISTENCE: &str = "it keeps nothing on disk";
const CLIENTS: &str = "connections are open";
const MEMORY: &str = "bytes of memory are used";

fn used_memory(redis: &mut Connection) -> u64 {
    let info: String = redis::cmd("INFO").arg("memory").query(redis).unwrap();
    info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_sound_server_gives_no_warning() {
    let snapshots = RedisServer::builder().option("save", "3600 1");
    for server in [sound().start(), snapshots.start()] {
        let (log, _guard) = Log::start();
        apply(&store_on(&server), &visit()).await.unwrap();
        assert_eq!(log.count(""), 0);
    }
}

#[tokio::test]
async fn a_server_that_keeps_nothing_is_told_once_for_each_shard_and_environment() {
    let server = RedisServer::start();
    let (log, _guard) = Log::start();
    let endpoints = format!("one={0},two={0}", server.url());
    for environment in 1..=2 {
        let store = store(&endpoints);
        for _ in 0..3 {
            for shard in 0..2 {
                store.apply(shard, &visit()).await.unwrap();
            }
            close_all_but_ours(&mut server.connect());
        }
        for shard in ["one", "two"] {
            assert_eq!(log.count(&format!("set appendonly yes shard=\"{shard}\"")), environment, "{shard}");
        }
        assert_eq!(log.count(""), 2 * environment);
    }
}

#[tokio::test]
async fn a_warning_that_becomes_due_later_is_told_with_the_next_connection_and_once() {
    let server = sound().option("maxclients", "10").start();
    let (log, _guard) = Log::start();
    let mut redis = server.connect();
    let store = store_on(&server);
    apply(&store, &visit()).await.unwrap();
    assert_eq!(log.count(""), 0);

    // Large, so that what some connections take is little against it.
    let _: () = redis.set("filler", "x".repeat(8 << 20)).unwrap();
    for _ in 0..2 {
        close_all_but_ours(&mut redis);
        let others: Vec<_> = (0..6).map(|_| server.connect()).collect();
        let most = used_memory(&mut redis) / 95 * 100;
        configure(&mut redis, "maxmemory", &most.to_string());
        apply(&store, &visit()).await.unwrap();
        drop(others);
        configure(&mut redis, "maxmemory", "0");
        assert_eq!((log.count(CLIENTS), log.count(MEMORY), log.count("")), (1, 1, 2));
    }
    assert_eq!(log.count("8 of 10"), 1);
}

#[tokio::test]
async fn an_evicting_server_is_used_with_a_warning_where_the_settings_allow_it() {
    let server = sound().option("maxmemory-policy", "allkeys-lru").start();
    let (log, _guard) = Log::start();
    let allow = |value| store_with(&[("REDIS_ENDPOINTS", &endpoint(&server)), ("VISITS_ALLOW_EVICTION", value)]);
    let refused = apply(&allow("off"), &visit()).await;
    let told = matches!(&refused, Err(StoreError::UnfitServer { reason, .. })
        if reason.contains(EVICTION) && reason.contains("VISITS_ALLOW_EVICTION=on"));
    assert!(told && log.count("") == 0, "{refused:?}");

    let store = allow("on");
    for _ in 0..2 {
        apply(&store, &visit()).await.unwrap();
        close_all_but_ours(&mut server.connect());
    }
    assert_eq!((log.count(EVICTION), log.count("")), (1, 1));
}

/// As managed services do, which forbid `CONFIG` to everybody.
#[tokio::test]
async fn what_a_server_forbids_to_ask_gives_no_warning_but_that_info_is_missing() {
    for (forbidden, told, hidden) in [("", 1, 0), ("-config", 0, 0), ("-info", 1, 1), ("-info -config", 0, 1)] {
        let server = RedisServer::start();
        let rules = format!("SETUSER app on nopass ~* +@all {forbidden}");
        let words: Vec<&str> = rules.split_whitespace().collect();
        let _: () = redis::cmd("ACL").arg(words).query(&mut server.connect()).unwrap();
        let (log, _guard) = Log::start();
        let endpoint = format!("redis_7070={}", server.url().replace("redis://", "redis://app:any@"));
        let store = store(&endpoint);
        for _ in 0..2 {
            apply(&store, &visit()).await.unwrap();
            close_all_but_ours(&mut server.connect());
        }
        assert_eq!((log.count(NO_PERSISTENCE), log.count("")), (told, told + hidden), "{forbidden}");
        assert_eq!(log.count("INFO is forbidden"), log.count("allow the user +info"));
    }
}
