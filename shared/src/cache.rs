//! The reading side: counts kept in the warm environment's memory for a few seconds.
//!
//! A page is fetched once for all who wait for it. An expired count stays until a newer one replaces it,
//! so that it can still be shown, marked as stale, while its shard is down.
//!
//! While pages move between shards a count is read from all of them (see [`crate::record`]).

use crate::clock::{Clock, Moment};
use crate::config::{Config, Counted};
use crate::page::PageId;
use crate::ring::{Fingerprint, Ring};
use crate::shard::ShardName;
use crate::store::redis::RedisStore;
use crate::store::{Reading, ShardIndex, StoreError, Traces};
use crate::telemetry::metrics::{self, Figures, Samples};
use futures_util::future::join_all;
use quick_cache::sync::{Cache, EntryAction, EntryResult};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Time for which a shard that failed is left alone: without it, every reader of a mute shard would wait for
/// its timeout, one after the other.
pub const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Where a count came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// This environment's memory.
    Memory,
    /// The shard that owns the page.
    Shard(ShardName),
}

/// A page's count as it can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// Visits; by people only where the settings say so.
    pub count: u64,
    /// Where it came from.
    pub source: Source,
    /// Time for which it may still be shown without asking again.
    pub fresh_for: Duration,
    /// Whether it is older than that, and its shard does not answer.
    pub stale: bool,
}

/// The page's shard does not answer and no earlier count is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the page's shard does not answer")]
pub struct Unavailable {
    /// When to try again.
    pub retry_after: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    count: u64,
    fetched: Moment,
}

/// Figures since the last line of metrics, and failures. The lock is never held across an await.
#[derive(Debug, Default)]
struct State {
    /// Counts that were answered from memory, stale ones included.
    hits: u64,
    /// Counts that a shard was asked for.
    misses: u64,
    latencies: Samples,
    /// For each shard: when a call of it last failed.
    failed: Vec<Option<Moment>>,
}

/// A bounded cache in front of the shards.
#[derive(Debug)]
pub struct CountCache {
    store: Arc<RedisStore>,
    ring: Ring,
    fingerprint: Fingerprint,
    clock: Clock,
    ttl: Duration,
    counted: Counted,
    entries: Cache<PageId, Entry>,
    state: Mutex<State>,
}

impl CountCache {
    /// An empty cache of `config.cache_pages` pages. The ring's shards are the store's, in the same order.
    pub fn new(store: Arc<RedisStore>, ring: Ring, clock: Clock, config: &Config) -> Self {
        let state = State { failed: vec![None; ring.len()], ..State::default() };
        let (fingerprint, entries) = (ring.fingerprint(), Cache::new(config.cache_pages));
        let (ttl, counted) = (config.cache_ttl, config.count);
        Self { store, ring, fingerprint, clock, ttl, counted, entries, state: Mutex::new(state) }
    }

    /// A page's count: from memory while it is fresh, else from its shard, else an expired one.
    pub async fn get(&self, page: &PageId) -> Result<Count, Unavailable> {
        let now = self.clock.now();
        let shard = self.ring.owner(page.as_str());
        if let Some(entry) = self.entries.get(page).filter(|entry| self.fresh_for(entry, now).is_some()) {
            self.state().hits += 1;
            return Ok(self.cached(entry, now));
        }
        let pause = self.pause(shard, now);
        let known = |_: &PageId, entry: &mut Entry| match (self.fresh_for(entry, now), pause) {
            (None, None) => EntryAction::ReplaceWithGuard,
            _ => EntryAction::Retain(*entry),
        };
        match self.entries.entry_async(page, known).await {
            EntryResult::Retained(entry) => {
                self.state().hits += 1;
                Ok(self.cached(entry, self.clock.now()))
            }
            EntryResult::Replaced(guard, old) => {
                let fetched = self.fetch_one(shard, page).await;
                // If this fails the placeholder has been taken by a newer value: nothing to put back.
                let _ = guard.insert(*fetched.as_ref().unwrap_or(&old));
                fetched.map_or_else(|_| Ok(self.cached(old, self.clock.now())), |new| Ok(self.fetched_from(shard, new)))
            }
            EntryResult::Vacant(guard) => {
                let entry = self.fetch_one(shard, page).await?;
                let _ = guard.insert(entry);
                Ok(self.fetched_from(shard, entry))
            }
            EntryResult::Removed(..) | EntryResult::Timeout => Err(Unavailable { retry_after: PAUSE_AFTER_FAILURE }),
        }
    }

    /// The counts of some pages, in their order: from memory while they are fresh, the others from their shards, else
    /// expired ones. Unlike [`Self::get`] this waits for no other fetch of the same page.
    pub async fn get_all(&self, pages: &[PageId]) -> Vec<Result<Count, Unavailable>> {
        let now = self.clock.now();
        let mut missing = vec![Vec::new(); self.ring.len()];
        let mut counts = Vec::with_capacity(pages.len());
        for (index, page) in pages.iter().enumerate() {
            let known = self.entries.get(page).map(|entry| self.cached(entry, now));
            if known.as_ref().is_none_or(|count| count.stale) {
                missing[self.ring.owner(page.as_str())].push(index);
            } else {
                self.state().hits += 1;
            }
            counts.push(known.ok_or(Unavailable { retry_after: PAUSE_AFTER_FAILURE }));
        }
        let wanted = missing.into_iter().enumerate().filter(|(_, indices)| !indices.is_empty());
        let calls = wanted.map(|(shard, indices)| async move {
            let asked: Vec<PageId> = indices.iter().map(|index| pages[*index].clone()).collect();
            (shard, indices.into_iter().zip(self.fetch(shard, &asked).await))
        });
        for (shard, fetched) in join_all(calls).await {
            for (index, entry) in fetched {
                match entry {
                    Ok(entry) => {
                        self.entries.insert(pages[index].clone(), entry);
                        counts[index] = Ok(self.fetched_from(shard, entry));
                    }
                    // An expired count is better than none.
                    Err(down) if counts[index].is_err() => counts[index] = Err(down),
                    Err(_) => {}
                }
            }
        }
        counts
    }

