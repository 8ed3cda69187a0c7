//! Re-homing, after a ring change: brings every record to the shard that it belongs on now, while visits come in and counts are
//! read: pages with their months to the page's owner, and what a draining shard has counted of the site to another one.
//!
//! A change is a *round*, which all shards go through together. Each shard keeps the round, the ring and its [`Stage`]:
//!
//! 1. `Take`: the round begins on all shards. From then on a read asks all of them, so nothing is taken before all know.
//!    Misplaced records are *taken*: emptied into envelopes in one step, which `crate::handoff` delivers. The page keeps a
//!    note of what left in this round, and the owner's page one of what came. A shard is past this stage after a scan from beginning
//!    to end, if no envelope is left here and nothing came late meanwhile.
//! 2. `Out`: the notes of what left are deleted.
//! 3. `Cleaned`: when all shards have been here for a minute, each in one run of its server, no note of what left can come back
//!    with a crash. Then the notes of what came are deleted on all, and
//! 4. `Settled`: a read asks the owner only.
//!
//! Where something comes late after the first stage, by an environment with an old ring, or where a crash threw a shard back into an
//! earlier round, a new round begins. Nothing else is kept: a run that ends early begins its scan again, which finds little then. Two
//! runs at once do no harm: a shard refuses what is done with old knowledge.

use crate::batch::{BatchId, MAX_BATCH_PAGES, Sequence, WriterId};
use crate::budget::{Budget, Step, Walk};
use crate::clock::{Clock, Timing};
use crate::handoff::{Mailbox, RejectedRecord};
use crate::record::Round;
use crate::ring::{Fingerprint, Ring};
use crate::shard::ShardName;
use crate::store::redis::RedisStore;
use crate::store::redis::keys::Key;
use crate::store::redis::pages::Scan;
use crate::store::redis::rehoming::{RingState, Stage, Taken};
use crate::store::{Ledger as _, ShardIndex};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Statistics of one run of re-homing, and what is left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehome {
    /// Every record is where the ring places it, and all shards know.
    pub ring_settled: bool,
    /// Pages that were looked at.
    pub pages_scanned: u64,
    /// Pages that were taken from shards that do not own them.
    pub pages_taken: u64,
    /// Visits that they counted.
    pub visits_taken: u64,
    /// Records that hold something else than visits. An operator must look at them.
    pub records_rejected: usize,
    /// Shards that may hold something, and that are not configured: pages cannot be brought to their places before they are.
    pub shards_missing: Vec<String>,
    /// Calls that failed.
    pub rehoming_calls_failed: usize,
}

impl Rehome {
    /// Returns what to tell the operator who took shards off the list too early; `None` if all are on it.
    pub fn refusal(&self) -> Option<String> {
        let names = self.shards_missing.join(", ");
        (!self.shards_missing.is_empty()).then(|| {
            format!(
                "REDIS_ENDPOINTS does not name {names}, which may still hold counts or be waited for: \
                 list it again with ;weight=0 until flush-visits says that it is empty and may be removed"
            )
        })
    }
}

/// A run under way.
struct Run<'a> {
    step: Step<'a, RedisStore, Rehome>,
    fingerprint: Fingerprint,
    timing: Timing,
}

/// Moves all shards on, as far as they get within `budget`. A ring change needs several runs, over some minutes; what it took is
/// delivered by [`crate::handoff::deliver`].
pub async fn rehome(
    store: &RedisStore,
    ring: &Ring,
    clock: &Clock,
    timing: Timing,
    budget: impl Into<Budget>,
) -> Rehome {
    let step = Step::new("re-homing", (store, ring, clock), budget);
    let run = Run { step, fingerprint: ring.fingerprint(), timing };
    run.step.run(run.change()).await;
    let (done, rehoming_calls_failed) = run.step.end();
    Rehome { rehoming_calls_failed, ..done }
}

