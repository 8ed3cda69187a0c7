//! A ring change in Redis: what a shard knows of it, and the calls that move the shard on, take records and clean up.
//!
//! The shard's record has, of the ring: `ring`, the fingerprint in force; `round`, the number of the last change; `moving`, the
//! stage of the shard in it, absent once it is settled; `cleaned`, `<ms> <run of the server>` since the last stage; `taken`, the last
//! round in which something left; `late`, a number that every write by another ring moves; `members`, the shards that may
//! hold something. `crate::rehome` says what the stages mean.

use super::cluster::Connection;
use super::ledger::stamp;
use super::script::{LazyScript, script, with_checks};
use super::{RedisStore, millis_of, pages, time_question};
use crate::batch::{BatchId, MAX_BATCH_PAGES};
use crate::handoff::{MAILBOX_BYTES, Mailbox, RejectedRecord};
use crate::record::Round;
use crate::ring::Fingerprint;
use crate::shard::ShardName;
use crate::store::redis::keys::Key;
use crate::store::{ServerRun, ShardIndex, StoreError};
use redis::Cmd;
use std::collections::HashMap;

/// Fields after which a take leaves the records that are left to the next one. A page has two fields, and a month up to
/// 93: so many take a shard some 2 ms, and with their names they stay below the 4,000 arguments that `ElastiCache`
/// Serverless takes.
const MAX_FIELDS: usize = 1_000;

static ADVANCE: LazyScript = script!("advance.lua");
static TAKE: LazyScript = script!("take.lua");
static CLEAN: LazyScript = script!("clean.lua");

/// The stage of a shard in a ring change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// The shard looks for records that it does not own, takes them, and waits until they have arrived.
    Take,
    /// The shard deletes the notes of what has left.
    Out,
    /// The shard has no such notes; it waits until no shard's can come back with a crash, and deletes the notes of what has come.
    Cleaned,
    /// Nothing is left to do.
    #[default]
    Settled,
}

impl Stage {
    /// Returns the stage's name in the shard's record; empty where there is none.
    fn name(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Out => "out",
            Self::Cleaned => "cleaned",
            Self::Settled => "",
        }
    }
}

/// A shard's knowledge of the ring, and how far its records have moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RingState {
    /// The ring in force; `None` where none was announced.
    pub ring: Option<Fingerprint>,
    /// The number of the last change; 0 before the first.
    pub round: Round,
    /// The stage of the shard in it.
    pub stage: Stage,
    /// When the stage [`Stage::Cleaned`] began, in milliseconds of the shard's clock, and in which run of its server.
    pub cleaned: (u64, ServerRun),
    /// Records were taken from here since the shard was settled last.
    pub taken: bool,
    /// Number of writes here by another ring since a scan of the first stage was over.
    pub late: u64,
    /// The shards that may hold something of any page.
    pub members: Vec<ShardName>,
    /// This shard's clock, in milliseconds.
    pub now: u64,
    /// The run of the server that answered.
    pub server_run: ServerRun,
}

impl RingState {
    /// Whether pages are moving, as far as the shard knows.
    pub fn is_moving(&self) -> bool {
        self.stage != Stage::Settled
    }
}

/// Records that were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Of the records asked for, the first so many were looked at; the others are for the next call.
    pub looked_at: usize,
    /// Pages that counted something.
    pub pages: u64,
    /// Their visits.
    pub visits: u64,
    /// Records that were left where they are, since something in them is no number of visits.
    pub rejected: Vec<RejectedRecord>,
}

impl RedisStore {
    /// Returns what the shard knows of the ring.
    pub async fn ring_state(&self, shard: ShardIndex) -> Result<RingState, StoreError> {
        let shard = &self.shards[shard];
        let ((now, fields), server_run): ((_, HashMap<String, String>), _) =
            self.query_both(shard, &time_question(), &Cmd::hgetall(shard.keys.of(&Key::Shard))).await?;
        let field = |name: &str| fields.get(name).map(String::as_str);
        let number = |name: &str| field(name).and_then(|number| number.parse().ok()).unwrap_or(0);
        let stage = match field("moving") {
            None => Stage::Settled,
            Some("cleaned") => Stage::Cleaned,
            Some("out") => Stage::Out,
            Some(_) => Stage::Take,
        };
        Ok(RingState {
            ring: field("ring").and_then(|ring| ring.parse().ok()),
            round: number("round"),
            stage,
            cleaned: field("cleaned").and_then(stamp).unwrap_or_default(),
            taken: field("taken").is_some(),
            late: number("late"),
            members: pages::names(field("members").unwrap_or_default()),
            now: millis_of(now),
            server_run,
        })
    }

