//! Figures for the owner: the days of a page and of the site, the top pages, the shards' health, and setting a count.
//!
//! Every shard knows its own part; here the parts are asked for side by side and added up. A shard that does not answer makes
//! a top list and a summary incomplete, which they say. It makes a page's history unavailable only if it owns the page, or while
//! pages move between shards: then all of them are asked.
//!
//! A page's count is exact at once. Everything else is folded out of the shards' journals within a minute or two: each answer
//! says up to when (`as_of`). The answers are as they are written in JSON.

#[cfg(test)]
mod tests;

use crate::batch::WriterId;
use crate::clock::{Clock, Moment};
use crate::config::{Config, Counted, MAX_HISTORY_DAYS};
use crate::day::Day;
use crate::fold;
use crate::page::PageId;
use crate::ring::{Fingerprint, Ring};
use crate::shard::ShardName;
use crate::store::redis::RedisStore;
use crate::store::redis::statistics::{DayCount, Days, Refused, Set, SetCount};
use crate::store::{Reading, ShardIndex, StoreError, Traces};
use futures_util::future::{join_all, try_join, try_join_all, try_join3};
use quick_cache::sync::{Cache, EntryAction, EntryResult};
use serde::{Serialize, Serializer};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use xxhash_rust::xxh3::Xxh3Default;

/// Most pages in a top list.
pub const MAX_PAGES: u32 = 100;

/// Longest text to search for, in characters.
pub const MAX_SEARCH: usize = 100;

/// Longest time for which a summary or a top list is shown again, however long counts are.
const SHOWN_AGAIN: Duration = Duration::from_secs(5);

/// Longest time to fold the journal of a shard before days of a page are deleted there.
const FOLD_TIME: Duration = Duration::from_secs(2);

/// Summaries and top lists kept for that time: a handful of owners, each with some searches.
const KEPT: usize = 64;

/// A shard that is needed does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a shard that is needed does not answer")]
pub struct Unavailable;

/// Which pages a top list is to have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopQuery {
    /// Days, the present one included: 1 to [`MAX_HISTORY_DAYS`].
    pub days: u32,
    /// Pages at most: 1 to [`MAX_PAGES`].
    pub limit: u32,
    /// Text that their ids are to contain.
    pub search: Option<String>,
}

/// One day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DayRow {
    /// The day in UTC.
    pub day: Day,
    /// Visits by people.
    pub people: u64,
    /// Visits by bots.
    pub bots: u64,
    /// Unique visitors of the day.
    pub visitors: u64,
}

/// A page's days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct History {
    /// The page's id.
    pub page: String,
    /// The first day.
    pub from: Day,
    /// The last day: the present one.
    pub to: Day,
    /// Visits of all time.
    pub visits: u64,
    /// Visits among them by bots.
    pub bots: u64,
    /// Every day, the oldest first.
    pub days: Vec<DayRow>,
    /// The moment up to which the days are complete, as in [`Summary`].
    #[serde(serialize_with = "as_rfc_3339")]
    pub as_of: u64,
}

/// A page in a top list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopPage {
    /// The page's id.
    pub page: String,
    /// Visits by people.
    pub people: u64,
}

/// The pages with the most visits by people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Top {
    /// The first day.
    pub from: Day,
    /// The last day: the present one.
    pub to: Day,
    /// The first page first.
    pub pages: Vec<TopPage>,
    /// Every shard has answered.
    pub complete: bool,
    /// The moment up to which the list is complete, as in [`Summary`].
    #[serde(serialize_with = "as_rfc_3339")]
    pub as_of: u64,
}

/// Visits of all time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// All.
    pub visits: u64,
    /// By people.
    pub people: u64,
    /// By bots.
    pub bots: u64,
}

/// Health of a shard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShardHealth {
    /// Its name.
    pub name: String,
    /// `ok`, or `down` where it has not said all that it was asked for.
    pub status: &'static str,
    /// Time that it took to answer, in milliseconds, to a tenth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
}

/// The whole site.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The first day.
    pub from: Day,
    /// The last day: the present one.
    pub to: Day,
    /// The present day.
    pub today: DayRow,
    /// Visits of all time.
    pub total: Totals,
    /// Every day, the oldest first.
    pub days: Vec<DayRow>,
    /// Refused visits of these days.
    pub refused: Refused,
    /// Every shard, in the order of `REDIS_ENDPOINTS`.
    pub shards: Vec<ShardHealth>,
    /// Every shard has answered: otherwise the figures are too low.
    pub complete: bool,
    /// The moment up to which days, tops and visitors are complete, to the second: visits that came to a shard before it
    /// are in them. Those of the last `flush_interval_s` may still be on their way to a shard.
    #[serde(serialize_with = "as_rfc_3339")]
    pub as_of: u64,
    /// Largest age of a visit that is not in the figures yet, in seconds.
    #[serde(rename = "flush_interval_s", serialize_with = "as_seconds")]
    pub flush_interval: Duration,
    /// Most days that may be asked for.
    pub history_days: u32,
}

