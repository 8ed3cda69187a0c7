//! Moves: pages on their way from a shard to the one that owns them, taken and delivered each in one step. Calls are
//! safe to repeat. `crate::rehome` decides which are made when.

use super::parking::{Mark, Parking, Unreadable};
use super::{Incarnation, Rejected, ShardIndex, StoreError};
use crate::batch::{BatchId, WriterId};
use crate::page::PageId;
use crate::record::Tag;
use crate::ring::Fingerprint;
use crate::shard::ShardName;
use std::future::Future;

/// A call to take pages from a shard that does not own them.
#[derive(Clone, Debug)]
pub struct Take {
    /// The ring in force, by which they are misplaced. Where another one is in force, nothing is taken.
    pub ring: Fingerprint,
    /// The shard that owns them.
    pub owner: ShardName,
    /// The pages, at most [`crate::batch::MAX_BATCH_PAGES`].
    pub pages: Vec<PageId>,
    /// A fresh identity for the move that they make.
    pub writer: WriterId,
}

/// The answer to [`Take`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// What the pages counted is on its way.
    Moved {
        /// Pages that counted something.
        pages: u64,
        /// Their visits.
        visits: u64,
        /// Records that were left where they are, since something in them is no number of visits.
        rejected: Vec<Rejected>,
    },
    /// As much waits for this owner as a shard takes ([`super::parking::PARKED_BYTES`]).
    Full,
    /// Another ring is in force by now, or the shard's take pass is over.
    Superseded,
}

/// Where a move stands, as noted on the shard that it was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveMarks {
    /// Which move: its writer, and always the first sequence.
    pub id: BatchId,
    /// Since when it is known to be on the shard that it was taken from, in one run of that shard's server.
    pub seen: Option<Mark>,
    /// When it was first found on its owner.
    pub arrived: Option<Mark>,
}

/// Where a move was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// On the shard that it was taken from: see [`MoveMarks::seen`].
    Here,
    /// On its owner: see [`MoveMarks::arrived`].
    AtOwner,
}

/// Pages on their way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Which move.
    pub id: BatchId,
    /// The tag under which its visits left.
    pub tag: Tag,
    /// The pages, each with the fields of its record and what to add to them.
    pub pages: Vec<(PageId, Vec<(String, u64)>)>,
}

/// Moves as they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// Those that can be delivered.
    pub moves: Vec<Move>,
    /// What cannot.
    pub unreadable: Vec<Unreadable>,
}

/// A call to deliver a move.
#[derive(Clone, Copy, Debug)]
pub struct Landing<'a> {
    /// The shard that the pages were taken from.
    pub source: &'a ShardName,
    /// What was taken.
    pub content: &'a Move,
    /// The ring in force, if it places all the pages here.
    pub ring: Option<Fingerprint>,
}

/// The answer to [`Landing`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Landed {
    /// Whether this call has delivered it; it was there before otherwise.
    pub fresh: bool,
    /// Pages whose key holds something else: their visits are lost to the count.
    pub rejected: Vec<Rejected>,
    /// The run of the server that answered.
    pub incarnation: Incarnation,
}

/// The shards as places that pages leave and come to.
pub trait Moving: Parking {
    /// Takes pages out of their records and keeps what they counted, in one step, as a move for their owner.
    fn take(&self, shard: ShardIndex, take: &Take) -> impl Future<Output = Result<Taken, StoreError>> + Send;

    /// The owners of the moves on this shard, with the bytes that they take.
    fn moving_owners(&self, shard: ShardIndex) -> impl Future<Output = Result<Vec<(String, u64)>, StoreError>> + Send;

    /// Where all moves for `owner` stand, and the run of this shard's server.
    fn move_marks(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
    ) -> impl Future<Output = Result<(Vec<MoveMarks>, Incarnation), StoreError>> + Send;

    /// The moves with these names, as far as they are still there.
    fn moves(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        ids: &[BatchId],
    ) -> impl Future<Output = Result<Moves, StoreError>> + Send;

    /// Notes of these moves, if they are still there, on which run of a server they were found just now.
    fn mark_moves(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        found: Found,
        moves: &[(BatchId, Incarnation)],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Deletes moves whose mark of arrival is still the one given. Returns how many.
    fn remove_moves(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        moves: &[(BatchId, Mark)],
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Puts aside, with the reason, what cannot be delivered. Returns how many were still there.
    fn set_moves_aside(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        moves: &[Unreadable],
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Which of these moves have arrived on this shard, their owner, and the run of its server.
    fn arrived(
        &self,
        shard: ShardIndex,
        moves: &[BatchId],
    ) -> impl Future<Output = Result<(Vec<bool>, Incarnation), StoreError>> + Send;

    /// Delivers a move to this shard, its owner, exactly once.
    fn land(&self, shard: ShardIndex, landing: &Landing<'_>)
    -> impl Future<Output = Result<Landed, StoreError>> + Send;
}
