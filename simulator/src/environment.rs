//! One execution environment: its process, the steps between busy and frozen, and how it ends.

use crate::function::InvokeError;
use crate::slots::Slots;
use crate::{Mode, lock, request_id};
use rustix::process::{Pid, Signal, kill_process};
use std::fmt;
use std::fs::{self, File};
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// Name of an execution environment, in all of a simulator's functions.
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
    /// Its state.
    pub state: EnvironmentState,
    /// Its process, while there is one.
    pub process_id: Option<u32>,
    /// Events delivered to it.
    pub invocations: u64,
    /// For how long it was frozen in all, up to now.
    pub frozen_for: Duration,
    /// The file with the output of its process to stdout and stderr.
    pub log: PathBuf,
}

/// State of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvironmentState {
    /// Its process starts, or has not asked for an event yet.
    Starting,
    /// Waiting for an event; on demand, frozen.
    Idle,
    /// Handling an event, or working after the response to one.
    Busy,
    /// Being shut down or killed.
    Ending,
    /// Gone.
    Dead(Ending),
}

/// End of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Reaped: it ended by itself within the time it has after SIGTERM.
    ShutDown {
        /// Time from SIGTERM to its end.
        after: Duration,
        /// End of its process.
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

/// Phase of an environment's life. Its end is not here: a dead environment is only an [`EnvironmentInfo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Ready,
    Crash,
    Timeout,
    /// Reaped: `asked` is when it got SIGTERM.
    Reap {
        asked: Option<Instant>,
        killed: bool,
    },
}

#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) id: EnvironmentId,
    pub(crate) phase: Phase,
    pub(crate) process: Arc<Process>,
    pub(crate) freezer: Freezer,
    pub(crate) slots: Slots,
    pub(crate) invocations: u64,
    /// Grows with each time that it became idle, over all environments of the function.
    pub(crate) idle_order: u64,
    pub(crate) folder: PathBuf,
    extensions: Vec<Extension>,
    mode: Mode,
}

/// An extension. Its events are not simulated: it is registered so that Lambda sends SIGTERM.
#[derive(Debug)]
struct Extension {
    id: String,
    name: String,
    /// Whether it waits for an event, which the end of the start needs.
    is_waiting: bool,
}

impl Environment {
    /// Returns an environment without a process yet. Makes its folder.
    pub(crate) fn new(id: EnvironmentId, mode: Mode, folder: &Path) -> io::Result<Self> {
        let folder = folder.join(id.to_string());
        fs::create_dir_all(&folder)?;
        Ok(Self {
            id,
            phase: Phase::Starting,
            process: Arc::default(),
            freezer: Freezer::new(&frozen_clock(&folder))?,
            slots: Slots::new(mode.slots()),
            invocations: 0,
            idle_order: 0,
            folder,
            extensions: Vec::new(),
            mode,
        })
    }

    /// Registers an extension and returns its id; `None` if the name is taken, or the start is over.
    pub(crate) fn register(&mut self, name: &str) -> Option<String> {
        let is_new = self.extensions.iter().all(|extension| extension.name != name);
        if !is_new || self.phase != Phase::Starting {
            return None;
        }
        let id = request_id();
        self.extensions.push(Extension { id: id.clone(), name: name.to_owned(), is_waiting: false });
        Some(id)
    }

    /// Notes that an extension waits for an event; `None` if there is none of this id.
    pub(crate) fn poll_extension(&mut self, id: &str) -> Option<()> {
        self.extensions.iter_mut().find(|extension| extension.id == id)?.is_waiting = true;
        Some(())
    }

    /// Whether it gets SIGTERM before its end.
    pub(crate) fn has_extension(&self) -> bool {
        !self.extensions.is_empty()
    }

    pub(crate) fn is_ending(&self) -> bool {
        !matches!(self.phase, Phase::Starting | Phase::Ready)
    }

