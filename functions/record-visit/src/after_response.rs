//! Flushes after the response was sent and before the next event is asked for, so that no client waits
//! for Redis.

use crate::budget;
use std::sync::Arc;
use visits_core::clock::Clock;
use visits_core::flusher::Flusher;
use visits_core::lambda::AfterResponse;
use visits_core::store::redis::RedisStore;

/// A flush, if it is time to.
#[derive(Clone)]
pub(crate) struct Flush {
    flusher: Arc<Flusher<RedisStore>>,
    clock: Clock,
}

impl Flush {
    pub(crate) fn new(flusher: Arc<Flusher<RedisStore>>, clock: Clock) -> Self {
        Self { flusher, clock }
    }
}

impl AfterResponse for Flush {
    async fn run(self, deadline: u64) {
        self.flusher.flush_if_due(budget::until(deadline, self.clock.now())).await;
    }
}

#[cfg(test)]
mod tests;
