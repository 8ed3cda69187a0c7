//! Delivering some copies that one shard holds for one owner.

use super::Run;
use crate::batch::{BatchId, MAX_BATCH_PAGES, Sequence, WriterId};
use crate::page::PageId;
use crate::store::parking::{Mark, ParkedCopy, ParkedPage, Unreadable};
use crate::store::{Applied, Apply, Incarnation, Ledger, ShardIndex, Standing, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the owner's answers say about the copies.
#[derive(Default)]
struct Findings {
    /// They are applied, and bear no mark that would still hold.
    mark: Vec<(BatchId, Incarnation)>,
    /// They have been applied for long enough.
    remove: Vec<(BatchId, Mark)>,
    /// They can never be applied.
    aside: Vec<Unreadable>,
    /// Visits in those, as far as they can be read.
    lost: u64,
}

/// Delivers a page of copies; whether the owner answered for all of them.
pub(super) async fn deliver_page<S: Ledger>(
    run: &mut Run<'_, S>,
    shard: ShardIndex,
    owner: ShardIndex,
    page: ParkedPage,
) -> bool {
    let mut findings = Findings { aside: page.unreadable, ..Findings::default() };
    let mut all_tried = true;
    for (writer, copies) in calls(page.copies) {
        // Answers of the owner until now are noted below, so that the next run need not begin with the same copies.
        if run.down.contains(&owner) || run.is_over() {
            run.note_waiting(&copies);
            all_tried = false;
            continue;
        }
        run.done.copies_tried += copies.len();
        let batches = copies.iter().map(|copy| (Arc::clone(&copy.batch), copy.age)).collect();
        let here = |page: &PageId| run.ring.owner(page.as_str()) == owner;
        let placed_here = copies.iter().flat_map(|copy| copy.batch.increments()).all(|increment| here(&increment.page));
        let ring = placed_here.then_some(run.fingerprint);
        let call = Apply { writer, base: Sequence::FIRST, batches, standing: Standing::Delivered, ring };
        match run.store.apply(owner, &call).await {
            Ok(applied) => {
                let fresh = fresh_visits(&applied, &copies, |_| true);
                let counted = fresh.saturating_sub(applied.visits_rejected() + applied.refused);
                run.done.visits_delivered += counted;
                let healed = fresh_visits(&applied, &copies, |copy| copy.delivered.is_some());
                run.done.visits_healed += healed.min(counted);
                run.done.visits_lost += applied.visits_rejected();
                run.done.visits_refused += applied.refused;
                findings.learn(&applied, &copies, run);
            }
            Err(error) => {
                // An owner that refuses one writer's batches may take the next one's.
                if let StoreError::Refused { reason, .. } = &error {
                    findings.learn_of_refusal(reason, &copies);
                } else {
                    run.down.insert(owner);
                    run.note_waiting(&copies);
                    all_tried = false;
                }
                run.failed(&error);
            }
        }
    }
    note(run, shard, owner, findings).await;
    all_tried
}

/// The copies in calls of one writer each and of at most [`MAX_BATCH_PAGES`] pages, or a single batch.
pub(super) fn calls(copies: Vec<ParkedCopy>) -> Vec<(WriterId, Vec<ParkedCopy>)> {
    // A cursor may show a copy twice.
    let distinct: BTreeMap<BatchId, ParkedCopy> = copies.into_iter().map(|copy| (copy.id, copy)).collect();
    let mut calls: Vec<(WriterId, Vec<ParkedCopy>)> = Vec::new();
    for (id, copy) in distinct {
        match calls.last_mut() {
            Some((writer, call)) if *writer == id.writer && pages(call) + copy.batch.pages() <= MAX_BATCH_PAGES => {
                call.push(copy);
            }
            _ => calls.push((id.writer, vec![copy])),
        }
    }
    calls
}

fn visits(copies: &[ParkedCopy]) -> u64 {
    copies.iter().map(|copy| copy.batch.visits()).sum()
}

fn pages(copies: &[ParkedCopy]) -> usize {
    copies.iter().map(|copy| copy.batch.pages()).sum()
}

fn fresh_visits(applied: &Applied, copies: &[ParkedCopy], counts: impl Fn(&ParkedCopy) -> bool) -> u64 {
    let fresh = copies.iter().filter(|copy| applied.fresh.contains(&copy.id.sequence) && counts(copy));
    fresh.map(|copy| copy.batch.visits()).sum()
}

impl Findings {
    /// A key of another type where the writer's applied set belongs never changes by itself.
    fn learn_of_refusal(&mut self, reason: &str, copies: &[ParkedCopy]) {
        if reason.contains("WRONGTYPE") {
            let aside = |copy: &ParkedCopy| Unreadable {
                field: copy.id.to_string().into_bytes(),
                reason: format!("its owner refuses it: {reason}"),
            };
            self.aside.extend(copies.iter().map(aside));
            self.lost += visits(copies);
        }
    }

    fn learn<S>(&mut self, applied: &Applied, copies: &[ParkedCopy], run: &Run<'_, S>) {
        for copy in copies {
            let (id, sequence) = (copy.id, copy.id.sequence);
            match copy.delivered {
                _ if applied.expired.contains(&sequence) => {
                    let reason = format!("older than {:?}", run.timing.max_batch_age);
                    self.aside.push(Unreadable { field: id.to_string().into_bytes(), reason });
                    self.lost += copy.batch.visits();
                }
                // Applied only now, whatever a mark says: its owner had lost it.
                _ if applied.fresh.contains(&sequence) => self.mark.push((id, applied.incarnation)),
                // Or it may have, and somebody else has brought it again a moment ago.
                Some(mark) if mark.owner != applied.incarnation => self.mark.push((id, applied.incarnation)),
                None => self.mark.push((id, applied.incarnation)),
                Some(mark) if mark.age >= run.timing.delivered_kept => self.remove.push((id, mark)),
                Some(_) => {}
            }
        }
    }
}

/// Writes down at the copies what was found.
async fn note<S: Ledger>(run: &mut Run<'_, S>, shard: ShardIndex, owner: ShardIndex, findings: Findings) {
    let (store, owner) = (run.store, run.ring.name(owner));
    let Findings { mark, remove, aside, lost } = findings;
    if !mark.is_empty() {
        let marked = store.mark_delivered(shard, owner, &mark).await;
        run.answer(marked);
    }
    if !remove.is_empty() {
        let removed = store.remove_delivered(shard, owner, &remove).await;
        run.done.copies_removed += run.answer(removed).unwrap_or(0);
    }
    if !aside.is_empty() {
        for one in &aside {
            let (shard, copy) = (run.ring.name(shard).as_str(), String::from_utf8_lossy(&one.field));
            let reason = one.reason.as_str();
            run.lines.write(|| {
                tracing::error!(shard, owner = owner.as_str(), %copy, reason, "a parked copy cannot be delivered");
            });
        }
        let aside = store.set_aside(shard, owner, &aside).await;
        if let Some(aside) = run.answer(aside) {
            run.done.copies_set_aside += aside;
            run.done.visits_lost += lost;
        }
    }
}
