//! Flushes after the response was sent and before the next event is asked for, so that no client waits
//! for Redis.

use crate::budget;
use std::sync::Arc;
use visits_core::clock::Clock;
use visits_core::flusher::Flusher;
use visits_core::lambda::AfterResponse;
use visits_core::store::Ledger;

/// A flush, if it is time to.
pub(crate) struct Flush<S> {
    flusher: Arc<Flusher<S>>,
    clock: Clock,
}

impl<S> Flush<S> {
    pub(crate) fn new(flusher: Arc<Flusher<S>>, clock: Clock) -> Self {
        Self { flusher, clock }
    }
}

impl<S> Clone for Flush<S> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.flusher), self.clock.clone())
    }
}

impl<S: Ledger + 'static> AfterResponse for Flush<S> {
    async fn run(self, deadline: u64) {
        self.flusher.flush_if_due(budget::until(deadline, self.clock.now())).await;
    }
}

#[cfg(test)]
mod tests;
