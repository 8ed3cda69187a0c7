//! Moving pages between shards in Redis.

use super::move_script::{Reply, content, land_arguments};
use super::park_script::{mark, mark_text};
use super::parking::{Copies, Removal};
use super::routed::Connection;
use super::script::LazyScript;
use super::{RedisStore, Shard, pages, server_millis};
use crate::batch::{BatchId, MAX_BATCH_PAGES};
use crate::ring::Fingerprint;
use crate::shard::ShardName;
use crate::store::pages::{PageSlice, Pages};
use crate::store::parking::{Mark, PARKED_BYTES, Unreadable};
use crate::store::rehoming::{
    Cleaned, Cleaning, Landed, Landing, MoveMarks, Moves, Pass, Rehoming, RingState, Stage, Take, Taken,
};
use crate::store::{Incarnation, ShardIndex, StoreError};
use futures_util::future::try_join_all;
use redis::{AsyncCommands, RedisResult, Script};
use std::collections::HashMap;

/// Version of what a move looks like, and of the scripts' arguments.
pub(super) const FORMAT: &str = "1";

#[derive(Debug)]
pub(super) struct RehomingScripts {
    announce: LazyScript,
    advance: LazyScript,
    take: LazyScript,
    land: LazyScript,
    clean: LazyScript,
}

impl RehomingScripts {
    pub(super) fn new() -> Self {
        Self {
            announce: LazyScript::new(|| Script::new(include_str!("announce.lua"))),
            advance: LazyScript::new(|| Script::new(include_str!("advance.lua"))),
            take: LazyScript::new(|| Script::new(include_str!("take.lua"))),
            land: LazyScript::new(|| Script::new(include_str!("land.lua"))),
            clean: LazyScript::new(|| Script::new(include_str!("clean.lua"))),
        }
    }
}

fn list(members: &[ShardName]) -> String {
    members.iter().map(ShardName::as_str).collect::<Vec<_>>().join(",")
}

/// The moves of one owner on a shard, where [`RedisStore::mark`] and [`RedisStore::remove`] look for them.
fn moves_for(shard: &Shard, owner: &ShardName) -> Copies {
    Copies {
        content: shard.keys.moves(owner),
        marks: shard.keys.arrived(owner),
        seen: Some(shard.keys.seen(owner)),
        bytes: shard.keys.moving(),
    }
}

/// It would be waited for without end.
fn not_a_move(name: &str) -> Unreadable {
    Unreadable { field: name.as_bytes().to_vec(), reason: "its name is not the id of a batch".to_owned() }
}

impl RedisStore {
    async fn advance_to(
        &self,
        shard: ShardIndex,
        ring: &str,
        passes: (Pass, Pass),
        (what, members): (&str, &str),
    ) -> Result<bool, StoreError> {
        let shard = &self.shards[shard];
        let (from, to) = passes;
        let call = |mut redis: Connection| {
            let mut script = self.rehoming.advance.prepare_invoke();
            script.key(shard.keys.shard()).key(shard.keys.moving());
            let late = if from.goes_on_to(to) { String::new() } else { to.late.to_string() };
            script.arg(ring).arg(from.to_string()).arg(to.to_string()).arg(late).arg(what).arg(members);
            async move { script.invoke_async::<bool>(&mut redis).await }
        };
        self.with_shard(shard, call).await
    }
}

