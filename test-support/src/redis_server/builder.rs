//! The options of a server, and its first start.

use super::RedisServer;
use crate::ReservedPort;
use tempfile::TempDir;

/// Starts that may fail because somebody was faster with the port.
const ATTEMPTS: usize = 5;

/// Options of a [`RedisServer`].
#[derive(Clone, Debug, Default)]
pub struct RedisServerBuilder {
    append_only: bool,
    options: Vec<String>,
}

impl RedisServerBuilder {
    /// Whether it keeps an append-only file, synced every second. By default it keeps nothing.
    #[must_use]
    pub fn append_only(mut self, append_only: bool) -> Self {
        self.append_only = append_only;
        self
    }

    /// One more option, as in `redis.conf`: `("maxmemory", "1mb")`.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.extend([format!("--{name}"), value.to_owned()]);
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    /// If there is no server program, or it does not start.
    pub fn start(self) -> RedisServer {
        let mut failed = String::new();
        for _ in 0..ATTEMPTS {
            let mut server = RedisServer {
                port: ReservedPort::new(),
                data: TempDir::with_prefix("visits-redis-").expect("a temporary folder can be made"),
                options: self.arguments(),
                process: None,
            };
            match server.try_start() {
                Ok(()) => return server,
                Err(reason) => failed = reason,
            }
        }
        panic!("{failed}");
    }

    fn arguments(&self) -> Vec<String> {
        let append_only = if self.append_only { "yes" } else { "no" };
        let fixed = ["--bind", "127.0.0.1", "--save", "", "--appendfsync", "everysec", "--appendonly", append_only];
        fixed.into_iter().map(str::to_owned).chain(self.options.iter().cloned()).collect()
    }
}
