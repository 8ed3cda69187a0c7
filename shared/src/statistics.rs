//! What the owner asks for: the days of a page and of the site, the top pages, the shards' health, and setting a count.
//!
//! Every shard knows its own part; here the parts are asked for side by side and added up. A shard that does not answer makes
//! a top list and a summary incomplete, which they say. It makes a page's history unavailable only if it owns the page, or while
//! pages move between shards: then all of them are asked.

mod answers;
mod change;
mod recent;
mod sums;
#[cfg(test)]
mod tests;

pub use answers::{DayRow, History, Refusals, ShardHealth, ShardStatus, Summary, Top, TopPage, Totals};
pub use change::{Change, ChangeError, Changed, IdempotencyKey, InvalidKey, MOST_COUNT};

use crate::clock::Clock;
use crate::config::{Config, Counted};
use crate::day::Day;
use crate::page::PageId;
use crate::record;
use crate::ring::{Fingerprint, Ring};
use crate::store::statistics::{PageDays, SiteDays, Statistics};
use crate::store::{Reading, StoreError};
use answers::Circumstances;
use futures_util::future::{join_all, try_join, try_join_all};
use recent::Recent;
use std::sync::Arc;
use std::time::Duration;

/// Most pages in a top list.
pub const MOST_PAGES: u32 = 100;

/// Longest text to search for, in characters.
pub const MOST_SEARCH: usize = 100;

/// Longest time for which a summary or a top list is shown again, however long counts are.
const SHOWN_AGAIN: Duration = Duration::from_secs(5);

/// Summaries and top lists kept for that time: a handful of owners, each with some searches.
const KEPT: usize = 64;

/// A shard that is needed does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a shard that is needed does not answer")]
pub struct Unavailable;

/// Which pages a top list is to have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopQuery {
    /// Days, the present one included: 1 to [`MAX_HISTORY_DAYS`](crate::config::MAX_HISTORY_DAYS).
    pub days: u32,
    /// Pages at most: 1 to [`MOST_PAGES`].
    pub limit: u32,
    /// What their ids are to contain.
    pub search: Option<String>,
}

/// The service. Cheap to ask again: summaries and top lists are kept for some seconds.
pub struct Figures<S> {
    store: Arc<S>,
    ring: Ring,
    fingerprint: Fingerprint,
    clock: Clock,
    history_days: u32,
    counted: Counted,
    flush_interval: Duration,
    summaries: Recent<u32, Summary>,
    tops: Recent<TopQuery, Top>,
}

impl<S: Statistics> Figures<S> {
    /// The ring's shards are the store's, in the same order.
    pub fn new(store: Arc<S>, ring: Ring, clock: Clock, config: &Config) -> Self {
        let shown_again = config.cache_ttl.min(SHOWN_AGAIN);
        Self {
            store,
            fingerprint: ring.fingerprint(),
            ring,
            history_days: config.history_days,
            counted: config.count,
            flush_interval: config.flush_interval,
            summaries: Recent::new(clock.clone(), shown_again, KEPT),
            tops: Recent::new(clock.clone(), shown_again, KEPT),
            clock,
        }
    }

    /// Most days that may be asked for here; 0 if none are kept.
    pub fn most_days(&self) -> u32 {
        self.history_days
    }

    /// The days that end with the present one.
    fn span(&self, days: u32) -> (Day, Day) {
        let today = Day::of(self.clock.now());
        (today.minus(days.saturating_sub(1)), today)
    }

    /// A page's days, the present one last, with its visits of all time.
    pub async fn history(&self, page: &PageId, days: u32) -> Result<History, Unavailable> {
        let (first, last) = self.span(days);
        let owner = self.ring.owner(page.as_str());
        let asked = try_join(self.store.read(owner, page), self.store.page_days(owner, page, first, last)).await;
        let parts = match asked.map_err(note)? {
            (Reading { settled: Some(ring), .. }, days) if ring == self.fingerprint => days,
            _ => self.gather(page, first, last).await?,
        };
        Ok(History::new(page, first, last, &parts))
    }

