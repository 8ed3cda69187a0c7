//! Sketches that another shard should count, since the ring has changed.

use super::Run;
use super::pass::begins_anew;
use crate::store::rollup::{COPIED_AT_ONCE, DatedKey, Pass, RollUp, Scan, Sketch, SketchCopy, Stage};
use crate::store::{Incarnation, ShardIndex};
use std::collections::BTreeMap;

/// What is to be done about sketches whose owner has their content now.
#[derive(Debug, Default)]
struct Plan<'a> {
    /// To be marked: a minute runs from now.
    mark: Vec<(&'a Sketch, &'a SketchCopy)>,
    /// Their owner has had them for a minute.
    remove: Vec<(&'a Sketch, &'a SketchCopy)>,
    /// How many must wait.
    waiting: usize,
}

impl<S: RollUp> Run<'_, S> {
    /// Copies what is misplaced among some sketches, and removes what was copied a minute ago.
    pub(super) async fn move_slice(
        &self,
        shard: ShardIndex,
        pass: Pass,
        from: (u64, Incarnation),
        left: u64,
    ) -> Option<Pass> {
        let slice = self.slice(shard, Scan::Sketches, from.0).await?;
        if begins_anew(from, slice.run) {
            return Some(pass.at(Stage::MOVE));
        }
        let (run, next, first_kept) = (slice.run, slice.next, self.first_kept(pass.through));
        // Those of the present day are copied, too, but nobody waits for them: they change all the time.
        let mut owners: BTreeMap<(ShardIndex, bool), Vec<Sketch>> = BTreeMap::new();
        for key in slice.keys {
            let DatedKey::Visitors(sketch) = key else { continue };
            let owner = sketch.owner(self.ring);
            if owner != shard && sketch.day >= first_kept {
                owners.entry((owner, sketch.day <= pass.through)).or_default().push(sketch);
            }
        }
        let mut left = left;
        for ((owner, finished), sketches) in owners {
            for sketches in sketches.chunks(COPIED_AT_ONCE) {
                let waiting = self.hand_over(shard, owner, sketches).await?;
                left += if finished { waiting } else { 0 };
            }
        }
        match next {
            0 => self.after_the_last_slice(shard, pass, left).await,
            cursor => Some(pass.at(Stage::Move { cursor, run, left })),
        }
    }

    /// Another scan is for the next run, in a minute. Once a further day is over, what is left is moved with that: else
    /// an owner that is away would keep all others from counting.
    async fn after_the_last_slice(&self, shard: ShardIndex, pass: Pass, left: u64) -> Option<Pass> {
        if left == 0 || super::last_over(self.started, super::OVER_AFTER) > pass.through {
            return Some(pass.at(Stage::Moved));
        }
        self.advance(shard, Some(pass), pass.at(Stage::MOVE)).await;
        None
    }

    /// How many of these sketches are still here then.
    async fn hand_over(&self, shard: ShardIndex, owner: ShardIndex, sketches: &[Sketch]) -> Option<u64> {
        let found = self.answer(self.store.sketches(shard, sketches).await)?;
        let copies: Vec<(&Sketch, &SketchCopy)> =
            sketches.iter().zip(&found).filter_map(|(sketch, found)| Some((sketch, found.as_ref()?))).collect();
        if copies.is_empty() {
            return Some(0);
        }
        let Some((merged, run)) = self.answer(self.store.merge(owner, &copies).await) else {
            // The owner is away: the others get on meanwhile.
            return Some(copies.len() as u64);
        };
        let plan = self.plan(shard, &copies, &merged, run);
        if !plan.mark.is_empty() {
            self.answer(self.store.mark_copied(shard, &plan.mark, run).await)?;
            self.lock().sketches_copied += plan.mark.len();
        }
        let mut left = plan.mark.len() + plan.waiting;
        if !plan.remove.is_empty() {
            let removed = self.answer(self.store.remove_copied(shard, &plan.remove).await)?;
            self.lock().sketches_moved += removed;
            left += plan.remove.len() - removed.min(plan.remove.len());
        }
        Some(left as u64)
    }

    fn plan<'a>(
        &self,
        shard: ShardIndex,
        copies: &[(&'a Sketch, &'a SketchCopy)],
        merged: &[bool],
        run: Incarnation,
    ) -> Plan<'a> {
        let mut plan = Plan::default();
        for (&(sketch, copy), merged) in copies.iter().zip(merged) {
            match copy.copied {
                _ if !merged => {
                    let shard = self.ring.name(shard).as_str();
                    self.lines.write(|| {
                        tracing::error!(shard, %sketch, "a sketch, or what its owner has in its place, is damaged");
                    });
                    self.lock().sketches_rejected += 1;
                }
                Some(mark) if mark.owner == run && mark.age >= self.settings.timing.delivered_kept => {
                    plan.remove.push((sketch, copy));
                }
                Some(mark) if mark.owner == run => plan.waiting += 1,
                _ => plan.mark.push((sketch, copy)),
            }
        }
        plan
    }
}
