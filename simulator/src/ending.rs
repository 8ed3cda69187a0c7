//! How environments end: reaped, crashed, timed out, or by themselves.

use crate::environment::{Cause, Environment, Phase};
use crate::function::Function;
use crate::outcome::Answer;
use crate::process::Process;
use crate::sync::lock;
use crate::time::epoch_millis;
use crate::{Ending, EnvironmentId, EnvironmentState};
use rustix::process::Signal;
use serde_json::json;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// What Lambda gives a function with internal extensions between SIGTERM and SIGKILL.
pub(crate) const SHUTDOWN: Duration = Duration::from_millis(500);

/// Why an environment was not ended.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum EndError {
    /// There is none of this id, or it is dead or about to be.
    #[error("{0} does not live")]
    NotAlive(EnvironmentId),
    /// It starts, or has an event: Lambda takes away idle ones only.
    #[error("{0} is not idle")]
    NotIdle(EnvironmentId),
}

impl Function {
    /// Takes an idle environment away as Lambda does, and tells how it ended.
    pub(crate) async fn reap(&self, id: EnvironmentId) -> Result<Ending, EndError> {
        let process = self.begin_reap(id)?;
        if tokio::time::timeout(SHUTDOWN, self.end_of(id)).await.is_err() {
            self.kill_reaped(id, &process);
        }
        Ok(self.end_of(id).await)
    }

    /// Reaps an environment once it has been idle for `limit`. Dropped when it gets an event.
    pub(crate) async fn reap_after(self: Arc<Self>, id: EnvironmentId, limit: Duration) {
        tokio::time::sleep(limit).await;
        // In a task of its own: the timer that runs us ends with the environment.
        tokio::spawn(async move { self.reap(id).await });
    }

    /// The environments that could be reaped.
    pub(crate) fn idle(&self) -> Vec<EnvironmentId> {
        let fleet = lock(&self.fleet);
        fleet.live.values().filter(|environment| environment.is_idle()).map(|environment| environment.id).collect()
    }

    fn begin_reap(&self, id: EnvironmentId) -> Result<Arc<Process>, EndError> {
        let mut fleet = lock(&self.fleet);
        let environment = fleet.live.get_mut(&id).ok_or(EndError::NotAlive(id))?;
        if !environment.is_idle() {
            return Err(EndError::NotIdle(id));
        }
        if environment.extensions.is_empty() {
            environment.phase = Phase::Ending(Cause::Reap { asked: None, killed: true });
            environment.process.signal(Signal::KILL);
        } else {
            ask_to_end(environment);
        }
        Ok(Arc::clone(&environment.process))
    }

    fn kill_reaped(&self, id: EnvironmentId, process: &Process) {
        if let Some(environment) = lock(&self.fleet).live.get_mut(&id)
            && let Phase::Ending(Cause::Reap { killed, .. }) = &mut environment.phase
        {
            *killed = true;
            process.signal(Signal::KILL);
        }
    }

    /// Kills an environment, as the loss of its host would.
    pub(crate) async fn crash(&self, id: EnvironmentId) -> Result<Ending, EndError> {
        {
            let mut fleet = lock(&self.fleet);
            let environment = fleet.live.get_mut(&id).ok_or(EndError::NotAlive(id))?;
            environment.phase = Phase::Ending(Cause::Crash);
            environment.process.close();
        }
        Ok(self.end_of(id).await)
    }

    /// The process of an environment has ended, or (`Err`) could not be started.
    pub(crate) fn ended(&self, id: EnvironmentId, status: &Result<ExitStatus, String>) {
        let mut fleet = lock(&self.fleet);
        let Some(mut environment) = fleet.live.remove(&id) else { return };
        let ending = environment.ending(status.as_ref().ok().copied());
        let init_error = environment.init_error.take().filter(|_| environment.phase == Phase::Starting);
        let timed_out = environment.phase == Phase::Ending(Cause::Timeout);
        // Without an answer, when the simulator itself ends, clients learn that from the closed channel.
        if !fleet.closed {
            environment.slots.clear(|request_id| match (&init_error, status) {
                _ if timed_out => Answer::timed_out(request_id, self.config.timeout),
                (Some(error), _) => Answer::error(error.clone()),
                (None, Ok(status)) => Answer::exited(request_id, *status),
                (None, Err(reason)) => Answer::not_started(request_id, reason),
            });
        }
        let mut info = environment.info(&self.config.name);
        info.state = EnvironmentState::Dead(ending);
        fleet.dead.insert(id, info);
        self.changed.notify_waiters();
    }

    /// How an environment ended, once it has.
    async fn end_of(&self, id: EnvironmentId) -> Ending {
        self.until(|| match lock(&self.fleet).dead.get(&id)?.state {
            EnvironmentState::Dead(ending) => Some(ending),
            _ => None,
        })
        .await
    }

    /// Kills everything and lets nothing new start; gives the processes to wait for.
    pub(crate) fn close(&self) -> Vec<Arc<Process>> {
        let mut fleet = lock(&self.fleet);
        fleet.closed = true;
        let processes: Vec<_> = fleet.live.values().map(|environment| Arc::clone(&environment.process)).collect();
        for process in &processes {
            process.close();
        }
        processes
    }
}

/// Wakes an idle environment and tells it to end.
fn ask_to_end(environment: &mut Environment) {
    environment.phase = Phase::Ending(Cause::Reap { asked: Some(Instant::now()), killed: false });
    environment.freezer.thaw(&environment.process);
    environment.process.signal(Signal::TERM);
    environment.extensions.tell_shutdown(&json!({
        "eventType": "SHUTDOWN",
        "shutdownReason": "spindown",
        "deadlineMs": epoch_millis(SHUTDOWN),
    }));
}
