//! Maps an event to the flusher and its outcome to a response.

use crate::budget;
use lambda_runtime::Error;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use visits_core::clock::Clock;
use visits_core::config::Durability;
use visits_core::flusher::{Flusher, RecordError};
use visits_core::http::{self, DirectEvent, Event, Problem, Reply, Request, Response, Route};
use visits_core::store::parking::Parking;
use visits_core::sweep::FlushEvent;

/// `direct`: when a client may try again whose visit was not confirmed.
const RETRY_UNCONFIRMED: Duration = Duration::from_secs(1);

pub(crate) struct Handler<S> {
    flusher: Arc<Flusher<S>>,
    durability: Durability,
    clock: Clock,
}

impl<S> Clone for Handler<S> {
    fn clone(&self) -> Self {
        Self { flusher: Arc::clone(&self.flusher), durability: self.durability, clock: self.clock.clone() }
    }
}

/// The body of a 200.
#[derive(Serialize)]
struct Recorded {
    status: &'static str,
    message: String,
}

impl<S: Parking> Handler<S> {
    pub(crate) fn new(flusher: Arc<Flusher<S>>, durability: Durability, clock: Clock) -> Self {
        Self { flusher, durability, clock }
    }

    /// Answers any event of an invocation that must end at `deadline`, in milliseconds since the Unix epoch. An
    /// error goes to whoever invoked the function directly; a client gets a problem.
    pub(crate) async fn handle(&self, event: Event, deadline: u64) -> Result<Reply, Error> {
        match event {
            Event::Http(request) => Ok(self.record(&request, deadline).await.map_or_else(Reply::from, Reply::Http)),
            Event::Foreign => Ok(Reply::unsupported_event()),
            // Boxed, here and below: what a buffered visit carries about is small, and faster by a quarter.
            Event::Direct(event) => Box::pin(self.direct(event, deadline)).await,
        }
    }

    async fn record(&self, request: &Request, deadline: u64) -> Result<Response, Problem> {
        let page = http::page_of(&Route::RECORD, request)?;
        let message = format!("Visit recorded for page {page}");
        let outcome = match self.durability {
            Durability::Buffered => self.flusher.record(page),
            Durability::Direct => {
                let budget = budget::until(deadline, self.clock.now());
                let recorded = Box::pin(tokio::time::timeout(budget, self.flusher.record_direct(page))).await;
                recorded.unwrap_or(Err(RecordError::NotConfirmed))
            }
        };
        outcome.map_err(problem)?;
        Ok(Response::json(&Recorded { status: "success", message }, "no-store"))
    }

    /// An event that came from no HTTP front end: the sweep's order to flush, or a mistake.
    async fn direct(&self, event: DirectEvent, deadline: u64) -> Result<Reply, Error> {
        let order = FlushEvent::parse(event.flush, event.nothing_else)?;
        let report = self.flusher.sweep(budget::until(deadline, self.clock.now())).await;
        tokio::time::sleep(order.flush.hold(self.clock.now())).await;
        Ok(Reply::Direct(serde_json::to_value(report)?))
    }
}

fn problem(error: RecordError) -> Problem {
    match error {
        RecordError::Full { retry_after } => Problem::buffer_full(retry_after),
        RecordError::Stopping => Problem::shutting_down(),
        RecordError::Unavailable { retry_after } => Problem::store_unavailable(retry_after),
        RecordError::NotConfirmed => Problem::not_confirmed(RETRY_UNCONFIRMED),
        RecordError::NoWriter(error) => {
            tracing::error!(%error, "no visit can be recorded");
            Problem::store_unavailable(RETRY_UNCONFIRMED)
        }
    }
}

#[cfg(test)]
mod tests;
