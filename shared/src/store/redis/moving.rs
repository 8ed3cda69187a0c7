//! Moves in Redis.

use super::cluster::Connection;
use super::move_script::{FORMAT, Reply, content, land_arguments};
use super::park_script::{mark, mark_text};
use super::parking::{Copies, Removal};
use super::{RedisStore, Shard, server_millis};
use crate::batch::BatchId;
use crate::shard::ShardName;
use crate::store::moving::{Found, Landed, Landing, MOST_FIELDS, MoveMarks, Moves, Moving, Take, Taken};
use crate::store::parking::{Mark, PARKED_BYTES, Unreadable};
use crate::store::{Incarnation, ShardIndex, StoreError};
use futures_util::future::try_join_all;
use redis::AsyncCommands;
use std::collections::HashMap;

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

impl Moving for RedisStore {
    async fn take(&self, shard: ShardIndex, take: &Take) -> Result<Taken, StoreError> {
        let shard = &self.shards[shard];
        let (moves, prefix) = (moves_for(shard, &take.owner), shard.keys.record_prefix().len());
        let call = |mut redis: Connection, incarnation: Incarnation| {
            let mut script = self.rehoming.take.prepare_invoke();
            script.key(shard.keys.shard()).key(&moves.content).key(shard.keys.seen(&take.owner)).key(&moves.bytes);
            for record in &take.records {
                script.key(shard.keys.record(record));
            }
            script.arg(FORMAT).arg(take.ring.to_string()).arg(take.owner.as_str()).arg(PARKED_BYTES);
            script.arg(take.writer.to_string()).arg(incarnation.0.to_string()).arg(prefix).arg(MOST_FIELDS);
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

    async fn mark_moves(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        found: Found,
        moves: &[(BatchId, Incarnation)],
    ) -> Result<(), StoreError> {
        let keys = &self.shards[shard].keys;
        let marks = match found {
            Found::Here => keys.seen(owner),
            Found::AtOwner => keys.arrived(owner),
        };
        self.mark(&self.shards[shard], owner, (&keys.moves(owner), &marks), moves).await
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
            for (record, _) in &landing.content.records {
                script.key(shard.keys.record(record));
            }
            land_arguments(&mut script, landing, self.timing.move_kept, shard.keys.record_prefix().len());
            async move { script.invoke_async::<Reply>(&mut redis).await }
        };
        let (reply, incarnation) = self.with_incarnation(shard, call).await?;
        Ok(reply.into_landed(landing, incarnation))
    }
}
