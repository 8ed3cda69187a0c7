//! After a ring change: brings every record to the shard that it belongs on now, while visits come in and counts are
//! read: pages with their months to the page's owner, and what a draining shard has counted of the site to another one.
//!
//! 1. The ring is announced to all shards. From then on a read asks all of them, so nothing is taken before all know.
//! 2. Each shard's misplaced records are *taken*: emptied into moves that wait there, in one step.
//! 3. A move is delivered, exactly once, when it has been on its shard for a minute in one run of the server: else a
//!    crash could bring back what its owner counts already. It is deleted a minute after it was found on its owner.
//! 4. When nothing is left to take and to deliver, the notes of what left are cleaned up (`out`), and a minute later
//!    those of what came (`in`). Whichever is missing, a read takes nothing to be on its way (see `crate::record`).
//! 5. When all shards are done and nothing has come late, the ring is settled: a read asks the owner only.
//!
//! How far each shard has got is kept in the shard, so that any run goes on where another one stopped, and two at
//! once do no harm: what one does with old knowledge the shards refuse, or it changes nothing.

mod moves;
mod pass;
mod report;
#[cfg(test)]
mod tests;

pub use report::Rehome;

use crate::budget::Budget;
use crate::clock::{Clock, Moment};
use crate::record::RecordName;
use crate::ring::{Fingerprint, Ring};
use crate::shard::ShardName;
use crate::store::rehoming::{Pass, Rehoming, RingState, Stage};
use crate::store::{ShardIndex, StoreError};
use crate::telemetry::Lines;
use crate::timing::Timing;
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the parts of a run share.
struct Run<'a, S> {
    store: &'a S,
    ring: &'a Ring,
    fingerprint: Fingerprint,
    clock: &'a Clock,
    timing: Timing,
    started: Moment,
    budget: Budget,
    done: Mutex<Rehome>,
    lines: Lines,
}

