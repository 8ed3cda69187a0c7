//! Redis Sentinel for one test: processes that watch a primary and promote a replica when it is gone.

use crate::{Process, RedisServer, ReservedPort, redis_program, wait_for};
use redis::{Client, RedisResult};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Longest wait for a start and for all to know each other: they look for each other every two seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// A primary that is silent for so long is taken for gone, in milliseconds.
const DOWN_AFTER_MILLIS: u32 = 500;

/// An attempt at a failover that takes longer is given up, and the next one begins after twice as long.
const FAILOVER_MILLIS: u32 = 5_000;

/// Name of the primary among the sentinels.
const NAME: &str = "shard";

/// Sentinels that watch one primary. Stopped when dropped.
#[derive(Debug)]
pub struct Sentinels {
    all: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    port: ReservedPort,
    /// Its settings, which it writes itself, and its log.
    folder: TempDir,
    process: Option<Process>,
}

impl Sentinels {
    /// Starts `count` sentinels for `primary`, most of which must agree on a failover, and waits until they know each
    /// other and a replica.
    ///
    /// # Panics
    /// If they do not start, or do not find each other.
    pub fn start(primary: &RedisServer, count: usize) -> Self {
        let sentinels = Self { all: (0..count).map(|_| Sentinel::start(primary, count / 2 + 1)).collect() };
        let all_known = |sentinel: &Sentinel| {
            let others = (count - 1).to_string();
            sentinel.tells("num-other-sentinels", &others) && sentinel.tells("num-slaves", "1")
        };
        assert!(wait_for(PATIENCE, || sentinels.all.iter().all(all_known)), "the sentinels do not find each other");
        sentinels
    }

    /// The address of the primary, as the first of them sees it. This is what a DNS name or a proxy in front of a
    /// shard would follow.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn primary(&self) -> SocketAddr {
        let (host, port): (String, u16) = self.all[0].ask("GET-MASTER-ADDR-BY-NAME").expect("a sentinel answers");
        SocketAddr::new(host.parse().expect("an address"), port)
    }
}

impl Sentinel {
    fn start(primary: &RedisServer, quorum: usize) -> Self {
        let folder = TempDir::with_prefix("visits-sentinel-").expect("a temporary folder can be made");
        let mut sentinel = Self { port: ReservedPort::new(), folder, process: None };
        let settings = format!(
            "port {}\nbind 127.0.0.1\nsentinel monitor {NAME} 127.0.0.1 {} {quorum}\n\
             sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MILLIS}\n\
             sentinel failover-timeout {NAME} {FAILOVER_MILLIS}\n",
            sentinel.port.number(),
            primary.port(),
        );
        let path = |name| sentinel.folder.path().join(name);
        fs::write(path("sentinel.conf"), settings).expect("its folder can be written");
        let log = File::create(path("sentinel.log")).expect("its folder can be written");
        let mut command = Command::new(redis_program());
        command.current_dir(sentinel.folder.path()).args(["sentinel.conf", "--sentinel"]);
        command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(log);
        sentinel.process = Some(Process::start(&mut command).expect("the server program starts"));
        sentinel
    }

    fn tells(&self, field: &str, value: &str) -> bool {
        let told: RedisResult<Vec<String>> = self.ask("MASTER");
        told.is_ok_and(|told| told.chunks(2).any(|pair| pair == [field, value]))
    }

    /// The answer to a question about the primary.
    fn ask<T: redis::FromRedisValue>(&self, question: &str) -> RedisResult<T> {
        let mut redis = Client::open(format!("redis://{}", self.port.address()))?.get_connection()?;
        redis.set_read_timeout(Some(PATIENCE))?;
        redis::cmd("SENTINEL").arg(question).arg(NAME).query(&mut redis)
    }
}
