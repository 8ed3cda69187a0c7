//! Servers with pages on them, and calls of the binary.

use redis::Commands as _;
use serde_json::Value;
use std::process::{Command, Output, Stdio};
use test_support::RedisServer;
use visits_core::ring::Ring;
use visits_core::shard::{ShardName, Weight};

/// The names that the shards of a [`World`] get, in order.
pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];

/// Shards with a server each.
pub(crate) struct World {
    pub(crate) servers: Vec<RedisServer>,
}

/// The result of a call of the binary.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    /// Empty shards, with the records that the first contact of a function makes.
    pub(crate) fn new(shards: usize) -> Self {
        let world = Self { servers: (0..shards).map(|_| server()).collect() };
        for (shard, (name, server)) in NAMES.iter().zip(&world.servers).enumerate() {
            let record = [("format", "1"), ("namespace", "visits"), ("name", name), ("identity", "0123")];
            let _: () = server.connect().hset_multiple(key(shard, "shard"), &record).unwrap();
            let _: () = server.connect().sadd("visits:shards", name).unwrap();
        }
        world
    }

    /// The shards as `REDIS_ENDPOINTS`.
    pub(crate) fn endpoints(&self) -> String {
        let entries = NAMES.iter().zip(&self.servers).map(|(name, server)| format!("{name}={}", server.url()));
        entries.collect::<Vec<_>>().join(",")
    }

    /// Which of the shards owns a page.
    pub(crate) fn owner(&self, page: &str) -> usize {
        self.ring().owner(page)
    }

    fn ring(&self) -> Ring {
        let names = NAMES[..self.servers.len()].iter();
        Ring::new(names.map(|name| (name.parse::<ShardName>().unwrap(), Weight::default()))).unwrap()
    }

    /// Has all shards say that pages are moving to the places that their ring gives them.
    pub(crate) fn ring_moves(&self) {
        self.ring_settles();
        for (shard, server) in self.servers.iter().enumerate() {
            let _: i64 = server.connect().hset(key(shard, "shard"), "moving", "1").unwrap();
        }
    }

    /// Has all shards say that every page is where their ring places it.
    pub(crate) fn ring_settles(&self) {
        let ring = self.ring().fingerprint().to_string();
        for (shard, server) in self.servers.iter().enumerate() {
            let _: i64 = server.connect().hset(key(shard, "shard"), "ring", &ring).unwrap();
        }
    }

    /// Another shard than the owner.
    pub(crate) fn stranger(&self, page: &str) -> usize {
        (self.owner(page) + 1) % self.servers.len()
    }

    /// Counts visits where they belong.
    pub(crate) fn count(&self, page: &str, visits: u64) {
        self.set(self.owner(page), page, "total", visits);
    }

    /// The pages `page-0` to `page-<pages - 1>`, with as many visits as their number and one.
    pub(crate) fn fill(&self, pages: u64) {
        let mut pipelines: Vec<_> = self.servers.iter().map(|_| redis::pipe()).collect();
        for number in 0..pages {
            let page = format!("page-{number}");
            let shard = self.owner(&page);
            pipelines[shard].hset(key(shard, &format!("page:{page}")), "total", number + 1).ignore();
        }
        for (server, pipeline) in self.servers.iter().zip(pipelines) {
            let _: () = pipeline.query(&mut server.connect()).unwrap();
        }
    }

    /// Writes a field of a page's record on a shard.
    pub(crate) fn set(&self, shard: usize, page: &str, field: &str, value: impl redis::ToSingleRedisArg + Send + Sync) {
        let _: () = self.servers[shard].connect().hset(key(shard, &format!("page:{page}")), field, value).unwrap();
    }

    /// Calls the binary with these shards.
    pub(crate) fn visits(&self, args: &[&str]) -> Run {
        run(&mut self.command(args))
    }

    /// Returns the command, not started yet.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = binary(args);
        command.env("REDIS_ENDPOINTS", self.endpoints());
        command
    }
}

/// A server as an operator should run it: one that keeps nothing on disk is warned of.
pub(crate) fn server() -> RedisServer {
    RedisServer::builder().append_only(true).start()
}

/// The name of a key of a shard.
pub(crate) fn key(shard: usize, key: &str) -> String {
    format!("visits:{{{}}}:{key}", NAMES[shard])
}

/// The binary without settings.
pub(crate) fn binary(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_visits"));
    command.env_clear().args(args).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> Run {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: status.code().expect("it ends by itself"), stdout: text(stdout), stderr: text(stderr) }
}

impl Run {
    /// Standard output of a call that was done without a word on standard error.
    pub(crate) fn done(&self) -> &str {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        &self.stdout
    }

    /// Standard error of a call that ended with this code, and said so in few words.
    pub(crate) fn told(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{self:?}");
        &self.stderr
    }

    /// Standard output as one JSON document.
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Standard output as JSON lines.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.stdout.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
