//! The events of one environment: which wait for the runtime, and which it works on.
//!
//! The runtime has a number of slots, one on demand. Each slot is a `/next` that waits for an event, or an event
//! in work: from its delivery to the `/next` that follows its response. No I/O and no clock here.

use crate::OwnedTask;
use crate::api::Answer;
use hyper::body::Bytes;
use std::collections::VecDeque;
use tokio::sync::oneshot;

/// An event on its way to a runtime.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) request_id: String,
    pub(crate) payload: Bytes,
    /// Receiver of the answer; gone for an asynchronous invocation.
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// Answer to a `/next`.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) request_id: String,
    pub(crate) payload: Bytes,
    /// When the invocation times out, in milliseconds since the Unix epoch.
    pub(crate) deadline: u64,
}

/// An event that the runtime has.
#[derive(Debug)]
struct Running {
    request_id: String,
    /// None once it has been answered.
    answer: Option<oneshot::Sender<Answer>>,
    /// Ends the invocation at its deadline.
    _timer: OwnedTask,
}

/// The call does not fit what the runtime did before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No such event is in work.
    UnknownRequest,
    /// A call at the wrong time.
    InvalidTransition,
}

#[derive(Debug)]
pub(crate) struct Slots {
    size: usize,
    queue: VecDeque<Event>,
    polls: Vec<oneshot::Sender<Delivery>>,
    running: VecDeque<Running>,
}

impl Slots {
    pub(crate) fn new(size: usize) -> Self {
        Self { size, queue: VecDeque::new(), polls: Vec::new(), running: VecDeque::new() }
    }

    /// Events that it holds, waiting or in work.
    pub(crate) fn load(&self) -> usize {
        self.queue.len() + self.running.len()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.load() < self.size
    }

    /// Whether a `/next` waits.
    pub(crate) fn is_polled(&self) -> bool {
        self.polls.iter().any(|poll| !poll.is_closed())
    }

    /// Whether an event waits for a `/next`.
    pub(crate) fn is_waited_for(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(crate) fn push(&mut self, event: Event) {
        self.queue.push_back(event);
    }

    /// A `/next`. If all slots are taken, it ends the oldest invocation that was answered: only the worker that
    /// had it can be asking.
    pub(crate) fn poll(&mut self) -> Result<oneshot::Receiver<Delivery>, Refused> {
        self.polls.retain(|poll| !poll.is_closed());
        if self.polls.len() + self.running.len() >= self.size {
            let answered = self.running.iter().position(|running| running.answer.is_none());
            self.running.remove(answered.ok_or(Refused::InvalidTransition)?);
        }
        let (poll, delivery) = oneshot::channel();
        self.polls.push(poll);
        Ok(delivery)
    }

    /// Hands the oldest waiting event to a waiting `/next`, if there are both. `timer` is what ends it at `deadline`.
    pub(crate) fn deliver(&mut self, deadline: u64, timer: impl FnOnce(&str) -> OwnedTask) -> bool {
        let Some(event) = self.queue.pop_front() else { return false };
        let request_id = event.request_id.clone();
        let mut delivery = Delivery { request_id: event.request_id, payload: event.payload, deadline };
        while let Some(poll) = self.polls.pop() {
            match poll.send(delivery) {
                Ok(()) => {
                    let (id, answer) = (request_id.clone(), Some(event.answer));
                    self.running.push_back(Running { request_id: id, answer, _timer: timer(&request_id) });
                    return true;
                }
                // Its connection has gone; the next one may live.
                Err(unsent) => delivery = unsent,
            }
        }
        self.queue.push_front(Event { request_id, payload: delivery.payload, answer: event.answer });
        false
    }

    /// The runtime's answer to an event.
    pub(crate) fn answer(&mut self, request_id: &str, answer: Answer) -> Result<(), Refused> {
        let running = self.running.iter_mut().find(|running| running.request_id == request_id);
        let client = running.ok_or(Refused::UnknownRequest)?.answer.take().ok_or(Refused::InvalidTransition)?;
        // A client that does not wait is no concern of the function.
        let _ = client.send(answer);
        Ok(())
    }

    /// Whether an event is in work, answered or not.
    pub(crate) fn has(&self, request_id: &str) -> bool {
        self.running.iter().any(|running| running.request_id == request_id)
    }

    /// Ends everything; each waiting caller gets what `answer` says about its request.
    pub(crate) fn clear(&mut self, answer: impl Fn(&str) -> Answer) {
        let queued = self.queue.drain(..).map(|event| (event.request_id, Some(event.answer)));
        let running = self.running.drain(..).map(|running| (running.request_id, running.answer));
        for (request_id, client) in queued.chain(running) {
            if let Some(client) = client {
                let _ = client.send(answer(&request_id));
            }
        }
        self.polls.clear();
    }
}

#[cfg(test)]
mod tests;
