//! Maps an event to the cache and its outcome to a response.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Error, Request, Response};
use serde::Serialize;
use visits_core::cache::{Count, CountCache, Source};
use visits_core::http::{self, Problem, Route, json_response};
use visits_core::store::Store;

pub(crate) struct Handler<S> {
    cache: CountCache<S>,
}

/// The body of a 200.
#[derive(Serialize)]
struct Visits<'a> {
    count: u64,
    served_via: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
}

impl<S: Store> Handler<S> {
    pub(crate) fn new(cache: CountCache<S>) -> Self {
        Self { cache }
    }

    /// Answers any event. An error goes to whoever invoked the function directly; a client gets a problem.
    pub(crate) async fn handle(&self, request: &Request) -> Result<Response<Body>, Error> {
        if let Some(event) = http::direct_event(request) {
            return direct(event);
        }
        Ok(self.read(request).await.unwrap_or_else(Problem::into_response))
    }

    async fn read(&self, request: &Request) -> Result<Response<Body>, Problem> {
        let page = http::page_of(&Route::READ, request)?;
        let count = self.cache.get(&page).await.map_err(|down| Problem::count_unavailable(down.retry_after))?;
        Ok(respond(&count))
    }
}

fn respond(count: &Count) -> Response<Body> {
    let served_via = match &count.source {
        Source::Memory => "in_memory",
        Source::Shard(name) => name.as_str(),
    };
    let body = Visits { count: count.count, served_via, stale: count.stale };
    // Whole seconds, rounded down: nobody may keep it longer than we would.
    json_response(StatusCode::OK, &body, &format!("max-age={}", count.fresh_for.as_secs()))
}

fn direct(event: &str) -> Result<Response<Body>, Error> {
    if serde_json::from_str(event).is_ok_and(|event| http::foreign_http_event(&event)) {
        let answer = serde_json::to_string(&http::unsupported_event_response())?;
        return Ok(Response::new(Body::from(answer)));
    }
    Err("get-visits answers HTTP requests only: of an API Gateway HTTP API (payload version 2.0) or a function URL"
        .into())
}

#[cfg(test)]
mod tests;