    fn rests(&self) -> bool {
        self.phase == Phase::Ready && (self.mode != Mode::OnDemand || self.freezer.since.is_some())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.rests() && self.slots.load() == 0
    }

    /// Whether routing may give it an event. One on demand that still starts is not chosen: an invocation waits for it, or
    /// it was started ahead and is not ready to take one.
    pub(crate) fn takes_events(&self) -> bool {
        match self.mode {
            Mode::OnDemand => self.is_idle(),
            Mode::ManagedInstances { .. } => !self.is_ending() && self.slots.has_room(),
        }
    }

    /// Goes on to what the calls of its runtime and extensions now allow: ready, and frozen.
    pub(crate) fn settle(&mut self) {
        let has_started = || self.extensions.iter().all(|extension| extension.is_waiting);
        if self.phase == Phase::Starting && self.slots.is_polled() && has_started() {
            self.phase = Phase::Ready;
        }
        if self.mode == Mode::OnDemand && self.phase == Phase::Ready && self.slots.is_polled() {
            self.freezer.freeze(&self.process);
        }
    }

    /// Whether an event waits that its runtime can have now.
    pub(crate) fn can_deliver(&self) -> bool {
        self.rests() && self.slots.is_waited_for() && self.slots.is_polled()
    }

    /// Ends an idle environment: SIGTERM if it has an extension, or else SIGKILL at once.
    pub(crate) fn ask_to_end(&mut self) {
        let asked = self.has_extension().then(Instant::now);
        self.phase = Phase::Reap { asked, killed: asked.is_none() };
        if asked.is_some() {
            self.freezer.thaw(&self.process);
        }
        self.process.signal(if asked.is_some() { Signal::TERM } else { Signal::KILL });
    }

    /// Returns its state, as a test sees it.
    pub(crate) fn info(&self, function: &str) -> EnvironmentInfo {
        let state = match self.phase {
            Phase::Starting => EnvironmentState::Starting,
            Phase::Ready if self.is_idle() => EnvironmentState::Idle,
            Phase::Ready => EnvironmentState::Busy,
            Phase::Crash | Phase::Timeout | Phase::Reap { .. } => EnvironmentState::Ending,
        };
        EnvironmentInfo {
            id: self.id,
            function: function.to_owned(),
            state,
            process_id: self.process.id(),
            invocations: self.invocations,
            frozen_for: self.freezer.total(Instant::now()),
            log: self.folder.join("output.log"),
        }
    }

    /// Returns how it ended, given how its process ended; `None` if that never started.
    pub(crate) fn ending(&self, status: Option<ExitStatus>) -> Ending {
        match (self.phase, status) {
            (Phase::Crash, _) => Ending::Crashed,
            (Phase::Timeout, _) => Ending::TimedOut,
            (_, None) => Ending::NotStarted,
            (Phase::Reap { asked: Some(at), killed: false }, Some(status)) => {
                Ending::ShutDown { after: at.elapsed(), status }
            }
            (Phase::Reap { asked: Some(_), .. }, _) => Ending::ShutDownTooSlow,
            (Phase::Reap { asked: None, .. }, _) => Ending::Reaped,
            (Phase::Starting | Phase::Ready, Some(status)) => Ending::Exited(status),
        }
    }
}

/// Returns the file that holds the frozen time of the environment in this folder.
pub(crate) fn frozen_clock(folder: &Path) -> PathBuf {
    folder.join("frozen-nanoseconds")
}

/// Whether an environment is frozen, and for how long it has been in all.
#[derive(Debug)]
pub(crate) struct Freezer {
    file: File,
    since: Option<Instant>,
    /// Frozen time up to the last thaw.
    total: Duration,
}

impl Freezer {
    /// Returns a freezer that keeps its account in the file at `path`, from zero.
    fn new(path: &Path) -> io::Result<Self> {
        let freezer = Self { file: File::create(path)?, since: None, total: Duration::ZERO };
        freezer.write()?;
        Ok(freezer)
    }

