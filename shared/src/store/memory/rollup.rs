//! Finished days, on shards in memory. They have no top lists.

use super::MemoryStore;
use super::days::{DayRecords, OneDay};
use super::rehoming::mark;
use super::shard::Data;
use crate::clock::Moment;
use crate::day::{Day, Month};
use crate::store::rollup::{
    Counted, DatedKey, KeySlice, Pass, RollUp, Scan, Sketch, SketchCopy, Stage, Tidied, Tidying,
};
use crate::store::{Incarnation, ShardIndex, StoreError};
use crate::visit::Visitor;
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_64;

/// Keys in a slice: few, so that tests meet several slices.
const SLICE: usize = 2;

#[derive(Clone, Debug, Default)]
pub(super) struct RollupData {
    pass: Option<Pass>,
    copied: BTreeMap<Sketch, (String, Moment, Incarnation)>,
}

impl DayRecords {
    /// What there is of a day, made if it is not there.
    fn one(&mut self, sketch: &Sketch) -> &mut OneDay {
        match &sketch.page {
            Some(page) => self.pages.entry((page.clone(), sketch.day)).or_default(),
            None => self.site.entry(sketch.day).or_default(),
        }
    }

    pub(super) fn sketches(&self) -> impl Iterator<Item = (Sketch, &BTreeSet<Visitor>)> {
        let of_page = |((page, day), one): (&(_, Day), _)| (Sketch { day: *day, page: Some(Clone::clone(page)) }, one);
        let of_site = |(day, one): (&Day, _)| (Sketch { day: *day, page: None }, one);
        let all = self.pages.iter().map(of_page).chain(self.site.iter().map(of_site));
        all.map(|(sketch, one): (_, &OneDay)| (sketch, &one.visitors)).filter(|(_, visitors)| !visitors.is_empty())
    }

    fn sketch(&self, wanted: &Sketch) -> Option<SketchCopy> {
        let (_, visitors) = self.sketches().find(|(sketch, _)| sketch == wanted)?;
        let value: Vec<u8> = visitors.iter().flat_map(|visitor| visitor.0.to_be_bytes()).collect();
        let digest = format!("{:016x}", xxh3_64(&value));
        Some(SketchCopy { value, digest, copied: None })
    }

    fn drop_key(&mut self, key: &DatedKey) -> bool {
        let before = (self.pages.len(), self.site.len(), self.sketches().count());
        match key {
            DatedKey::Visitors(sketch) => self.one(sketch).visitors.clear(),
            DatedKey::Days(month, of) => self.pages.retain(|(page, day), _| page != of || day.month() != *month),
            DatedKey::Site(month) => self.site.retain(|day, _| day.month() != *month),
            _ => {}
        }
        before != (self.pages.len(), self.site.len(), self.sketches().count())
    }
}

impl Data {
    fn dated_keys(&self, scan: Scan) -> BTreeSet<DatedKey> {
        let days = &self.days;
        match scan {
            Scan::Sketches => days.sketches().map(|(sketch, _)| DatedKey::Visitors(sketch)).collect(),
            Scan::Kept => {
                let pages = days.pages.keys().map(|(page, day)| DatedKey::Days(day.month(), page.clone()));
                let site = days.site.keys().map(|day| DatedKey::Site(day.month()));
                pages.chain(site).chain(self.secrets.keys().copied().map(DatedKey::Secret)).collect()
            }
        }
    }

    /// In the order of their hashes, which are its cursors: a key that goes moves no other.
    fn slice_of_days(&self, scan: Scan, cursor: u64, run: Incarnation) -> KeySlice {
        let hashed = |key: DatedKey| (xxh3_64(key.to_string().as_bytes()), key);
        let keys = self.dated_keys(scan).into_iter().map(hashed);
        let rest: BTreeMap<u64, DatedKey> = keys.filter(|(hash, _)| *hash > cursor).collect();
        let next = if rest.len() > SLICE { rest.keys().nth(SLICE - 1).copied().unwrap_or(0) } else { 0 };
        KeySlice { keys: rest.into_values().take(SLICE).collect(), unreadable: Vec::new(), next, run }
    }

    fn advance_days(&mut self, from: Option<Pass>, to: Pass) -> bool {
        let known = self.rollup.pass == from;
        if known {
            self.rollup.pass = Some(to);
            if to.stage == Stage::Moved {
                self.rollup.copied.clear();
            }
        }
        known
    }
}