impl ShardHealth {
    /// Returns the health of a shard that has answered after this time; none for one that has not.
    fn new(name: &ShardName, latency: Option<Duration>) -> Self {
        let latency_ms = latency.map(|latency| (latency.as_secs_f64() * 10_000.0).round() / 10.0);
        Self { name: name.to_string(), status: latency.map_or("down", |_| "ok"), latency_ms }
    }
}

impl Totals {
    /// Tells people from bots.
    fn new(visits: u64, bots: u64) -> Self {
        Self { visits, people: visits.saturating_sub(bots), bots }
    }
}

/// The service. Cheap to ask again: summaries and top lists are kept for some seconds.
pub struct Figures {
    store: Arc<RedisStore>,
    ring: Ring,
    fingerprint: Fingerprint,
    clock: Clock,
    history_days: u32,
    counted: Counted,
    flush_interval: Duration,
    summaries: Recent<u32, Summary>,
    tops: Recent<TopQuery, Top>,
}

impl Figures {
    /// The ring's shards are the store's, in the same order.
    pub fn new(store: Arc<RedisStore>, ring: Ring, clock: Clock, config: &Config) -> Self {
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

    /// Returns a page's days, the present one last, with its visits of all time.
    pub async fn history(&self, page: &PageId, days: u32) -> Result<History, Unavailable> {
        let (first, last) = self.span(days);
        let (asked, owner) = (self.clock.now(), self.ring.owner(page.as_str()));
        let parts = try_join3(
            self.store.oldest_entry(owner),
            self.store.read(owner, page),
            self.store.days(owner, Some(page), first, last),
        );
        let (oldest, Days { total, bots, days, .. }) = match parts.await.map_err(note)? {
            (oldest, Reading { settled: Some(ring), .. }, days) if ring == self.fingerprint => (oldest, days),
            _ => self.gather(page, first, last).await?,
        };
        Ok(History {
            page: page.as_str().to_owned(),
            from: first,
            to: last,
            visits: total,
            bots,
            days: rows(first, last, &days),
            as_of: as_of(asked, oldest),
        })
    }

    /// A page's days while pages move, or by another ring than ours: from all shards. A shard's days move with the page, in
    /// the same step as its total or later, so a day may be short of the visits on their way; `visits` never is.
    async fn gather(&self, page: &PageId, first: Day, last: Day) -> Result<(Option<u64>, Days), Unavailable> {
        let asked = (0..self.ring.len()).map(|shard| {
            try_join3(
                self.store.oldest_entry(shard),
                self.store.days(shard, Some(page), first, last),
                self.store.traces(shard, page),
            )
        });
        let answers = try_join_all(asked).await.map_err(note)?;
        let oldest = answers.iter().filter_map(|(oldest, ..)| *oldest).min();
        let (mut sum, mut traces) = (Days::default(), Vec::new());
        for (_, days, trace) in answers {
            // Its visitors of a day are in one sketch, which is on one shard at a time: the larger figure is the nearer one.
            sum.add(&days, u64::max);
            traces.push(trace);
        }
        let (total, bots) = Traces::count(&self.ring, &traces).ok_or(Unavailable)?;
        Ok((oldest, Days { total, bots, ..sum }))
    }

    /// Returns the pages with the most visits by people. Unavailable if no shard answers.
    pub async fn top(&self, query: &TopQuery) -> Result<Arc<Top>, Unavailable> {
        self.tops.get(query.clone(), Box::pin(self.ask_top(query))).await
    }

    async fn ask_top(&self, query: &TopQuery) -> Result<Top, Unavailable> {
        let (first, last) = self.span(query.days);
        let (limit, search) = (query.limit as usize, query.search.as_deref());
        let clock = self.clock.now();
        let asked = (0..self.ring.len()).map(|shard| {
            try_join(self.store.oldest_entry(shard), self.store.top_pages(shard, first, last, limit, search))
        });
        let answers: Vec<_> = join_all(asked).await.into_iter().filter_map(|list| list.map_err(note).ok()).collect();
        if answers.is_empty() {
            return Err(Unavailable);
        }
        let complete = answers.len() == self.ring.len();
        let as_of = as_of(clock, answers.iter().filter_map(|(oldest, _)| *oldest).min());
        let pages = top_pages(answers.into_iter().map(|(_, list)| list).collect(), limit);
        Ok(Top { from: first, to: last, pages, complete, as_of })
    }

    /// Returns the site's days, the present one last, its visits of all time, and how the shards are.
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
        let (mut site, mut oldest) = (Days::default(), None);
        for (entry, part) in parts.into_iter().flatten() {
            site.add(&part, u64::saturating_add);
            oldest = [oldest, entry].into_iter().flatten().min();
        }
        let days = rows(first, last, &site.days);
        Summary {
            from: first,
            to: last,
            today: days[days.len() - 1],
            total: Totals::new(site.total, site.bots),
            days,
            refused: site.refused,
            shards,
            complete,
            as_of: as_of(asked, oldest),
            flush_interval: self.flush_interval,
            history_days: self.history_days,
        }
    }

