//! What a shard in memory knows besides totals.

use super::MemoryStore;
use crate::batch::WriterId;
use crate::day::Day;
use crate::page::PageId;
use crate::store::statistics::{PageDays, Set, SetCount, SiteDays, Statistics};
use crate::store::{ShardIndex, StoreError};
use std::collections::HashMap;
use std::time::Duration;

/// A call that has set a count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    count: u64,
    forget: bool,
    previous: u64,
    previous_bots: u64,
}

/// The calls that have set counts.
pub(super) type Calls = HashMap<WriterId, Done>;

impl Statistics for MemoryStore {
    async fn page_days(&self, shard: ShardIndex, page: &PageId, first: Day, last: Day) -> Result<PageDays, StoreError> {
        let read = |shard: &mut super::Shard| {
            let record = shard.data.records.get(page).cloned().unwrap_or_default();
            let days = first.to(last).map(|day| shard.data.days.page_day(page, day)).collect();
            PageDays { total: record.total, bots: record.bots, days }
        };
        self.call(shard, read).await
    }

    async fn site_days(&self, shard: ShardIndex, first: Day, last: Day) -> Result<SiteDays, StoreError> {
        let read = |shard: &mut super::Shard| {
            let (total, bots) = shard.data.days.site_totals();
            let mut site = SiteDays { total, bots, ..SiteDays::default() };
            for day in first.to(last) {
                site.days.push(shard.data.days.site_day(day));
                site.refused.add_all(shard.data.days.refused(day));
            }
            site
        };
        self.call(shard, read).await
    }

    async fn top_pages(
        &self,
        shard: ShardIndex,
        first: Day,
        last: Day,
        limit: usize,
        search: Option<&str>,
    ) -> Result<Vec<(PageId, u64)>, StoreError> {
        let search = search.unwrap_or_default().to_ascii_lowercase();
        let read = |shard: &mut super::Shard| {
            let mut pages = shard.data.days.people(first, last);
            pages.retain(|(page, people)| *people > 0 && page.as_str().to_ascii_lowercase().contains(&search));
            pages.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
            pages.truncate(limit);
            pages
        };
        self.call(shard, read).await
    }

    async fn set_count(&self, shard: ShardIndex, call: SetCount<'_>) -> Result<Set, StoreError> {
        let set = |shard: &mut super::Shard| {
            let forget = call.forget.is_some();
            if let Some(done) = shard.data.set_calls.get(&call.id) {
                if (done.count, done.forget) != (call.count, forget) {
                    return Set::KeyTaken;
                }
                let Done { previous, previous_bots, .. } = *done;
                return Set::Done { previous, previous_bots, repeated: true };
            }
            if shard.data.ring.settled_ring() != Some(call.ring) {
                return Set::Moving;
            }
            let record = shard.data.records.entry(call.page.clone()).or_default();
            let (previous, previous_bots) = (record.total, record.bots);
            (record.total, record.bots) = (call.count, 0);
            if let Some((first, last)) = call.forget {
                shard.data.days.forget(call.page, first, last);
            }
            let done = Done { count: call.count, forget, previous, previous_bots };
            shard.data.set_calls.insert(call.id, done);
            Set::Done { previous, previous_bots, repeated: false }
        };
        self.call(shard, set).await
    }

    async fn ping(&self, shard: ShardIndex) -> Result<Duration, StoreError> {
        self.call(shard, |_| Duration::from_micros(100)).await
    }
}
