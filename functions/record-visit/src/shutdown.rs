//! The end of the environment: SIGTERM, which Lambda sends only where an extension is registered.

use futures_util::future::select;
use lambda_extension::Extension;
use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use visits_core::flusher::Flusher;
use visits_core::store::redis::RedisStore;

/// Name of the extension, unique within the function.
const EXTENSION: &str = "visits-shutdown";

/// Longest wait for the Extensions API.
const REGISTRATION: Duration = Duration::from_secs(2);

/// Has the flusher shut down when the environment ends; to be called before the first event is asked for.
///
/// Without an extension the function works all the same: then nothing announces the end, and visits are flushed at
/// intervals of at most `unregistered`.
pub(crate) async fn prepare(flusher: &Arc<Flusher<RedisStore>>, unregistered: Duration) {
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
