//! Records of imports in Redis.

use super::cluster::Connection;
use super::keys::Key;
use super::{RedisStore, Shard};
use crate::store::imports::{ImportId, ImportRecord};
use crate::store::{ShardIndex, StoreError};
use redis::AsyncCommands;

impl RedisStore {
    /// Nothing is imported over a record that cannot be read: what it stands for may have been counted.
    fn readable(shard: &Shard, id: &ImportId, record: &[u8]) -> Result<ImportRecord, StoreError> {
        let key = shard.keys.of(&Key::Imports);
        ImportRecord::decode(record).map_err(|error| shard.refused(&format!("{key} has a bad record of {id}: {error}")))
    }

    /// Reads what this shard knows of an import; `None` if it was never begun here.
    ///
    /// # Errors
    /// As for every call, and [`StoreError::Refused`] for a record that this program cannot read.
    pub async fn import(&self, shard: ShardIndex, id: &ImportId) -> Result<Option<ImportRecord>, StoreError> {
        let shard = &self.shards[shard];
        let key = shard.keys.of(&Key::Imports);
        let read = |mut redis: Connection| {
            let key = &key;
            async move { redis.hget::<_, _, Option<Vec<u8>>>(key, id.as_str()).await }
        };
        let record = self.with_shard(shard, read).await?;
        record.map(|record| Self::readable(shard, id, &record)).transpose()
    }

    /// Notes that an import begins, unless it is noted already. Returns what is noted now: the first one stays.
    ///
    /// # Errors
    /// As for [`RedisStore::import`].
    pub async fn begin_import(
        &self,
        shard: ShardIndex,
        id: &ImportId,
        record: &ImportRecord,
    ) -> Result<ImportRecord, StoreError> {
        let shard = &self.shards[shard];
        let (key, record) = (shard.keys.of(&Key::Imports), record.encode());
        // A record is never deleted, so the two commands need not be one step.
        let begin = |mut redis: Connection| {
            let (key, record) = (&key, &record);
            async move {
                let _: bool = redis.hset_nx(key, id.as_str(), record).await?;
                redis.hget::<_, _, Vec<u8>>(key, id.as_str()).await
            }
        };
        let noted = self.with_shard(shard, begin).await?;
        Self::readable(shard, id, &noted)
    }

    /// Notes that an import is done. To be called once all shards have all of its batches.
    ///
    /// # Errors
    /// As for every call.
    pub async fn finish_import(
        &self,
        shard: ShardIndex,
        id: &ImportId,
        record: &ImportRecord,
    ) -> Result<(), StoreError> {
        let shard = &self.shards[shard];
        let (key, record) = (shard.keys.of(&Key::Imports), ImportRecord { done: true, ..record.clone() }.encode());
        let finish = |mut redis: Connection| {
            let (key, record) = (&key, &record);
            async move { redis.hset::<_, _, _, ()>(key, id.as_str(), record).await }
        };
        self.with_shard(shard, finish).await
    }
}