impl Run<'_> {
    async fn change(&self) -> Option<()> {
        let states = self.states().await?;
        let members: BTreeSet<&str> = states.iter().flat_map(|state| &state.members).map(ShardName::as_str).collect();
        let missing: Vec<&str> = members.into_iter().filter(|member| self.step.ring.index(member).is_none()).collect();
        if !missing.is_empty() {
            self.step.done().shards_missing = missing.into_iter().map(str::to_owned).collect();
            return None;
        }
        // As a rule. No shard is asked again.
        if self.is_settled(&states) {
            self.step.done().ring_settled = true;
            return Some(());
        }
        if let Some(round) = self.begin(&states).await {
            join_all(self.step.shards().map(|shard| self.pass(shard, round))).await;
            self.end().await;
        }
        let states = self.states().await?;
        self.step.done().ring_settled = self.is_settled(&states);
        Some(())
    }

    /// Returns what every shard knows; `None` if one does not answer.
    async fn states(&self) -> Option<Vec<RingState>> {
        self.step.all(self.step.shards().map(|shard| self.step.store.ring_state(shard))).await
    }

    fn is_settled(&self, states: &[RingState]) -> bool {
        self.is_one_round(states) && states.iter().all(|state| !state.is_moving())
    }

    /// Whether all shards are in one round, under this ring, and nothing has come late.
    fn is_one_round(&self, states: &[RingState]) -> bool {
        let same = |state: &RingState| (state.ring, state.round) == (Some(self.fingerprint), states[0].round);
        states.iter().all(|state| same(state) && state.late == 0)
    }

    /// Has all shards in one round, a new one if need be. Returns it; `None` if a shard does not take part.
    async fn begin(&self, states: &[RingState]) -> Option<Round> {
        let highest = states.iter().map(|state| state.round).max()?;
        let in_highest = || states.iter().filter(|state| state.round == highest);
        let foreign = in_highest().any(|state| state.ring != Some(self.fingerprint));
        let late = in_highest().any(|state| state.stage != Stage::Take && state.late > 0);
        let mixed = states.iter().any(|state| state.round != highest);
        // Nothing may be taken in a round in which a shard is settled: its readers trust it.
        let over = mixed && in_highest().any(|state| !state.is_moving());
        let round = if foreign || late || over { highest + 1 } else { highest };
        if round == highest && !mixed {
            return Some(round);
        }
        tracing::info!(ring = %self.fingerprint, round, "records are brought to their places under this ring");
        let Step { store, ring, .. } = self.step;
        let members = states.iter().flat_map(|state| &state.members).chain(ring.shards());
        let members: Vec<ShardName> = members.collect::<BTreeSet<_>>().into_iter().cloned().collect();
        let new = &RingState { ring: Some(self.fingerprint), round, ..RingState::default() };
        let begun = self.step.shards().map(|shard| store.advance(shard, new, Stage::Take, &members));
        self.step.all(begun).await?.iter().all(|begun| *begun).then_some(round)
    }

    /// Moves the shard on until it must wait for others, for a minute, or for the next run.
    async fn pass(&self, shard: ShardIndex, round: Round) -> Option<()> {
        let store = self.step.store;
        while !self.step.is_over() {
            let state = self.step.answer(store.ring_state(shard).await)?;
            if (state.ring, state.round) != (Some(self.fingerprint), round) {
                return None;
            }
            let next = match state.stage {
                Stage::Take => self.take(shard, &state).await.map(|()| Stage::Out),
                Stage::Out if state.late == 0 => self.clean(shard, &state).await.map(|_| Stage::Cleaned),
                // Its notes of what left may have come back.
                Stage::Cleaned if state.late == 0 && state.taken && state.cleaned.1 != state.server_run => {
                    Some(Stage::Out)
                }
                Stage::Out | Stage::Cleaned | Stage::Settled => None,
            };
            if !self.step.answer(store.advance(shard, &state, next?, &[]).await)? {
                return None;
            }
        }
        None
    }

    /// Takes what is misplaced. `None` unless all records were looked at.
    async fn take(&self, shard: ShardIndex, state: &RingState) -> Option<()> {
        let mut walk = Walk::new(shard, Scan::Records, Some(state.server_run));
        while let Some((records, _)) = self.step.next(&mut walk).await? {
            let pages = records.iter().filter(|record| matches!(record, Key::Page(_))).count();
            self.step.done().pages_scanned += pages as u64;
            let mut misplaced: BTreeMap<ShardIndex, Vec<Key>> = BTreeMap::new();
            for record in records {
                let home = record.home(self.step.ring, shard);
                if home != shard {
                    misplaced.entry(home).or_default().push(record);
                }
            }
            let takes = misplaced.into_iter().map(|(owner, records)| self.take_for(shard, state, owner, records));
            join_all(takes).await.into_iter().collect::<Option<()>>()?;
        }
        Some(())
    }

    /// Takes these records for their owner, as many at once as a script takes. `None` unless all of them were looked at.
    async fn take_for(&self, shard: ShardIndex, state: &RingState, owner: ShardIndex, records: Vec<Key>) -> Option<()> {
        let (step, mut records) = (&self.step, records.as_slice());
        while !records.is_empty() {
            let writer =
                WriterId::random().inspect_err(|error| tracing::error!(%error, "no envelope can be made")).ok()?;
            let id = BatchId { writer, sequence: Sequence::FIRST };
            let some = &records[..records.len().min(MAX_BATCH_PAGES)];
            let taken = step.store.take(shard, state, step.ring.name(owner), some, id).await;
            let Taken { looked_at, pages, visits, rejected } = step.answer(taken)??;
            let mut done = step.done();
            done.pages_taken += pages;
            done.visits_taken += visits;
            done.records_rejected += rejected.len();
            drop(done);
            for RejectedRecord { record, reason, .. } in rejected {
                let shard = step.name(shard);
                step.lines.write(|| tracing::error!(shard, %record, reason, "a record cannot be moved"));
            }
            // One at least, also if a shard should say none: else this would have no end.
            records = &records[looked_at.clamp(1, some.len())..];
        }
        Some(())
    }

    /// Deletes the notes that are over. Returns how many records are left; `None` unless it came to their end.
    async fn clean(&self, shard: ShardIndex, state: &RingState) -> Option<u64> {
        let (mut walk, mut kept) = (Walk::new(shard, Scan::Records, Some(state.server_run)), 0);
        while let Some((records, _)) = self.step.next(&mut walk).await? {
            kept += self.step.answer(self.step.store.clean(shard, state, &records).await)??;
        }
        Some(kept)
    }

    /// Ends the change, if no note of what left can come back on any shard.
    async fn end(&self) -> Option<()> {
        let states = self.states().await?;
        if !self.is_one_round(&states) || !states.iter().all(|state| self.out_is_gone(state)) {
            return None;
        }
        let cleaning = states.iter().enumerate().map(|(shard, state)| self.clean(shard, state));
        let kept: Vec<u64> = join_all(cleaning).await.into_iter().collect::<Option<_>>()?;
        let members = self.members(&kept).await?;
        for (shard, state) in states.iter().enumerate() {
            self.step.answer(self.step.store.advance(shard, state, Stage::Settled, &members).await);
        }
        Some(())
    }

    fn out_is_gone(&self, state: &RingState) -> bool {
        match state.stage {
            Stage::Cleaned => {
                let (at, run) = state.cleaned;
                let age = Duration::from_millis(state.now.saturating_sub(at));
                !state.taken || (run == state.server_run && age >= self.timing.delivered_kept)
            }
            // A shard gets there only when that was so of all.
            Stage::Settled => true,
            Stage::Take | Stage::Out => false,
        }
    }

    /// Returns the shards that may hold something once all is done: all but the draining ones that are empty. `None` while
    /// one of those has visits that are not folded yet.
    async fn members(&self, kept: &[u64]) -> Option<Vec<ShardName>> {
        let Step { store, ring, .. } = self.step;
        let outgoing = self.step.all(self.step.shards().map(|shard| store.outgoing(shard))).await?;
        let mut members = Vec::new();
        for (shard, name) in ring.shards().iter().enumerate() {
            if ring.is_draining(shard) {
                if !self.step.answer(store.journal(shard, None, None, 1).await)?.is_empty() {
                    return None;
                }
                let is_for = |(mailbox, _): &(String, u64)| Mailbox::named(mailbox).is_some_and(|to| to.owner == *name);
                let waits = outgoing.iter().flatten().any(is_for);
                if kept[shard] == 0 && outgoing[shard].is_empty() && !waits {
                    tracing::info!(shard = name.as_str(), "the draining shard is empty and may be removed");
                    continue;
                }
            }
            members.push(name.clone());
        }
        Some(members)
    }
}
