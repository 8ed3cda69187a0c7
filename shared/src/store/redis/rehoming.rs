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
    Cleaned {
        /// Since when, in milliseconds of the shard's clock.
        at: u64,
        /// In which run of its server.
        run: ServerRun,
    },
    /// Nothing is left to do.
    #[default]
    Settled,
}

impl Stage {
    /// The stage's name in the shard's record; empty where there is none.
    fn name(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Out => "out",
            Self::Cleaned { .. } => "cleaned",
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

/// The answer to [`RedisStore::take`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The records' counts are on their way.
    Moved {
        /// Of the records asked for, the first so many were looked at; the others are for the next call.
        looked_at: usize,
        /// Pages that counted something.
        pages: u64,
        /// Their visits.
        visits: u64,
        /// Records that were left where they are, since something in them is no number of visits.
        rejected: Vec<RejectedRecord>,
    },
    /// As much waits for this owner as a shard takes ([`MAILBOX_BYTES`]).
    Full,
    /// Another ring is in force by now, or the shard is past that stage.
    Superseded,
}

impl RedisStore {
    /// Returns what the shard knows of the ring.
    pub async fn ring_state(&self, shard: ShardIndex) -> Result<RingState, StoreError> {
        let shard = &self.shards[shard];
        let ((now, fields), server_run): ((_, HashMap<String, String>), _) =
            self.query_both(shard, &time_question(), &Cmd::hgetall(shard.keys.of(&Key::Shard))).await?;
        let field = |name: &str| fields.get(name).map(String::as_str);
        let number = |name: &str| field(name).and_then(|number| number.parse().ok()).unwrap_or(0);
        let (at, run) = field("cleaned").and_then(stamp).unwrap_or_default();
        let stage = match field("moving") {
            None => Stage::Settled,
            Some("cleaned") => Stage::Cleaned { at, run },
            Some("out") => Stage::Out,
            Some(_) => Stage::Take,
        };
        Ok(RingState {
            ring: field("ring").and_then(|ring| ring.parse().ok()),
            round: number("round"),
            stage,
            taken: field("taken").is_some(),
            late: number("late"),
            members: pages::names(field("members").unwrap_or_default()),
            now: millis_of(now),
            server_run,
        })
    }

    /// Begins a round of a ring change on the shard, unless it is in that round or a later one. Returns whether it is in this
    /// round, with this ring.
    pub async fn begin_round(
        &self,
        shard: ShardIndex,
        ring: Fingerprint,
        round: Round,
        members: &[ShardName],
    ) -> Result<bool, StoreError> {
        let known = RingState { ring: Some(ring), round, ..RingState::default() };
        self.advance_to(shard, &known, "take", members).await
    }

    /// Moves the shard from [`Stage::Take`] or [`Stage::Cleaned`] to [`Stage::Out`], or from there to [`Stage::Cleaned`], if it
    /// stands where `known` says, in the same run of its server, and nothing came late since. Nothing may wait here that was taken.
    /// Returns whether it did.
    pub async fn advance(&self, shard: ShardIndex, known: &RingState) -> Result<bool, StoreError> {
        let next = if known.stage == Stage::Out { "cleaned" } else { "out" };
        self.advance_to(shard, known, next, &[]).await
    }

    /// Ends the change on the shard, on the same conditions. Returns whether it did.
    pub async fn settle(
        &self,
        shard: ShardIndex,
        known: &RingState,
        members: &[ShardName],
    ) -> Result<bool, StoreError> {
        self.advance_to(shard, known, "settled", members).await
    }

    async fn advance_to(
        &self,
        shard: ShardIndex,
        known: &RingState,
        next: &str,
        members: &[ShardName],
    ) -> Result<bool, StoreError> {
        let shard = &self.shards[shard];
        let members = members.iter().map(ShardName::as_str).collect::<Vec<_>>().join(",");
        let call = |mut redis: Connection| {
            let run = redis.run;
            let mut script = ADVANCE.prepare_invoke();
            script.key(shard.keys.of(&Key::Shard)).key(shard.keys.of(&Key::Outgoing));
            script.arg(known.ring.map(|ring| ring.to_string()).unwrap_or_default()).arg(known.round);
            script.arg(known.stage.name()).arg(known.late).arg(next).arg(run.0.to_string()).arg(&members);
            // What was done in another run of the server may be undone.
            let holds = next == "take" || run == known.server_run;
            async move { if holds { script.invoke_async::<bool>(&mut redis).await } else { Ok(false) } }
        };
        self.with_shard(shard, call).await
    }

    /// Empties records, at most [`MAX_BATCH_PAGES`], and keeps what they counted as an envelope for `owner`, in one step. `id` is
    /// a fresh identity for it. Nothing is taken unless the shard is in [`Stage::Take`] of the round and ring of `known`.
    pub async fn take(
        &self,
        shard: ShardIndex,
        known: &RingState,
        owner: &ShardName,
        records: &[Key],
        id: BatchId,
    ) -> Result<Taken, StoreError> {
        let (shard, mailbox) = (&self.shards[shard], Mailbox::records(owner));
        let call = |mut redis: Connection| {
            let run = redis.run;
            let mut script = TAKE.prepare_invoke();
            script
                .key(shard.keys.of(&Key::Shard))
                .key(shard.keys.of(&Key::Out(mailbox.clone())))
                .key(shard.keys.of(&Key::Notes(mailbox.clone())));
            script.key(shard.keys.of(&Key::Outgoing));
            for record in records {
                script.key(shard.keys.of(record));
            }
            script.arg(known.ring.map(|ring| ring.to_string()).unwrap_or_default()).arg(known.round);
            script.arg(mailbox.to_string()).arg(MAILBOX_BYTES).arg(id.to_string()).arg(run.0.to_string());
            script.arg(shard.keys.prefix().len()).arg(MAX_FIELDS);
            async move { script.invoke_async::<(i64, u64, u64, Vec<(usize, String)>)>(&mut redis).await }
        };
        let (outcome, pages, visits, rejected) = self.with_shard(shard, call).await?;
        let rejected = rejected.into_iter().filter_map(|(number, reason)| {
            // What a record that stays counts is not known here: it stays counted.
            Some(RejectedRecord { record: records.get(number)?.clone(), visits: 0, reason })
        });
        Ok(match outcome {
            -1 => Taken::Superseded,
            -2 => Taken::Full,
            looked_at => Taken::Moved {
                looked_at: usize::try_from(looked_at).unwrap_or_default(),
                pages,
                visits,
                rejected: rejected.collect(),
            },
        })
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
        let stage = if known.stage == Stage::Out { "out" } else { "cleaned" };
        // Some hundred at once: a script's keys are all in memory, and no other call is served meanwhile.
        for pages in pages.chunks(MAX_BATCH_PAGES) {
            let mut script = CLEAN.key(shard.keys.of(&Key::Shard));
            for page in pages {
                script.key(shard.keys.of(page));
            }
            script.arg(known.round).arg(stage);
            let left = self.invoke::<i64>(shard, &script).await?;
            let Ok(left) = u64::try_from(left) else { return Ok(None) };
            kept += left;
        }
        Ok(Some(kept))
    }

    /// Whether the shard's journal holds something that is not folded yet.
    pub async fn has_journal(&self, shard: ShardIndex) -> Result<bool, StoreError> {
        let shard = &self.shards[shard];
        // An empty stream is still a key.
        let entries: u64 = self.command(shard, redis::cmd("XLEN").arg(shard.keys.of(&Key::Journal))).await?;
        Ok(entries > 0)
    }
}