    /// Returns the frozen time so far, up to `now` if it is frozen.
    fn total(&self, now: Instant) -> Duration {
        self.total + self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Stops `process`; nothing happens if it is frozen.
    fn freeze(&mut self, process: &Process) {
        if self.since.is_none() {
            process.signal(Signal::STOP);
            // After the signal: what the process still did belongs to the time in which it ran.
            self.since = Some(Instant::now());
        }
    }

    /// Lets `process` go on; nothing happens if it is not frozen.
    pub(crate) fn thaw(&mut self, process: &Process) {
        if self.since.is_some() {
            self.total = self.total(Instant::now());
            self.since = None;
            // Before the signal: the first look of the thawed process must find the new total.
            self.write().expect("a file of the simulator can be written");
            process.signal(Signal::CONT);
        }
    }

    fn write(&self) -> io::Result<()> {
        self.file.write_all_at(format!("{:020}", self.total.as_nanos()).as_bytes(), 0)
    }
}

/// A process that is started at most once, signalled only while it is ours, and never left behind.
#[derive(Debug, Default)]
pub(crate) struct Process(Mutex<Stage>);

#[derive(Debug, Default)]
enum Stage {
    #[default]
    NotStarted,
    Started(Child),
    /// Closed before it was started: it never will be.
    Closed,
}

impl Process {
    /// Starts `command`, unless it was closed already. Needs a tokio runtime.
    pub(crate) fn start(&self, command: &mut Command) -> io::Result<()> {
        let mut stage = lock(&self.0);
        if matches!(*stage, Stage::Closed) {
            return Err(io::Error::other(InvokeError::Stopped));
        }
        *stage = Stage::Started(command.spawn()?);
        Ok(())
    }

    /// Returns its process id, while it runs.
    fn id(&self) -> Option<u32> {
        match &*lock(&self.0) {
            Stage::Started(child) => child.id(),
            Stage::NotStarted | Stage::Closed => None,
        }
    }

    /// Sends a signal; nothing happens if the process does not run.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Stage::Started(child) = &*lock(&self.0) {
            send(child, signal);
        }
    }

    /// Waits until it has ended. For ever, if it was never started.
    ///
    /// The child is looked at under the lock that `signal` takes: no signal can hit a process that got its id
    /// after it was reaped.
    pub(crate) async fn wait(&self) -> io::Result<ExitStatus> {
        poll_fn(|context| match &mut *lock(&self.0) {
            Stage::Started(child) => pin!(child.wait()).poll(context),
            Stage::NotStarted | Stage::Closed => Poll::Pending,
        })
        .await
    }

    /// Kills it, or keeps it from ever being started.
    pub(crate) fn close(&self) {
        let mut stage = lock(&self.0);
        match &*stage {
            Stage::Started(child) => send(child, Signal::KILL),
            Stage::NotStarted | Stage::Closed => *stage = Stage::Closed,
        }
    }

    /// Blocks until a closed process is gone from the system, which takes about a millisecond; at most ten seconds.
    pub(crate) fn wait_until_gone(&self) {
        let (started, bound) = (Instant::now(), Duration::from_secs(10));
        let is_there = || match &mut *lock(&self.0) {
            Stage::Started(child) => matches!(child.try_wait(), Ok(None)),
            Stage::NotStarted | Stage::Closed => false,
        };
        while is_there() && started.elapsed() < bound {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn send(child: &Child, signal: Signal) {
    // An ended child that was not waited for yet keeps its id; one that was waited for has none here.
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(id) = id {
        // It fails only for a process that has ended.
        let _ = kill_process(id, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_the_total_of_all_freezes_in_twenty_digits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frozen");
        let mut freezer = Freezer::new(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "0".repeat(20));
        for _ in 0..2 {
            freezer.freeze(&Process::default());
            assert!(freezer.since.is_some());
            freezer.thaw(&Process::default());
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(text.len(), 20);
            assert_eq!(text.parse::<u128>().unwrap(), freezer.total(Instant::now()).as_nanos());
        }
    }
}