    /// A shard's part of the summary, if it answers, and its health.
    async fn ask_shard(&self, shard: ShardIndex, first: Day, last: Day) -> (Option<(Option<u64>, Days)>, ShardHealth) {
        let name = self.ring.name(shard);
        let asked = async {
            // First and alone: behind the other calls it would be their time that is told.
            let latency = self.store.ping(shard).await?;
            let part = try_join(self.store.oldest_entry(shard), self.store.days(shard, None, first, last)).await?;
            Ok((latency, part))
        };
        match asked.await.map_err(note) {
            Ok((latency, part)) => (Some(part), ShardHealth::new(name, Some(latency))),
            Err(Unavailable) => (None, ShardHealth::new(name, None)),
        }
    }
}

/// One row for each day, also for one of which nothing is known.
fn rows(first: Day, last: Day, days: &[DayCount]) -> Vec<DayRow> {
    let row = |(day, DayCount { people, bots, visitors })| DayRow { day, people, bots, visitors };
    first.to(last).zip(days.iter().copied().chain(std::iter::repeat(DayCount::default()))).map(row).collect()
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn as_rfc_3339<S: Serializer>(seconds: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(*seconds)).unwrap_or(UNIX_EPOCH);
    serializer.collect_str(&humantime::format_rfc3339_seconds(time))
}

/// Whole if it is.
fn as_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    if time.subsec_nanos() == 0 {
        serializer.serialize_u64(time.as_secs())
    } else {
        serializer.serialize_f64(time.as_secs_f64())
    }
}

/// The first `limit` pages of all lists together, those with as many visits by their ids.
fn top_pages(lists: Vec<Vec<(PageId, u64)>>, limit: usize) -> Vec<TopPage> {
    let mut sums: HashMap<PageId, u64> = HashMap::new();
    for (page, people) in lists.into_iter().flatten() {
        let sum = sums.entry(page).or_default();
        *sum = sum.saturating_add(people);
    }
    let mut pages: Vec<_> = sums.into_iter().collect();
    pages.sort_unstable_by(|one, other| (Reverse(one.1), &one.0).cmp(&(Reverse(other.1), &other.0)));
    pages.truncate(limit);
    pages.into_iter().map(|(page, people)| TopPage { page: page.as_str().to_owned(), people }).collect()
}

/// The moment up to which visits are in the days, in seconds: a journal's oldest entry, read before the days, and none younger
/// than the question.
fn as_of(asked: Moment, oldest_entry: Option<u64>) -> u64 {
    oldest_entry.unwrap_or(u64::MAX).min(asked.epoch_millis()) / 1_000
}

/// Logs what went wrong with a shard: nothing else tells of it.
#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn note(error: StoreError) -> Unavailable {
    tracing::warn!(%error, "a shard did not say what the owner asked for");
    Unavailable
}

/// Largest count that can be set: 15 digits, which every reader of JSON and Redis' scripts keep exactly.
pub const MAX_COUNT: u64 = 999_999_999_999_999;

/// Name of a change, so that the same one sent again is told from a second one: 1 to 128 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(Box<str>);

/// A text that is no [`IdempotencyKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an Idempotency-Key is 1 to 128 visible ASCII characters")]
pub struct InvalidKey;

/// A page's new count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its count from now on.
    pub count: u64,
    /// Whether its days go, too.
    pub forget_days: bool,
}

/// A change that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The count before, as it was shown: of people only, where that is what counts say.
    pub previous: u64,
    /// Whether this change had been made before, and nothing is changed now.
    pub repeated: bool,
}

