//! Maps an event to the cache and its outcome to a response.

use crate::badge::Badge;
use crate::page_list;
use lambda_runtime::Error;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use visits_core::cache::{Count, CountCache, Source, Unavailable};
use visits_core::config::Config;
use visits_core::http::{Cors, Event, Owner, Problem, Query, Reply, Request, Response, Route, Routes, Target};
use visits_core::page::PageId;

/// Time for which a badge may be shown without asking again: few readers of a page wait for its number.
const BADGE_KEPT: Duration = Duration::from_mins(1);

/// Time for which a badge without a count may be shown.
const FAILED_BADGE_KEPT: Duration = Duration::from_secs(10);

/// An action of a route.
#[derive(Clone, Copy, Debug)]
enum Action {
    Count,
    Counts,
    Badge,
}

const ROUTES: Routes<Action> = Routes {
    routes: &[
        Route::new("GET", "/visits/{page_id}", Action::Count),
        Route::new("GET", "/visits", Action::Counts),
        Route::new("GET", "/badge/{page_id}", Action::Badge),
    ],
};

pub(crate) struct Handler {
    cache: Arc<CountCache>,
    cors: Cors,
    /// The only reader of counts. `None`: they are public.
    only: Option<Owner>,
}

/// The body of a 200 for one page.
#[derive(Serialize)]
struct Visits<'a> {
    count: u64,
    served_via: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
}

/// The body of a 200 for several.
#[derive(Serialize)]
struct AllVisits<'a> {
    visits: Vec<PageVisits<'a>>,
}

/// One of several pages. Without a count its shard does not answer.
#[derive(Serialize)]
struct PageVisits<'a> {
    page: &'a str,
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    served_via: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
}

impl Handler {
    pub(crate) fn new(cache: Arc<CountCache>, config: &Config) -> Result<Self, String> {
        let only = if config.public { None } else { Some(Owner::new(config)?) };
        Ok(Self { cache, cors: Cors::new(config.origins.clone(), only.is_some()), only })
    }

    /// Answers any event. An error goes to the caller of a direct invocation; a client gets a problem.
    pub(crate) async fn handle(&self, event: Event) -> Result<Reply, Error> {
        match event {
            Event::Http(request) => {
                let (Ok(answer) | Err(answer)) = self.answer(&request).await;
                Ok(Reply::to(&request, self.cors.admit(&request, answer)))
            }
            Event::Direct(_) => Err(NOT_FOR_THIS_FUNCTION.into()),
        }
    }

    async fn answer(&self, request: &Request) -> Result<Response, Response> {
        let (action, target) = ROUTES.find(request, Some(&self.cors))?;
        match (action, self.tell(action, &target, request).await) {
            // In place of an image a problem would be a broken one.
            (Action::Badge, Err(problem)) => Ok(self.failed_badge(request, &problem)),
            (_, answer) => Ok(answer?),
        }
    }

    async fn tell(&self, action: Action, target: &Target<'_>, request: &Request) -> Result<Response, Problem> {
        if let Some(owner) = &self.only {
            Box::pin(owner.authorize(request)).await?;
        }
        match action {
            Action::Count => {
                let count = self.cache.get(&target.page()?).await.map_err(unavailable)?;
                Ok(self.count(&count))
            }
            Action::Counts => Box::pin(self.counts(request)).await,
            Action::Badge => Box::pin(self.badge(request, &target.page()?)).await,
        }
    }

    fn count(&self, count: &Count) -> Response {
        let body = Visits { count: count.count, served_via: served_via(count), stale: count.stale };
        Response::json(&body, self.kept_for(count.fresh_for))
    }

    async fn counts(&self, request: &Request) -> Result<Response, Problem> {
        let max = if self.only.is_some() { page_list::MAX_OWNERS } else { page_list::MAX_PUBLIC };
        let pages = page_list::pages(&Query::parse(&request.query)?, max)?;
        let counts = self.cache.get_all(&pages).await;
        if let Some(Err(down)) = counts.iter().find(|_| counts.iter().all(Result::is_err)) {
            return Err(unavailable(*down));
        }
        let fresh_for = counts.iter().map(|count| count.as_ref().map_or(Duration::ZERO, |count| count.fresh_for)).min();
        let visits = pages.iter().zip(&counts).map(|(page, count)| {
            let count = count.as_ref().ok();
            PageVisits {
                page: page.as_str(),
                count: count.map(|count| count.count),
                served_via: count.map(served_via),
                stale: count.is_some_and(|count| count.stale),
            }
        });
        Ok(Response::json(&AllVisits { visits: visits.collect() }, self.kept_for(fresh_for.unwrap_or_default())))
    }

    async fn badge(&self, request: &Request, page: &PageId) -> Result<Response, Problem> {
        let badge = Badge::from_query(&Query::parse(&request.query)?)?;
        let count = self.cache.get(page).await.map_err(unavailable)?;
        let kept = self.kept_for(if count.stale { Duration::ZERO } else { BADGE_KEPT });
        Ok(Response::svg(badge.render(count.count), kept))
    }

    /// Answers with a badge that says why it shows no count. Its status is 200: GitHub's proxy shows no image with another.
    fn failed_badge(&self, request: &Request, problem: &Problem) -> Response {
        let why = match problem.status().as_u16() {
            400 => "invalid",
            401 | 403 => "private",
            _ => "unavailable",
        };
        let badge = Query::parse(&request.query).and_then(|query| Badge::from_query(&query)).unwrap_or_default();
        Response::svg(badge.render_failed(why), self.kept_for(FAILED_BADGE_KEPT))
    }

    /// Returns `Cache-Control` in whole seconds, rounded down: a client keeps a count no longer than we do. One that only the owner may see
    /// is for no shared cache.
    fn kept_for(&self, time: Duration) -> String {
        let whose = if self.only.is_some() { "private, " } else { "" };
        format!("{whose}max-age={}", time.as_secs())
    }
}

fn unavailable(down: Unavailable) -> Problem {
    Problem::unavailable("count-unavailable", "the count cannot be read at the moment", down.retry_after)
}

fn served_via(count: &Count) -> &str {
    match &count.source {
        Source::Memory => "in_memory",
        Source::Shard(name) => name.as_str(),
    }
}

/// The error for an event that is no request.
const NOT_FOR_THIS_FUNCTION: &str =
    "get-visits answers HTTP requests only: of API Gateway, a function URL or a load balancer";

#[cfg(test)]
mod tests;
