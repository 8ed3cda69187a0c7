//! One shard's way, as far as it depends on no other.

use super::Run;
use crate::batch::{MAX_BATCH_PAGES, WriterId};
use crate::page::PageId;
use crate::shard::ShardName;
use crate::store::moving::{Take, Taken};
use crate::store::rehoming::{Cleaning, Pass, Rehoming, RingState, Stage};
use crate::store::{Incarnation, ShardIndex};
use futures_util::future::join_all;
use std::collections::BTreeMap;

/// Whether a scan that goes on at a cursor of one run was answered by another run of the server, which may pass over
/// pages then.
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

    /// Takes what is misplaced among some pages.
    async fn take_slice(&self, shard: ShardIndex, pass: Pass, from: (u64, Incarnation)) -> bool {
        let Some(slice) = self.answer(self.store.scan(shard, from.0).await) else { return false };
        if begins_anew(from, slice.run) {
            return self.advance(shard, pass, pass.at(Stage::TAKE)).await;
        }
        let run = slice.run;
        for key in &slice.unreadable {
            let key = String::from_utf8_lossy(key);
            tracing::error!(%key, shard = self.ring.name(shard).as_str(), "a key among the pages is no page's");
        }
        self.lock().pages_scanned += slice.pages.len() as u64;
        let calls = self.takes(shard, slice.pages);
        let answers = join_all(calls.iter().map(|call| self.store.take(shard, call))).await;
        for answer in answers {
            match self.answer(answer) {
                Some(Taken::Moved { pages, visits, rejected }) => {
                    let mut done = self.lock();
                    done.pages_taken += pages;
                    done.visits_taken += visits;
                    done.records_rejected += rejected.len();
                    drop(done);
                    for rejected in rejected {
                        let shard = self.ring.name(shard).as_str();
                        tracing::error!(shard, page = %rejected.page, reason = rejected.reason, "a record cannot be moved");
                    }
                }
                Some(Taken::Full | Taken::Superseded) | None => return false,
            }
        }
        match slice.next {
            0 => self.after_the_last_slice(shard, pass).await,
            cursor => self.advance(shard, pass, pass.at(Stage::Take { cursor, run })).await,
        }
    }

    /// The calls that take what is misplaced: for each owner, of so many pages as a script takes.
    fn takes(&self, shard: ShardIndex, pages: Vec<PageId>) -> Vec<Take> {
        let mut owners: BTreeMap<ShardName, Vec<PageId>> = BTreeMap::new();
        for page in pages {
            let owner = self.ring.owner(page.as_str());
            if owner != shard {
                owners.entry(self.ring.name(owner).clone()).or_default().push(page);
            }
        }
        let mut takes = Vec::new();
        for (owner, pages) in owners {
            for pages in pages.chunks(MAX_BATCH_PAGES) {
                match WriterId::random() {
                    Ok(writer) => {
                        takes.push(Take {
                            ring: self.fingerprint,
                            owner: owner.clone(),
                            pages: pages.to_vec(),
                            writer,
                        });
                    }
                    Err(error) => tracing::error!(%error, "no move can be made"),
                }
            }
        }
        takes
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
