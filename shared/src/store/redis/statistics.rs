//! What a shard knows besides totals, in Redis.

mod days;

use super::cluster::Connection;
use super::script::{LazyScript, millis, with_checks};
use super::{RedisStore, Shard};
use crate::day::{Day, Month};
use crate::page::PageId;
use crate::ring::Fingerprint;
use crate::store::statistics::{PageDays, SET_ID_KEPT, Set, SetCount, SiteDays, Statistics};
use crate::store::{ShardIndex, StoreError};
use redis::{AsyncCommands, Script};
use std::time::{Duration, Instant};

/// Version of the layout of the arguments of `set.lua`.
const FORMAT: &str = "1";

/// Windows up to this long are added up from the lists of their days; of longer ones, those of whole months are taken: thirty
/// lists fewer for each.
const BY_DAY: u32 = 35;

#[derive(Debug)]
pub(super) struct StatisticsScripts {
    top: LazyScript,
    set: LazyScript,
    delete: LazyScript,
}

impl StatisticsScripts {
    pub(super) fn new() -> Self {
        Self {
            top: LazyScript::new(|| Script::new(include_str!("top.lua"))),
            set: LazyScript::new(|| Script::new(with_checks!("set.lua"))),
            delete: LazyScript::new(|| Script::new(include_str!("delete_pages.lua"))),
        }
    }
}

/// A part of a window: one day, or a whole month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Day(Day),
    Month(Month),
}

/// The parts of a window, the first one first.
fn parts(first: Day, last: Day) -> Vec<Part> {
    let by_day = last.number().saturating_sub(first.number()) < BY_DAY;
    let mut parts = Vec::new();
    let mut next = first;
    while next <= last {
        let month = next.month();
        let (part, end) = if by_day || next.of_month() > 1 || month.last() > last {
            (Part::Day(next), next)
        } else {
            (Part::Month(month), month.last())
        };
        parts.push(part);
        if end == last {
            break;
        }
        next = end.plus(1);
    }
    parts
}

impl RedisStore {
    async fn top(
        &self,
        shard: &Shard,
        (first, last): (Day, Day),
        limit: usize,
        search: &str,
    ) -> Result<Vec<(PageId, u64)>, StoreError> {
        let call = |mut redis: Connection| {
            let mut script = self.statistics.top.prepare_invoke();
            script.arg(limit).arg(search);
            for part in parts(first, last) {
                match part {
                    Part::Day(day) => {
                        script.key(shard.keys.top(day)).arg(0);
                    }
                    Part::Month(month) => {
                        script.key(shard.keys.top_month(month)).arg(month.last().of_month());
                        for day in month.first().to(month.last()) {
                            script.key(shard.keys.top(day));
                        }
                    }
                }
            }
            async move { script.invoke_async::<Vec<(String, u64)>>(&mut redis).await }
        };
        let found = self.with_shard(shard, call).await?;
        // A name that is no page id is somebody else's.
        Ok(found.into_iter().filter_map(|(id, people)| Some((PageId::from_decoded(&id).ok()?, people))).collect())
    }

    async fn set(&self, shard: &Shard, set: SetCount<'_>) -> Result<Set, StoreError> {
        let what = set.forget.map_or_else(|| set.count.to_string(), |_| format!("{} and forget", set.count));
        let call = |mut redis: Connection| {
            let mut script = self.statistics.set.prepare_invoke();
            script.key(shard.keys.applied(&set.id)).key(shard.keys.sets()).key(shard.keys.shard());
            script.key(shard.keys.page(set.page));
            if let Some((first, last)) = set.forget {
                name_forgotten(&mut script, shard, set.page, first, last);
            }
            script.arg(FORMAT).arg(set.id.to_string()).arg(millis(SET_ID_KEPT)).arg(set.ring.to_string());
            script.arg(set.count).arg(set.page.as_str()).arg(&what);
            async move { script.invoke_async::<(i64, u64, u64)>(&mut redis).await }
        };
        Ok(match self.with_shard(shard, call).await? {
            (-1, ..) => Set::KeyTaken,
            (0, ..) => Set::Moving,
            (done, previous, previous_bots) => Set::Done { previous, previous_bots, repeated: done == 2 },
        })
    }
}

/// Most keys of one script: what `ElastiCache` Serverless takes, with some room.
const MAX_KEYS: usize = 3_900;

/// Most pages that are deleted in one step, which takes a server a few milliseconds.
const DELETED_AT_ONCE: usize = 100;

/// Pages that were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Pages that had a count.
    pub pages: u64,
    /// Their visits.
    pub visits: u64,
}

