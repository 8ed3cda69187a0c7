//! Parked copies in Redis.

use super::cluster::Connection;
use super::keys::Keys;
use super::park_script::{copy, mark_text, park_arguments};
use super::script::{LazyScript, with_checks};
use super::{RedisStore, Shard, server_millis};
use crate::batch::BatchId;
use crate::day::Day;
use crate::shard::ShardName;
use crate::store::parking::{Mark, PARKED_BYTES, Park, Parked, ParkedPage, Unreadable};
use crate::store::{Applied, Apply, Incarnation, Ledger, ShardIndex, StoreError};
use crate::visit::Secret;
use futures_util::future::join_all;
use redis::{AsyncCommands, RedisResult, Script};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Copies that one read asks for, so that it stays below a few megabytes; Redis may return some more.
const PAGE: usize = 10;

#[derive(Debug)]
pub(super) struct ParkingScripts {
    park: LazyScript,
    mark: LazyScript,
    remove: LazyScript,
    set_aside: LazyScript,
}

impl ParkingScripts {
    pub(super) fn new() -> Self {
        Self {
            park: LazyScript::new(|| Script::new(with_checks!("park.lua"))),
            mark: LazyScript::new(|| Script::new(include_str!("mark.lua"))),
            remove: LazyScript::new(|| Script::new(include_str!("remove.lua"))),
            set_aside: LazyScript::new(|| Script::new(include_str!("set_aside.lua"))),
        }
    }
}

/// An `HSCAN`'s answer: the cursor to read on from, and fields with their values.
type Scanned = (u64, Vec<(Vec<u8>, Vec<u8>)>);

/// A name that no key has yet, to move a key to that is in the way.
fn aside_key(keys: &Keys, owner: &ShardName) -> String {
    static MOVED: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{}:{owner}:{nanos}.{}", keys.aside(), MOVED.fetch_add(1, Ordering::Relaxed))
}

impl RedisStore {
    /// A key of another type where copies should be: it is moved out of the way, so that it stops nothing.
    async fn set_key_aside(&self, shard: &Shard, owner: &ShardName) -> Result<(), StoreError> {
        let (from, to) = (shard.keys.parked(owner), aside_key(&shard.keys, owner));
        let call = |mut redis: Connection| {
            let mut script = self.parking.set_aside.prepare_invoke();
            script.key(&from).key(&to).key(shard.keys.parking()).arg(owner.as_str());
            async move { script.invoke_async::<u64>(&mut redis).await }
        };
        if self.with_shard(shard, call).await? == 1 {
            tracing::error!(key = from, moved_to = to, "a key of another type was where parked copies belong");
        }
        Ok(())
    }
}

impl Ledger for RedisStore {
    async fn apply(&self, shard: ShardIndex, call: &Apply) -> Result<Applied, StoreError> {
        let shard = &self.shards[shard];
        let apply = |redis| self.scripts.apply(redis, &shard.keys, call);
        let (reply, incarnation) = self.with_incarnation(shard, apply).await?;
        Ok(reply.into_applied(call, incarnation))
    }

    async fn known_secret(&self, shard: ShardIndex, day: Day) -> Result<Option<Secret>, StoreError> {
        let shard = &self.shards[shard];
        let key = shard.keys.secret(day);
        let call = |mut redis: Connection| {
            let key = &key;
            async move { redis.get::<_, Option<String>>(key).await }
        };
        let kept = self.with_shard(shard, call).await?;
        kept.map(|kept| kept.parse().map_err(|_| shard.refused(&format!("{key} holds no secret")))).transpose()
    }

    async fn secret(&self, shard: ShardIndex, day: Day, offer: Secret) -> Result<Secret, StoreError> {
        let shard = &self.shards[shard];
        let key = shard.keys.secret(day);
        // Two commands: before Redis 7.0, SET takes NX or GET. A day that has a secret keeps it until it is over.
        let call = |mut redis: Connection| {
            let key = &key;
            async move {
                let _: bool = redis.set_nx(key, offer.to_hex()).await?;
                redis.get::<_, Option<String>>(key).await
            }
        };
        let kept = self.with_shard(shard, call).await?.unwrap_or_default();
        kept.parse().map_err(|_| shard.refused(&format!("{key} holds no secret")))
    }

