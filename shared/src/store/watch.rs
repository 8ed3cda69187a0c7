//! What is watched of the servers themselves.

use super::{ShardIndex, StoreError};
use std::future::Future;

/// The shards as servers.
pub trait Watch: Send + Sync {
    /// How full the server of a shard is, in percent of the memory that it may use, rounded down. None where it does not
    /// tell, or has no bound.
    fn memory_percent(&self, shard: ShardIndex) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;
}

/// How full the fullest server is. None where no server tells.
pub async fn fullest<S: Watch>(store: &S, shards: usize) -> Option<u64> {
    let answers = futures_util::future::join_all((0..shards).map(|shard| store.memory_percent(shard))).await;
    answers.into_iter().filter_map(|answer| answer.ok().flatten()).max()
}