/// One run, within `budget`. An unsettled change needs several, over some minutes.
pub async fn rehome<S: Rehoming>(
    store: &S,
    ring: &Ring,
    clock: &Clock,
    timing: Timing,
    budget: impl Into<Budget>,
) -> Rehome {
    let (fingerprint, started, budget) = (ring.fingerprint(), clock.now(), budget.into());
    let run = Run {
        store,
        ring,
        fingerprint,
        clock,
        timing,
        started,
        budget,
        done: Mutex::default(),
        lines: Lines::default(),
    };
    let steps = async {
        run.deliver_moves().await;
        run.change().await;
    };
    budget.cut_off("re-homing", steps).await;
    run.done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Rehoming> Run<'_, S> {
    /// Moves all shards on, as far as they get in this run.
    async fn change(&self) {
        if let Some(states) = self.states().await {
            let missing = self.missing(&states);
            if !missing.is_empty() {
                self.lock().shards_missing = missing;
                return;
            }
            // As a rule. Nobody is asked again.
            if states.iter().all(|state| self.is_settled(state)) {
                self.lock().ring_settled = true;
                return;
            }
            if self.announce(&states).await {
                self.move_on().await;
            }
        }
        let states = self.states().await;
        self.lock().ring_settled = states.is_some_and(|states| states.iter().all(|state| self.is_settled(state)));
    }

    async fn move_on(&self) {
        loop {
            join_all((0..self.ring.len()).map(|shard| self.pass(shard))).await;
            let Some(states) = self.states().await else { return };
            if self.is_over() || !self.turn(&states).await {
                return;
            }
        }
    }

    /// What every shard knows, or nothing if one does not answer.
    async fn states(&self) -> Option<Vec<RingState>> {
        let states = join_all((0..self.ring.len()).map(|shard| self.store.ring_state(shard))).await;
        states.into_iter().map(|state| self.answer(state)).collect::<Vec<_>>().into_iter().collect()
    }

    /// Shards that may hold something, and that the ring does not name.
    fn missing(&self, states: &[RingState]) -> Vec<String> {
        let members: BTreeSet<&str> = states.iter().flat_map(|state| &state.members).map(ShardName::as_str).collect();
        members.into_iter().filter(|member| self.ring.index(member).is_none()).map(str::to_owned).collect()
    }

    fn is_settled(&self, state: &RingState) -> bool {
        let on_time = state.pass.is_some_and(|pass| pass.late == state.late);
        state.ring == Some(self.fingerprint) && !state.moving && on_time
    }

    fn is_moving(&self, state: &RingState) -> bool {
        state.ring == Some(self.fingerprint) && state.moving
    }

    /// Has all shards know of the ring. Whether they do.
    async fn announce(&self, states: &[RingState]) -> bool {
        if states.iter().all(|state| self.is_moving(state)) {
            return true;
        }
        tracing::info!(ring = %self.fingerprint, "records are brought to their places under this ring");
        let mut members: BTreeSet<ShardName> = states.iter().flat_map(|state| state.members.clone()).collect();
        members.extend(self.ring.shards().iter().cloned());
        let members: Vec<ShardName> = members.into_iter().collect();
        let announced = (0..self.ring.len()).map(|shard| self.store.announce(shard, self.fingerprint, &members));
        let announced = join_all(announced).await;
        announced.into_iter().filter(|answer| self.answer(answer.clone()).is_none()).count() == 0
    }

    /// The steps that depend on more than one shard. Whether any was made.
    async fn turn(&self, states: &[RingState]) -> bool {
        let Some(passes) = states.iter().map(|state| state.pass).collect::<Option<Vec<Pass>>>() else { return false };
        if !states.iter().all(|state| self.is_moving(state)) {
            // Another run has settled it, or puts another ring in force.
            return false;
        }
        if states.iter().zip(&passes).any(|(state, pass)| state.late != pass.late) {
            // Somebody writes by another ring. Looking again at once, and again, would load the shards for nothing.
            return false;
        }
        let over = |pass: &Pass| matches!(pass.stage, Stage::Cleaned { .. } | Stage::In { .. } | Stage::Done { .. });
        if !passes.iter().all(over) {
            return self.wait_again(states, &passes).await;
        }
        if passes.iter().all(|pass| matches!(pass.stage, Stage::Done { .. })) {
            self.settle(&passes).await;
            return false;
        }
        self.begin_in(states, &passes).await
    }

    /// A shard has taken pages once more: notes of what came may be left when the others have cleaned theirs up.
    async fn wait_again(&self, states: &[RingState], passes: &[Pass]) -> bool {
        for (shard, (state, pass)) in states.iter().zip(passes).enumerate() {
            if matches!(pass.stage, Stage::In { .. } | Stage::Done { .. }) {
                let waits = Stage::Cleaned { at: state.now, run: state.incarnation };
                self.advance(shard, *pass, pass.at(waits)).await;
            }
        }
        false
    }

    /// Once no `out` can come back with a crash, the `in`s go. Whether that, or cleaning once more, has begun.
    async fn begin_in(&self, states: &[RingState], passes: &[Pass]) -> bool {
        let lasting = states.iter().all(|state| self.out_is_gone(state));
        let mut begun = false;
        for (shard, (state, pass)) in states.iter().zip(passes).enumerate() {
            let next = match pass.stage {
                Stage::Cleaned { run, .. } if state.tag.is_some() && run != state.incarnation => Stage::OUT,
                Stage::Cleaned { .. } if lasting => Stage::IN,
                _ => continue,
            };
            begun |= self.advance(shard, *pass, pass.at(next)).await;
        }
        begun
    }

    /// Whether no note of what left the shard before its present tag can come back: none was ever made, or they have
    /// been gone for a minute in one run of the server.
    fn out_is_gone(&self, state: &RingState) -> bool {
        let Some(pass) = state.pass.filter(|_| state.tag.is_some()) else { return true };
        match pass.stage {
            Stage::Cleaned { at, run } => {
                let age = Duration::from_millis(state.now.saturating_sub(at));
                run == state.incarnation && age >= self.timing.delivered_kept
            }
            // A shard gets there only when that was so of all.
            Stage::In { .. } | Stage::Done { .. } => true,
            Stage::Take { .. } | Stage::Taken | Stage::Out { .. } => false,
        }
    }

    async fn settle(&self, passes: &[Pass]) {
        let Some(members) = self.holders(passes).await else { return };
        for (shard, pass) in passes.iter().enumerate() {
            self.answer(self.store.settle(shard, self.fingerprint, *pass, &members).await);
        }
    }

    /// The shards that may hold something once all is done: all but the draining ones that are empty.
    async fn holders(&self, passes: &[Pass]) -> Option<Vec<ShardName>> {
        let parked = join_all((0..self.ring.len()).map(|shard| self.store.parked_owners(shard))).await;
        let parked: Vec<_> = parked.into_iter().map(|owners| self.answer(owners)).collect::<Option<_>>()?;
        let holds = |shard: ShardIndex| {
            let name = self.ring.name(shard).as_str();
            let kept = matches!(passes[shard].stage, Stage::Done { kept } if kept > 0);
            kept || !parked[shard].is_empty() || parked.iter().flatten().any(|(owner, _)| owner == name)
        };
        let mut members = Vec::new();
        for (shard, name) in self.ring.shards().iter().enumerate() {
            if !self.ring.is_draining(shard) || holds(shard) {
                members.push(name.clone());
            } else {
                tracing::info!(shard = name.as_str(), "the draining shard is empty and may be removed");
            }
        }
        Some(members)
    }

    /// The shard that a record belongs on which was found on shard `here`. Each shard that is not draining has records of
    /// the site, and keeps them.
    fn home(&self, record: &RecordName, here: ShardIndex) -> ShardIndex {
        let stays = record.is_of_site() && !self.ring.is_draining(here);
        if stays { here } else { self.ring.owner(record.placed_by()) }
    }

    async fn advance(&self, shard: ShardIndex, from: Pass, to: Pass) -> bool {
        self.answer(self.store.advance(shard, self.fingerprint, from, to).await).unwrap_or(false)
    }

    fn is_over(&self) -> bool {
        self.budget.is_over(self.started, self.clock.now())
    }

    /// The answer, or nothing for an error, which is counted and logged.
    fn answer<T>(&self, answer: Result<T, StoreError>) -> Option<T> {
        answer
            .inspect_err(|error| {
                self.lock().rehoming_calls_failed += 1;
                tracing::warn!(%error, "re-homing: a call failed");
            })
            .ok()
    }

    fn lock(&self) -> MutexGuard<'_, Rehome> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
