//! Delivering what was taken.

use super::Run;
use crate::batch::BatchId;
use crate::record::RecordName;
use crate::shard::ShardName;
use crate::store::moving::{Found, Landing, Move, MoveMarks};
use crate::store::parking::Mark;
use crate::store::rehoming::Rehoming;
use crate::store::{Incarnation, ShardIndex};
use futures_util::future::join_all;
use std::time::Duration;

/// Moves that are read and delivered side by side: some 4,000 fields, a hundred kilobytes.
const AT_ONCE: usize = 4;

/// What is to be done about the moves from one shard to another.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// To be noted as seen: a minute runs from now.
    see: Vec<BatchId>,
    /// To be delivered.
    land: Vec<BatchId>,
    /// Delivered a minute ago: if they still are, they may go.
    confirm: Vec<(BatchId, Mark)>,
    /// How many must wait.
    waiting: usize,
}

impl Plan {
    /// What the marks say; `run` is the present run of the server that they are on, `wait` a minute.
    fn new(marks: Vec<MoveMarks>, run: Incarnation, wait: Duration) -> Self {
        let mut plan = Self::default();
        for MoveMarks { id, seen, arrived } in marks {
            match (seen, arrived) {
                (_, Some(arrived)) if arrived.age >= wait => plan.confirm.push((id, arrived)),
                (_, Some(_)) => plan.waiting += 1,
                (Some(seen), None) if seen.owner == run && seen.age >= wait => plan.land.push(id),
                (Some(seen), None) if seen.owner == run => plan.waiting += 1,
                // It came through a restart, or is not known to have: only from now on it counts as there.
                _ => plan.see.push(id),
            }
        }
        plan
    }
}

/// A shard and the owner of moves on it.
#[derive(Clone, Copy)]
struct Way<'a> {
    from: ShardIndex,
    to: ShardIndex,
    owner: &'a ShardName,
}