    /// A page's days while pages move, or by another ring than ours: from all shards. A shard's days move with the page, in
    /// the same step as its total or later, so a day may be short of the visits on their way; `visits` never is.
    async fn gather(&self, page: &PageId, first: Day, last: Day) -> Result<PageDays, Unavailable> {
        let shards = 0..self.ring.len();
        let asked = shards
            .map(|shard| try_join(self.store.page_days(shard, page, first, last), self.store.traces(shard, page)));
        let (days, traces): (Vec<_>, Vec<_>) = try_join_all(asked).await.map_err(note)?.into_iter().unzip();
        let members = traces.iter().flat_map(|traces| &traces.members);
        if let Some(missing) = members.into_iter().find(|name| self.ring.index(name.as_str()).is_none()) {
            let shard = missing.as_str();
            tracing::error!(shard, "REDIS_ENDPOINTS does not name a shard that may still hold counts");
            return Err(Unavailable);
        }
        let total = record::count(self.ring.shards().iter().zip(traces.iter().map(|traces| &traces.record)));
        Ok(PageDays { total, ..sums::page_days(&days) })
    }

    /// The pages with the most visits by people. Unavailable if no shard answers.
    pub async fn top(&self, query: &TopQuery) -> Result<Arc<Top>, Unavailable> {
        self.tops.get(query.clone(), Box::pin(self.ask_top(query))).await
    }

    async fn ask_top(&self, query: &TopQuery) -> Result<Top, Unavailable> {
        let (first, last) = self.span(query.days);
        let (limit, search) = (query.limit as usize, query.search.as_deref());
        let asked = (0..self.ring.len()).map(|shard| self.store.top_pages(shard, first, last, limit, search));
        let lists: Vec<_> = join_all(asked).await.into_iter().filter_map(|list| list.map_err(note).ok()).collect();
        if lists.is_empty() {
            return Err(Unavailable);
        }
        let complete = lists.len() == self.ring.len();
        Ok(Top::new(first, last, sums::top_pages(lists, limit), complete))
    }

    /// The site's days, the present one last, its visits of all time, and how the shards are.
    pub async fn summary(&self, days: u32) -> Arc<Summary> {
        let summary = self.summaries.get(days, Box::pin(async { Ok(self.ask_summary(days).await) })).await;
        summary.unwrap_or_else(|never: std::convert::Infallible| match never {})
    }

    async fn ask_summary(&self, days: u32) -> Summary {
        let (first, last) = self.span(days);
        let asked = self.clock.now();
        let answers = join_all((0..self.ring.len()).map(|shard| self.ask_shard(shard, first, last))).await;
        let (parts, shards): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
        let complete = parts.iter().all(Option::is_some);
        let answered: Vec<SiteDays> = parts.into_iter().flatten().collect();
        let site = sums::site_days(&answered, first, last);
        let (flush_interval, history_days) = (self.flush_interval, self.history_days);
        Summary::new(first, last, &site, Circumstances { shards, complete, asked, flush_interval, history_days })
    }

    /// A shard's part of the summary, if it answers, and its health.
    async fn ask_shard(&self, shard: usize, first: Day, last: Day) -> (Option<SiteDays>, ShardHealth) {
        let name = self.ring.name(shard);
        let asked = async {
            // First and alone: behind the other call it would be that one's time that is told.
            let latency = self.store.ping(shard).await?;
            Ok((latency, self.store.site_days(shard, first, last).await?))
        };
        match asked.await.map_err(note) {
            Ok((latency, part)) => (Some(part), ShardHealth::ok(name, latency)),
            Err(Unavailable) => (None, ShardHealth::down(name)),
        }
    }
}

/// What went wrong with a shard is for the log only.
#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn note(error: StoreError) -> Unavailable {
    tracing::warn!(%error, "a shard did not say what the owner asked for");
    Unavailable
}