    /// The figures for a line of metrics: of what was asked since the last time.
    pub fn take_figures(&self) -> Figures {
        let (mut state, mut figures) = (self.state(), Figures::default());
        figures.count(metrics::CACHE_HITS, std::mem::take(&mut state.hits));
        figures.count(metrics::CACHE_MISSES, std::mem::take(&mut state.misses));
        figures.durations(metrics::REDIS_LATENCY, &std::mem::take(&mut state.latencies));
        figures
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the counts of pages of one shard, in their order.
    async fn fetch(&self, shard: ShardIndex, pages: &[PageId]) -> Vec<Result<Entry, Unavailable>> {
        // Read before the call: the count may be from any time since.
        let fetched = self.clock.now();
        let readings = if let Some(retry_after) = self.pause(shard, fetched) {
            Err(Unavailable { retry_after })
        } else {
            self.state().misses += pages.len() as u64;
            self.store.read_all(shard, pages).await.map_err(|error| self.note_failure(shard, &error))
        };
        let readings = match readings {
            Ok(readings) => readings,
            Err(down) => return vec![Err(down); pages.len()],
        };
        self.state().latencies.add(self.clock.now().since(fetched));
        let entries = pages.iter().zip(readings).map(|(page, reading)| async move {
            self.entry(page, reading.map_err(|error| self.note_failure(shard, &error))?, fetched).await
        });
        join_all(entries).await
    }

    async fn fetch_one(&self, shard: ShardIndex, page: &PageId) -> Result<Entry, Unavailable> {
        self.fetch(shard, std::slice::from_ref(page)).await.remove(0)
    }

    /// Makes an entry of a reading from `fetched` on.
    async fn entry(&self, page: &PageId, reading: Reading, fetched: Moment) -> Result<Entry, Unavailable> {
        let count = match reading.settled {
            Some(ring) if ring == self.fingerprint => self.shown(reading.total, reading.bots),
            // Rare and large: kept out of the future that every read moves about.
            _ => Box::pin(self.gather(page, fetched)).await?,
        };
        Ok(Entry { count, fetched })
    }

    /// A page's count while pages move, or by another ring than the shards': from all shards.
    async fn gather(&self, page: &PageId, now: Moment) -> Result<u64, Unavailable> {
        if let Some(retry_after) = (0..self.ring.len()).find_map(|shard| self.pause(shard, now)) {
            return Err(Unavailable { retry_after });
        }
        let traces = join_all((0..self.ring.len()).map(|shard| self.store.traces(shard, page))).await;
        let traces = traces
            .into_iter()
            .enumerate()
            .map(|(shard, traces)| traces.map_err(|error| self.note_failure(shard, &error)));
        let traces = traces.collect::<Result<Vec<_>, _>>()?;
        let missing = Unavailable { retry_after: PAUSE_AFTER_FAILURE };
        Traces::count(&self.ring, &traces).map(|(total, bots)| self.shown(total, bots)).ok_or(missing)
    }

    /// Returns the count that the settings ask to show.
    fn shown(&self, total: u64, bots: u64) -> u64 {
        match self.counted {
            Counted::All => total,
            Counted::People => total.saturating_sub(bots),
        }
    }

    fn note_failure(&self, shard: ShardIndex, error: &StoreError) -> Unavailable {
        tracing::warn!(%error, "a count could not be read");
        if !matches!(error, StoreError::Refused { .. }) {
            self.state().failed[shard] = Some(self.clock.now());
        }
        Unavailable { retry_after: PAUSE_AFTER_FAILURE }
    }

    /// Returns the rest of a failed shard's pause.
    fn pause(&self, shard: ShardIndex, now: Moment) -> Option<Duration> {
        let left = PAUSE_AFTER_FAILURE.saturating_sub(now.since(self.state().failed[shard]?));
        (!left.is_zero()).then_some(left)
    }

    fn fresh_for(&self, entry: &Entry, now: Moment) -> Option<Duration> {
        let left = self.ttl.saturating_sub(now.since(entry.fetched));
        (!left.is_zero()).then_some(left)
    }

    fn cached(&self, entry: Entry, now: Moment) -> Count {
        let left = self.fresh_for(&entry, now);
        Count { count: entry.count, source: Source::Memory, fresh_for: left.unwrap_or_default(), stale: left.is_none() }
    }

    fn fetched_from(&self, shard: ShardIndex, entry: Entry) -> Count {
        let source = Source::Shard(self.ring.name(shard).clone());
        Count { count: entry.count, source, fresh_for: self.ttl, stale: false }
    }
}

#[cfg(test)]
mod tests;
