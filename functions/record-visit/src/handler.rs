//! Maps an event to the flusher and its outcome to a response.

use crate::lifecycle::flush_budget;
use crate::rules::{Caller, Rules};
use lambda_runtime::Error;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use visits_core::clock::Clock;
use visits_core::config::{Config, Durability};
use visits_core::flusher::{Flusher, RecordError};
use visits_core::http::{Cors, DirectEvent, Event, Problem, Reply, Request, Response, Route, Routes};
use visits_core::page::PageId;
use visits_core::store::redis::RedisStore;
use visits_core::sweep::FlushOrder;
use visits_core::visit::{Refusal, Visit};

/// Time after which a client may try again where nothing tells a better one.
const RETRY_SOON: Duration = Duration::from_secs(1);

/// An action of a route.
#[derive(Clone, Copy, Debug)]
enum Action {
    Visit,
    Visits,
    Pixel,
}

const ROUTES: Routes<Action> = Routes {
    routes: &[
        Route::new("POST", "/visit/{page_id}", Action::Visit),
        Route::new("POST", "/visits", Action::Visits),
        Route::new("GET", "/pixel/{page_id}", Action::Pixel),
    ],
};

pub(crate) struct Handler {
    flusher: Arc<Flusher<RedisStore>>,
    durability: Durability,
    rules: Rules,
    cors: Cors,
    clock: Clock,
}

/// The body of a 200 for one visit.
#[derive(Serialize)]
struct Recorded {
    status: &'static str,
    message: String,
}

/// The body of a 200 for several.
#[derive(Serialize)]
struct RecordedAll {
    status: &'static str,
    recorded: usize,
    repeated: usize,
}

impl Handler {
    pub(crate) fn new(flusher: Arc<Flusher<RedisStore>>, config: &Config, clock: Clock) -> Self {
        let (rules, cors) = (Rules::new(config), Cors::new(config.origins.clone(), false));
        Self { flusher, durability: config.durability, rules, cors, clock }
    }

    /// Answers any event of an invocation that must end at `deadline`, in milliseconds since the Unix epoch. An
    /// error goes to the caller of a direct invocation; a client gets a problem.
    pub(crate) async fn handle(&self, event: Event, deadline: u64) -> Result<Reply, Error> {
        match event {
            Event::Http(request) => {
                let (Ok(answer) | Err(answer)) = self.answer(&request, deadline).await;
                Ok(Reply::to(&request, self.cors.admit(&request, answer)))
            }
            // Boxed, here and below: what a buffered visit carries about is small, and faster by a quarter.
            Event::Direct(event) => Box::pin(self.direct(event, deadline)).await,
        }
    }

    async fn answer(&self, request: &Request, deadline: u64) -> Result<Response, Response> {
        let (action, target) = ROUTES.find(request, Some(&self.cors))?;
        match action {
            Action::Visit => {
                let page = target.page()?;
                let message = format!("Visit recorded for page {page}");
                let recorded = self.one(request, page, deadline).await?;
                Ok(if recorded {
                    Response::json(&Recorded { status: "success", message }, "no-store")
                } else {
                    repeated()
                })
            }
            Action::Pixel => {
                let page = target.page()?;
                if request.is_head() || request.is_speculative() {
                    // No image is shown, or not yet: nothing is counted, not even a refusal.
                    self.rules.check(request, &[page]).map_err(|(_, problem)| problem)?;
                } else {
                    self.one(request, page, deadline).await?;
                }
                Ok(pixel())
            }
            Action::Visits => Ok(Box::pin(self.several(request, deadline)).await?),
        }
    }

    /// Records one visit, unless it is a repeat; then false.
    async fn one(&self, request: &Request, page: PageId, deadline: u64) -> Result<bool, Problem> {
        self.check(request, std::slice::from_ref(&page))?;
        let caller = self.rules.caller(request);
        if !self.is_first(&page, caller) {
            return Ok(false);
        }
        self.record(&[page], caller, deadline).await?;
        Ok(true)
    }

    /// Records those of the body's pages that are no repeats: all of them or none.
    async fn several(&self, request: &Request, deadline: u64) -> Result<Response, Problem> {
        let pages = listed_pages(request)?;
        self.check(request, &pages)?;
        let caller = self.rules.caller(request);
        let listed = pages.len();
        let pages: Vec<PageId> = pages.into_iter().filter(|page| self.is_first(page, caller)).collect();
        self.record(&pages, caller, deadline).await?;
        let (recorded, repeated) = (pages.len(), listed - pages.len());
        Ok(Response::json(&RecordedAll { status: "success", recorded, repeated }, "no-store"))
    }