    /// Moves the shard on to another stage, if it stands where `known` says, in the same run of its server, and nothing came late
    /// since. Nothing may wait here that was taken when it moves on to [`Stage::Out`].
    ///
    /// [`Stage::Take`] begins the round of `known` under its ring, unless the shard is in a later one. `members` are the shards
    /// that may hold something from now on; none where they stay. Returns whether the shard is in that stage, or, for
    /// [`Stage::Take`], in that round under that ring.
    pub async fn advance(
        &self,
        shard: ShardIndex,
        known: &RingState,
        next: Stage,
        members: &[ShardName],
    ) -> Result<bool, StoreError> {
        let shard = &self.shards[shard];
        let members = members.iter().map(ShardName::as_str).collect::<Vec<_>>().join(",");
        let call = |mut redis: Connection| {
            let run = redis.run;
            let mut script = ADVANCE.prepare_invoke();
            script.key(shard.keys.all([Key::Shard, Key::Outgoing]));
            script.arg(known.ring.map(|ring| ring.to_string()).unwrap_or_default()).arg(known.round);
            script.arg(known.stage.name()).arg(known.late).arg(next.name()).arg(run.0.to_string()).arg(&members);
            // What was done in another run of the server may be undone.
            let holds = next == Stage::Take || run == known.server_run;
            async move { if holds { script.invoke_async::<bool>(&mut redis).await } else { Ok(false) } }
        };
        self.with_shard(shard, call).await
    }

    /// Empties records, at most [`MAX_BATCH_PAGES`], and keeps what they counted as an envelope for `owner`, in one step. `id` is
    /// a fresh identity for it. `None`: nothing was taken, since the shard is not in [`Stage::Take`] of the round and ring of
    /// `known`, or since [`MAILBOX_BYTES`] wait for this owner.
    pub async fn take(
        &self,
        shard: ShardIndex,
        known: &RingState,
        owner: &ShardName,
        records: &[Key],
        id: BatchId,
    ) -> Result<Option<Taken>, StoreError> {
        type Answer = Option<(usize, u64, u64, Vec<(usize, String)>)>;
        let (shard, mailbox) = (&self.shards[shard], Mailbox::records(owner));
        let call = |mut redis: Connection| {
            let run = redis.run;
            let mut script = TAKE.prepare_invoke();
            let keys = [Key::Shard, Key::Out(mailbox.clone()), Key::Notes(mailbox.clone()), Key::Outgoing];
            script.key(shard.keys.all(keys)).key(shard.keys.all(records.iter().cloned()));
            script.arg(known.ring.map(|ring| ring.to_string()).unwrap_or_default()).arg(known.round);
            script.arg(mailbox.to_string()).arg(MAILBOX_BYTES).arg(id.to_string()).arg(run.0.to_string());
            script.arg(shard.keys.prefix().len()).arg(MAX_FIELDS);
            async move { script.invoke_async::<Answer>(&mut redis).await }
        };
        let taken = self.with_shard(shard, call).await?;
        // What a record that stays counts is not known here: it stays counted.
        let rejected = |(place, reason): (usize, String)| {
            Some(RejectedRecord { record: records.get(place)?.clone(), visits: 0, reason })
        };
        Ok(taken.map(|(looked_at, pages, visits, stay)| {
            let rejected = stay.into_iter().filter_map(rejected).collect();
            Taken { looked_at, pages, visits, rejected }
        }))
    }

    /// Deletes the notes of moves that are over from records: those of what left, where the shard is in [`Stage::Out`] of the
    /// round of `known`; else those of what came. Returns how many of the records are still there; `None` where it is elsewhere.
    pub async fn clean(
        &self,
        shard: ShardIndex,
        known: &RingState,
        records: &[Key],
    ) -> Result<Option<u64>, StoreError> {
        // Only pages have notes. The others were there a moment ago, which is all that is asked of them.
        let (pages, others): (Vec<_>, Vec<_>) = records.iter().partition(|record| matches!(record, Key::Page(_)));
        let (mut kept, shard) = (others.len() as u64, &self.shards[shard]);
        let stage = if known.stage == Stage::Out { Stage::Out } else { Stage::Cleaned };
        // Some hundred at once: a script's keys are all in memory, and no other call is served meanwhile.
        for pages in pages.chunks(MAX_BATCH_PAGES) {
            let mut script = CLEAN.key(shard.keys.of(&Key::Shard));
            script.key(shard.keys.all(pages.iter().copied().cloned())).arg(known.round).arg(stage.name());
            let Some(left) = self.invoke::<Option<u64>>(shard, &script).await? else { return Ok(None) };
            kept += left;
        }
        Ok(Some(kept))
    }
}
