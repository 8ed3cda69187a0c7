//! Moves: records on their way from a shard to the one that they belong on, taken and delivered each in one step. Calls
//! are safe to repeat. `crate::rehome` decides which are made when.

use super::parking::{Mark, Unreadable};
use super::{Incarnation, Ledger, ShardIndex, Store, StoreError};
use crate::batch::{BatchId, WriterId};
use crate::record::{RecordName, Tag};
use crate::ring::Fingerprint;
use crate::shard::ShardName;
use std::future::Future;

/// Fields after which a take leaves the records that are left to the next one. A page has two fields, and a month up to
/// 93: so many take a shard some 2 ms, and with their names they stay below the 4,000 arguments that `ElastiCache`
/// Serverless takes.
pub const MOST_FIELDS: usize = 1_000;

/// A call to take records from a shard on which they do not belong.
#[derive(Clone, Debug)]
pub struct Take {
    /// The ring in force, by which they are misplaced. Where another one is in force, nothing is taken.
    pub ring: Fingerprint,
    /// The shard on which they do.
    pub owner: ShardName,
    /// The records, at most [`crate::batch::MAX_BATCH_PAGES`].
    pub records: Vec<RecordName>,
    /// A fresh identity for the move that they make.
    pub writer: WriterId,
}

/// The answer to [`Take`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// What the records counted is on its way.
    Moved {
        /// Of the records asked for, the first so many were looked at. At least one; the others are for the next call.
        looked_at: usize,
        /// Pages that counted something.
        pages: u64,
        /// Their visits.
        visits: u64,
        /// Records that were left where they are, since something in them is no number of visits.
        rejected: Vec<RejectedRecord>,
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

/// A record that was not taken or not delivered, with the reason that the shard gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// The record.
    pub record: RecordName,
    /// Visits that are in no record because of it.
    pub visits: u64,
    /// What the shard said, for the log.
    pub reason: String,
}

/// Records on their way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Which move.
    pub id: BatchId,
    /// The tag under which its visits left.
    pub tag: Tag,
    /// The records, each with its fields and what to add to them.
    pub records: Vec<(RecordName, Vec<(String, u64)>)>,
}

/// What a record counts. Numbers of visitors are none of visits, and the site counts what its pages do.
pub(super) fn visits(name: &RecordName, fields: &[(String, u64)]) -> u64 {
    let counts = |field: &str| match name {
        RecordName::Page(_) | RecordName::Site => field == "total",
        RecordName::Days(..) | RecordName::SiteMonth(_) => {
            field.strip_suffix('b').unwrap_or(field).bytes().all(|byte| byte.is_ascii_digit())
        }
    };
    let visits = fields.iter().filter(|(field, _)| counts(field)).map(|(_, amount)| *amount);
    visits.fold(0, u64::saturating_add)
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
    /// The shard that the records were taken from.
    pub source: &'a ShardName,
    /// What was taken.
    pub content: &'a Move,
    /// The ring in force, if all the records belong here by it.
    pub ring: Option<Fingerprint>,
}

/// The answer to [`Landing`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Landed {
    /// Whether this call has delivered it; it was there before otherwise.
    pub fresh: bool,
    /// Records whose key holds something else: what they counted is lost.
    pub rejected: Vec<RejectedRecord>,
    /// The run of the server that answered.
    pub incarnation: Incarnation,
}

/// The shards as places that records leave and come to.
pub trait Moving: Store + Ledger {
    /// Empties records and keeps what they counted, in one step, as a move for their owner.
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
