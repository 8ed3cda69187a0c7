//! One execution environment that lives: its phase, and the steps between "busy" and "frozen".

use crate::extensions::Extensions;
use crate::freezer::Freezer;
use crate::process::Process;
use crate::slots::Slots;
use crate::sync::OwnedTask;
use crate::{Ending, EnvironmentId, EnvironmentInfo, EnvironmentState, Mode};
use hyper::body::Bytes;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Instant;

/// Where an environment is in its life. Its end is not here: a dead environment is only an [`EnvironmentInfo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Ready,
    Ending(Cause),
}

/// Why an environment's process is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
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
    pub(crate) extensions: Extensions,
    pub(crate) invocations: u64,
    /// Grows with each time that it became idle, over all environments of the function.
    pub(crate) idle_order: u64,
    /// Reaps it when it has been idle for long.
    pub(crate) idle_timer: Option<OwnedTask>,
    /// What the runtime reported as the reason why it cannot start.
    pub(crate) init_error: Option<Bytes>,
    mode: Mode,
    folder: PathBuf,
}

impl Environment {
    /// An environment without a process yet. Makes its `folder`.
    pub(crate) fn new(id: EnvironmentId, mode: Mode, folder: &Path) -> io::Result<Self> {
        let folder = folder.join(id.to_string());
        std::fs::create_dir_all(&folder)?;
        Ok(Self {
            id,
            phase: Phase::Starting,
            process: Arc::default(),
            freezer: Freezer::new(&frozen_clock(&folder))?,
            slots: Slots::new(mode.slots()),
            extensions: Extensions::default(),
            invocations: 0,
            idle_order: 0,
            idle_timer: None,
            init_error: None,
            mode,
            folder,
        })
    }

    /// Its working folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that holds its frozen time.
    pub(crate) fn frozen_clock(&self) -> PathBuf {
        frozen_clock(&self.folder)
    }

    /// The file that takes its output.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("output.log")
    }

    pub(crate) fn is_idle(&self) -> bool {
        let rests = self.mode != Mode::OnDemand || self.freezer.is_frozen();
        self.phase == Phase::Ready && self.slots.load() == 0 && rests
    }

    /// Whether routing may give it an event. An environment on demand that still starts is taken: an
    /// invocation waits for it, or it was started ahead and is not ready to take one.
    pub(crate) fn takes_events(&self) -> bool {
        match self.mode {
            Mode::OnDemand => self.is_idle(),
            Mode::ManagedInstances { .. } => !matches!(self.phase, Phase::Ending(_)) && self.slots.has_room(),
        }
    }

    /// Goes on to what the calls of its runtime and extensions now allow: ready, and frozen.
    pub(crate) fn settle(&mut self) {
        if self.phase == Phase::Starting && self.slots.is_polled() && self.extensions.have_started() {
            self.phase = Phase::Ready;
        }
        let rests = self.phase == Phase::Ready && self.slots.is_polled() && self.extensions.are_done();
        if self.mode == Mode::OnDemand && rests {
            self.freezer.freeze(&self.process);
        }
    }

    /// Whether an event waits that its runtime can have now.
    pub(crate) fn can_deliver(&self) -> bool {
        let rests = self.mode != Mode::OnDemand || self.freezer.is_frozen();
        self.phase == Phase::Ready && rests && self.slots.is_waited_for() && self.slots.is_polled()
    }

    /// What can be seen of it.
    pub(crate) fn info(&self, function: &str) -> EnvironmentInfo {
        let state = match self.phase {
            Phase::Starting => EnvironmentState::Starting,
            Phase::Ending(_) => EnvironmentState::Ending,
            Phase::Ready if self.is_idle() => EnvironmentState::Idle,
            Phase::Ready => EnvironmentState::Busy,
        };
        EnvironmentInfo {
            id: self.id,
            function: function.to_owned(),
            state,
            process_id: self.process.id(),
            invocations: self.invocations,
            frozen_for: self.freezer.total(Instant::now()),
            log: self.log(),
        }
    }

    /// How it ended, given how its process ended; None if that never started.
    pub(crate) fn ending(&self, status: Option<ExitStatus>) -> Ending {
        match (self.phase, status) {
            (Phase::Ending(Cause::Crash), _) => Ending::Crashed,
            (Phase::Ending(Cause::Timeout), _) => Ending::TimedOut,
            (_, None) => Ending::NotStarted,
            (Phase::Ending(Cause::Reap { asked: Some(at), killed: false }), Some(status)) => {
                Ending::ShutDown { after: at.elapsed(), status }
            }
            (Phase::Ending(Cause::Reap { asked: Some(_), .. }), _) => Ending::ShutDownTooSlow,
            (Phase::Ending(Cause::Reap { asked: None, .. }), _) => Ending::Reaped,
            (Phase::Starting | Phase::Ready, Some(status)) => Ending::Exited(status),
        }
    }
}

fn frozen_clock(folder: &Path) -> PathBuf {
    folder.join("frozen-nanoseconds")
}
