//! The calls of re-homing, on shards in memory.

use super::millis;
use crate::page::PageId;
use crate::record::{PageRecord, RecordName};
use crate::ring::Fingerprint;
use crate::shard::ShardName;
use crate::store::memory::MemoryStore;
use crate::store::memory::shard::Data;
use crate::store::pages::{BadRecord, PageSlice, Pages};
use crate::store::rehoming::{Cleaned, Cleaning, Pass, RecordSlice, Rehoming, RingState};
use crate::store::{ShardIndex, StoreError};

impl Pages for MemoryStore {
    async fn scan(&self, shard: ShardIndex, cursor: u64) -> Result<PageSlice, StoreError> {
        let RecordSlice { records, next, run, .. } = self.scan_records(shard, cursor).await?;
        let page = |record| if let RecordName::Page(page) = record { Some(page) } else { None };
        let pages = records.into_iter().filter_map(page).collect();
        Ok(PageSlice { pages, unreadable: Vec::new(), next, run })
    }

    async fn records(
        &self,
        shard: ShardIndex,
        pages: &[PageId],
    ) -> Result<Vec<Result<PageRecord, BadRecord>>, StoreError> {
        let record = |data: &Data, page| Ok(data.records.get(page).cloned().unwrap_or_default());
        self.call(shard, |shard| pages.iter().map(|page| record(&shard.data, page)).collect()).await
    }
}

impl Rehoming for MemoryStore {
    async fn ring_state(&self, shard: ShardIndex) -> Result<RingState, StoreError> {
        let now = millis(self.clock.now());
        self.call(shard, |shard| shard.data.ring.state(now, shard.incarnation())).await
    }

    async fn announce(&self, shard: ShardIndex, ring: Fingerprint, members: &[ShardName]) -> Result<(), StoreError> {
        self.call(shard, |shard| shard.data.ring.announce(ring, members)).await
    }

    async fn advance(&self, shard: ShardIndex, ring: Fingerprint, from: Pass, to: Pass) -> Result<bool, StoreError> {
        let now = millis(self.clock.now());
        self.call(shard, |shard| shard.data.ring.advance(ring, from, to, now)).await
    }

    async fn settle(
        &self,
        shard: ShardIndex,
        ring: Fingerprint,
        from: Pass,
        members: &[ShardName],
    ) -> Result<bool, StoreError> {
        self.call(shard, |shard| shard.data.ring.settle(ring, from, members)).await
    }

    async fn scan_records(&self, shard: ShardIndex, cursor: u64) -> Result<RecordSlice, StoreError> {
        self.call(shard, |shard| RecordSlice { run: shard.incarnation(), ..shard.data.slice(cursor) }).await
    }

    async fn clean(&self, shard: ShardIndex, cursor: u64, cleaning: &Cleaning) -> Result<Cleaned, StoreError> {
        self.call(shard, |shard| {
            let run = shard.incarnation();
            shard.data.clean(cursor, cleaning, run)
        })
        .await
    }
}
