//! The scheduled sweep: has every warm environment of `record-visit` flush what it still holds.
//!
//! No function can see another's memory, so idle environments must be *invoked* to flush. Lambda gives an
//! invocation to any idle environment. To reach several different ones, as many invocations as there are
//! writers are made at once, and each is told to answer no sooner than one common moment: while one is
//! busy waiting, the next invocation lands elsewhere.

use crate::batch::WriterId;
use crate::budget::Budget;
use crate::clock::{Clock, Moment};
use crate::report::FlushReport;
use crate::ring::Ring;
use crate::store::redis::RedisStore;
use crate::store::{StoreError, TIDY_AT_ONCE};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::time::Duration;

/// Longest time that a flush order may hold an environment. An order is data from outside.
pub const LONGEST_HOLD: Duration = Duration::from_secs(2);

/// Time to the common moment of a round with several invocations: longer than the time by
/// which their starts differ.
const HOLD: Duration = Duration::from_secs(1);

/// Rounds without a new answer after which a sweep gives up: the writers left are gone.
const BARREN_ROUNDS: usize = 3;

/// The event that `record-visit` takes for an order to flush: `{"flush":{"hold_until":<epoch ms>}}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FlushEvent {
    /// The order.
    pub flush: FlushOrder,
}

/// A direct invocation that is no order to flush.
#[derive(Debug, thiserror::Error)]
#[error("not a flush event: {0}; {{\"flush\":{{\"hold_until\":<milliseconds since 1970>}}}} is accepted")]
pub struct InvalidFlushEvent(String);

/// An order of another shape.
impl From<serde_json::Error> for InvalidFlushEvent {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

impl FlushEvent {
    /// Reads an event that came by direct invocation: its member `flush`, and whether it has no other.
    pub fn parse(flush: Option<serde_json::Value>, nothing_else: bool) -> Result<Self, InvalidFlushEvent> {
        // Serde would take an array for a struct's fields in order.
        let Some(flush) = flush.filter(serde_json::Value::is_object) else {
            return Err(InvalidFlushEvent("no object \"flush\"".to_owned()));
        };
        if !nothing_else {
            return Err(InvalidFlushEvent("it has other members than \"flush\"".to_owned()));
        }
        Ok(Self { flush: serde_json::from_value(flush)? })
    }
}

/// An order to flush. During a deployment it goes to older and to newer environments: each ignores what it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FlushOrder {
    /// Answer no sooner than this, in milliseconds since the Unix epoch.
    pub hold_until: u64,
}

impl FlushOrder {
    /// Returns the time to wait with the answer, at most [`LONGEST_HOLD`].
    pub fn hold(&self, now: Moment) -> Duration {
        now.until_epoch_millis(self.hold_until).min(LONGEST_HOLD)
    }
}

/// An invocation failed; the text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record-visit could not be invoked: {0}")]
pub struct InvokeError(pub String);

/// The environments of `record-visit`, as seen from outside: one call reaches any of them.
pub trait Environments: Send + Sync {
    /// Opens what `count` calls at once will need, so that they start at the same time.
    fn prepare(&self, count: usize) -> impl Future<Output = ()> + Send;

    /// Has one environment flush.
    fn flush(&self, order: FlushOrder) -> impl Future<Output = Result<FlushReport, InvokeError>> + Send;
}

/// Outcome of a sweep, which `flush-visits` returns and logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Writers on the list whose last flush is older than the interval.
    pub writers_known: usize,
    /// Writers among them that answered.
    pub writers_answered: usize,
    /// Visits that the environments pushed for it.
    pub visits_flushed: u64,
    /// Rounds of invocations.
    pub rounds: usize,
    /// Invocations made.
    pub invocations: usize,
    /// Invocations among them that failed.
    pub invocations_failed: usize,
    /// Applied sets deleted because their time was over.
    pub sets_removed: usize,
    /// Shards that did not answer; what they list is swept the next time.
    pub shards_failed: usize,
}

/// A sweep's settings.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Writers that flushed within this time are left alone.
    pub interval: Duration,
    /// Most invocations at once.
    pub concurrency: usize,
    /// The time of the sweep.
    pub budget: Budget,
}

