//! Subjects of a measurement: programs with the settings that they run with, and the events that they are given.

use crate::lambda::{Environment, Events};
use crate::shards::{config, one_thread};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{env, fs};
use tempfile::TempDir;
use test_support::{RedisServer, Signal, release_program};
use visits_core::clock::Timing;
use visits_core::rehome::rehome;
use visits_core::store::redis::RedisStore;

/// The processor that a lone environment runs on; its driver has the others.
const PROCESSOR: usize = 1;

/// Folder of the workspace.
pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Builds a release binary of this workspace and returns its path. Each is built by itself, as `sam build` does: together
/// they would have each other's features.
///
/// # Panics
/// If it cannot be built.
pub fn built(package: &str, binary: &str) -> PathBuf {
    static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if built.insert(binary.to_owned()) {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // With these variables, which Cargo sets for a program that it runs, `ring` would be built again.
        for (name, _) in
            env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            cargo.env_remove(name);
        }
        cargo.current_dir(ROOT).args(["build", "--release", "--quiet", "--package", package, "--bin", binary]);
        assert!(cargo.status().is_ok_and(|status| status.success()), "{binary} cannot be built");
    }
    release_program(binary)
}

/// A function: a command and its environment variables.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Name in tables.
    pub name: &'static str,
    command: Vec<PathBuf>,
    env: Vec<(String, String)>,
    processor: Option<usize>,
    ok: &'static str,
}

impl Subject {
    fn of(name: &'static str, command: Vec<PathBuf>) -> Self {
        let alone = std::thread::available_parallelism().is_ok_and(|processors| processors.get() > PROCESSOR);
        Self { name, command, env: Vec::new(), processor: alone.then_some(PROCESSOR), ok: "\"statusCode\":200" }
    }

    /// Returns the handler that does nothing.
    pub fn bare() -> Self {
        Self::of("bare handler", vec![built("bare", "bare")])
    }

    /// Returns the handler that does nothing and hears SIGTERM.
    pub fn bare_that_hears_sigterm() -> Self {
        Self::of("bare handler that hears SIGTERM", vec![built("bare", "bare_sigterm")])
    }

    /// Returns one of the counter's functions.
    pub fn function(name: &'static str) -> Self {
        Self::of(name, vec![built(name, name)])
    }

