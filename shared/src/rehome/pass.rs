//! One shard's way, as far as it depends on no other.

use super::Run;
use crate::batch::{MAX_BATCH_PAGES, WriterId};
use crate::record::RecordName;
use crate::store::moving::{RejectedRecord, Take, Taken};
use crate::store::rehoming::{Cleaning, Pass, Rehoming, RingState, Stage};
use crate::store::{Incarnation, ShardIndex};
use futures_util::future::join_all;
use std::collections::BTreeMap;

/// Whether a scan that goes on at a cursor of one run was answered by another run of the server, which may pass over
/// records then.
fn begins_anew((cursor, of): (u64, Incarnation), answered: Incarnation) -> bool {
    cursor != 0 && of != answered
}

impl<S: Rehoming> Run<'_, S> {
    /// Moves the shard on until it must wait for others, for a minute, or for the next run.
    pub(super) async fn pass(&self, shard: ShardIndex) {
        while !self.is_over() {
            let Some(state) = self.answer(self.store.ring_state(shard).await) else { return };
            let Some(pass) = state.pass.filter(|_| self.is_moving(&state)) else { return };
            if !self.step(shard, &state, pass).await {
                return;
            }
        }
    }

    /// One step; whether there may be another.
    async fn step(&self, shard: ShardIndex, state: &RingState, pass: Pass) -> bool {
        if pass.late != state.late && !matches!(pass.stage, Stage::Take { .. }) {
            return self.advance(shard, pass, Pass::begin(state.late)).await;
        }
        match pass.stage {
            Stage::Take { cursor, run } => self.take_slice(shard, pass, (cursor, run)).await,
            Stage::Taken => self.after_the_last_move(shard, state, pass).await,
            Stage::Out { cursor, run } => {
                let Some(before) = state.tag else { return false };
                let cleaned = self.store.clean(shard, cursor, &Cleaning::Out { before }).await;
                let Some(cleaned) = self.answer(cleaned) else { return false };
                let next = match cleaned.next {
                    _ if begins_anew((cursor, run), cleaned.run) => Stage::OUT,
                    0 => Stage::Cleaned { at: state.now, run: cleaned.run },
                    cursor => Stage::Out { cursor, run: cleaned.run },
                };
                self.advance(shard, pass, pass.at(next)).await
            }
            Stage::In { cursor, run, kept } => self.clean_in(shard, pass, (cursor, run), kept).await,
            Stage::Cleaned { .. } | Stage::Done { .. } => false,
        }
    }

    /// Takes what is misplaced among some records.
    async fn take_slice(&self, shard: ShardIndex, pass: Pass, from: (u64, Incarnation)) -> bool {
        let Some(slice) = self.answer(self.store.scan_records(shard, from.0).await) else { return false };
        if begins_anew(from, slice.run) {
            return self.advance(shard, pass, pass.at(Stage::TAKE)).await;
        }
        let run = slice.run;
        for key in &slice.unreadable {
            let key = String::from_utf8_lossy(key);
            let shard = self.ring.name(shard).as_str();
            self.lines.write(|| tracing::error!(%key, shard, "a key among the records is no record's"));
        }
        let pages = slice.records.iter().filter(|record| matches!(record, RecordName::Page(_))).count();
        self.lock().pages_scanned += pages as u64;
        let takes = self.misplaced(shard, slice.records).into_iter();
        let takes = takes.map(|(owner, records)| self.take_all(shard, owner, records));
        if !join_all(takes).await.into_iter().all(|taken| taken) {
            return false;
        }
        match slice.next {
            0 => self.after_the_last_slice(shard, pass).await,
            cursor => self.advance(shard, pass, pass.at(Stage::Take { cursor, run })).await,
        }
    }

    /// The records that do not belong here, by the shard on which they do.
    fn misplaced(&self, shard: ShardIndex, records: Vec<RecordName>) -> BTreeMap<ShardIndex, Vec<RecordName>> {
        let mut owners: BTreeMap<ShardIndex, Vec<RecordName>> = BTreeMap::new();
        for record in records {
            let home = self.home(&record, shard);
            if home != shard {
                owners.entry(home).or_default().push(record);
            }
        }
        owners
    }

    /// Takes these records for their owner, as many at once as a script takes. Whether all of them were looked at.
    async fn take_all(&self, shard: ShardIndex, owner: ShardIndex, mut records: Vec<RecordName>) -> bool {
        while !records.is_empty() {
            let writer = match WriterId::random() {
                Ok(writer) => writer,
                Err(error) => {
                    tracing::error!(%error, "no move can be made");
                    return false;
                }
            };
            let rest = records.split_off(records.len().min(MAX_BATCH_PAGES));
            let take = Take { ring: self.fingerprint, owner: self.ring.name(owner).clone(), records, writer };
            match self.answer(self.store.take(shard, &take).await) {
                Some(Taken::Moved { looked_at, pages, visits, rejected }) => {
                    self.note_taken(shard, pages, visits, &rejected);
                    // One at least, also if a shard should say none: else this would have no end.
                    records = take.records.into_iter().skip(looked_at.max(1)).chain(rest).collect();
                }
                Some(Taken::Full | Taken::Superseded) | None => return false,
            }
        }
        true
    }

    fn note_taken(&self, shard: ShardIndex, pages: u64, visits: u64, rejected: &[RejectedRecord]) {
        let mut done = self.lock();
        done.pages_taken += pages;
        done.visits_taken += visits;
        done.records_rejected += rejected.len();
        drop(done);
        for RejectedRecord { record, reason, .. } in rejected {
            let shard = self.ring.name(shard).as_str();
            self.lines.write(|| tracing::error!(shard, %record, reason, "a record cannot be moved"));
        }
    }

    /// The pass is over if nothing came late since it began, which may lie behind where the pass has been. Else the next
    /// run looks again.
    async fn after_the_last_slice(&self, shard: ShardIndex, pass: Pass) -> bool {
        let Some(state) = self.answer(self.store.ring_state(shard).await) else { return false };
        let over = state.late == pass.late;
        let next = if over { pass.at(Stage::Taken) } else { Pass::begin(state.late) };
        self.advance(shard, pass, next).await && over
    }

    async fn after_the_last_move(&self, shard: ShardIndex, state: &RingState, pass: Pass) -> bool {
        let Some(owners) = self.answer(self.store.moving_owners(shard).await) else { return false };
        if !owners.is_empty() {
            return false;
        }
        let next = match state.tag {
            Some(_) => Stage::OUT,
            None => Stage::Cleaned { at: state.now, run: state.incarnation },
        };
        self.advance(shard, pass, pass.at(next)).await
    }

    async fn clean_in(&self, shard: ShardIndex, pass: Pass, from: (u64, Incarnation), kept: u64) -> bool {
        let Some(states) = self.states().await else { return false };
        // One of them may have begun to take again. What left a shard before the tag read here is over for good only if
        // that was so when it was read.
        if !states.iter().all(|state| self.out_is_gone(state)) {
            return false;
        }
        let tags = self.ring.shards().iter().zip(&states).filter_map(|(name, state)| Some((name.clone(), state.tag?)));
        let cleaned = self.store.clean(shard, from.0, &Cleaning::In { before: tags.collect() }).await;
        let Some(cleaned) = self.answer(cleaned) else { return false };
        let kept = kept + cleaned.kept;
        let next = match cleaned.next {
            _ if begins_anew(from, cleaned.run) => Stage::IN,
            0 => Stage::Done { kept },
            cursor => Stage::In { cursor, run: cleaned.run, kept },
        };
        self.advance(shard, pass, pass.at(next)).await
    }
}
