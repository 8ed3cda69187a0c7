//! The frame of the handler: the flush after each response, so that no client waits for Redis; how long it may take; and
//! the end of the environment, SIGTERM, which Lambda sends only where an extension is registered.

use futures_util::future::select;
use lambda_extension::Extension;
use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use visits_core::clock::{Clock, Moment};
use visits_core::flusher::Flusher;
use visits_core::lambda::AfterResponse;
use visits_core::store::redis::RedisStore;

/// Time left free before the invocation's deadline: the function's timeout would take the buffer with it.
const MARGIN: Duration = Duration::from_millis(500);

/// Longest flush where the deadline leaves more or is not known. Redis answers in milliseconds; longer
/// than this, a shard is down, and its batches are kept for the next flush.
pub(crate) const LONGEST_FLUSH: Duration = Duration::from_secs(5);

/// Returns the time for a flush that begins `now`, in an invocation that must end at `deadline` (milliseconds
/// since the Unix epoch). A deadline that is long past is the local emulator's, and means none.
pub(crate) fn flush_budget(deadline: u64, now: Moment) -> Duration {
    if deadline < now.epoch_millis() {
        return LONGEST_FLUSH;
    }
    now.until_epoch_millis(deadline).saturating_sub(MARGIN).min(LONGEST_FLUSH)
}

/// A flush after each response, if it is time to.
#[derive(Clone)]
pub(crate) struct Flush {
    pub(crate) flusher: Arc<Flusher<RedisStore>>,
    pub(crate) clock: Clock,
}

impl AfterResponse for Flush {
    async fn run(self, deadline: u64) {
        self.flusher.flush_if_due(flush_budget(deadline, self.clock.now())).await;
    }
}

/// Name of the extension, unique within the function.
const EXTENSION: &str = "visits-shutdown";

/// Longest wait for the Extensions API.
const REGISTRATION: Duration = Duration::from_secs(2);

/// Has the flusher shut down when the environment ends; to be called before the first event is asked for.
///
/// Without an extension the function works all the same: then nothing announces the end, and visits are flushed at
/// intervals of at most `unregistered`.
pub(crate) async fn await_end(flusher: &Arc<Flusher<RedisStore>>, unregistered: Duration) {
    let unannounced = |error: &dyn Display| {
        tracing::warn!(
            %error,
            flush_interval = ?unregistered,
            "no extension is registered, so no signal announces the end of an environment: one that ends loses what it has \
             not flushed, and flushes sooner for that"
        );
        flusher.flush_within(unregistered);
    };
    // Without events: the extension is there for the signal alone.
    let extension = Extension::new().with_events(&[]).with_extension_name(EXTENSION).register();
    match tokio::time::timeout(REGISTRATION, extension).await {
        // The registration alone brings the signal: under the local emulator the loop ends at once.
        Ok(Ok(extension)) => drop(tokio::spawn(async move {
            if let Err(error) = extension.run().await {
                tracing::debug!(%error, "the extension asks for no more events");
            }
        })),
        Ok(Err(error)) => unannounced(&error),
        Err(elapsed) => unannounced(&elapsed),
    }
    // Emulators send a signal without an extension, too.
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            let flusher = Arc::clone(flusher);
            tokio::spawn(async move {
                select(pin!(terminate.recv()), pin!(interrupt.recv())).await;
                flusher.shutdown().await;
                std::process::exit(0);
            });
        }
        (Err(error), _) | (_, Err(error)) => tracing::warn!(%error, "no signal can be waited for"),
    }
}

#[cfg(test)]
mod tests;
