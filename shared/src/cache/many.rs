//! Several counts at once: one round trip for each shard, and not one for each page.

use super::{Count, CountCache, PAUSE_AFTER_FAILURE, Unavailable};
use crate::page::PageId;
use crate::store::{ShardIndex, Store};
use futures_util::future::join_all;

impl<S: Store> CountCache<S> {
    /// The counts of some pages, in their order: from memory while they are fresh, the others from their shards, else
    /// expired ones. Unlike [`Self::get`] this waits for nobody else's fetch of the same page.
    pub async fn get_all(&self, pages: &[PageId]) -> Vec<Result<Count, Unavailable>> {
        let now = self.clock.now();
        let mut missing = vec![Vec::new(); self.ring.len()];
        let mut counts = Vec::with_capacity(pages.len());
        for (index, page) in pages.iter().enumerate() {
            let known = self.entries.get(page).map(|entry| self.cached(entry, now));
            if known.as_ref().is_none_or(|count| count.stale) {
                missing[self.ring.owner(page.as_str())].push(index);
            } else {
                self.counters.hit();
            }
            counts.push(known.ok_or(Unavailable { retry_after: PAUSE_AFTER_FAILURE }));
        }
        let wanted = missing.into_iter().enumerate().filter(|(_, indices)| !indices.is_empty());
        let calls = wanted.map(|(shard, indices)| self.fetch_some(shard, pages, indices));
        for (index, fetched) in join_all(calls).await.into_iter().flatten() {
            match (fetched, &mut counts[index]) {
                // An expired count is better than none.
                (Err(_), Ok(_)) => {}
                (fetched, count) => *count = fetched,
            }
        }
        counts
    }

    /// The counts of those `pages` that `indices` names, all of them this shard's.
    async fn fetch_some(
        &self,
        shard: ShardIndex,
        pages: &[PageId],
        indices: Vec<usize>,
    ) -> Vec<(usize, Result<Count, Unavailable>)> {
        let asked: Vec<PageId> = indices.iter().map(|index| pages[*index].clone()).collect();
        let fetched = self.clock.now();
        self.counters.missed(asked.len());
        let readings = match self.pause(shard, fetched) {
            Some(retry_after) => Err(Unavailable { retry_after }),
            None => self.store.read_all(shard, &asked).await.map_err(|error| self.note_failure(shard, &error)),
        };
        let readings = match readings {
            Ok(readings) => {
                self.counters.answered(self.clock.now().since(fetched));
                readings
            }
            Err(down) => return indices.into_iter().map(|index| (index, Err(down))).collect(),
        };
        let counts = asked.iter().zip(readings).map(|(page, reading)| async move {
            let reading = reading.map_err(|error| self.note_failure(shard, &error))?;
            let entry = self.entry(page, reading, fetched).await?;
            self.entries.insert(page.clone(), entry);
            Ok(self.fetched_from(shard, entry))
        });
        indices.into_iter().zip(join_all(counts).await).collect()
    }
}
