//! Calls to shards, repeated while there is hope.

use std::time::Duration;
use visits_core::store::StoreError;

/// Number of times that a call without an answer is sent again, unchanged, and the pauses between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Calls in all, at least 1.
    pub calls: u32,
    /// Pause after the first failure; it doubles with each further one.
    pub first_pause: Duration,
    /// Longest pause.
    pub longest_pause: Duration,
}

impl Default for Patience {
    /// About a minute in all: a failover or a restart is waited for.
    fn default() -> Self {
        Self { calls: 12, first_pause: Duration::from_millis(200), longest_pause: Duration::from_secs(10) }
    }
}

impl Patience {
    /// Makes the call until it is answered. All calls of an import may be repeated.
    pub(crate) async fn answer<T>(
        &self,
        mut call: impl AsyncFnMut() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut pause = self.first_pause;
        let mut calls = 1;
        loop {
            match call().await {
                // Another server does not become the right one by waiting.
                Err(error) if calls >= self.calls || matches!(error, StoreError::UnfitServer { .. }) => {
                    return Err(error);
                }
                Err(_) => tokio::time::sleep(pause).await,
                answer => return answer,
            }
            calls += 1;
            pause = (pause * 2).min(self.longest_pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable() -> StoreError {
        StoreError::Unreachable { shard: "a".to_owned(), reason: "a test".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_repeated_with_growing_pauses_and_a_bound() {
        let start = tokio::time::Instant::now();
        let mut calls = 0;
        let answer: Result<(), _> = Patience::default()
            .answer(async || {
                calls += 1;
                Err(unreachable())
            })
            .await;
        assert_eq!((answer, calls), (Err(unreachable()), 12));
        assert!((Duration::from_secs(50)..Duration::from_secs(70)).contains(&start.elapsed()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_unfit_server_is_told_at_once() {
        let unfit = StoreError::UnfitServer { shard: "a".to_owned(), reason: "a test".to_owned() };
        let mut calls = 0;
        let answer: Result<(), _> = Patience::default()
            .answer(async || {
                calls += 1;
                Err(unfit.clone())
            })
            .await;
        assert_eq!((answer, calls), (Err(unfit), 1));
    }
}
