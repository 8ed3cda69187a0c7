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
use crate::budget::Budget;
use crate::clock::{Clock, Moment};
use crate::handoff::RejectedRecord;
use crate::record::Round;
use crate::ring::{Fingerprint, Ring};
use crate::shard::ShardName;
use crate::store::redis::RedisStore;
use crate::store::redis::keys::Key;
use crate::store::redis::rehoming::{RecordSlice, RingState, Stage, Taken};
use crate::store::{Ledger as _, ShardIndex, StoreError};
use crate::telemetry::Lines;
use crate::timing::Timing;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
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

/// The parts of a run.
struct Run<'a> {
    store: &'a RedisStore,
    ring: &'a Ring,
    fingerprint: Fingerprint,
    clock: &'a Clock,
    timing: Timing,
    started: Moment,
    budget: Budget,
    done: Mutex<Rehome>,
    lines: Lines,
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
    let (fingerprint, started, budget) = (ring.fingerprint(), clock.now(), budget.into());
    let (done, lines) = (Mutex::default(), Lines::default());
    let run = Run { store, ring, fingerprint, clock, timing, started, budget, done, lines };
    budget.cut_off("re-homing", run.change()).await;
    run.done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Run<'_> {
    async fn change(&self) {
        let Some(states) = self.states().await else { return };
        let missing = self.missing(&states);
        if !missing.is_empty() {
            self.lock().shards_missing = missing;
            return;
        }
        // As a rule. No shard is asked again.
        if self.is_settled(&states) {
            self.lock().ring_settled = true;
            return;
        }
        if let Some(round) = self.begin(&states).await {
            join_all((0..self.ring.len()).map(|shard| self.pass(shard, round))).await;
            self.end().await;
        }
        let states = self.states().await;
        self.lock().ring_settled = states.is_some_and(|states| self.is_settled(&states));
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
        let mut members: BTreeSet<ShardName> = states.iter().flat_map(|state| state.members.clone()).collect();
        members.extend(self.ring.shards().iter().cloned());
        let members: Vec<ShardName> = members.into_iter().collect();
        let begun = (0..self.ring.len()).map(|shard| self.store.begin_round(shard, self.fingerprint, round, &members));
        let begun: Vec<_> = join_all(begun).await.into_iter().map(|begun| self.answer(begun)).collect();
        begun.iter().all(|begun| *begun == Some(true)).then_some(round)
    }

    /// Moves the shard on until it must wait for others, for a minute, or for the next run.
    async fn pass(&self, shard: ShardIndex, round: Round) {
        while !self.is_over() {
            let Some(state) = self.answer(self.store.ring_state(shard).await) else { return };
            let is_here = (state.ring, state.round) == (Some(self.fingerprint), round);
            let ready = is_here
                && match state.stage {
                    Stage::Take => self.take(shard, &state).await,
                    Stage::Out => state.late == 0 && self.clean(shard, &state).await.is_some(),
                    // Its notes of what left may have come back.
                    Stage::Cleaned { run, .. } => state.late == 0 && state.taken && run != state.incarnation,
                    Stage::Settled => false,
                };
            if !ready || self.answer(self.store.advance(shard, &state).await) != Some(true) {
                return;
            }
        }
    }

    /// A slice of the shard's records, of the run of its server that `state` is of: another one may pass over some, or bring back
    /// what was done.
    async fn slice(&self, shard: ShardIndex, state: &RingState, from: u64) -> Option<RecordSlice> {
        if self.is_over() {
            return None;
        }
        self.answer(self.store.scan_records(shard, from).await).filter(|slice| slice.run == state.incarnation)
    }

    /// Takes what is misplaced. Whether all records were looked at.
    async fn take(&self, shard: ShardIndex, state: &RingState) -> bool {
        let mut next = Some(0);
        while let Some(from) = next {
            let Some(slice) = self.slice(shard, state, from).await else { return false };
            next = Some(slice.next).filter(|next| *next != 0);
            for key in &slice.unreadable {
                let (key, shard) = (String::from_utf8_lossy(key), self.ring.name(shard).as_str());
                self.lines.write(|| tracing::error!(%key, shard, "a key among the records is no record's"));
            }
            let pages = slice.records.iter().filter(|record| matches!(record, Key::Page(_))).count();
            self.lock().pages_scanned += pages as u64;
            let mut misplaced: BTreeMap<ShardIndex, Vec<Key>> = BTreeMap::new();
            for record in slice.records {
                let home = record.home(self.ring, shard);
                if home != shard {
                    misplaced.entry(home).or_default().push(record);
                }
            }
            let takes = misplaced.into_iter().map(|(owner, records)| self.take_for(shard, state, owner, records));
            if !join_all(takes).await.into_iter().all(|taken| taken) {
                return false;
            }
        }
        true
    }

    /// Takes these records for their owner, as many at once as a script takes. Whether all of them were looked at.
    async fn take_for(&self, shard: ShardIndex, state: &RingState, owner: ShardIndex, records: Vec<Key>) -> bool {
        let mut records = records.as_slice();
        while !records.is_empty() {
            let writer = match WriterId::random() {
                Ok(writer) => writer,
                Err(error) => {
                    tracing::error!(%error, "no envelope can be made");
                    return false;
                }
            };
            let id = BatchId { writer, sequence: Sequence::FIRST };
            let some = &records[..records.len().min(MAX_BATCH_PAGES)];
            match self.answer(self.store.take(shard, state, self.ring.name(owner), some, id).await) {
                Some(Taken::Moved { looked_at, pages, visits, rejected }) => {
                    let mut done = self.lock();
                    done.pages_taken += pages;
                    done.visits_taken += visits;
                    done.records_rejected += rejected.len();
                    drop(done);
                    for RejectedRecord { record, reason, .. } in rejected {
                        let shard = self.ring.name(shard).as_str();
                        self.lines.write(|| tracing::error!(shard, %record, reason, "a record cannot be moved"));
                    }
                    // One at least, also if a shard should say none: else this would have no end.
                    records = &records[looked_at.clamp(1, some.len())..];
                }
                Some(Taken::Full | Taken::Superseded) | None => return false,
            }
        }
        true
    }

    /// Deletes the notes that are over. Returns how many records are left; `None` unless it came to their end.
    async fn clean(&self, shard: ShardIndex, state: &RingState) -> Option<u64> {
        let (mut next, mut kept) = (Some(0), 0);
        while let Some(from) = next {
            let slice = self.slice(shard, state, from).await?;
            next = Some(slice.next).filter(|next| *next != 0);
            kept += self.answer(self.store.clean(shard, state, &slice.records).await).flatten()?;
        }
        Some(kept)
    }

    /// Ends the change, if no note of what left can come back on any shard.
    async fn end(&self) {
        let Some(states) = self.states().await else { return };
        if !self.is_one_round(&states) || !states.iter().all(|state| self.out_is_gone(state)) {
            return;
        }
        let cleaning = states.iter().enumerate().map(|(shard, state)| self.clean(shard, state));
        let kept: Option<Vec<u64>> = join_all(cleaning).await.into_iter().collect();
        let Some(kept) = kept else { return };
        let Some(members) = self.members(&kept).await else { return };
        for (shard, state) in states.iter().enumerate() {
            self.answer(self.store.settle(shard, state, &members).await);
        }
    }

    fn out_is_gone(&self, state: &RingState) -> bool {
        match state.stage {
            Stage::Cleaned { at, run } => {
                let age = Duration::from_millis(state.now.saturating_sub(at));
                !state.taken || (run == state.incarnation && age >= self.timing.delivered_kept)
            }
            // A shard gets there only when that was so of all.
            Stage::Settled => true,
            Stage::Take | Stage::Out => false,
        }
    }

    /// The shards that may hold something once all is done: all but the draining ones that are empty. `None` while one of
    /// those has visits that are not folded yet.
    async fn members(&self, kept: &[u64]) -> Option<Vec<ShardName>> {
        let outgoing = join_all((0..self.ring.len()).map(|shard| self.store.outgoing(shard))).await;
        let outgoing: Vec<_> = outgoing.into_iter().map(|boxes| self.answer(boxes)).collect::<Option<_>>()?;
        let mut members = Vec::new();
        for (shard, name) in self.ring.shards().iter().enumerate() {
            if self.ring.is_draining(shard) {
                if self.answer(self.store.has_journal(shard).await)? {
                    return None;
                }
                let is_for = |mailbox: &str| mailbox.split_once(':').is_some_and(|(_, owner)| owner == name.as_str());
                let waits = outgoing.iter().flatten().any(|(mailbox, _)| is_for(mailbox));
                if kept[shard] == 0 && outgoing[shard].is_empty() && !waits {
                    tracing::info!(shard = name.as_str(), "the draining shard is empty and may be removed");
                    continue;
                }
            }
            members.push(name.clone());
        }
        Some(members)
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
