//! What a shard in memory knows of the ring, and its records on their way.

mod calls;
mod moving;
mod pages;

use super::shard::Data;
use crate::applied::AppliedSet;
use crate::batch::{BatchId, Sequence};
use crate::clock::Moment;
use crate::page::PageId;
use crate::record::{RecordName, Tag};
use crate::ring::Fingerprint;
use crate::shard::ShardName;
use crate::store::moving::{Landed, Landing, Move, Take, Taken, visits as visits_of};
use crate::store::parking::Mark;
use crate::store::rehoming::{Cleaned, Cleaning, Pass, RecordSlice, RingState, Stage};
use crate::store::{Incarnation, Reading, Traces};
use std::collections::BTreeMap;
use std::hash::Hash as _;
use xxhash_rust::xxh3::Xxh3Default;

/// Records in a slice: few, so that tests meet several slices.
const SLICE: usize = 6;

/// Records that one take looks at: fewer still, so that tests meet takes that leave some to the next one.
const TAKEN: usize = 4;

#[derive(Clone, Debug)]
struct OnItsWay {
    content: Move,
    seen: Option<(Moment, Incarnation)>,
    arrived: Option<(Moment, Incarnation)>,
}

/// The shard's record, and what was taken from it.
#[derive(Clone, Debug, Default)]
pub(super) struct RingData {
    ring: Option<Fingerprint>,
    moving: bool,
    members: Vec<ShardName>,
    late: u64,
    pass: Option<Pass>,
    tag: Option<Tag>,
    moves: BTreeMap<(ShardName, BatchId), OnItsWay>,
}

impl RingData {
    pub(super) fn note_late(&mut self, ring: Option<Fingerprint>) {
        self.late += u64::from(self.ring.is_some() && self.ring != ring);
    }

    pub(super) fn settled(&mut self, ring: Fingerprint, members: &[ShardName]) {
        let pass = Some(Pass::begin(0).at(Stage::Done { kept: 0 }));
        *self = Self { ring: Some(ring), members: members.to_vec(), pass, ..Self::default() };
    }

    pub(super) fn moves(&self) -> usize {
        self.moves.len()
    }

    fn announce(&mut self, ring: Fingerprint, members: &[ShardName]) {
        self.members = members.to_vec();
        if self.ring != Some(ring) || !self.moving {
            (self.ring, self.moving) = (Some(ring), true);
            self.pass = Some(Pass::begin(self.late));
        }
    }

    fn advance(&mut self, ring: Fingerprint, from: Pass, to: Pass, now: u64) -> bool {
        let on_time = from.goes_on_to(to) || self.late == to.late;
        let known = self.ring == Some(ring) && self.moving && self.pass == Some(from) && on_time;
        let renews = matches!((from.stage, to.stage), (Stage::Taken, Stage::Out { .. }));
        if !known || (renews && !self.moves.is_empty()) {
            return false;
        }
        if renews {
            self.tag = Some(now.max(self.tag.map_or(0, |tag| tag + 1)));
        }
        self.pass = Some(to);
        true
    }

    fn settle(&mut self, ring: Fingerprint, from: Pass, members: &[ShardName]) -> bool {
        let settles = self.advance(ring, from, from, 0);
        if settles {
            self.moving = false;
            self.members = members.to_vec();
        }
        settles
    }

    fn state(&self, now: u64, incarnation: Incarnation) -> RingState {
        let Self { ring, moving, members, late, pass, tag, .. } = self.clone();
        RingState { ring, moving, members, late, pass, tag, now, incarnation }
    }

    fn of<'a>(&'a self, owner: &'a ShardName) -> impl Iterator<Item = (BatchId, &'a OnItsWay)> {
        self.moves.iter().filter(move |((to, _), _)| to == owner).map(|((_, id), on_its_way)| (*id, on_its_way))
    }
}

/// A clock's time as Redis would tell it.
pub(super) fn millis(now: Moment) -> u64 {
    now.epoch_millis()
}