impl<S: Rehoming> Run<'_, S> {
    /// Moves everything on that is on its way.
    pub(super) async fn deliver_moves(&self) {
        join_all((0..self.ring.len()).map(|from| self.deliver_from(from))).await;
    }

    async fn deliver_from(&self, from: ShardIndex) {
        let Some(owners) = self.answer(self.store.moving_owners(from).await) else { return };
        for (name, _) in owners {
            if let Some(to) = self.ring.index(&name) {
                self.deliver_to(Way { from, to, owner: self.ring.name(to) }).await;
            } else {
                self.lock().moves_waiting += 1;
                let shard = self.ring.name(from).as_str();
                tracing::error!(shard, owner = name, "records are on their way to a shard that is not configured");
            }
        }
    }

    async fn deliver_to(&self, way: Way<'_>) {
        let marks = self.store.move_marks(way.from, way.owner).await;
        let Some((marks, run)) = self.answer(marks) else { return };
        let mut plan = Plan::new(marks, run, self.timing.delivered_kept);
        self.lock().moves_waiting += plan.waiting + plan.see.len();
        if !plan.see.is_empty() {
            let seen: Vec<_> = plan.see.iter().map(|id| (*id, run)).collect();
            self.answer(self.store.mark_moves(way.from, way.owner, Found::Here, &seen).await);
        }
        for confirm in plan.confirm.chunks(crate::batch::MAX_BATCH_PAGES) {
            self.confirm(way, confirm, &mut plan.land).await;
        }
        for ids in plan.land.chunks(AT_ONCE) {
            if self.is_over() || !self.land(way, ids).await {
                return;
            }
        }
    }

    /// Deletes moves that their owner has had for a minute. One that it has lost again is delivered again.
    async fn confirm(&self, way: Way<'_>, moves: &[(BatchId, Mark)], land: &mut Vec<BatchId>) {
        let ids: Vec<BatchId> = moves.iter().map(|(id, _)| *id).collect();
        let Some((there, run)) = self.answer(self.store.arrived(way.to, &ids).await) else { return };
        let (mut remove, mut mark) = (Vec::new(), Vec::new());
        for ((id, arrived), there) in moves.iter().zip(there) {
            match there {
                false => land.push(*id),
                true if arrived.owner == run => remove.push((*id, *arrived)),
                true => mark.push((*id, run)),
            }
        }
        self.lock().moves_waiting += mark.len();
        if !mark.is_empty() {
            self.answer(self.store.mark_moves(way.from, way.owner, Found::AtOwner, &mark).await);
        }
        if !remove.is_empty() {
            let removed = self.answer(self.store.remove_moves(way.from, way.owner, &remove).await);
            self.lock().moves_removed += removed.unwrap_or(0);
        }
    }

    /// Delivers some moves. Whether their owner answered.
    async fn land(&self, way: Way<'_>, ids: &[BatchId]) -> bool {
        let Some(found) = self.answer(self.store.moves(way.from, way.owner, ids).await) else { return false };
        if !found.unreadable.is_empty() {
            for one in &found.unreadable {
                let (shard, id) = (self.ring.name(way.from).as_str(), String::from_utf8_lossy(&one.field));
                let (owner, reason) = (way.owner.as_str(), one.reason.as_str());
                self.lines.write(|| tracing::error!(shard, owner, %id, reason, "a move cannot be delivered"));
            }
            let aside = self.answer(self.store.set_moves_aside(way.from, way.owner, &found.unreadable).await);
            self.lock().moves_set_aside += aside.unwrap_or(0);
        }
        let landed = join_all(found.moves.iter().map(|content| self.land_one(way, content))).await;
        let arrived: Vec<_> = landed.iter().flatten().copied().collect();
        if !arrived.is_empty() {
            self.lock().moves_waiting += arrived.len();
            self.answer(self.store.mark_moves(way.from, way.owner, Found::AtOwner, &arrived).await);
        }
        landed.iter().all(Option::is_some)
    }

    async fn land_one(&self, way: Way<'_>, content: &Move) -> Option<(BatchId, Incarnation)> {
        let here = content.records.iter().all(|(record, _)| self.home(record, way.to) == way.to);
        let landing = Landing { source: self.ring.name(way.from), content, ring: here.then_some(self.fingerprint) };
        let landed = self.answer(self.store.land(way.to, &landing).await)?;
        let mut done = self.lock();
        if landed.fresh {
            done.moves_delivered += 1;
            let pages = content.records.iter().filter(|(record, _)| matches!(record, RecordName::Page(_)));
            done.pages_delivered += pages.count() as u64;
            done.records_rejected += landed.rejected.len();
        }
        drop(done);
        for rejected in landed.rejected {
            let (visits, shard) = (rejected.visits, way.owner.as_str());
            let (record, reason) = (rejected.record, rejected.reason);
            self.lines.write(|| tracing::error!(shard, %record, visits, reason, "visits could not be moved"));
        }
        Some((content.id, landed.incarnation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Sequence, WriterId};

    const MINUTE: Duration = Duration::from_mins(1);
    const NOW: Incarnation = Incarnation(2);
    const BEFORE: Incarnation = Incarnation(1);

    fn noted(owner: Incarnation, age: Duration) -> Mark {
        Mark { at: 0, owner, age }
    }

    #[test]
    fn a_move_is_delivered_only_after_a_minute_in_one_run_and_deleted_a_minute_after_it_arrived() {
        let id = BatchId { writer: WriterId::from_u128(1), sequence: Sequence::FIRST };
        let plan = |seen, arrived| Plan::new(vec![MoveMarks { id, seen, arrived }], NOW, MINUTE);
        let (young, old) = (Duration::from_secs(59), MINUTE);
        let see = Plan { see: vec![id], ..Plan::default() };
        let land = Plan { land: vec![id], ..Plan::default() };
        let wait = Plan { waiting: 1, ..Plan::default() };
        let confirm = |age| Plan { confirm: vec![(id, noted(BEFORE, age))], ..Plan::default() };
        assert_eq!(plan(None, None), see);
        assert_eq!(plan(Some(noted(BEFORE, old)), None), see);
        assert_eq!(plan(Some(noted(NOW, young)), None), wait);
        assert_eq!(plan(Some(noted(NOW, old)), None), land);
        assert_eq!(plan(Some(noted(NOW, old)), Some(noted(BEFORE, young))), wait);
        assert_eq!(plan(Some(noted(NOW, old)), Some(noted(BEFORE, old))), confirm(old));
    }
}
