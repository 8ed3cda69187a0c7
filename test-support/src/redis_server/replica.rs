//! Replicas: servers that follow another one, and what a failover does with them.

use super::{PATIENCE, RedisServer};
use crate::wait_for;

impl RedisServer {
    /// Starts a server that follows this one, with an append-only file if it has one, and waits until it has all of its data.
    ///
    /// # Panics
    /// If it does not start, or does not get the data.
    #[must_use]
    pub fn start_replica(&self) -> Self {
        let replica = Self::builder().append_only(self.appends()).start();
        replica.follow(self, self.port());
        replica
    }

    /// Makes it a replica of `primary` at `port`, where a proxy may stand, and waits until it has all of the data.
    /// It is one until it is promoted or restarted.
    ///
    /// # Panics
    /// If it does not get the data.
    pub fn follow(&self, primary: &Self, port: u16) {
        // Else the primary waits 5 s for more replicas before it sends its data.
        let mut redis = primary.connect();
        let _: () =
            redis::cmd("CONFIG").arg(&["SET", "repl-diskless-sync-delay", "0"]).query(&mut redis).expect("a setting");
        self.replica_of("127.0.0.1", &port.to_string());
        let synced = || self.info("replication", "master_link_status").as_deref() == Some("up");
        assert!(wait_for(PATIENCE, synced), "{} does not get the data of {}", self.url(), primary.url());
    }

    /// Makes a replica a primary: it takes writes.
    pub fn promote(&self) {
        self.replica_of("NO", "ONE");
    }

    /// A field of the answer to `INFO`, if it answers and tells it.
    pub fn info(&self, section: &str, field: &str) -> Option<String> {
        let info: String = redis::cmd("INFO").arg(section).query(&mut self.try_connect().ok()?).ok()?;
        info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).map(|value| value.trim().to_owned())
    }

    fn appends(&self) -> bool {
        self.options.windows(2).any(|pair| pair == ["--appendonly", "yes"])
    }

    fn replica_of(&self, host: &str, port: &str) {
        let _: () = redis::cmd("REPLICAOF").arg(host).arg(port).query(&mut self.connect()).expect("it may follow");
    }
}
