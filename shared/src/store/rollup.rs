//! Turning what a shard knows of finished days into what is kept, step by step. `crate::rollup` decides the steps; each
//! call here is one step on one shard, safe to repeat and to be made by two runs at once.

mod key;
mod pass;

pub use key::{DatedKey, InvalidDatedKey, Sketch};
pub use pass::{InvalidPass, Pass, Stage};

use super::parking::Mark;
use super::{Incarnation, ShardIndex, Store, StoreError};
use crate::day::{Day, Month};
use crate::ring::Fingerprint;
use std::future::Future;

/// Sketches that one call counts: each takes a shard some 5 µs, 25 where it is a full one.
pub const COUNTED_AT_ONCE: usize = 16;

/// Sketches that one call copies, of 12 KB each at most. Reading or merging a full one takes a shard some 70 µs.
pub const COPIED_AT_ONCE: usize = 8;

/// Top lists that one call trims: each may be [`super::statistics::TOP_TODAY`] long, a quarter of a millisecond.
pub const TRIMMED_AT_ONCE: usize = 4;

/// Keys that one call drops. Their memory is freed in the background.
pub const DROPPED_AT_ONCE: usize = 100;

/// What every run does on every shard, in the one call that most runs make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tidying {
    /// Days whose visits are still being counted: their top lists are trimmed to [`super::statistics::TOP_TODAY`].
    pub trim: Vec<Day>,
    /// Days whose secrets are destroyed.
    pub destroy: Vec<Day>,
}

/// What a shard answers to [`Tidying`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Secrets that were there, and are no more.
    pub destroyed: usize,
    /// How far the shard has got; none before the first pass.
    pub pass: Option<Pass>,
    /// The ring in force; none where nobody has announced one.
    pub ring: Option<Fingerprint>,
}

/// What a scan looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// Sketches: few once their days are rolled up.
    Sketches,
    /// All that is kept of days and months, and secrets; not sketches.
    Kept,
}

/// Some of the keys that were looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySlice {
    /// The keys. One may come twice, in this slice or a later one.
    pub keys: Vec<DatedKey>,
    /// Keys among them that are none, as they are.
    pub unreadable: Vec<Vec<u8>>,
    /// Where to go on; 0: this was the last slice.
    pub next: u64,
    /// The run of the server that answered, as in [`super::pages::PageSlice`].
    pub run: Incarnation,
}

/// A sketch as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SketchCopy {
    /// Its content.
    pub value: Vec<u8>,
    /// Tells whether it has changed since. A read that counts a sketch changes nothing that matters.
    pub digest: String,
    /// Since when its owner has had this content, and in which run of the owner's server.
    pub copied: Option<Mark>,
}

/// How far some sketches were counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Sketches that have become numbers.
    pub counted: usize,
    /// Sketches that cannot be: their place in the call, and why. They stay as they are.
    pub rejected: Vec<(usize, String)>,
}

/// The shards as places where days come to an end.
pub trait RollUp: Store {
    /// Does what every run does, and says how far the shard has got.
    fn tidy_days(
        &self,
        shard: ShardIndex,
        tidying: &Tidying,
    ) -> impl Future<Output = Result<Tidied, StoreError>> + Send;

    /// Moves the shard's pass on, if it is still `from`; whether it did. With [`Stage::Moved`] the marks of
    /// [`RollUp::mark_copied`] go.
    fn advance_days(
        &self,
        shard: ShardIndex,
        from: Option<Pass>,
        to: Pass,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// A slice of the shard's keys, from `cursor` on (0: the beginning), as [`super::pages::Pages::scan`] has it.
    fn scan_days(
        &self,
        shard: ShardIndex,
        scan: Scan,
        cursor: u64,
    ) -> impl Future<Output = Result<KeySlice, StoreError>> + Send;

    /// These sketches, in their order; none where the shard has none, or something else in its place. At most
    /// [`COPIED_AT_ONCE`].
    fn sketches(
        &self,
        shard: ShardIndex,
        sketches: &[Sketch],
    ) -> impl Future<Output = Result<Vec<Option<SketchCopy>>, StoreError>> + Send;

    /// Merges these contents into the shard's sketches; which of them it could, and in which run of the server. At most
    /// [`COPIED_AT_ONCE`].
    fn merge(
        &self,
        shard: ShardIndex,
        sketches: &[(&Sketch, &SketchCopy)],
    ) -> impl Future<Output = Result<(Vec<bool>, Incarnation), StoreError>> + Send;

    /// Notes that the owner of these sketches has had their content since now, in this run of its server.
    fn mark_copied(
        &self,
        shard: ShardIndex,
        sketches: &[(&Sketch, &SketchCopy)],
        run: Incarnation,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Deletes these sketches where they have not changed since they were read. Returns how many.
    fn remove_copied(
        &self,
        shard: ShardIndex,
        sketches: &[(&Sketch, &SketchCopy)],
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Turns sketches into the visitors of their day, in one step: what is there already stays if it is more. At most
    /// [`COUNTED_AT_ONCE`].
    fn count(&self, shard: ShardIndex, sketches: &[Sketch])
    -> impl Future<Output = Result<Counted, StoreError>> + Send;

    /// Trims the top lists of finished days to [`super::statistics::TOP_KEPT`]. At most [`TRIMMED_AT_ONCE`].
    fn trim_finished(&self, shard: ShardIndex, days: &[Day]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Makes the top list of a month that is over from those of its days: some 30 short reads and a write.
    fn list_month(&self, shard: ShardIndex, month: Month) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Deletes these keys, whatever they hold; returns how many there were. At most [`DROPPED_AT_ONCE`].
    fn drop_keys(&self, shard: ShardIndex, keys: &[DatedKey])
    -> impl Future<Output = Result<usize, StoreError>> + Send;
}
