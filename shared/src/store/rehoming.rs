//! Bringing records to the shards that they belong on after the ring has changed, step by step. `crate::rehome` decides
//! the steps; each call here is one step on one shard, all of it or nothing, and safe to repeat.

mod pass;

pub use pass::{InvalidPass, Pass, Stage};

use super::moving::Moving;
use super::pages::Pages;
use super::{Incarnation, ShardIndex, StoreError};
use crate::record::{RecordName, Tag};
use crate::ring::Fingerprint;
use crate::shard::ShardName;
use std::future::Future;

/// What a shard knows of the ring and of how far its pages have moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RingState {
    /// The ring in force; none where nobody has announced one.
    pub ring: Option<Fingerprint>,
    /// Whether pages are moving to the places that it gives them.
    pub moving: bool,
    /// The shards that may hold something of any page.
    pub members: Vec<ShardName>,
    /// How often something was written here by another ring than the one in force.
    pub late: u64,
    /// How far this shard has got; none before the first announcement.
    pub pass: Option<Pass>,
    /// What the next take is tagged with; none where nothing has been taken yet.
    pub tag: Option<Tag>,
    /// This shard's clock, in milliseconds.
    pub now: u64,
    /// The run of the server that answered.
    pub incarnation: Incarnation,
}

/// Which notes of moves to clean from the records of a shard's pages. Other records have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cleaning {
    /// What left this shard under a tag before this one.
    Out {
        /// The tag in force.
        before: Tag,
    },
    /// What came from these shards under a tag before theirs.
    In {
        /// Shards and the tags in force there.
        before: Vec<(ShardName, Tag)>,
    },
}

/// How far a cleaning has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Where to go on; 0: it is over.
    pub next: u64,
    /// Records of this slice that are still there.
    pub kept: u64,
    /// The run of the server that answered, as in [`super::pages::PageSlice`].
    pub run: Incarnation,
}

/// Some of the records of a shard: all that moves when the ring changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordSlice {
    /// The records. One may come twice, in this slice or a later one.
    pub records: Vec<RecordName>,
    /// Keys among those of records that name none, as they are.
    pub unreadable: Vec<Vec<u8>>,
    /// Where to go on; 0: this was the last slice.
    pub next: u64,
    /// The run of the server that answered, as in [`super::pages::PageSlice`].
    pub run: Incarnation,
}

/// The shards while pages move between them.
pub trait Rehoming: Moving + Pages {
    /// What the shard knows.
    fn ring_state(&self, shard: ShardIndex) -> impl Future<Output = Result<RingState, StoreError>> + Send;

    /// Puts a ring in force, with the shards that may hold something. Where it is not in force yet, or settled, the
    /// shard begins with a take pass; where it is and pages move, its pass goes on.
    fn announce(
        &self,
        shard: ShardIndex,
        ring: Fingerprint,
        members: &[ShardName],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Moves the shard's pass on, if it is still `from`, this ring is in force, and nothing has come late since the pass
    /// began (unless `to` begins it anew, or goes on taking). From [`Stage::Taken`] to [`Stage::Out`] no move may be left here, and the
    /// shard's tag is renewed. Whether it did.
    fn advance(
        &self,
        shard: ShardIndex,
        ring: Fingerprint,
        from: Pass,
        to: Pass,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Ends the change on this shard, if its pass is still `from`, this ring is in force and nothing has come late.
    /// Whether it did.
    fn settle(
        &self,
        shard: ShardIndex,
        ring: Fingerprint,
        from: Pass,
        members: &[ShardName],
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// A slice of the shard's records, from `cursor` on (0: the beginning), as [`Pages::scan`] gives one of its pages.
    fn scan_records(
        &self,
        shard: ShardIndex,
        cursor: u64,
    ) -> impl Future<Output = Result<RecordSlice, StoreError>> + Send;

    /// Cleans a slice of the shard's records, from `cursor` on (0: the beginning).
    fn clean(
        &self,
        shard: ShardIndex,
        cursor: u64,
        cleaning: &Cleaning,
    ) -> impl Future<Output = Result<Cleaned, StoreError>> + Send;
}
