//! What a shard in memory knows of days, as tests of writers ask for it.

use super::MemoryStore;
use crate::day::Day;
use crate::page::PageId;
use crate::store::statistics::{PageDays, SiteDays};
use crate::store::{ShardIndex, StoreError};

impl MemoryStore {
    /// The days of a page.
    pub async fn page_days(
        &self,
        shard: ShardIndex,
        page: &PageId,
        first: Day,
        last: Day,
    ) -> Result<PageDays, StoreError> {
        let read = |shard: &mut super::Shard| {
            let record = shard.data.records.get(page).cloned().unwrap_or_default();
            let days = first.to(last).map(|day| shard.data.days.page_day(page, day)).collect();
            PageDays { total: record.total, bots: record.bots, days }
        };
        self.call(shard, read).await
    }

    /// The days of the site.
    pub async fn site_days(&self, shard: ShardIndex, first: Day, last: Day) -> Result<SiteDays, StoreError> {
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
}