impl RedisStore {
    /// Deletes pages that the shard owns by `ring`, with their days, visitors and places in the top lists from `first` to
    /// `last`, in steps that each leave room for visits. The site's sums stay as they are. `None`: pages are moving, and the
    /// rest is not deleted. Safe to repeat, and works on a server whose memory is full.
    pub async fn delete_pages(
        &self,
        shard: ShardIndex,
        ring: Fingerprint,
        pages: &[PageId],
        (first, last): (Day, Day),
    ) -> Result<Option<Deleted>, StoreError> {
        let shard = &self.shards[shard];
        let days = || first.to(last);
        let months: Vec<Month> = days().filter(|day| *day == first || day.of_month() == 1).map(Day::month).collect();
        let lists =
            days().map(|day| shard.keys.top(day)).chain(months.iter().map(|month| shard.keys.top_month(*month)));
        let lists: Vec<String> = lists.collect();
        let sketches: Vec<Day> = days().filter(|day| *day >= last.minus(days::IN_SKETCHES)).collect();
        let at_once = MAX_KEYS.saturating_sub(lists.len()) / (1 + months.len() + sketches.len());
        let mut deleted = Deleted::default();
        for pages in pages.chunks(at_once.clamp(1, DELETED_AT_ONCE)) {
            let call = |mut redis: Connection| {
                let mut script = self.statistics.delete.key(shard.keys.shard());
                script.arg(ring.to_string()).arg(lists.len());
                for list in &lists {
                    script.key(list);
                }
                for page in pages {
                    script.key(shard.keys.page(page)).arg(page.as_str());
                }
                for page in pages {
                    for month in &months {
                        script.key(shard.keys.page_month(*month, page));
                    }
                    for day in &sketches {
                        script.key(shard.keys.page_visitors(*day, page));
                    }
                }
                async move { script.invoke_async::<(i64, u64)>(&mut redis).await }
            };
            let (counted, visits) = self.with_shard(shard, call).await?;
            let Ok(counted) = u64::try_from(counted) else { return Ok(None) };
            deleted = Deleted { pages: deleted.pages + counted, visits: deleted.visits + visits };
        }
        Ok(Some(deleted))
    }
}

/// The keys of what is forgotten with a page: below 4,000 also for the most days that are kept, which is what `ElastiCache`
/// Serverless takes.
fn name_forgotten(script: &mut redis::ScriptInvocation<'_>, shard: &Shard, page: &PageId, first: Day, last: Day) {
    for day in first.to(last) {
        script.key(shard.keys.top(day));
        if day >= last.minus(days::IN_SKETCHES) {
            script.key(shard.keys.page_visitors(day, page));
        }
        if day == first || day.of_month() == 1 {
            script.key(shard.keys.page_month(day.month(), page)).key(shard.keys.top_month(day.month()));
        }
    }
}

impl Statistics for RedisStore {
    async fn page_days(&self, shard: ShardIndex, page: &PageId, first: Day, last: Day) -> Result<PageDays, StoreError> {
        let shard = &self.shards[shard];
        let found = self.read_days(shard, &days::Of::Page(page), first, last).await?;
        Ok(PageDays { total: found.total, bots: found.bots, days: found.days })
    }

    async fn site_days(&self, shard: ShardIndex, first: Day, last: Day) -> Result<SiteDays, StoreError> {
        let shard = &self.shards[shard];
        let found = self.read_days(shard, &days::Of::Site, first, last).await?;
        Ok(SiteDays { total: found.total, bots: found.bots, days: found.days, refused: found.refused })
    }

    async fn top_pages(
        &self,
        shard: ShardIndex,
        first: Day,
        last: Day,
        limit: usize,
        search: Option<&str>,
    ) -> Result<Vec<(PageId, u64)>, StoreError> {
        self.top(&self.shards[shard], (first, last), limit, search.unwrap_or_default()).await
    }

    async fn set_count(&self, shard: ShardIndex, call: SetCount<'_>) -> Result<Set, StoreError> {
        self.set(&self.shards[shard], call).await
    }

    async fn ping(&self, shard: ShardIndex) -> Result<Duration, StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| async move {
            // A command that names a key of the shard: in a cluster, its node answers.
            let asked = Instant::now();
            let _: bool = redis.exists(shard.keys.shard()).await?;
            Ok(asked.elapsed())
        };
        self.with_shard(shard, call).await
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, parts};
    use crate::day::Day;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn a_short_window_is_made_of_days() {
        assert_eq!(parts(day("2026-11-24"), day("2026-11-24")), [Part::Day(day("2026-11-24"))]);
        assert_eq!(parts(day("2026-10-21"), day("2026-11-24")).len(), 35);
    }

    #[test]
    fn a_long_window_is_made_of_whole_months_and_the_days_at_its_ends() {
        let parts = parts(day("2025-10-21"), day("2026-11-24"));
        let months = parts.iter().filter(|part| matches!(part, Part::Month(_))).count();
        assert_eq!((parts.len() - months, months), (11 + 24, 12));
        assert_eq!(parts.last(), Some(&Part::Day(day("2026-11-24"))));
        let days = parts.iter().map(|part| match part {
            Part::Day(_) => 1,
            Part::Month(month) => month.last().of_month(),
        });
        assert_eq!(days.sum::<u32>(), 400);
    }

    #[test]
    fn a_window_may_end_with_its_month() {
        let months = ["2026-09", "2026-10"].map(|month| Part::Month(month.parse().unwrap()));
        assert_eq!(parts(day("2026-09-01"), day("2026-10-31")), months);
    }
}
