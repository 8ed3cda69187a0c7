//! Copies parked on a shard in memory.

use crate::batch::{Batch, BatchId};
use crate::clock::Moment;
use crate::shard::ShardName;
use crate::store::Incarnation;
use crate::store::parking::{Mark, PARKED_BYTES, Park, Parked, ParkedCopy, ParkedPage, Unreadable};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Copies on a page: few, so that tests meet several pages.
const PAGE: usize = 3;

#[derive(Clone, Debug)]
struct Stored {
    /// From 1 in the order of their coming: a cursor that copies deleted meanwhile do not move.
    number: u64,
    batch: Arc<Batch>,
    sealed: Moment,
    delivered: Option<(u64, Incarnation, Moment)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ParkedCopies {
    owners: HashMap<ShardName, BTreeMap<BatchId, Stored>>,
    /// Bytes that a test has claimed to be taken.
    pub(super) claimed: u64,
    aside: Vec<Unreadable>,
    marks: u64,
    parked: u64,
}

impl ParkedCopies {
    pub(super) fn park(&mut self, park: &Park, incarnation: Incarnation, now: Moment) -> Parked {
        let size = |batch: &Batch| batch.encode().len() as u64;
        let copies = self.owners.entry(park.owner.clone()).or_default();
        let taken: u64 = copies.values().map(|stored| size(&stored.batch)).sum();
        let id = |batch: &Batch| BatchId { writer: park.writer, sequence: batch.sequence() };
        let new = park.batches.iter().filter(|(batch, _)| !copies.contains_key(&id(batch)));
        let more: u64 = new.map(|(batch, _)| size(batch)).sum();
        if self.claimed + taken + more > PARKED_BYTES {
            return Parked::Full;
        }
        for (batch, age) in &park.batches {
            self.parked += 1;
            let (number, sealed) = (self.parked, now.before(*age));
            let stored = Stored { number, batch: Arc::clone(batch), sealed, delivered: None };
            copies.entry(id(batch)).or_insert(stored);
        }
        Parked::Taken { incarnation, server_time: now.since_epoch() }
    }

    pub(super) fn owners(&self) -> Vec<(String, u64)> {
        let held = self.owners.iter().filter(|(_, copies)| !copies.is_empty());
        held.map(|(owner, copies)| (owner.to_string(), copies.len() as u64)).collect()
    }

    pub(super) fn page(&self, owner: &ShardName, cursor: u64, now: Moment) -> ParkedPage {
        let Some(copies) = self.owners.get(owner) else { return ParkedPage::default() };
        let mut rest: Vec<_> = copies.iter().filter(|(_, stored)| stored.number > cursor).collect();
        rest.sort_by_key(|(_, stored)| stored.number);
        let next = rest.get(PAGE).map_or(0, |_| rest[PAGE - 1].1.number);
        let copies = rest.into_iter().take(PAGE).map(|(id, stored)| ParkedCopy {
            id: *id,
            batch: Arc::clone(&stored.batch),
            age: now.since(stored.sealed),
            delivered: stored.delivered.map(|(at, owner, time)| Mark { at, owner, age: now.since(time) }),
        });
        ParkedPage { copies: copies.collect(), unreadable: Vec::new(), next }
    }

    pub(super) fn mark(&mut self, owner: &ShardName, copies: &[(BatchId, Incarnation)], now: Moment) {
        self.marks += 1;
        for (id, incarnation) in copies {
            if let Some(stored) = self.owners.get_mut(owner).and_then(|copies| copies.get_mut(id)) {
                stored.delivered = Some((self.marks, *incarnation, now));
            }
        }
    }

    pub(super) fn remove(&mut self, owner: &ShardName, marked: &[(BatchId, Mark)]) -> usize {
        let Some(copies) = self.owners.get_mut(owner) else { return 0 };
        let before = copies.len();
        for (id, mark) in marked {
            if copies.get(id).is_some_and(|stored| stored.delivered.is_some_and(|(at, ..)| at == mark.at)) {
                copies.remove(id);
            }
        }
        before - copies.len()
    }

    pub(super) fn set_aside(&mut self, owner: &ShardName, unreadable: &[Unreadable]) -> usize {
        let Some(copies) = self.owners.get_mut(owner) else { return 0 };
        let before = copies.len();
        for one in unreadable {
            let id = std::str::from_utf8(&one.field).ok().and_then(|field| field.parse().ok());
            if id.is_some_and(|id: BatchId| copies.remove(&id).is_some()) {
                self.aside.push(one.clone());
            }
        }
        before - copies.len()
    }

    pub(super) fn aside(&self) -> usize {
        self.aside.len()
    }

    pub(super) fn len(&self) -> usize {
        self.owners.values().map(BTreeMap::len).sum()
    }
}
