//! Answers shown again for some seconds, so that a page that many refresh costs the shards little.

use crate::clock::{Clock, Moment};
use quick_cache::sync::{Cache, EntryAction, EntryResult};
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// The last answer to each question, for a time. Who asks while the answer is being fetched waits for it.
pub(super) struct Recent<K, V> {
    clock: Clock,
    shown_again: Duration,
    answers: Cache<K, (Moment, Arc<V>)>,
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    /// At most `kept` answers. A time of zero: none.
    pub(super) fn new(clock: Clock, shown_again: Duration, kept: usize) -> Self {
        Self { clock, shown_again, answers: Cache::new(kept) }
    }

    /// The answer of a moment ago, else the one that `fetch` gets. A failure is not kept.
    pub(super) async fn get<E>(&self, key: K, fetch: impl Future<Output = Result<V, E>>) -> Result<Arc<V>, E> {
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
    pub(super) fn forget(&self) {
        self.answers.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;
    use crate::clock::ManualClock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    const SHOWN_AGAIN: Duration = Duration::from_secs(5);

    async fn next(recent: &Recent<&'static str, u32>, asked: &AtomicU32) -> u32 {
        let fetch = async { Ok::<_, ()>(asked.fetch_add(1, Ordering::Relaxed)) };
        *recent.get("key", fetch).await.unwrap()
    }

    #[tokio::test]
    async fn an_answer_is_shown_again_until_its_time_is_over_or_something_changed() {
        let (time, asked) = (ManualClock::new(), AtomicU32::new(0));
        let recent = Recent::new(time.clock(), SHOWN_AGAIN, 8);
        assert_eq!((next(&recent, &asked).await, next(&recent, &asked).await), (0, 0));
        time.advance(SHOWN_AGAIN);
        assert_eq!(next(&recent, &asked).await, 1);
        recent.forget();
        assert_eq!(next(&recent, &asked).await, 2);
    }

    #[tokio::test]
    async fn who_asks_at_once_is_answered_by_one_fetch_and_a_failure_is_not_kept() {
        let (time, asked) = (ManualClock::new(), AtomicU32::new(0));
        let recent = Recent::new(time.clock(), SHOWN_AGAIN, 8);
        assert_eq!(recent.get("key", async { Err::<u32, _>("down") }).await, Err("down"));
        let fetch = || async {
            tokio::task::yield_now().await;
            Ok::<_, &str>(asked.fetch_add(1, Ordering::Relaxed))
        };
        let (one, other) = tokio::join!(recent.get("key", fetch()), recent.get("key", fetch()));
        assert_eq!((*one.unwrap(), *other.unwrap()), (0, 0));
    }

    #[tokio::test]
    async fn a_time_of_zero_keeps_nothing() {
        let (time, asked) = (ManualClock::new(), AtomicU32::new(0));
        let recent = Recent::new(time.clock(), Duration::ZERO, 8);
        assert_eq!((next(&recent, &asked).await, next(&recent, &asked).await), (0, 1));
    }
}
