//! Maps an event to the flusher and its outcome to a response.

use crate::budget;
use lambda_http::http::StatusCode;
use lambda_http::{Body, Error, Request, RequestExt, Response};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use visits_core::clock::Clock;
use visits_core::config::Durability;
use visits_core::flusher::{Flusher, RecordError};
use visits_core::http::{self, Problem, Route, json_response};
use visits_core::page::PageId;
use visits_core::store::parking::Parking;
use visits_core::sweep::{FlushEvent, InvalidFlushEvent};

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

    /// Answers any event. An error goes to whoever invoked the function directly; a client gets a problem.
    pub(crate) async fn handle(&self, request: Request) -> Result<Response<Body>, Error> {
        if let Some(event) = http::direct_event(&request) {
            return self.direct(event, &request).await;
        }
        let recorded = match http::page_of(&Route::RECORD, &request) {
            Ok(page) => self.record(page, self.budget(&request)).await,
            Err(problem) => Err(problem),
        };
        Ok(recorded.unwrap_or_else(Problem::into_response))
    }

    /// The time that this invocation may take for a flush.
    fn budget(&self, request: &Request) -> Duration {
        let deadline = request.lambda_context_ref().map_or(0, |context| context.deadline);
        budget::until(deadline, self.clock.now())
    }

    async fn record(&self, page: PageId, budget: Duration) -> Result<Response<Body>, Problem> {
        let message = format!("Visit recorded for page {page}");
        let outcome = match self.durability {
            Durability::Buffered => self.flusher.record(page),
            Durability::Direct => {
                let recorded = tokio::time::timeout(budget, self.flusher.record_direct(page)).await;
                recorded.unwrap_or(Err(RecordError::NotConfirmed))
            }
        };
        outcome.map_err(problem)?;
        Ok(json_response(StatusCode::OK, &Recorded { status: "success", message }, "no-store"))
    }

    /// An event that came from no HTTP front end: the sweep's order to flush, or a mistake.
    async fn direct(&self, event: &str, request: &Request) -> Result<Response<Body>, Error> {
        let event: serde_json::Value = serde_json::from_str(event).map_err(InvalidFlushEvent::from)?;
        if http::foreign_http_event(&event) {
            return json(&http::unsupported_event_response());
        }
        let order = FlushEvent::parse(event)?;
        let report = self.flusher.sweep(self.budget(request)).await;
        tokio::time::sleep(order.flush.hold(self.clock.now())).await;
        json(&report)
    }
}

/// A direct invocation's answer: `lambda_http` hands the body over as it is.
fn json(value: &impl Serialize) -> Result<Response<Body>, Error> {
    Ok(Response::new(Body::from(serde_json::to_string(value)?)))
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
