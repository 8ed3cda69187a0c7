//! What shards in memory remember of imports.

use super::MemoryStore;
use crate::store::imports::{ImportId, ImportRecord, Imports};
use crate::store::{ShardIndex, StoreError};

impl Imports for MemoryStore {
    async fn import(&self, shard: ShardIndex, id: &ImportId) -> Result<Option<ImportRecord>, StoreError> {
        self.call(shard, |shard| shard.data.imports.get(id).cloned()).await
    }

    async fn begin_import(
        &self,
        shard: ShardIndex,
        id: &ImportId,
        record: &ImportRecord,
    ) -> Result<ImportRecord, StoreError> {
        self.call(shard, |shard| shard.data.imports.entry(id.clone()).or_insert_with(|| record.clone()).clone()).await
    }

    async fn finish_import(&self, shard: ShardIndex, id: &ImportId, record: &ImportRecord) -> Result<(), StoreError> {
        let done = ImportRecord { done: true, ..record.clone() };
        self.call(shard, |shard| drop(shard.data.imports.insert(id.clone(), done))).await
    }
}