    /// Records a visit of each page, all of them or none. `direct`: or says that no outcome came in time.
    async fn record(&self, pages: &[PageId], caller: Caller, deadline: u64) -> Result<(), Problem> {
        let visits: Vec<Visit> = pages.iter().map(|page| caller.visit(page.clone())).collect();
        let outcome = match self.durability {
            Durability::Buffered => self.flusher.record(visits),
            Durability::Direct => {
                let budget = flush_budget(deadline, self.clock.now());
                Box::pin(tokio::time::timeout(budget, self.flusher.record_direct(visits)))
                    .await
                    .unwrap_or(Err(RecordError::NotConfirmed))
            }
        };
        outcome.map_err(|error| {
            if !matches!(error, RecordError::NotConfirmed) {
                for page in pages {
                    self.rules.forget(page, caller);
                }
            }
            problem(error)
        })
    }

    fn is_first(&self, page: &PageId, caller: Caller) -> bool {
        let first = self.rules.begin(page, caller, || self.clock.now());
        if !first {
            self.flusher.refuse(Refusal::Repeat);
        }
        first
    }

    /// Checks that these visits are to be counted. A refusal is counted for the owner to see.
    fn check(&self, request: &Request, pages: &[PageId]) -> Result<(), Problem> {
        self.rules.check(request, pages).map_err(|(refusal, problem)| {
            self.flusher.refuse(refusal);
            problem
        })
    }

    /// An event that came from no HTTP front end: the sweep's order to flush, or a mistake.
    async fn direct(&self, event: DirectEvent, deadline: u64) -> Result<Reply, Error> {
        let order = FlushOrder::parse(event.flush, event.nothing_else)?;
        let report = self.flusher.sweep(flush_budget(deadline, self.clock.now())).await;
        let now = self.clock.now();
        tokio::time::sleep(order.hold(now).min(flush_budget(deadline, now))).await;
        Ok(Reply::Direct(serde_json::to_value(report)?))
    }
}

fn repeated() -> Response {
    let message = "The same visitor was on this page a moment ago; this is no further visit".to_owned();
    Response::json(&Recorded { status: "repeated", message }, "no-store")
}

fn problem(error: RecordError) -> Problem {
    let (kind, detail, retry_after) = match error {
        // Its shards have been unreachable for long.
        RecordError::Full { retry_after } => {
            ("buffer-full", "too many visits are waiting to be stored; this request is not counted", retry_after)
        }
        // Another environment will answer.
        RecordError::Stopping => {
            ("shutting-down", "this instance is shutting down; this request is not counted", RETRY_SOON)
        }
        RecordError::Unavailable { retry_after } => ("store-unavailable", NOTHING_STORED, retry_after),
        RecordError::NotConfirmed => (
            "not-confirmed",
            "the visit could not be confirmed in time; it may still be counted, so a repeated request may count it twice",
            RETRY_SOON,
        ),
        RecordError::NoWriter(error) => {
            tracing::error!(%error, "no visit can be recorded");
            ("store-unavailable", NOTHING_STORED, RETRY_SOON)
        }
    };
    Problem::unavailable(kind, detail, retry_after)
}

const NOTHING_STORED: &str = "nothing can be stored at the moment; this request is not counted";

/// Most visits in one request.
const MAX_LISTED: usize = 100;

const ACCEPTED: &str = "a JSON array of 1 to 100 page ids is accepted, or an object with such an array as \"pages\"";

/// Returns the pages in the body of `POST /visits`, in their order: 1 to [`MAX_LISTED`]. One that is no page id spoils all of them.
fn listed_pages(request: &Request) -> Result<Vec<PageId>, Problem> {
    let (PageList::Ids(ids) | PageList::Object { pages: ids }) = request.body.json(ACCEPTED)?;
    if !(1..=MAX_LISTED).contains(&ids.len()) {
        return Err(Problem::invalid_body(format_args!("it has {} page ids", ids.len()), ACCEPTED));
    }
    let page = |(n, id): (usize, String)| {
        PageId::from_decoded(&id).map_err(|error| Problem::invalid_page_id(format_args!("pages[{n}]: {error}")))
    };
    ids.into_iter().enumerate().map(page).collect()
}

/// Ids as they are: page ids or not.
#[derive(Deserialize)]
#[serde(untagged, expecting = "it is no list of texts")]
enum PageList {
    Ids(Vec<String>),
    Object { pages: Vec<String> },
}

/// One transparent pixel, as small as a GIF can be that every browser takes.
const PIXEL: [u8; 43] = [
    b'G', b'I', b'F', b'8', b'9', b'a', // signature and version
    1, 0, 1, 0, 0x80, 0, 0, // a screen of one pixel, with a table of two colours:
    0, 0, 0, 0xff, 0xff, 0xff, // black and white
    0x21, 0xf9, 4, 1, 0, 0, 0, 0, // the colour 0 is transparent
    0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, // an image of one pixel:
    2, 2, 0x44, 1, 0,    // the colour 0
    0x3b, // the end
];

/// Returns the pixel. It is never cached: each time it is shown is a visit.
fn pixel() -> Response {
    Response::binary("image/gif", "no-store", &PIXEL)
}

#[cfg(test)]
mod tests;
