//! A real Redis (or Valkey) server for one test.

mod builder;
mod replica;
mod shared;
#[cfg(test)]
mod tests;

pub use builder::RedisServerBuilder;
pub use shared::Database;

use crate::{Process, ReservedPort, Signal, wait_for};
use redis::{Client, Connection, RedisResult};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Longest start and longest graceful end; both take some 20 ms.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest wait for an answer to a question of a test.
const ANSWER: Duration = Duration::from_secs(10);

/// In the data folder: there a server with TLS answers its test, whatever its certificate is.
const SOCKET: &str = "redis.sock";

/// A server on a free loopback port with its data in a folder of its own. Stopped when dropped.
///
/// ```
/// use test_support::RedisServer;
///
/// let server = RedisServer::start();
/// let mut redis = server.connect();
/// let answer: String = redis::cmd("PING").query(&mut redis)?;
/// assert_eq!(answer, "PONG");
/// # Ok::<(), redis::RedisError>(())
/// ```
#[derive(Debug)]
pub struct RedisServer {
    program: PathBuf,
    port: ReservedPort,
    data: TempDir,
    options: Vec<String>,
    tls: bool,
    process: Option<Process>,
}

impl RedisServer {
    /// A server that keeps nothing on disk.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A server with options.
    pub fn builder() -> RedisServerBuilder {
        RedisServerBuilder::default()
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls { "rediss" } else { "redis" }, self.port.address())
    }

    /// Its port on 127.0.0.1. It is this server's also while it is stopped.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The folder of its data.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// The file to which it appends every write, the newest where it keeps several.
    ///
    /// # Panics
    /// If it keeps none.
    pub fn append_only_file(&self) -> PathBuf {
        let folders = [self.data().join("appendonlydir"), self.data().to_owned()];
        let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
        let is_log = |name: &str| name.ends_with(".incr.aof") || name == "appendonly.aof";
        let logs = files
            .map(|file| file.path())
            .filter(|path| path.file_name().is_some_and(|n| n.to_str().is_some_and(is_log)));
        logs.max().expect("the server was started with append_only(true)")
    }

    /// A connection of the test's own, to look inside.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn connect(&self) -> Connection {
        self.try_connect().unwrap_or_else(|error| panic!("{}: {error}", self.url()))
    }

    /// Ends it gracefully: everything is written to disk.
    ///
    /// # Panics
    /// If it does not end.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::Terminate);
            assert!(process.wait(PATIENCE).is_some(), "{} does not stop", self.url());
        }
    }

    /// Length of [`RedisServer::append_only_file`].
    ///
    /// # Panics
    /// If it keeps none.
    pub fn log_length(&self) -> u64 {
        fs::metadata(self.append_only_file()).expect("the file is there").len()
    }

    /// Crashes and starts again without what its append-only file had beyond `length` bytes.
    ///
    /// # Panics
    /// If it keeps none, or does not start.
    pub fn lose_log_beyond(&mut self, length: u64) {
        self.kill();
        let log = File::options().write(true).open(self.append_only_file());
        log.and_then(|log| log.set_len(length)).expect("the file can be cut");
        self.restart();
    }

    /// Kills it (SIGKILL), as a crash would.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port and data, after stopping it if it runs.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        self.stop();
        self.try_start().unwrap_or_else(|reason| panic!("{reason}"));
    }

    /// Starts it again on the same data and another port, after killing it if it runs.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart_elsewhere(&mut self) {
        self.kill();
        let (old, new) = (self.port.number().to_string(), ReservedPort::new());
        self.options.iter_mut().filter(|option| **option == old).for_each(|option| *option = new.number().to_string());
        self.port = new;
        self.try_start().unwrap_or_else(|reason| panic!("{reason}"));
    }

    /// Whether it was started and neither stopped nor killed since.
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Makes it stand still: connections are accepted and calls taken by the system, and nothing answers.
    /// What has come until [`RedisServer::thaw`] is done then.
    pub fn freeze(&mut self) {
        self.signal(Signal::Stop);
    }

    /// Lets a frozen server go on.
    pub fn thaw(&mut self) {
        self.signal(Signal::Continue);
    }

    fn signal(&mut self, signal: Signal) {
        self.process.as_mut().expect("the server runs").signal(signal);
    }

    pub(crate) fn try_connect(&self) -> RedisResult<Connection> {
        let own = if self.tls { format!("unix://{}", self.data().join(SOCKET).display()) } else { self.url() };
        let redis = Client::open(own)?.get_connection_with_timeout(ANSWER)?;
        redis.set_read_timeout(Some(ANSWER))?;
        redis.set_write_timeout(Some(ANSWER))?;
        Ok(redis)
    }

    pub(super) fn try_start(&mut self) -> Result<(), String> {
        let log = self.data().join("redis.log");
        let output = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let program = &self.program;
        let mut command = Command::new(program);
        command.current_dir(self.data()).args(&self.options);
        command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(output);
        let mut process = Process::start(&mut command).map_err(|error| format!("{}: {error}", program.display()))?;
        let ready = wait_for(PATIENCE, || process.ended().is_some() || self.is_ready(process.id()));
        if ready && process.ended().is_none() {
            self.process = Some(process);
            return Ok(());
        }
        process.kill();
        Err(format!("{} did not start: {}", program.display(), fs::read_to_string(log).unwrap_or_default()))
    }

    /// Whether the process `id`, and no other that has the port, answers and has loaded its data.
    fn is_ready(&self, id: u32) -> bool {
        let info = || -> RedisResult<String> {
            let mut redis = self.try_connect()?;
            let _: String = redis::cmd("PING").query(&mut redis)?;
            redis::cmd("INFO").arg("server").query(&mut redis)
        };
        info().is_ok_and(|info| info.lines().any(|line| line == format!("process_id:{id}")))
    }
}