    /// Returns the counter of `bench/python` on these servers, which flushes when `flush_seconds` have passed. Its first
    /// start compiles `app.py`: start it once before its start is measured.
    ///
    /// # Panics
    /// If its Python environment is missing.
    pub fn python(servers: &[RedisServer], flush_seconds: u64) -> Self {
        let python = Path::new(ROOT).join(".tools/bench/bin/python");
        assert!(python.exists(), "{} is missing: scripts/bench makes it", python.display());
        let task = format!("{ROOT}/bench/python");
        let mut subject = Self::of(
            "Python",
            [python].into_iter().chain(["-m", "awslambdaric", "app.handler"].map(Into::into)).collect(),
        )
        .with("PYTHONPATH", task.clone())
        .with("LAMBDA_TASK_ROOT", task)
        .with("_HANDLER", "app.handler")
        // From this name the runtime client takes how it polls and encodes; the oldest that the fixture runs on.
        .with("AWS_EXECUTION_ENV", "AWS_Lambda_python3.11")
        .with("VISITS_FLUSH_INTERVAL", flush_seconds.to_string())
        .on(servers);
        subject.ok = "\"statusCode\": 200";
        subject
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Takes these servers as its shards.
    #[must_use]
    pub fn on(self, servers: &[RedisServer]) -> Self {
        self.with("REDIS_ENDPOINTS", endpoints(servers))
    }

    /// Runs on any processor, as where it has several to itself.
    #[must_use]
    pub fn on_any_processor(mut self) -> Self {
        self.processor = None;
        self
    }

    /// Starts an environment of it.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(&self) -> Environment {
        let mut command = Command::new(&self.command[0]);
        let logs = || if env::var_os("BENCH_LOGS").is_some() { Stdio::inherit() } else { Stdio::null() };
        command.args(&self.command[1..]).stdin(Stdio::null()).stdout(logs()).stderr(logs());
        let started = Environment::start(&mut command, &self.env, self.processor, self.ok);
        started.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Counts the instructions of a start with one event, to the end of the process, and those of each of `count` further
    /// events; `None` where there is no valgrind.
    pub fn instructions(&self, events: &Events, count: usize) -> Option<[f64; 2]> {
        Command::new("valgrind").arg("--version").output().ok().filter(|output| output.status.success())?;
        let [start, all] = [1, 1 + count].map(|events_run| self.total_instructions(events, events_run));
        Some([start, (all - start) / count as f64])
    }

    fn total_instructions(&self, events: &Events, count: usize) -> f64 {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let file = folder.path().join("callgrind");
        let out = format!("--callgrind-out-file={}", file.display());
        let mut under = self.clone().on_any_processor();
        under.command.splice(0..0, ["valgrind", "--tool=callgrind", &out].map(PathBuf::from));
        let mut environment = under.start();
        environment.run(events, 0..count);
        environment.process.signal(Signal::Terminate);
        environment.process.wait(Duration::from_secs(30));
        let text = fs::read_to_string(file).unwrap_or_default();
        let total = text.lines().find_map(|line| line.strip_prefix("totals:")?.trim().parse().ok());
        total.expect("callgrind tells the total")
    }
}

/// Starts Redis servers, as many shards, and has them know that every page is in its place, as the first run of
/// `flush-visits` does: before it, a read asks all shards.
///
/// # Panics
/// If they do not answer.
pub fn servers(count: usize) -> Vec<RedisServer> {
    let servers: Vec<RedisServer> = (0..count).map(|_| RedisServer::start()).collect();
    let config = config(&endpoints(&servers));
    let settled = one_thread().block_on(async {
        let store = RedisStore::new(&config).expect("good addresses");
        rehome(&store, &config.ring(), &config.clock(), Timing::REAL, Duration::from_secs(10)).await
    });
    assert!(settled.ring_settled, "{settled:?}");
    servers
}

/// Returns the `REDIS_ENDPOINTS` of these servers.
pub fn endpoints(servers: &[RedisServer]) -> String {
    let shards: Vec<_> = servers.iter().map(|server| format!("redis_{}={}", server.port(), server.url())).collect();
    shards.join(",")
}

/// A route: the method and the path before the page.
#[derive(Clone, Copy, Debug)]
pub struct Route(pub &'static str, pub &'static str);

/// `POST /visit/{page_id}`.
pub const RECORD: Route = Route("POST", "/visit/");

/// `GET /visits/{page_id}`.
pub const READ: Route = Route("GET", "/visits/");

/// The two functions that a site's visitors wait for, with their routes.
pub(crate) const FUNCTIONS: [(&str, Route); 2] = [("record-visit", RECORD), ("get-visits", READ)];

/// The place of the path in the sample. Nothing in it is escaped in JSON.
const PATH: &str = "/the-path/";

/// A person's browser: a bot's visit costs less.
const USER_AGENT: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

/// Returns events of a route: AWS's own sample of an HTTP API with the headers that a browser sends when a page's script
/// records or reads a visit. `page` gives the page of each by its number.
///
/// # Panics
/// Never: AWS's sample is JSON.
pub fn events_of(route: Route, page: impl Fn(usize) -> String + Send + Sync + 'static) -> Events {
    let sample = include_str!("../../shared/tests/fixtures/aws/example-apigw-v2-request-no-authorizer.json");
    let mut sample: Value = serde_json::from_str(sample).expect("AWS's sample is JSON");
    let http = &mut sample["requestContext"]["http"];
    (http["method"], http["path"], http["userAgent"]) = (route.0.into(), PATH.into(), USER_AGENT.into());
    sample["rawPath"] = PATH.into();
    let headers = json!({
        "accept-encoding": "gzip, deflate, br, zstd",
        "accept-language": "en-GB,en;q=0.9,de;q=0.8",
        "cache-control": "no-cache",
        "origin": "https://www.example.org",
        "pragma": "no-cache",
        "priority": "u=1, i",
        "referer": "https://www.example.org/",
        "sec-ch-ua": "\"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\"",
        "sec-ch-ua-mobile": "?0",
        "sec-ch-ua-platform": "\"Windows\"",
        "sec-fetch-dest": "empty",
        "sec-fetch-mode": "cors",
        "sec-fetch-site": "cross-site",
        "user-agent": USER_AGENT,
    });
    for (name, value) in headers.as_object().into_iter().flatten() {
        sample["headers"][name] = value.clone();
    }
    let parts: Vec<String> = sample.to_string().split(PATH).map(str::to_owned).collect();
    Arc::new(move |number| parts.join(&format!("{}{}", route.1, page(number))).into_bytes())
}

/// Returns events of a route for `pages` pages in turn.
pub fn events(route: Route, pages: usize) -> Events {
    events_of(route, move |number| id(number % pages))
}

/// Returns the id of a page: 20 bytes.
pub fn id(number: usize) -> String {
    format!("blog-article-{number:07}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_its_page() {
        let event: Value = serde_json::from_slice(&events(RECORD, 3)(4)).unwrap();
        assert_eq!(event["rawPath"], "/visit/blog-article-0000001");
        assert_eq!(event["requestContext"]["http"]["method"], "POST");
        assert_eq!(event["headers"]["x-forwarded-for"], event["requestContext"]["http"]["sourceIp"]);
        assert_eq!(id(1).len(), 20);
    }
}
