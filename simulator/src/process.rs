//! The process of one environment: started once, signalled only while it is ours, never left behind.

use crate::sync::lock;
use rustix::process::{Pid, Signal, kill_process};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// Longest wait for a killed process to be gone; it takes about a millisecond.
const GONE: Duration = Duration::from_secs(10);

/// A process that is started at most once.
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
            return Err(io::Error::other("the environment has ended before its process started"));
        }
        *stage = Stage::Started(command.spawn()?);
        Ok(())
    }

    /// Its process id, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
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
            Stage::NotStarted | Stage::Closed => std::task::Poll::Pending,
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

    /// Blocks until a closed process is gone from the system.
    pub(crate) fn wait_until_gone(&self) {
        let started = Instant::now();
        while self.is_there() && started.elapsed() < GONE {
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn is_there(&self) -> bool {
        match &mut *lock(&self.0) {
            Stage::Started(child) => matches!(child.try_wait(), Ok(None)),
            Stage::NotStarted | Stage::Closed => false,
        }
    }
}

fn send(child: &Child, signal: Signal) {
    // An ended child that nobody has waited for yet keeps its id; one that was waited for has none here.
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(id) = id {
        // It fails only for a process that has ended.
        let _ = kill_process(id, signal);
    }
}
