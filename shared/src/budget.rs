//! A step of `flush-visits` (deliveries, the sweep, the roll-up, re-homing), and the time that it may take.
//!
//! A step begins no call once its time to begin is over, and what is under way then has a grace: an answer that comes
//! is taken note of. After that the step is cut off, as by the end of the environment. All steps survive that: the
//! next run goes on where this one stopped.

use crate::clock::{Clock, Moment};
use crate::ring::Ring;
use crate::store::redis::RedisStore;
use crate::store::redis::keys::Key;
use crate::store::redis::pages::Scan;
use crate::store::{ServerRun, ShardIndex, StoreError};
use crate::telemetry::Lines;
use futures_util::future::join_all;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest grace: a call of a silent shard, with its connection, and a note of what was learned before it.
const GRACE: Duration = Duration::from_secs(3);

/// The time of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    begin: Duration,
    grace: Duration,
}

impl Budget {
    /// Returns the budget of a step that ends within `time`: it begins nothing in the last third of it, at most three
    /// seconds.
    pub fn within(time: Duration) -> Self {
        let grace = (time / 3).min(GRACE);
        Self { begin: time.saturating_sub(grace), grace }
    }

    /// Whether a step that began at `started` may begin no further call.
    pub fn is_over(self, started: Moment, now: Moment) -> bool {
        now.since(started) >= self.begin
    }

    /// Returns all of it.
    pub fn whole(self) -> Duration {
        self.begin.saturating_add(self.grace)
    }
}

impl From<Duration> for Budget {
    /// A step begins calls for this long, and has the longest grace after it.
    fn from(begin: Duration) -> Self {
        Self { begin, grace: GRACE }
    }
}

/// A step under way: what it works on, its time, and its outcome so far.
pub(crate) struct Step<'a, S, D> {
    name: &'static str,
    pub(crate) store: &'a S,
    pub(crate) ring: &'a Ring,
    pub(crate) clock: &'a Clock,
    pub(crate) started: Moment,
    pub(crate) budget: Budget,
    pub(crate) lines: Lines,
    done: Mutex<D>,
    calls_failed: AtomicUsize,
}

impl<'a, S, D: Default> Step<'a, S, D> {
    pub(crate) fn new(
        name: &'static str,
        (store, ring, clock): (&'a S, &'a Ring, &'a Clock),
        budget: impl Into<Budget>,
    ) -> Self {
        let (budget, started, lines) = (budget.into(), clock.now(), Lines::default());
        Self { name, store, ring, clock, started, budget, lines, done: Mutex::default(), calls_failed: 0.into() }
    }

    /// Does the work, and cuts it off at the end of its grace.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) {
        let whole = self.budget.whole();
        if tokio::time::timeout(whole, work).await.is_err() {
            tracing::warn!(step = self.name, after = ?whole, "a step was cut off; the next run goes on");
        }
    }

    /// Whether no further call may be begun.
    pub(crate) fn is_over(&self) -> bool {
        self.budget.is_over(self.started, self.clock.now())
    }

    /// Returns the indices of all shards.
    pub(crate) fn shards(&self) -> std::ops::Range<ShardIndex> {
        0..self.ring.len()
    }

    /// Returns a shard's name.
    pub(crate) fn name(&self, shard: ShardIndex) -> &'a str {
        self.ring.name(shard).as_str()
    }

    /// Returns the outcome so far. The guard must not be held across an await.
    pub(crate) fn done(&self) -> MutexGuard<'_, D> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the answer, or nothing for an error, which is counted and logged.
    pub(crate) fn answer<T>(&self, answer: Result<T, StoreError>) -> Option<T> {
        answer.inspect_err(|error| self.failed(error)).ok()
    }

    /// Makes calls side by side and returns their answers, or nothing if one brings none.
    pub(crate) async fn all<T>(
        &self,
        calls: impl IntoIterator<Item = impl Future<Output = Result<T, StoreError>>>,
    ) -> Option<Vec<T>> {
        let answers: Vec<_> = join_all(calls).await.into_iter().map(|answer| self.answer(answer)).collect();
        answers.into_iter().collect()
    }

    /// Counts and logs a call that failed.
    pub(crate) fn failed(&self, error: &StoreError) {
        self.calls_failed.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(step = self.name, %error, "a call failed; the next run goes on");
    }

    /// Returns the outcome, and how many calls failed.
    pub(crate) fn end(self) -> (D, usize) {
        (self.done.into_inner().unwrap_or_else(PoisonError::into_inner), self.calls_failed.into_inner())
    }
}

/// A way through a shard's keys, slice by slice, in one run of its server: another run may pass over some of them, or bring
/// back what was done.
pub(crate) struct Walk {
    pub(crate) shard: ShardIndex,
    pub(crate) scan: Scan,
    /// The run of the server; `None` before the first slice, if any will do.
    pub(crate) run: Option<ServerRun>,
    /// Where the next slice begins; `None` after the last one.
    pub(crate) next: Option<u64>,
}

impl Walk {
    pub(crate) fn new(shard: ShardIndex, scan: Scan, run: Option<ServerRun>) -> Self {
        Self { shard, scan, run, next: Some(0) }
    }
}

impl<D: Default> Step<'_, RedisStore, D> {
    /// Returns the next keys, and how many were found among them that are no names of keys; `Some(None)` at the end. `None`
    /// where the time is over, the shard does not answer, or its server was restarted.
    pub(crate) async fn next(&self, walk: &mut Walk) -> Option<Option<(Vec<Key>, usize)>> {
        let Some(cursor) = walk.next else { return Some(None) };
        if self.is_over() {
            return None;
        }
        let slice = self.answer(self.store.scan(walk.shard, walk.scan, cursor).await)?;
        if *walk.run.get_or_insert(slice.run) != slice.run {
            return None;
        }
        walk.next = Some(slice.next).filter(|next| *next != 0);
        for key in &slice.unreadable {
            let (key, shard) = (String::from_utf8_lossy(key), self.name(walk.shard));
            self.lines.write(|| tracing::error!(%key, shard, "a key has the name of no page, month or day"));
        }
        Some(Some((slice.keys, slice.unreadable.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_begins_nothing_in_the_last_third_of_its_time_or_the_last_three_seconds() {
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        for (time, begin) in [(ms(600), ms(400)), (s(9), s(6)), (s(30), s(27)), (s(0), s(0))] {
            let (budget, started) = (Budget::within(time), Moment::new(s(5), s(5)));
            let at = |after: Duration| Moment::new(s(5) + after, s(5) + after);
            assert_eq!(budget.whole(), time);
            assert!(budget.is_over(started, at(begin)));
            assert!(begin.is_zero() || !budget.is_over(started, at(begin.saturating_sub(ms(1)))));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_hangs_is_cut_off() {
        let began = tokio::time::Instant::now();
        let ring = Ring::new([("a".parse().unwrap(), crate::shard::Weight::default())]).unwrap();
        let clock = Clock::system();
        let step = Step::<_, ()>::new("test", (&(), &ring, &clock), Budget::within(Duration::from_secs(2)));
        step.run(std::future::pending::<()>()).await;
        assert_eq!(began.elapsed(), Duration::from_secs(2));
    }
}