/// Sweeps once: lists the idle writers, has them flush, tidies the shards.
pub async fn sweep<E: Environments>(
    store: &RedisStore,
    ring: &Ring,
    environments: &E,
    clock: &Clock,
    settings: Settings,
) -> Summary {
    let mut summary = Summary::default();
    let started = clock.now();
    let steps = async {
        let idle = idle_writers(store, ring, settings, &mut summary).await;
        flush_all(idle, environments, (clock, started), settings, &mut summary).await;
        tidy(store, ring, || settings.budget.is_over(started, clock.now()), &mut summary).await;
    };
    settings.budget.cut_off("sweep", steps).await;
    summary
}

/// The listed writers whose last flush, on whichever shard it was, is older than the interval.
async fn idle_writers(store: &RedisStore, ring: &Ring, settings: Settings, summary: &mut Summary) -> HashSet<WriterId> {
    // A silent shard leaves most of the time to the writers that the others list.
    let limit = settings.budget.whole() / 3;
    let list = async |shard| {
        let silent = || StoreError::Unknown {
            shard: ring.name(shard).to_string(),
            reason: format!("no answer within {limit:?}"),
        };
        tokio::time::timeout(limit, store.writers(shard)).await.unwrap_or_else(|_| Err(silent()))
    };
    let lists = join_all((0..ring.len()).map(list)).await;
    let mut silent: HashMap<WriterId, Duration> = HashMap::new();
    for (writer, since) in lists.into_iter().filter_map(|list| answered(list, summary)).flatten() {
        silent.entry(writer).and_modify(|least| *least = since.min(*least)).or_insert(since);
    }
    silent.retain(|_, since| *since >= settings.interval);
    summary.writers_known = silent.len();
    silent.into_keys().collect()
}

fn answered<T>(answer: Result<T, StoreError>, summary: &mut Summary) -> Option<T> {
    answer
        .inspect_err(|error| {
            summary.shards_failed += 1;
            tracing::warn!(%error, "a shard could not be swept");
        })
        .ok()
}

/// Invokes in rounds until every writer has answered, or several rounds brought no new one.
async fn flush_all<E: Environments>(
    mut waiting: HashSet<WriterId>,
    environments: &E,
    (clock, started): (&Clock, Moment),
    settings: Settings,
    summary: &mut Summary,
) {
    let mut barren = 0;
    while !waiting.is_empty() && barren < BARREN_ROUNDS && !settings.budget.is_over(started, clock.now()) {
        let count = waiting.len().min(settings.concurrency);
        if count > 1 && summary.rounds == 0 {
            environments.prepare(count).await;
        }
        summary.rounds += 1;
        summary.invocations += count;
        let answers = round(environments, count, clock, HOLD.min(settings.budget.whole() / 3)).await;
        let before = waiting.len();
        for answer in answers {
            match answer {
                Ok(report) => {
                    summary.visits_flushed += report.visits;
                    report.writer.map(|writer| waiting.remove(&writer));
                }
                Err(error) => {
                    summary.invocations_failed += 1;
                    tracing::warn!(%error, "an environment could not be swept");
                }
            }
        }
        summary.writers_answered += before - waiting.len();
        barren = if waiting.len() < before { 0 } else { barren + 1 };
    }
}

async fn round<E: Environments>(
    environments: &E,
    count: usize,
    clock: &Clock,
    hold: Duration,
) -> Vec<Result<FlushReport, InvokeError>> {
    // One alone need not keep others away.
    let hold = if count > 1 { hold } else { Duration::ZERO };
    let hold_until = clock.now().epoch_millis() + u64::try_from(hold.as_millis()).unwrap_or(0);
    join_all((0..count).map(|_| environments.flush(FlushOrder { hold_until }))).await
}

/// Tidies the shards side by side, so that a silent one holds up no other.
async fn tidy(store: &RedisStore, ring: &Ring, is_over: impl Fn() -> bool, summary: &mut Summary) {
    let shards = (0..ring.len()).map(async |shard| {
        let mut done = Summary::default();
        while !is_over() {
            let Some(removed) = answered(store.tidy(shard).await, &mut done) else { break };
            done.sets_removed += removed;
            if removed < TIDY_AT_ONCE {
                break;
            }
        }
        done
    });
    for done in join_all(shards).await {
        summary.sets_removed += done.sets_removed;
        summary.shards_failed += done.shards_failed;
    }
}

#[cfg(test)]
mod tests;