    async fn park(&self, shard: ShardIndex, park: &Park) -> Result<Parked, StoreError> {
        let shard = &self.shards[shard];
        let aside = aside_key(&shard.keys, &park.owner);
        let call = |mut redis: Connection| {
            let mut script = self.parking.park.prepare_invoke();
            script.key(shard.keys.parked(&park.owner)).key(shard.keys.parking()).key(&aside);
            park_arguments(&mut script, park, PARKED_BYTES);
            async move { script.invoke_async::<u64>(&mut redis).await }
        };
        let (now, incarnation) = self.with_incarnation(shard, call).await?;
        let server_time = Duration::from_millis(now);
        Ok(if now > 0 { Parked::Taken { incarnation, server_time } } else { Parked::Full })
    }

    async fn parked_owners(&self, shard: ShardIndex) -> Result<Vec<(String, u64)>, StoreError> {
        let (shard, all) = (&self.shards[shard], &self.shards);
        let call = |mut redis: Connection| async move {
            // The list of owners may itself be damaged: those that are configured are looked at all the same.
            let listed: RedisResult<HashMap<String, u64>> = redis.hgetall(shard.keys.parking()).await;
            let has_copies = all.iter().map(|other| {
                let (mut redis, key) = (redis.clone(), shard.keys.parked(&other.config.name));
                async move { redis.exists::<_, bool>(key).await }
            });
            Ok((listed, join_all(has_copies).await.into_iter().collect::<RedisResult<Vec<bool>>>()?))
        };
        let (listed, has_copies) = self.with_shard(shard, call).await?;
        let listed = listed.unwrap_or_else(|error| {
            tracing::error!(%error, key = shard.keys.parking(), "the list of parked copies' owners is unreadable");
            HashMap::new()
        });
        let configured = all.iter().zip(has_copies).filter(|(_, has_copies)| *has_copies);
        let configured = configured.map(|(other, _)| other.config.name.to_string());
        let names: BTreeSet<String> = listed.keys().cloned().chain(configured).collect();
        Ok(names.into_iter().map(|name| (name.clone(), listed.get(&name).copied().unwrap_or(0))).collect())
    }

    async fn parked(&self, shard: ShardIndex, owner: &ShardName, cursor: u64) -> Result<ParkedPage, StoreError> {
        let shard = &self.shards[shard];
        let (parked, delivered) = (shard.keys.parked(owner), shard.keys.delivered(owner));
        let read = |mut redis: Connection| {
            let (parked, delivered) = (&parked, &delivered);
            async move {
                let now = server_millis(&mut redis).await?;
                let (next, found): Scanned =
                    redis::cmd("HSCAN").arg(parked).arg(cursor).arg("COUNT").arg(PAGE).query_async(&mut redis).await?;
                let fields: Vec<&[u8]> = found.iter().map(|(field, _)| field.as_slice()).collect();
                let marks: Vec<Option<String>> = if fields.is_empty() {
                    Vec::new()
                } else {
                    // Damaged marks count as none: then the copies are only delivered once more.
                    redis.hmget(delivered, fields.as_slice()).await.unwrap_or_else(|_| vec![None; found.len()])
                };
                Ok((now, next, found, marks))
            }
        };
        let (now, next, found, marks) = match self.with_shard(shard, read).await {
            Err(StoreError::Refused { reason, .. }) if reason.contains("WRONGTYPE") => {
                self.set_key_aside(shard, owner).await?;
                return Ok(ParkedPage::default());
            }
            answer => answer?,
        };
        let mut page = ParkedPage { next, ..ParkedPage::default() };
        for ((field, value), mark) in found.into_iter().zip(marks) {
            match copy(&field, &value, mark.as_deref(), now) {
                Ok(copy) => page.copies.push(copy),
                Err(reason) => page.unreadable.push(Unreadable { field, reason }),
            }
        }
        Ok(page)
    }

