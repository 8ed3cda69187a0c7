//! The shards as places where pages are found, for what looks at all of them: re-homing and the operator.

use super::{Incarnation, ShardIndex, Store, StoreError};
use crate::page::PageId;
use crate::record::{BadField, PageRecord};
use std::future::Future;

/// Some of the pages that a shard has a record of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSlice {
    /// The pages. One may come twice, in this slice or a later one.
    pub pages: Vec<PageId>,
    /// Keys among those of pages that name none, as they are.
    pub unreadable: Vec<Vec<u8>>,
    /// Where to go on; 0: this was the last slice.
    pub next: u64,
    /// The run of the server that answered. Another run knows nothing of this one's cursors: whoever must not miss a
    /// page begins anew.
    pub run: Incarnation,
}

/// What is at a page's key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// A key of another type, or whatever else the shard refuses to read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// A record with something else in it than visits.
    #[error(transparent)]
    Field(#[from] BadField),
}

/// All pages of a shard.
pub trait Pages: Store {
    /// A slice of the shard's pages, from `cursor` on (0: the beginning). Whatever is there from the first to the
    /// last slice comes at least once, if all are of one run of the server. A slice costs the shard less than a millisecond.
    fn scan(&self, shard: ShardIndex, cursor: u64) -> impl Future<Output = Result<PageSlice, StoreError>> + Send;

    /// The shard's records of these pages, in their order; an empty one where it has none. At most some
    /// thousand pages at once: all of the answers are in memory together.
    fn records(
        &self,
        shard: ShardIndex,
        pages: &[PageId],
    ) -> impl Future<Output = Result<Vec<Result<PageRecord, BadRecord>>, StoreError>> + Send;
}
