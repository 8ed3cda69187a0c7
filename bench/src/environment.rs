//! One execution environment: a function's process, with the Runtime API that drives it.

use crate::runtime_api::{Events, Run, RuntimeApi};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use test_support::Process;

/// Longest start and longest run.
const PATIENCE: Duration = Duration::from_mins(5);

/// A function's process and what drives it.
pub struct Environment {
    process: Process,
    api: RuntimeApi,
    started: Instant,
}

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Processor time, user and system.
    pub cpu: Duration,
    /// Memory that is its own and in RAM: what it does not share with other processes of the same program
    /// and what it does, as Lambda counts it (`VmRSS`), in bytes.
    pub resident: u64,
}

impl Environment {
    /// Starts `program` with these variables on top of what Lambda sets, on processor `cpu` if one is given.
    pub fn start(command: &[PathBuf], env: &[(String, String)], cpu: Option<usize>) -> io::Result<Self> {
        let api = RuntimeApi::start()?;
        let mut starting = Command::new(&command[0]);
        starting.args(&command[1..]).env_clear().stdin(Stdio::null());
        starting.stderr(Stdio::null()).stdout(if std::env::var_os("BENCH_LOGS").is_some() {
            Stdio::inherit()
        } else {
            Stdio::null()
        });
        starting.envs(LAMBDA);
        starting.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        starting.env("AWS_LAMBDA_RUNTIME_API", api.address().to_string());
        starting.envs(env.iter().cloned());
        let started = Instant::now();
        // A child inherits its parent's processors; set on the child, its threads might be there before.
        let process = on_cpu(cpu, || Process::start(&mut starting))?;
        Ok(Self { process, api, started })
    }

    /// The time from the start of the process to its first `/next`.
    ///
    /// # Panics
    /// If it never asks.
    pub fn init(&self) -> Duration {
        let first = self.api.first_next(PATIENCE).expect("the function asks for an event");
        first.duration_since(self.started)
    }

    /// Runs events, one after the other as fast as they are taken.
    ///
    /// # Panics
    /// If one is not answered, or not with `wanted`.
    pub fn run(&self, events: &Events, wanted: &'static str, count: usize) -> Run {
        self.paced(events, wanted, count, Duration::ZERO)
    }

    /// Runs events, one each `pace`.
    ///
    /// # Panics
    /// If one is not answered, or not with `wanted`.
    pub fn paced(&self, events: &Events, wanted: &'static str, count: usize, pace: Duration) -> Run {
        let run = self.api.run(events, wanted, count, pace, PATIENCE).unwrap_or_else(|reason| panic!("{reason}"));
        assert!(run.wrong.is_empty(), "answers without {wanted:?}: {:?}", run.wrong);
        run
    }

    /// What the process has used up to now.
    ///
    /// # Panics
    /// Where there is no `/proc`.
    pub fn usage(&self) -> Usage {
        let read = |file: &str| {
            std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).expect("/proc tells of a process")
        };
        let stat = read("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap_or(0)).sum();
        let status = read("status");
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|line| line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()));
        Usage { cpu: Duration::from_millis(ticks * 10), resident: resident.unwrap_or(0) * 1024 }
    }

    /// The process, to end it in its own way.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Runs `start` with this thread on processor `cpu`.
fn on_cpu<T>(cpu: Option<usize>, start: impl FnOnce() -> T) -> T {
    let Some(cpu) = cpu else { return start() };
    let all = rustix::thread::sched_getaffinity(None);
    let mut one = CpuSet::new();
    one.set(cpu);
    // Where it is not allowed, the processor is shared, and the figures are a little less even.
    let _ = sched_setaffinity(None, &one);
    let started = start();
    if let Ok(all) = all {
        let _ = sched_setaffinity(None, &all);
    }
    started
}

/// What Lambda sets, as far as it makes a difference.
const LAMBDA: [(&str, &str); 12] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "measured"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/measured"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "[$LATEST]1"),
    ("AWS_REGION", "eu-central-1"),
    ("AWS_DEFAULT_REGION", "eu-central-1"),
    ("AWS_ACCESS_KEY_ID", "simulated"),
    ("AWS_SECRET_ACCESS_KEY", "simulated"),
    ("AWS_SESSION_TOKEN", "simulated"),
    ("_HANDLER", "bootstrap"),
];