    async fn mark_delivered(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        copies: &[(BatchId, Incarnation)],
    ) -> Result<(), StoreError> {
        let shard = &self.shards[shard];
        self.mark(shard, owner, (&shard.keys.parked(owner), &shard.keys.delivered(owner)), copies).await
    }

    async fn remove_delivered(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        copies: &[(BatchId, Mark)],
    ) -> Result<usize, StoreError> {
        let shard = &self.shards[shard];
        let removals = copies.iter().map(|(id, mark)| Removal::of_delivered(*id, &mark_text(*mark)));
        self.remove(shard, owner, &copies_for(shard, owner), &removals.collect::<Vec<_>>()).await
    }

    async fn set_aside(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        copies: &[Unreadable],
    ) -> Result<usize, StoreError> {
        let shard = &self.shards[shard];
        let removals: Vec<Removal> = copies.iter().map(Removal::of_unreadable).collect();
        self.remove(shard, owner, &copies_for(shard, owner), &removals).await
    }

    fn share_endpoint(&self, one: ShardIndex, other: ShardIndex) -> bool {
        Arc::ptr_eq(&self.shards[one].nodes, &self.shards[other].nodes)
    }

    fn share_node(&self, one: ShardIndex, other: ShardIndex) -> bool {
        Arc::ptr_eq(&self.shards[one].last_node(), &self.shards[other].last_node())
    }
}

/// The keys that belong to one owner's copies, or moves, on a shard.
pub(super) struct Copies {
    /// The copies, by id.
    pub(super) content: String,
    /// When they were first found at their owner.
    pub(super) marks: String,
    /// Since when they are known to be here, where that counts.
    pub(super) seen: Option<String>,
    /// Their bytes, by owner.
    pub(super) bytes: String,
}

fn copies_for(shard: &Shard, owner: &ShardName) -> Copies {
    let (content, marks) = (shard.keys.parked(owner), shard.keys.delivered(owner));
    Copies { content, marks, seen: None, bytes: shard.keys.parking() }
}

/// What to take out of an owner's copies.
pub(super) struct Removal {
    field: Vec<u8>,
    /// It must still bear this mark; empty: whatever it bears.
    mark: String,
    /// Why it is put aside; empty: it is deleted.
    reason: String,
}

impl Removal {
    pub(super) fn of_delivered(id: BatchId, mark: &str) -> Self {
        Self { field: id.to_string().into_bytes(), mark: mark.to_owned(), reason: String::new() }
    }

    pub(super) fn of_unreadable(copy: &Unreadable) -> Self {
        Self { field: copy.field.clone(), mark: String::new(), reason: copy.reason.clone() }
    }
}

impl RedisStore {
    /// Writes down at copies, in a hash of marks, that a run of a server has them.
    pub(super) async fn mark(
        &self,
        shard: &Shard,
        owner: &ShardName,
        (copies, marks): (&str, &str),
        found: &[(BatchId, Incarnation)],
    ) -> Result<(), StoreError> {
        let aside = aside_key(&shard.keys, owner);
        let call = |mut redis: Connection| {
            let mut script = self.parking.mark.prepare_invoke();
            script.key(copies).key(marks).key(&aside);
            for (id, run) in found {
                script.arg(id.to_string()).arg(run.0.to_string());
            }
            async move { script.invoke_async::<()>(&mut redis).await }
        };
        self.with_shard(shard, call).await
    }

    /// Takes copies out: deletes them, or puts them aside.
    pub(super) async fn remove(
        &self,
        shard: &Shard,
        owner: &ShardName,
        copies: &Copies,
        removals: &[Removal],
    ) -> Result<usize, StoreError> {
        let call = |mut redis: Connection| {
            let mut script = self.parking.remove.prepare_invoke();
            script.key(&copies.content).key(&copies.marks).key(&copies.bytes).key(shard.keys.aside());
            if let Some(seen) = &copies.seen {
                script.key(seen);
            }
            script.arg(owner.as_str());
            for Removal { field, mark, reason } in removals {
                script.arg(field).arg(mark).arg(reason);
            }
            async move { script.invoke_async(&mut redis).await }
        };
        self.with_shard(shard, call).await
    }
}