/// Why a change is not made, or not known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Pages are moving between shards, or the page's shard knows another ring than ours. Nothing is changed.
    #[error("pages are moving between shards")]
    Moving,
    /// The key was another change's of the same page. Nothing is changed.
    #[error("the key was used for another change of this page")]
    KeyTaken,
    /// The page's shard does not answer. Nothing is changed.
    #[error("the page's shard does not answer")]
    Unavailable,
    /// The call was sent and no answer came. The same change with the same key is safe, and tells.
    #[error("no answer came")]
    Unknown,
}

impl std::str::FromStr for IdempotencyKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=128).contains(&text.len()) { Ok(Self(text.into())) } else { Err(InvalidKey) }
    }
}

impl IdempotencyKey {
    /// The id of the change of a page under this key. The count is no part of it: so a key that is used again for another one
    /// is noticed. Two pages may have the same key.
    fn id(&self, page: &PageId) -> WriterId {
        let mut hasher = Xxh3Default::new();
        hasher.update(page.as_str().as_bytes());
        // No UTF-8 has this byte.
        hasher.update(&[0xff]);
        hasher.update(self.0.as_bytes());
        WriterId::from_u128(hasher.digest128())
    }
}

impl Figures {
    /// Sets a page's count, exactly once for each key. Visits that are still in the memory of `record-visit` come on top.
    ///
    /// With its days, those visits go that its shard had counted before. A visit of the same moment may keep its day.
    pub async fn set(&self, page: &PageId, change: Change, key: &IdempotencyKey) -> Result<Changed, ChangeError> {
        let owner = self.ring.owner(page.as_str());
        let today = Day::of(self.clock.now());
        // Also what was kept under a longer setting.
        let forget = change.forget_days.then(|| (today.minus(MAX_HISTORY_DAYS - 1), today));
        let call = SetCount { page, count: change.count, forget, ring: self.fingerprint, id: key.id(page) };
        if change.forget_days {
            let settings = fold::Settings::new(self.history_days, FOLD_TIME);
            fold::fold(&self.store, &self.ring, &self.clock, settings, [owner]).await;
        }
        let answer = self.store.set_count(owner, call).await;
        self.summaries.forget();
        self.tops.forget();
        match answer {
            Ok(Set::Done { previous, previous_bots, repeated }) => {
                let uncounted = if self.counted == Counted::People { previous_bots } else { 0 };
                Ok(Changed { previous: previous.saturating_sub(uncounted), repeated })
            }
            Ok(Set::Moving) => Err(ChangeError::Moving),
            Ok(Set::KeyTaken) => Err(ChangeError::KeyTaken),
            Err(error) => Err(unclear(error)),
        }
    }
}

/// Returns what a failed call to set a count says about whether it is set.
fn unclear(error: StoreError) -> ChangeError {
    let sent = matches!(error, StoreError::Unknown { .. });
    let Unavailable = note(error);
    if sent { ChangeError::Unknown } else { ChangeError::Unavailable }
}

/// The last answer to each question, for a time. Who asks while the answer is being fetched waits for it.
struct Recent<K, V> {
    clock: Clock,
    shown_again: Duration,
    answers: Cache<K, (Moment, Arc<V>)>,
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    /// At most `kept` answers. A time of zero: none.
    fn new(clock: Clock, shown_again: Duration, kept: usize) -> Self {
        Self { clock, shown_again, answers: Cache::new(kept) }
    }

    /// The answer of a moment ago, else the one that `fetch` gets. A failure is not kept.
    async fn get<E>(&self, key: K, fetch: impl Future<Output = Result<V, E>>) -> Result<Arc<V>, E> {
        if self.shown_again.is_zero() {
            return fetch.await.map(Arc::new);
        }
        let now = self.clock.now();
        let fresh = |_: &K, (fetched, answer): &mut (Moment, Arc<V>)| {
            let fresh = now.since(*fetched) < self.shown_again;
            if fresh { EntryAction::Retain(Arc::clone(answer)) } else { EntryAction::ReplaceWithGuard }
        };
        match self.answers.entry_async(&key, fresh).await {
            EntryResult::Retained(answer) => Ok(answer),
            EntryResult::Vacant(guard) | EntryResult::Replaced(guard, _) => {
                let answer = Arc::new(fetch.await?);
                // If this fails a `forget` has come between: the next one asks again.
                let _ = guard.insert((now, Arc::clone(&answer)));
                Ok(answer)
            }
            EntryResult::Removed(..) | EntryResult::Timeout => fetch.await.map(Arc::new),
        }
    }

    /// Forgets all answers, since something is different now.
    fn forget(&self) {
        self.answers.clear();
    }
}
