//! The scheduled sweep: has every warm environment of `record-visit` flush what it still holds.
//!
//! No function can see another's memory, so idle environments must be *invoked* to flush. Lambda gives an
//! invocation to any idle environment. To reach several different ones, as many invocations as there are
//! writers are made at once, and each is told to answer no sooner than one common moment: while one is
//! busy waiting, the next invocation lands elsewhere.

use crate::batch::WriterId;
use crate::budget::{Budget, Step};
use crate::clock::{Clock, Moment};
use crate::report::FlushReport;
use crate::ring::Ring;
use crate::store::redis::RedisStore;
use crate::store::{ShardIndex, StoreError, TIDY_AT_ONCE};
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

/// A direct invocation that is no order to flush.
#[derive(Debug, thiserror::Error)]
#[error("not a flush event: {0}; {{\"flush\":{{\"hold_until\":<milliseconds since 1970>}}}} is accepted")]
pub struct InvalidFlushEvent(String);

/// An order to flush: the event `{"flush":{"hold_until":<epoch ms>}}` of `record-visit`. During a deployment it goes to older and
/// to newer environments: each ignores what it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FlushOrder {
    /// Answer no sooner than this, in milliseconds since the Unix epoch.
    pub hold_until: u64,
}

impl FlushOrder {
    /// Reads an event that came by direct invocation: its member `flush`, and whether it has no other.
    pub fn parse(flush: Option<serde_json::Value>, nothing_else: bool) -> Result<Self, InvalidFlushEvent> {
        // Serde would take an array for a struct's fields in order.
        let Some(flush) = flush.filter(serde_json::Value::is_object) else {
            return Err(InvalidFlushEvent("no object \"flush\"".to_owned()));
        };
        if !nothing_else {
            return Err(InvalidFlushEvent("it has other members than \"flush\"".to_owned()));
        }
        serde_json::from_value(flush).map_err(|error| InvalidFlushEvent(error.to_string()))
    }

    /// Returns the event that carries this order.
    pub fn event(&self) -> String {
        serde_json::json!({ "flush": self }).to_string()
    }

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
    let step = Sweep::new("sweep", (store, ring, clock), settings.budget);
    let steps = async {
        let idle = idle_writers(&step, settings.interval).await;
        flush_all(&step, idle, environments, settings.concurrency).await;
        // Side by side, so that a silent shard holds up no other.
        join_all(step.shards().map(|shard| tidy(&step, shard))).await;
    };
    step.run(steps).await;
    let (done, shards_failed) = step.end();
    Summary { shards_failed, ..done }
}

type Sweep<'a> = Step<'a, RedisStore, Summary>;

/// The listed writers whose last flush, on whichever shard it was, is older than the interval.
async fn idle_writers(step: &Sweep<'_>, interval: Duration) -> HashSet<WriterId> {
    // A silent shard leaves most of the time to the writers that the others list.
    let limit = step.budget.whole() / 3;
    let list = async |shard| {
        let silent = || StoreError::Unknown {
            shard: step.name(shard).to_owned(),
            reason: format!("no answer within {limit:?}"),
        };
        tokio::time::timeout(limit, step.store.writers(shard)).await.unwrap_or_else(|_| Err(silent()))
    };
    let lists = join_all(step.shards().map(list)).await;
    let mut silent: HashMap<WriterId, Duration> = HashMap::new();
    for (writer, since) in lists.into_iter().filter_map(|list| step.answer(list)).flatten() {
        silent.entry(writer).and_modify(|least| *least = since.min(*least)).or_insert(since);
    }
    silent.retain(|_, since| *since >= interval);
    step.done().writers_known = silent.len();
    silent.into_keys().collect()
}

/// Invokes in rounds until every writer has answered, or several rounds brought no new one.
async fn flush_all<E: Environments>(
    step: &Sweep<'_>,
    mut waiting: HashSet<WriterId>,
    environments: &E,
    concurrency: usize,
) {
    let mut barren = 0;
    while !waiting.is_empty() && barren < BARREN_ROUNDS && !step.is_over() {
        let count = waiting.len().min(concurrency);
        if count > 1 && step.done().rounds == 0 {
            environments.prepare(count).await;
        }
        // One alone need not keep others away.
        let hold = if count > 1 { HOLD.min(step.budget.whole() / 3) } else { Duration::ZERO };
        let hold_until = step.clock.now().epoch_millis() + u64::try_from(hold.as_millis()).unwrap_or(0);
        step.done().rounds += 1;
        step.done().invocations += count;
        let answers = join_all((0..count).map(|_| environments.flush(FlushOrder { hold_until }))).await;
        let (before, mut done) = (waiting.len(), step.done());
        for answer in answers {
            match answer {
                Ok(report) => {
                    done.visits_flushed += report.visits;
                    report.writer.map(|writer| waiting.remove(&writer));
                }
                Err(error) => {
                    done.invocations_failed += 1;
                    tracing::warn!(%error, "an environment could not be swept");
                }
            }
        }
        done.writers_answered += before - waiting.len();
        barren = if waiting.len() < before { 0 } else { barren + 1 };
    }
}

async fn tidy(step: &Sweep<'_>, shard: ShardIndex) {
    while !step.is_over() {
        let Some(removed) = step.answer(step.store.tidy(shard).await) else { break };
        step.done().sets_removed += removed;
        if removed < TIDY_AT_ONCE {
            break;
        }
    }
}

#[cfg(test)]
mod tests;