impl RollUp for MemoryStore {
    async fn tidy_days(&self, shard: ShardIndex, tidying: &Tidying) -> Result<Tidied, StoreError> {
        self.call(shard, |shard| {
            let secrets = &mut shard.data.secrets;
            let destroyed = tidying.destroy.iter().filter(|day| secrets.remove(day).is_some()).count();
            Tidied { destroyed, pass: shard.data.rollup.pass, ring: shard.data.ring.in_force() }
        })
        .await
    }

    async fn advance_days(&self, shard: ShardIndex, from: Option<Pass>, to: Pass) -> Result<bool, StoreError> {
        self.call(shard, |shard| shard.data.advance_days(from, to)).await
    }

    async fn scan_days(&self, shard: ShardIndex, scan: Scan, cursor: u64) -> Result<KeySlice, StoreError> {
        self.call(shard, |shard| shard.data.slice_of_days(scan, cursor, shard.incarnation())).await
    }

    async fn sketches(&self, shard: ShardIndex, sketches: &[Sketch]) -> Result<Vec<Option<SketchCopy>>, StoreError> {
        let now = self.clock.now();
        self.call(shard, |shard| {
            let Data { days, rollup, .. } = &shard.data;
            let found = sketches.iter().map(|sketch| {
                let copy = days.sketch(sketch)?;
                let noted = rollup.copied.get(sketch).filter(|(digest, ..)| *digest == copy.digest);
                Some(SketchCopy { copied: mark(noted.map(|(_, at, run)| (*at, *run)), now), ..copy })
            });
            found.collect()
        })
        .await
    }

    async fn merge(
        &self,
        shard: ShardIndex,
        sketches: &[(&Sketch, &SketchCopy)],
    ) -> Result<(Vec<bool>, Incarnation), StoreError> {
        self.call(shard, |shard| {
            for (sketch, copy) in sketches {
                let visitors = copy.value.as_chunks::<8>().0.iter().map(|bytes| Visitor(u64::from_be_bytes(*bytes)));
                shard.data.days.one(sketch).visitors.extend(visitors);
            }
            (vec![true; sketches.len()], shard.incarnation())
        })
        .await
    }

    async fn mark_copied(
        &self,
        shard: ShardIndex,
        sketches: &[(&Sketch, &SketchCopy)],
        run: Incarnation,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.call(shard, |shard| {
            for (sketch, copy) in sketches {
                shard.data.rollup.copied.insert((*sketch).clone(), (copy.digest.clone(), now, run));
            }
        })
        .await
    }

    async fn remove_copied(&self, shard: ShardIndex, sketches: &[(&Sketch, &SketchCopy)]) -> Result<usize, StoreError> {
        self.call(shard, |shard| {
            let days = &mut shard.data.days;
            let same = |days: &DayRecords, sketch, copy: &SketchCopy| {
                days.sketch(sketch).is_some_and(|found| found.digest == copy.digest)
            };
            let removed: Vec<&Sketch> =
                sketches.iter().filter(|(sketch, copy)| same(days, sketch, copy)).map(|(sketch, _)| *sketch).collect();
            for sketch in &removed {
                days.one(sketch).visitors.clear();
            }
            removed.len()
        })
        .await
    }

    async fn count(&self, shard: ShardIndex, sketches: &[Sketch]) -> Result<Counted, StoreError> {
        self.call(shard, |shard| {
            let mut counted = 0;
            for sketch in sketches {
                let one = shard.data.days.one(sketch);
                counted += usize::from(!one.visitors.is_empty());
                one.counted = one.counted.max(std::mem::take(&mut one.visitors).len() as u64);
            }
            Counted { counted, rejected: Vec::new() }
        })
        .await
    }

    async fn trim_finished(&self, shard: ShardIndex, _days: &[Day]) -> Result<(), StoreError> {
        self.call(shard, |_| ()).await
    }

    async fn list_month(&self, shard: ShardIndex, _month: Month) -> Result<(), StoreError> {
        self.call(shard, |_| ()).await
    }

    async fn drop_keys(&self, shard: ShardIndex, keys: &[DatedKey]) -> Result<usize, StoreError> {
        self.call(shard, |shard| {
            let Data { days, secrets, .. } = &mut shard.data;
            let gone = |key: &&DatedKey| match key {
                DatedKey::Secret(day) => secrets.remove(day).is_some(),
                key => days.drop_key(key),
            };
            keys.iter().filter(gone).count()
        })
        .await
    }
}