impl Rehoming for RedisStore {
    async fn ring_state(&self, shard: ShardIndex) -> Result<RingState, StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| async move {
            let now = server_millis(&mut redis).await?;
            let fields: HashMap<String, String> = redis.hgetall(shard.keys.shard()).await?;
            Ok((now, fields))
        };
        let ((now, fields), incarnation) = self.with_incarnation(shard, call).await?;
        let field = |name: &str| fields.get(name).map(String::as_str);
        Ok(RingState {
            ring: field("ring").and_then(|ring| ring.parse().ok()),
            moving: field("moving").is_some(),
            members: pages::names(field("members").unwrap_or_default()),
            late: field("late").and_then(|late| late.parse().ok()).unwrap_or(0),
            pass: field("pass").and_then(|pass| pass.parse().ok()),
            tag: field("tag").and_then(|tag| tag.parse().ok()),
            now,
            incarnation,
        })
    }

    async fn announce(&self, shard: ShardIndex, ring: Fingerprint, members: &[ShardName]) -> Result<(), StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| {
            let mut script = self.rehoming.announce.prepare_invoke();
            script.key(shard.keys.shard()).arg(ring.to_string()).arg(list(members));
            async move { script.invoke_async::<()>(&mut redis).await }
        };
        self.with_shard(shard, call).await
    }

    async fn advance(&self, shard: ShardIndex, ring: Fingerprint, from: Pass, to: Pass) -> Result<bool, StoreError> {
        let renews = matches!((from.stage, to.stage), (Stage::Taken, Stage::Out { .. }));
        let what = if renews { "renew" } else { "" };
        self.advance_to(shard, &ring.to_string(), (from, to), (what, "")).await
    }

    async fn settle(
        &self,
        shard: ShardIndex,
        ring: Fingerprint,
        from: Pass,
        members: &[ShardName],
    ) -> Result<bool, StoreError> {
        self.advance_to(shard, &ring.to_string(), (from, from), ("settle", &list(members))).await
    }

    async fn take(&self, shard: ShardIndex, take: &Take) -> Result<Taken, StoreError> {
        let shard = &self.shards[shard];
        let (moves, prefix) = (moves_for(shard, &take.owner), shard.keys.page_prefix().len());
        let call = |mut redis: Connection, incarnation: Incarnation| {
            let mut script = self.rehoming.take.prepare_invoke();
            script.key(shard.keys.shard()).key(&moves.content).key(shard.keys.seen(&take.owner)).key(&moves.bytes);
            for page in &take.pages {
                script.key(shard.keys.page(page));
            }
            script.arg(FORMAT).arg(take.ring.to_string()).arg(take.owner.as_str()).arg(PARKED_BYTES);
            script.arg(take.writer.to_string()).arg(incarnation.0.to_string()).arg(prefix);
            async move { script.invoke_async::<Reply>(&mut redis).await }
        };
        let (reply, _) = self.with_run(shard, call).await?;
        Ok(reply.into_taken(take))
    }

    async fn moving_owners(&self, shard: ShardIndex) -> Result<Vec<(String, u64)>, StoreError> {
        let shard = &self.shards[shard];
        let call =
            |mut redis: Connection| async move { redis.hgetall::<_, HashMap<String, u64>>(shard.keys.moving()).await };
        let mut owners: Vec<_> = self.with_shard(shard, call).await?.into_iter().collect();
        owners.sort();
        Ok(owners)
    }

    async fn move_marks(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
    ) -> Result<(Vec<MoveMarks>, Incarnation), StoreError> {
        type Marks = HashMap<String, String>;
        let shard = &self.shards[shard];
        let moves = moves_for(shard, owner);
        let call = |mut redis: Connection| {
            let moves = &moves;
            async move {
                let now = server_millis(&mut redis).await?;
                let names: Vec<String> = redis.hkeys(&moves.content).await?;
                let seen: Marks = redis.hgetall(shard.keys.seen(owner)).await?;
                let arrived: Marks = redis.hgetall(&moves.marks).await?;
                Ok((now, (names, seen, arrived)))
            }
        };
        let ((now, (names, seen, arrived)), incarnation) = self.with_incarnation(shard, call).await?;
        let find = |marks: &Marks, name: &str| marks.get(name).and_then(|text| mark(text, now));
        let (mut marks, mut foreign) = (Vec::new(), Vec::new());
        for name in names {
            match name.parse() {
                Ok(id) => marks.push(MoveMarks { id, seen: find(&seen, &name), arrived: find(&arrived, &name) }),
                Err(_) => foreign.push(Removal::of_unreadable(&not_a_move(&name))),
            }
        }
        if !foreign.is_empty() {
            tracing::error!(key = moves.content, fields = foreign.len(), "what is no move is put aside");
            self.remove(shard, owner, &moves, &foreign).await?;
        }
        Ok((marks, incarnation))
    }

    async fn moves(&self, shard: ShardIndex, owner: &ShardName, ids: &[BatchId]) -> Result<Moves, StoreError> {
        let shard = &self.shards[shard];
        let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let call = |mut redis: Connection| {
            let names = &names;
            async move { redis.hmget::<_, _, Vec<Option<Vec<u8>>>>(shard.keys.moves(owner), names.as_slice()).await }
        };
        let found = self.with_shard(shard, call).await?;
        let mut moves = Moves::default();
        for ((id, name), value) in ids.iter().zip(&names).zip(found) {
            match value.map(|value| content(*id, &value)) {
                Some(Ok(content)) => moves.moves.push(content),
                Some(Err(reason)) => {
                    moves.unreadable.push(Unreadable { field: name.clone().into_bytes(), reason });
                }
                None => {}
            }
        }
        Ok(moves)
    }

    async fn mark_seen(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        moves: &[(BatchId, Incarnation)],
    ) -> Result<(), StoreError> {
        let shard = &self.shards[shard];
        self.mark(shard, owner, (&shard.keys.moves(owner), &shard.keys.seen(owner)), moves).await
    }

    async fn mark_arrived(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        moves: &[(BatchId, Incarnation)],
    ) -> Result<(), StoreError> {
        let shard = &self.shards[shard];
        self.mark(shard, owner, (&shard.keys.moves(owner), &shard.keys.arrived(owner)), moves).await
    }

    async fn remove_moves(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        moves: &[(BatchId, Mark)],
    ) -> Result<usize, StoreError> {
        let removals = moves.iter().map(|(id, mark)| Removal::of_delivered(*id, &mark_text(*mark)));
        let shard = &self.shards[shard];
        self.remove(shard, owner, &moves_for(shard, owner), &removals.collect::<Vec<_>>()).await
    }

    async fn set_moves_aside(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        moves: &[Unreadable],
    ) -> Result<usize, StoreError> {
        let shard = &self.shards[shard];
        let removals: Vec<Removal> = moves.iter().map(Removal::of_unreadable).collect();
        self.remove(shard, owner, &moves_for(shard, owner), &removals).await
    }

    async fn arrived(&self, shard: ShardIndex, moves: &[BatchId]) -> Result<(Vec<bool>, Incarnation), StoreError> {
        let shard = &self.shards[shard];
        let call = |redis: Connection| async move {
            let asked = moves.iter().map(|id| {
                let (mut redis, key) = (redis.clone(), shard.keys.applied(&id.writer));
                async move { redis.hexists(key, "floor").await }
            });
            try_join_all(asked).await
        };
        if moves.is_empty() {
            return Ok((Vec::new(), Incarnation::default()));
        }
        self.with_incarnation(shard, call).await
    }

    async fn land(&self, shard: ShardIndex, landing: &Landing<'_>) -> Result<Landed, StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| {
            let mut script = self.rehoming.land.prepare_invoke();
            script.key(shard.keys.applied(&landing.content.id.writer)).key(shard.keys.sets()).key(shard.keys.shard());
            for (page, _) in &landing.content.pages {
                script.key(shard.keys.page(page));
            }
            land_arguments(&mut script, landing, self.timing.move_kept);
            async move { script.invoke_async::<Reply>(&mut redis).await }
        };
        let (reply, incarnation) = self.with_incarnation(shard, call).await?;
        Ok(reply.into_landed(landing, incarnation))
    }

    async fn clean(&self, shard: ShardIndex, cursor: u64, cleaning: &Cleaning) -> Result<Cleaned, StoreError> {
        let PageSlice { pages, next, run, .. } = self.scan(shard, cursor).await?;
        let (pages, shard) = (&pages, &self.shards[shard]);
        let call = |redis: Connection| async move {
            // Some hundred at once: a script's keys are all in memory, and nobody else is served meanwhile.
            let calls = pages.chunks(MAX_BATCH_PAGES).map(|pages| {
                let mut redis = redis.clone();
                async move {
                    let mut script = self.rehoming.clean.prepare_invoke();
                    for page in pages {
                        script.key(shard.keys.page(page));
                    }
                    match cleaning {
                        Cleaning::Out { before } => drop(script.arg("out").arg(*before)),
                        Cleaning::In { before } => {
                            script.arg("in");
                            for (shard, tag) in before {
                                script.arg(shard.as_str()).arg(*tag);
                            }
                        }
                    }
                    script.invoke_async::<u64>(&mut redis).await
                }
            });
            let kept: RedisResult<Vec<u64>> = try_join_all(calls).await;
            Ok(kept?.into_iter().sum())
        };
        Ok(Cleaned { next, kept: self.with_shard(shard, call).await?, run })
    }
}
