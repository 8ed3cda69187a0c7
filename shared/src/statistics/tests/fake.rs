//! Shards that answer what a test has them answer, whatever days they are asked for.

use crate::batch::WriterId;
use crate::day::Day;
use crate::page::PageId;
use crate::record::PageRecord;
use crate::ring::{Fingerprint, Ring};
use crate::shard::ShardName;
use crate::store::statistics::{PageDays, Set, SetCount, SiteDays, Statistics};
use crate::store::{Reading, ShardIndex, Store, StoreError, Traces};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a shard says.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) settled: Option<Fingerprint>,
    pub(super) members: Vec<ShardName>,
    pub(super) record: PageRecord,
    pub(super) days: PageDays,
    pub(super) site: SiteDays,
    pub(super) top: Vec<(PageId, u64)>,
    pub(super) latency: Duration,
    pub(super) down: bool,
    /// It does what it is told, and its answer is lost.
    pub(super) answer_lost: bool,
    /// The days that the last change had it forget.
    pub(super) forgotten: Option<(Day, Day)>,
    asked: Vec<(usize, Option<String>)>,
    counts: HashMap<PageId, u64>,
    done: HashMap<WriterId, (u64, bool, u64)>,
}

#[derive(Clone, Debug)]
pub(super) struct Fake(Arc<Vec<Mutex<Part>>>);

impl Fake {
    pub(super) fn settled(ring: &Ring) -> Self {
        let part = || Mutex::new(Part { settled: Some(ring.fingerprint()), ..Part::default() });
        Self(Arc::new((0..ring.len()).map(|_| part()).collect()))
    }

    pub(super) fn edit<T>(&self, shard: ShardIndex, change: impl FnOnce(&mut Part) -> T) -> T {
        change(&mut self.0[shard].lock().unwrap())
    }

    /// What its top list was asked for: limits and texts.
    pub(super) fn asked(&self, shard: ShardIndex) -> Vec<(usize, Option<String>)> {
        self.edit(shard, |part| part.asked.clone())
    }

    pub(super) fn count(&self, shard: ShardIndex, page: &PageId) -> Option<u64> {
        self.edit(shard, |part| part.counts.get(page).copied())
    }

    fn answer<T>(&self, shard: ShardIndex, answer: impl FnOnce(&mut Part) -> T) -> Result<T, StoreError> {
        let reason = String::from("a test's");
        self.edit(shard, |part| {
            if part.down { Err(StoreError::Unreachable { shard: shard.to_string(), reason }) } else { Ok(answer(part)) }
        })
    }
}

impl Part {
    fn set(&mut self, call: SetCount<'_>) -> Set {
        let forget = call.forget.is_some();
        if let Some((count, forgot, previous)) = self.done.get(&call.id) {
            let same = (*count, *forgot) == (call.count, forget);
            return if same { Self::set_before(*previous, true) } else { Set::KeyTaken };
        }
        if self.settled != Some(call.ring) {
            return Set::Moving;
        }
        let previous = self.counts.insert(call.page.clone(), call.count).unwrap_or(0);
        self.done.insert(call.id, (call.count, forget, previous));
        self.forgotten = call.forget;
        Self::set_before(previous, false)
    }

    /// One visit in seven was a bot's.
    fn set_before(previous: u64, repeated: bool) -> Set {
        Set::Done { previous, previous_bots: previous / 7, repeated }
    }
}

impl Store for Fake {
    async fn read(&self, shard: ShardIndex, _: &PageId) -> Result<Reading, StoreError> {
        self.answer(shard, |part| Reading { total: part.days.total, bots: part.days.bots, settled: part.settled })
    }

    async fn traces(&self, shard: ShardIndex, _: &PageId) -> Result<Traces, StoreError> {
        self.answer(shard, |part| Traces { record: part.record.clone(), members: part.members.clone() })
    }

    async fn read_all(&self, _: ShardIndex, _: &[PageId]) -> Result<Vec<Result<Reading, StoreError>>, StoreError> {
        unreachable!("an owner asks for one page")
    }

    async fn writers(&self, _: ShardIndex) -> Result<HashMap<WriterId, Duration>, StoreError> {
        unreachable!("an owner asks for no writers")
    }

    async fn tidy(&self, _: ShardIndex) -> Result<usize, StoreError> {
        unreachable!("an owner tidies nothing")
    }
}

impl Statistics for Fake {
    async fn page_days(&self, shard: ShardIndex, _: &PageId, _: Day, _: Day) -> Result<PageDays, StoreError> {
        self.answer(shard, |part| part.days.clone())
    }

    async fn site_days(&self, shard: ShardIndex, _: Day, _: Day) -> Result<SiteDays, StoreError> {
        self.answer(shard, |part| part.site.clone())
    }

    async fn top_pages(
        &self,
        shard: ShardIndex,
        _: Day,
        _: Day,
        limit: usize,
        search: Option<&str>,
    ) -> Result<Vec<(PageId, u64)>, StoreError> {
        self.answer(shard, |part| {
            part.asked.push((limit, search.map(str::to_owned)));
            part.top.clone()
        })
    }

    async fn set_count(&self, shard: ShardIndex, call: SetCount<'_>) -> Result<Set, StoreError> {
        let (answer, lost) = self.answer(shard, |part| (part.set(call), part.answer_lost))?;
        let reason = String::from("a test's");
        if lost { Err(StoreError::Unknown { shard: shard.to_string(), reason }) } else { Ok(answer) }
    }

    async fn ping(&self, shard: ShardIndex) -> Result<Duration, StoreError> {
        self.answer(shard, |part| part.latency)
    }
}
