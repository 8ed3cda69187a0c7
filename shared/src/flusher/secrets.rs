//! The secrets under which visitors are sealed: one a day, kept by the shard that owns the day's, and read by each environment
//! before it seals the first visitors of that day.

use super::Flusher;
use crate::day::Day;
use crate::store::Ledger;
use crate::visit::{Secret, secret_key};
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait for a secret. Without it, visits are sent all the same, and their visitors are not counted.
pub(super) const PATIENCE: Duration = Duration::from_millis(250);

/// Longest wait for a secret at SIGTERM, out of the half second that is left in all.
pub(super) const AT_SIGTERM: Duration = Duration::from_millis(50);

/// How long a shard that did not answer is left alone: else each flush of a busy environment would wait for it.
const PAUSE: Duration = Duration::from_secs(5);

impl<S: Ledger> Flusher<S> {
    /// Reads the secrets of the days that have visitors to be sealed, where they are not known yet, within `patience`.
    pub(super) async fn learn_secrets(&self, patience: Duration) {
        let (now, end) = (self.clock.now(), Instant::now() + patience);
        let wanted: BTreeSet<Day> = {
            let state = self.lock();
            if state.no_secret.is_some_and(|failed| now.since(failed) < PAUSE) {
                return;
            }
            state.lanes.iter().flat_map(super::lane::Lane::secrets_wanted).collect()
        };
        for day in wanted {
            // Boxed: once a day.
            let secret = Box::pin(tokio::time::timeout_at(end, self.secret(day, patience / 2))).await;
            let mut state = self.lock();
            if let Ok(Some(secret)) = secret {
                state.lanes.iter_mut().for_each(|lane| lane.learn_secret(day, secret));
            } else {
                state.no_secret = Some(now);
                tracing::warn!(%day, "the day's secret cannot be read: visitors are not counted until it can");
                return;
            }
        }
    }

    /// `patience`: longest wait for the shards that are only asked whether they know one.
    async fn secret(&self, day: Day, patience: Duration) -> Option<Secret> {
        let owner = self.ring.owner(&secret_key(day));
        // After a ring change the day's secret is on the shard that owned it before: a second one would count everybody twice.
        let others = (0..self.ring.len()).filter(|shard| *shard != owner);
        let asked = others.map(|shard| tokio::time::timeout(patience, self.store.known_secret(shard, day)));
        let known = join_all(asked).await.into_iter().find_map(|answer| answer.ok()?.ok().flatten());
        let offer = known.map_or_else(Secret::random, Ok).ok()?;
        let kept = self.store.secret(owner, day, offer).await;
        kept.inspect_err(|error| tracing::warn!(%error, "a day's secret could not be read")).ok()
    }
}
