//! Maps an event to the cache and its outcome to a response.

use lambda_runtime::Error;
use serde::Serialize;
use visits_core::cache::{Count, CountCache, Source};
use visits_core::http::{self, Event, Problem, Reply, Request, Response, Route};
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
    pub(crate) async fn handle(&self, event: Event) -> Result<Reply, Error> {
        match event {
            Event::Http(request) => Ok(self.read(&request).await.map_or_else(Reply::from, Reply::Http)),
            Event::Foreign => Ok(Reply::unsupported_event()),
            Event::Direct(_) => Err(NOT_FOR_THIS_FUNCTION.into()),
        }
    }

    async fn read(&self, request: &Request) -> Result<Response, Problem> {
        let page = http::page_of(&Route::READ, request)?;
        let count = self.cache.get(&page).await.map_err(|down| Problem::count_unavailable(down.retry_after))?;
        Ok(respond(&count))
    }
}

fn respond(count: &Count) -> Response {
    let served_via = match &count.source {
        Source::Memory => "in_memory",
        Source::Shard(name) => name.as_str(),
    };
    let body = Visits { count: count.count, served_via, stale: count.stale };
    // Whole seconds, rounded down: nobody may keep it longer than we would.
    Response::json(&body, format!("max-age={}", count.fresh_for.as_secs()))
}

/// What an event that is no request gets.
const NOT_FOR_THIS_FUNCTION: &str =
    "get-visits answers HTTP requests only: of an API Gateway HTTP API (payload version 2.0) or a function URL";

#[cfg(test)]
mod tests;
