//! What a test can see of a simulator.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Names an execution environment, in all of a simulator's functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvironmentId(pub(crate) u64);

impl fmt::Display for EnvironmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "environment-{}", self.0)
    }
}

/// An execution environment, as it was when asked for.
#[derive(Clone, Debug)]
pub struct EnvironmentInfo {
    /// Its id.
    pub id: EnvironmentId,
    /// The function that it serves.
    pub function: String,
    /// What it does.
    pub state: EnvironmentState,
    /// Its process, while there is one.
    pub process_id: Option<u32>,
    /// Events delivered to it.
    pub invocations: u64,
    /// For how long it was frozen in all, up to now.
    pub frozen_for: Duration,
    /// The file with what its process wrote to stdout and stderr.
    pub log: PathBuf,
}

/// What an environment does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvironmentState {
    /// Its process starts, or has not asked for an event yet.
    Starting,
    /// It waits for an event; on demand, it is frozen.
    Idle,
    /// It has an event, or still works after the response to one.
    Busy,
    /// It is being shut down or killed.
    Ending,
    /// It is gone.
    Dead(Ending),
}

/// How an environment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Reaped: it ended by itself within the time it has after SIGTERM.
    ShutDown {
        /// Time from SIGTERM to its end.
        after: Duration,
        /// How its process ended.
        status: ExitStatus,
    },
    /// Reaped: it did not end by itself in time, and was killed.
    ShutDownTooSlow,
    /// Reaped: without an extension it is killed at once.
    Reaped,
    /// Killed on command.
    Crashed,
    /// Killed since an invocation timed out.
    TimedOut,
    /// Its process ended by itself.
    Exited(ExitStatus),
    /// Its program could not be started.
    NotStarted,
}

/// Figures of a function, from its deployment on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Invocations that reached an environment.
    pub invocations: u64,
    /// Invocations for which an environment had to be started.
    pub cold_starts: u64,
    /// Invocations refused for the concurrency limit.
    pub throttled: u64,
}
