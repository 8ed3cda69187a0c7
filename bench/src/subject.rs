//! What is measured: programs and the settings that they run with.

use crate::environment::Environment;
use crate::server::{config, one_thread};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use test_support::{RedisServer, release_program};
use visits_core::clock::Timing;
use visits_core::rehome::rehome;
use visits_core::store::redis::RedisStore;

/// The processor that a lone environment runs on; its driver has the others.
const PROCESSOR: usize = 1;

/// Returns the command `cargo` in this workspace, without the variables that Cargo sets for a program that it runs: `ring`
/// and all that depends on it would be built again for them.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            cargo.env_remove(name);
        }
    }
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo
}

/// Builds a release program of this workspace and returns it: what is measured is what the sources make. Each is built by
/// itself, as `sam build` does: together they would have each other's features.
///
/// # Panics
/// If it cannot be built.
pub fn built(package: &str, kind: &str, name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if !built.contains(name) {
        let status = cargo().args(["build", "--release", "--quiet", "--package", package, kind, name]).status();
        assert!(status.is_ok_and(|status| status.success()), "{name} cannot be built");
        built.insert(name.to_owned());
    }
    release_program(&if kind == "--example" { format!("examples/{name}") } else { name.to_owned() })
}

/// Builds one of our functions and returns its program.
pub fn function(name: &str) -> PathBuf {
    built(name, "--bin", name)
}

/// A function: a command and its environment variables.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its name in tables.
    pub name: &'static str,
    command: Vec<PathBuf>,
    env: Vec<(String, String)>,
    processor: Option<usize>,
}

impl Subject {
    /// The floor.
    pub fn bare() -> Self {
        Self::of("bare handler", vec![built("visits-bench", "--example", "bare")])
    }

    /// The floor of a function that hears SIGTERM.
    pub fn bare_that_hears_sigterm() -> Self {
        Self::of("bare handler that hears SIGTERM", vec![built("visits-bench", "--example", "bare_sigterm")])
    }

    /// One of our functions.
    pub fn function(name: &'static str) -> Self {
        Self::of(name, vec![function(name)])
    }

    /// Any command.
    pub fn of(name: &'static str, command: Vec<PathBuf>) -> Self {
        let alone = std::thread::available_parallelism().is_ok_and(|processors| processors.get() > PROCESSOR);
        Self { name, command, env: Vec::new(), processor: alone.then_some(PROCESSOR) }
    }

    /// With one more environment variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// With these servers as its shards.
    #[must_use]
    pub fn on(self, servers: &[RedisServer]) -> Self {
        self.with("REDIS_ENDPOINTS", endpoints(servers))
    }

    /// With two shards at a port that nobody listens on: nothing leaves the buffer.
    #[must_use]
    pub fn on_nothing(self) -> Self {
        self.with("REDIS_ENDPOINTS", "a=redis://127.0.0.1:9,b=redis://127.0.0.1:9")
    }

    /// On any processor, as where it has several to itself.
    #[must_use]
    pub fn on_any_processor(mut self) -> Self {
        self.processor = None;
        self
    }

    /// Under a tool such as valgrind.
    #[must_use]
    pub fn under(mut self, tool: &[String]) -> Self {
        self.command.splice(0..0, tool.iter().map(PathBuf::from));
        self.on_any_processor()
    }

    /// Starts an environment of it.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(&self) -> Environment {
        Environment::start(&self.command, &self.env, self.processor)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// Redis servers, as many shards, as a deployment has them once `flush-visits` has run.
///
/// # Panics
/// If they do not answer.
pub fn servers(count: usize) -> Vec<RedisServer> {
    let servers: Vec<RedisServer> = (0..count).map(|_| RedisServer::start()).collect();
    let endpoints = endpoints(&servers);
    // On a thread of its own, since who asks may be in a runtime already.
    std::thread::scope(|scope| scope.spawn(|| one_thread().block_on(settle(&endpoints))).join().expect("they settle"));
    servers
}

/// Has the shards know that every page is in its place, as the first run of `flush-visits` does: before it, a read asks
/// all shards.
async fn settle(endpoints: &str) {
    let config = config(endpoints);
    let store = RedisStore::new(&config).expect("good addresses");
    let settled = rehome(&store, &config.ring(), &config.clock(), Timing::REAL, Duration::from_secs(10)).await;
    assert!(settled.ring_settled, "{settled:?}");
}

/// Their `REDIS_ENDPOINTS`.
pub fn endpoints(servers: &[RedisServer]) -> String {
    let shards: Vec<String> =
        servers.iter().map(|server| format!("redis_{}={}", server.port(), server.url())).collect();
    shards.join(",")
}
