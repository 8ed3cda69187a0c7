//! Moves, on shards in memory.

use super::{mark, millis};
use crate::batch::BatchId;
use crate::shard::ShardName;
use crate::store::memory::MemoryStore;
use crate::store::memory::shard::Data;
use crate::store::moving::{Found, Landed, Landing, MoveMarks, Moves, Moving, Take, Taken};
use crate::store::parking::{Mark, Unreadable};
use crate::store::{Incarnation, ShardIndex, StoreError};
use std::collections::BTreeMap;

impl Moving for MemoryStore {
    async fn take(&self, shard: ShardIndex, take: &Take) -> Result<Taken, StoreError> {
        let now = self.clock.now();
        self.call(shard, |shard| {
            let incarnation = shard.incarnation();
            shard.data.take(take, now, incarnation)
        })
        .await
    }

    async fn moving_owners(&self, shard: ShardIndex) -> Result<Vec<(String, u64)>, StoreError> {
        let owners = |data: &Data| {
            let mut owners = BTreeMap::<String, u64>::new();
            for (owner, _) in data.ring.moves.keys() {
                *owners.entry(owner.to_string()).or_default() += 1;
            }
            owners.into_iter().collect()
        };
        self.call(shard, |shard| owners(&shard.data)).await
    }

    async fn move_marks(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
    ) -> Result<(Vec<MoveMarks>, Incarnation), StoreError> {
        let now = self.clock.now();
        self.call(shard, |shard| {
            let marks = shard.data.ring.of(owner).map(|(id, on_its_way)| MoveMarks {
                id,
                seen: mark(on_its_way.seen, now),
                arrived: mark(on_its_way.arrived, now),
            });
            (marks.collect(), shard.incarnation())
        })
        .await
    }

    async fn moves(&self, shard: ShardIndex, owner: &ShardName, ids: &[BatchId]) -> Result<Moves, StoreError> {
        self.call(shard, |shard| {
            let asked = shard.data.ring.of(owner).filter(|(id, _)| ids.contains(id));
            Moves { moves: asked.map(|(_, on_its_way)| on_its_way.content.clone()).collect(), unreadable: Vec::new() }
        })
        .await
    }

    async fn mark_moves(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        found: Found,
        moves: &[(BatchId, Incarnation)],
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.call(shard, |shard| {
            for (id, run) in moves {
                let Some(on_its_way) = shard.data.ring.moves.get_mut(&(owner.clone(), *id)) else { continue };
                match found {
                    Found::Here => on_its_way.seen = Some((now, *run)),
                    Found::AtOwner => on_its_way.arrived = Some((now, *run)),
                }
            }
        })
        .await
    }

    async fn remove_moves(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        moves: &[(BatchId, Mark)],
    ) -> Result<usize, StoreError> {
        self.call(shard, |shard| {
            let before = shard.data.ring.moves.len();
            shard.data.ring.moves.retain(|(to, id), on_its_way| {
                let bears = |mark: &Mark| {
                    on_its_way.arrived.is_some_and(|(at, run)| (millis(at), run) == (mark.at, mark.owner))
                };
                to != owner || !moves.iter().any(|(removed, mark)| removed == id && bears(mark))
            });
            before - shard.data.ring.moves.len()
        })
        .await
    }

    async fn set_moves_aside(
        &self,
        shard: ShardIndex,
        _owner: &ShardName,
        _moves: &[Unreadable],
    ) -> Result<usize, StoreError> {
        // Nothing in memory is damaged.
        self.call(shard, |_| 0).await
    }

    async fn arrived(&self, shard: ShardIndex, moves: &[BatchId]) -> Result<(Vec<bool>, Incarnation), StoreError> {
        self.call(shard, |shard| {
            let has = |id: &BatchId| shard.data.applied.contains_key(&id.writer);
            (moves.iter().map(has).collect(), shard.incarnation())
        })
        .await
    }

    async fn land(&self, shard: ShardIndex, landing: &Landing<'_>) -> Result<Landed, StoreError> {
        self.call(shard, |shard| {
            let incarnation = shard.incarnation();
            shard.data.land(landing, incarnation)
        })
        .await
    }
}
