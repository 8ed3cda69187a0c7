//! What the calls of a runtime and its extensions do to their environment.

use crate::EnvironmentId;
use crate::Mode;
use crate::environment::{Cause, Environment, Phase};
use crate::function::{Fleet, Function};
use crate::outcome::Answer;
use crate::slots::{Delivery, Refused};
use crate::sync::{OwnedTask, lock};
use crate::time::{epoch_millis, request_id};
use hyper::body::Bytes;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::oneshot;

impl Function {
    /// `/invocation/next`: the receiver gets the next event.
    pub(crate) fn poll(self: &Arc<Self>, id: EnvironmentId) -> Result<oneshot::Receiver<Delivery>, Refused> {
        let mut fleet = lock(&self.fleet);
        let delivery = live(&mut fleet, id)?.slots.poll()?;
        self.settle(&mut fleet, id);
        Ok(delivery)
    }

    /// `/invocation/{id}/response` or `/error`: the client has its answer now.
    pub(crate) fn answer(&self, id: EnvironmentId, request_id: &str, answer: Answer) -> Result<(), Refused> {
        live(&mut lock(&self.fleet), id)?.slots.answer(request_id, answer)
    }

    /// `/init/error`: what an invocation that waits for this start gets when the process has ended.
    pub(crate) fn fail_start(&self, id: EnvironmentId, error: Bytes) -> Result<(), Refused> {
        live(&mut lock(&self.fleet), id)?.init_error = Some(error);
        Ok(())
    }

    /// `/extension/register`: answers the extension's identifier.
    pub(crate) fn register(&self, id: EnvironmentId, name: &str, events: &[&str]) -> Result<String, Refused> {
        let mut fleet = lock(&self.fleet);
        let environment = live(&mut fleet, id)?;
        let identifier = request_id();
        let in_time = environment.phase == Phase::Starting;
        if in_time && environment.extensions.register(&identifier, name, events) {
            return Ok(identifier);
        }
        Err(Refused::InvalidTransition)
    }

    /// `/extension/event/next`: the receiver gets the extension's next event.
    pub(crate) fn poll_extension(
        self: &Arc<Self>,
        id: EnvironmentId,
        extension: &str,
    ) -> Result<oneshot::Receiver<Value>, Refused> {
        let mut fleet = lock(&self.fleet);
        let event = live(&mut fleet, id)?.extensions.poll(extension).ok_or(Refused::UnknownRequest)?;
        self.settle(&mut fleet, id);
        Ok(event)
    }

    /// Lets an environment do what it can: get ready, freeze, take the events that wait for it.
    pub(crate) fn settle(self: &Arc<Self>, fleet: &mut Fleet, id: EnvironmentId) {
        let Some(environment) = fleet.live.get_mut(&id) else { return };
        environment.settle();
        while environment.can_deliver() {
            self.deliver(environment);
        }
        if environment.is_idle() {
            fleet.idle_order += 1;
            environment.idle_order = fleet.idle_order;
            environment.idle_timer = self.config.idle_limit.map(|limit| {
                let function = Arc::clone(self);
                OwnedTask(tokio::spawn(async move { function.reap_after(id, limit).await }).abort_handle())
            });
        }
        self.changed.notify_waiters();
    }

    fn deliver(self: &Arc<Self>, environment: &mut Environment) {
        let (id, timeout) = (environment.id, self.config.timeout);
        environment.freezer.thaw(&environment.process);
        let deadline = epoch_millis(timeout);
        let timer = |request_id: &str| {
            let (function, request_id) = (Arc::clone(self), request_id.to_owned());
            let task = tokio::spawn(async move {
                tokio::time::sleep(timeout).await;
                function.time_out(id, &request_id);
            });
            OwnedTask(task.abort_handle())
        };
        if let Some(request_id) = environment.slots.deliver(deadline, timer) {
            environment.invocations += 1;
            environment.extensions.tell_invoke(&json!({
                "eventType": "INVOKE",
                "deadlineMs": deadline,
                "requestId": request_id,
                "invokedFunctionArn": self.arn(),
                "tracing": { "type": "X-Amzn-Trace-Id", "value": trace_id(&request_id) },
            }));
        }
    }

    /// The deadline of an invocation. On demand, the environment is killed, also while it only works after
    /// the response; a managed instance lets the code go on, and only the client gets the error.
    fn time_out(&self, id: EnvironmentId, request_id: &str) {
        let mut fleet = lock(&self.fleet);
        let Ok(environment) = live(&mut fleet, id) else { return };
        if !environment.slots.has(request_id) || matches!(environment.phase, Phase::Ending(_)) {
            return;
        }
        // Refused if the client was answered before: then there is nobody to tell.
        let _ = environment.slots.answer(request_id, Answer::timed_out(request_id, self.config.timeout));
        if self.config.mode == Mode::OnDemand {
            environment.phase = Phase::Ending(Cause::Timeout);
            environment.process.signal(Signal::KILL);
        }
    }

    /// The end of the time that an environment has to start. What waits for it gets the error of a timeout.
    pub(crate) fn time_out_start(&self, id: EnvironmentId) {
        let mut fleet = lock(&self.fleet);
        if let Ok(environment) = live(&mut fleet, id)
            && environment.phase == Phase::Starting
        {
            environment.phase = Phase::Ending(Cause::Timeout);
            environment.process.signal(Signal::KILL);
        }
    }
}

/// The tracing header of an invocation: not sampled.
pub(crate) fn trace_id(request_id: &str) -> String {
    let hex: String = request_id.chars().filter(char::is_ascii_hexdigit).collect();
    format!("Root=1-{}-{};Parent={};Sampled=0", &hex[..8], &hex[8..], &hex[16..])
}

pub(crate) fn live(fleet: &mut Fleet, id: EnvironmentId) -> Result<&mut Environment, Refused> {
    fleet.live.get_mut(&id).ok_or(Refused::InvalidTransition)
}