pub(super) fn mark(noted: Option<(Moment, Incarnation)>, now: Moment) -> Option<Mark> {
    noted.map(|(at, owner)| Mark { at: millis(at), owner, age: now.since(at) })
}

impl Data {
    pub(super) fn read(&self, page: &PageId) -> Reading {
        let (total, bots) = self.records.get(page).map_or((0, 0), |record| (record.total, record.bots));
        Reading { total, bots, settled: self.ring.ring.filter(|_| !self.ring.moving) }
    }

    pub(super) fn traces(&self, page: &PageId) -> Traces {
        let record = self.records.get(page).cloned().unwrap_or_default();
        Traces { record, members: self.ring.members.clone() }
    }

    /// A slice of the records in the order of their hashes, which are its cursors: a record that goes moves no other.
    fn slice(&self, cursor: u64) -> RecordSlice {
        let pages = self.records.keys().cloned().map(RecordName::Page);
        let hashed = |name: RecordName| {
            let mut hasher = Xxh3Default::new();
            name.hash(&mut hasher);
            (hasher.digest(), name)
        };
        let names = pages.chain(self.days.names()).map(hashed);
        let mut rest: Vec<_> = names.filter(|(hash, _)| *hash > cursor).collect();
        rest.sort();
        let next = rest.get(SLICE).map_or(0, |_| rest[SLICE - 1].0);
        let records = rest.into_iter().take(SLICE).map(|(_, name)| name).collect();
        RecordSlice { records, next, ..RecordSlice::default() }
    }

    fn take(&mut self, take: &Take, now: Moment, incarnation: Incarnation) -> Taken {
        let taking = matches!(self.ring.pass, Some(Pass { stage: Stage::Take { .. }, .. }));
        if self.ring.ring != Some(take.ring) || !self.ring.moving || !taking {
            return Taken::Superseded;
        }
        let tag = *self.ring.tag.get_or_insert(millis(now));
        let (mut records, mut pages, mut visits) = (Vec::new(), 0, 0);
        let asked = take.records.iter().take(TAKEN);
        for name in asked.clone() {
            let fields = match name {
                RecordName::Page(page) => self.records.get_mut(page).map(|record| pages::take(record, tag)),
                _ => Some(self.days.take(name)),
            };
            let Some(fields) = fields.filter(|fields| !fields.is_empty()) else { continue };
            if matches!(name, RecordName::Page(_)) {
                (pages, visits) = (pages + 1, visits + visits_of(name, &fields));
            }
            records.push((name.clone(), fields));
        }
        if !records.is_empty() {
            let id = BatchId { writer: take.writer, sequence: Sequence::FIRST };
            let on_its_way =
                OnItsWay { content: Move { id, tag, records }, seen: Some((now, incarnation)), arrived: None };
            self.ring.moves.insert((take.owner.clone(), id), on_its_way);
        }
        Taken::Moved { looked_at: asked.count(), pages, visits, rejected: Vec::new() }
    }

    fn land(&mut self, landing: &Landing<'_>, incarnation: Incarnation) -> Landed {
        let Move { id, tag, records } = landing.content;
        if self.applied.contains_key(&id.writer) {
            return Landed { fresh: false, rejected: Vec::new(), incarnation };
        }
        self.applied.insert(id.writer, AppliedSet { floor: 1, ..AppliedSet::default() });
        let source = (landing.source.to_string(), *tag);
        for (name, fields) in records {
            match name {
                RecordName::Page(page) => {
                    pages::land(self.records.entry(page.clone()).or_default(), fields, &source);
                }
                _ => self.days.land(name, fields),
            }
        }
        self.ring.note_late(landing.ring);
        Landed { fresh: true, rejected: Vec::new(), incarnation }
    }

    fn clean(&mut self, cursor: u64, cleaning: &Cleaning, run: Incarnation) -> Cleaned {
        let RecordSlice { records, next, .. } = self.slice(cursor);
        let kept = records.iter().filter(|name| match name {
            RecordName::Page(page) => pages::clean(&mut self.records, page, cleaning),
            _ => true,
        });
        Cleaned { next, kept: kept.count() as u64, run }
    }
}
