//! `make run`, in a folder and on ports of its own.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use test_support::{Process, ReservedPort, Signal, need_program, redis_program, wait_for};

/// So long that no count expires while the test runs.
pub(crate) const CACHE_TTL: Duration = Duration::from_hours(1);

/// The longest that is accepted: nothing is flushed because of it while the test runs.
pub(crate) const FLUSH_INTERVAL: Duration = Duration::from_mins(10);

/// The functions may have to be built first: the tests' own build has other features.
const READY: Duration = Duration::from_mins(15);

/// The local run bounds each step of its end; these are all of them.
const STOPPED: Duration = Duration::from_secs(90);

/// The data and ports that live on from one run to the next.
pub(crate) struct Place {
    data: TempDir,
    lambda: ReservedPort,
    redis: [ReservedPort; 2],
}

impl Place {
    pub(crate) fn new() -> Self {
        let data = TempDir::with_prefix("visits-e2e-").unwrap();
        Self { data, lambda: ReservedPort::new(), redis: [ReservedPort::new(), ReservedPort::new()] }
    }

    pub(crate) fn lambda_port(&self) -> u16 {
        self.lambda.number()
    }

    pub(crate) fn redis_urls(&self) -> [String; 2] {
        self.redis.each_ref().map(|port| format!("redis://{}", port.address()))
    }

    fn output(&self) -> PathBuf {
        self.data.path().join("output.log")
    }
}

/// A local run. Stopped when dropped, also by a test that fails, which then shows what it wrote.
pub(crate) struct LocalRun<'a> {
    place: &'a Place,
    process: Process,
}

impl<'a> LocalRun<'a> {
    /// Starts it and waits until it says that it is ready.
    pub(crate) fn start(place: &'a Place) -> Self {
        let mut run = Self { place, process: Process::start(&mut command(place)).unwrap() };
        let ready = || fs::read_to_string(place.output()).is_ok_and(|output| output.contains("\nready after "));
        let started = wait_for(READY, || run.process.ended().is_some() || ready());
        assert!(started && run.process.ended().is_none(), "the local run does not start");
        run
    }

    /// Ctrl-C: it stops in order, none of its processes has to be killed, and none is left.
    pub(crate) fn interrupt(&mut self) {
        self.process.signal(Signal::Interrupt);
        let status = self.process.wait(STOPPED);
        assert!(status.is_some_and(|status| status.success()), "the local run ended badly: {status:?}");
        let output = fs::read_to_string(self.place.output()).unwrap();
        assert!(!output.contains("no extension is registered"), "visits would not wait for the interval: {output}");
        for port in [&self.place.lambda, &self.place.redis[0], &self.place.redis[1]] {
            assert!(TcpStream::connect(port.address()).is_err(), "something still listens on {}", port.number());
        }
    }
}

impl Drop for LocalRun<'_> {
    fn drop(&mut self) {
        self.process.signal(Signal::Interrupt);
        let stopped = self.process.wait(STOPPED).is_some();
        if std::thread::panicking() {
            eprintln!("--- the local run wrote:\n{}", fs::read_to_string(self.place.output()).unwrap_or_default());
        }
        if !stopped {
            eprintln!("the local run had to be killed");
        }
    }
}

fn command(place: &Place) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut command = Command::new("python3");
    command.args(["-m", "localrun", "run"]).env("PYTHONPATH", root.join("scripts")).env("PYTHONDONTWRITEBYTECODE", "1");
    // A developer's own run is left alone.
    command.env("LOCALRUN_DATA", place.data.path());
    // Nothing of the developer's own settings, and nothing of what `cargo test` tells a test of itself.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let foreign = ["VISITS_", "REDIS_", "AWS_", "CARGO_PKG_", "CARGO_MANIFEST_"];
        if foreign.iter().any(|prefix| name.starts_with(prefix)) || name == "RELOAD" {
            command.env_remove(&*name);
        }
    }
    let output = File::create(place.output()).unwrap();
    command.env("CARGO_LAMBDA", need_program("CARGO_LAMBDA", &["cargo-lambda"])).env("REDIS_SERVER", redis_program());
    command.env("LAMBDA_PORT", place.lambda.number().to_string());
    command.env("REDIS_PORT_1", place.redis[0].number().to_string());
    command.env("REDIS_PORT_2", place.redis[1].number().to_string());
    command.env("VISITS_CACHE_TTL", format!("{}s", CACHE_TTL.as_secs()));
    command.env("VISITS_FLUSH_INTERVAL", format!("{}s", FLUSH_INTERVAL.as_secs()));
    command.stdin(Stdio::null()).stderr(output.try_clone().unwrap()).stdout(output);
    command
}
