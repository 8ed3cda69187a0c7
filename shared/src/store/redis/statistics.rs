//! What a shard knows besides totals, in Redis: the days of pages and of the site, visitors, top lists, and how days end.
//!
//! `fold` adds to all of it, in steps of its own. Here it is read and changed for the owner (`crate::statistics`) and finished
//! (`crate::rollup`). All calls are safe to repeat, and to be made by two callers at once.

use super::cluster::Connection;
use super::keys::Key;
use super::script::{LazyScript, millis, script, with_checks};
use super::{RedisStore, Shard};
use crate::day::{Day, Month};
use crate::fold::entry_time;
use crate::page::PageId;
use crate::ring::Fingerprint;
use crate::store::statistics::{DayCount, Days, SET_ID_KEPT, Set, SetCount, TOP_KEPT};
use crate::store::{ShardIndex, StoreError};
use crate::visit::Refused;
use futures_util::future::{try_join_all, try_join3};
use redis::{AsyncCommands, Cmd, RedisResult, Script, ScriptInvocation};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Sketches that one call counts: each takes a shard some 5 µs, 25 where it is a full one.
pub(crate) const COUNTED_AT_ONCE: usize = 16;

/// Sketches that one call merges, of 12 KB each at most. Reading or merging a full one takes a shard some 70 µs.
pub(crate) const MERGED_AT_ONCE: usize = 8;

/// Keys that one call drops. Their memory is freed in the background.
pub(crate) const DROPPED_AT_ONCE: usize = 100;

/// Windows up to this long are added up from the lists of their days; of longer ones, those of whole months are taken: thirty
/// lists fewer for each.
const BY_DAY: u32 = 35;

/// Days before the last one asked for that may not be rolled up: a copy of a batch is delivered for up to seven days, and
/// its visitors are in a sketch until the next roll-up.
const IN_SKETCHES: u32 = 9;

/// Most keys of one script: what `ElastiCache` Serverless takes, with some room.
const MAX_KEYS: usize = 3_900;

/// Most pages that are deleted in one step, which takes a server a few milliseconds.
const DELETED_AT_ONCE: usize = 100;

/// Writes a shard's record of its roll-up. The roll-up frees memory: the first write needs none, and a full server refuses
/// nothing after it.
const NOTE: &str = "redis.call('HDEL', KEYS[1], '') return redis.call('HSET', KEYS[1], unpack(ARGV))";

static TOP: LazyScript = script!("top.lua");
static SET: LazyScript = script!("set.lua");
static DELETE: LazyScript = script!("delete_pages.lua");
static MERGE: LazyScript = script!("merge.lua");
static REMOVE: LazyScript = script!("remove_unchanged.lua");
static COUNT: LazyScript = script!("count_visitors.lua");
static LIST_MONTH: LazyScript = script!("list_month.lua");
static ROLLED_UP: LazyScript = LazyScript::new(|| Script::new(NOTE));

/// Pages that were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Pages that had a count.
    pub pages: u64,
    /// Their visits.
    pub visits: u64,
}

/// The fields of a month.
type Fields = HashMap<String, u64>;

/// Reading and changing, for the owner.
impl RedisStore {
    /// Returns the days of a page from `first` to `last`, at most [`MAX_HISTORY_DAYS`](crate::config::MAX_HISTORY_DAYS).
    pub async fn page_days(&self, shard: ShardIndex, page: &PageId, first: Day, last: Day) -> Result<Days, StoreError> {
        self.read_days(shard, Some(page), first, last).await
    }

    /// Returns the days of the site from `first` to `last`, at most
    /// [`MAX_HISTORY_DAYS`](crate::config::MAX_HISTORY_DAYS).
    pub async fn site_days(&self, shard: ShardIndex, first: Day, last: Day) -> Result<Days, StoreError> {
        self.read_days(shard, None, first, last).await
    }

    /// Reads everything in one round trip: records of a month each, and sketches of days that are not rolled up yet.
    async fn read_days(
        &self,
        shard: ShardIndex,
        page: Option<&PageId>,
        first: Day,
        last: Day,
    ) -> Result<Days, StoreError> {
        let shard = &self.shards[shard];
        let month_of = |month| match page {
            Some(page) => shard.keys.of(&Key::Days(month, page.clone())),
            None => shard.keys.of(&Key::SiteMonth(month)),
        };
        let visitors_of = |day| shard.keys.of(&Key::Visitors(day, page.cloned()));
        let months: Vec<Month> = months(first, last);
        let recent: Vec<Day> = first.max(last.minus(IN_SKETCHES)).to(last).collect();
        let call = |redis: Connection| {
            let records = months.iter().map(|month| fields(redis.clone(), month_of(*month)));
            let sketches = recent.iter().map(|day| visitors(redis.clone(), visitors_of(*day)));
            let (records, sketches) = (try_join_all(records), try_join_all(sketches));
            let (mut redis, key) = (
                redis.clone(),
                page.map_or_else(|| shard.keys.of(&Key::Site), |page| shard.keys.of(&Key::Page(page.clone()))),
            );
            async move {
                let totals = async move { redis.hmget(key, &["total", "bots"]).await };
                try_join3(totals, records, sketches).await
            }
        };
        let (totals, records, sketches): ([Option<u64>; 2], Vec<Fields>, Vec<u64>) =
            self.with_shard(shard, call).await?;
        let records: HashMap<Month, Fields> = months.iter().copied().zip(records).collect();
        let sketches: HashMap<Day, u64> = recent.iter().copied().zip(sketches).collect();
        let [total, bots] = totals.map(Option::unwrap_or_default);
        let mut found = Days { total, bots, ..Days::default() };
        for day in first.to(last) {
            let field = |kind: &str| {
                let fields = records.get(&day.month());
                fields.and_then(|fields| fields.get(&format!("{}{kind}", day.of_month())).copied()).unwrap_or(0)
            };
            let in_sketch = sketches.get(&day).copied().unwrap_or(0);
            // What came after the roll-up is in a sketch of its own: the larger one is nearer.
            found.days.push(DayCount { people: field(""), bots: field("b"), visitors: field("u").max(in_sketch) });
            found.refused.add_all(Refused {
                origin: field("o"),
                page: field("p"),
                repeat: field("r"),
                new_page: field("n"),
            });
        }
        Ok(found)
    }

    /// Returns the pages with the most visits by people from `first` to `last`, the first of them first. Exact for one day;
    /// for several as far as a page was among the [`TOP_KEPT`] first of the shard on each of them. A page that has moved
    /// to another shard is listed on both: the sum is right.
    /// `search`: only pages with this text in their id; of ASCII letters, case does not count.
    pub async fn top_pages(
        &self,
        shard: ShardIndex,
        first: Day,
        last: Day,
        limit: usize,
        search: Option<&str>,
    ) -> Result<Vec<(PageId, u64)>, StoreError> {
        let shard = &self.shards[shard];
        let mut script = TOP.prepare_invoke();
        script.arg(limit).arg(search.unwrap_or_default());
        for part in parts(first, last) {
            match part {
                Part::Day(day) => {
                    script.key(shard.keys.of(&Key::Top(day))).arg(0);
                }
                Part::Month(month) => {
                    script.key(shard.keys.of(&Key::TopOfMonth(month))).arg(month.last().of_month());
                    for day in month.first().to(month.last()) {
                        script.key(shard.keys.of(&Key::Top(day)));
                    }
                }
            }
        }
        let (found, _): (Vec<(String, u64)>, _) = self.invoke(shard, &script).await?;
        // A name that is no page id was not written by this program.
        Ok(found.into_iter().filter_map(|(id, people)| Some((PageId::from_decoded(&id).ok()?, people))).collect())
    }

    /// Sets a page's count, exactly once.
    pub async fn set_count(&self, shard: ShardIndex, set: SetCount<'_>) -> Result<Set, StoreError> {
        let shard = &self.shards[shard];
        let what = set.forget.map_or_else(|| set.count.to_string(), |_| format!("{} and forget", set.count));
        let mut script = SET.prepare_invoke();
        script.key(shard.keys.of(&Key::Applied(set.id))).key(shard.keys.of(&Key::Sets)).key(shard.keys.of(&Key::Shard));
        script.key(shard.keys.of(&Key::Page(set.page.clone())));
        if let Some((first, last)) = set.forget {
            name_forgotten(&mut script, shard, set.page, first, last);
        }
        script.arg(set.id.to_string()).arg(millis(SET_ID_KEPT)).arg(set.ring.to_string());
        script.arg(set.count).arg(set.page.as_str()).arg(&what);
        Ok(match self.invoke::<(i64, u64, u64)>(shard, &script).await?.0 {
            (-1, ..) => Set::KeyTaken,
            (0, ..) => Set::Moving,
            (done, previous, previous_bots) => Set::Done { previous, previous_bots, repeated: done == 2 },
        })
    }

    /// Returns how long the shard takes to answer.
    pub async fn ping(&self, shard: ShardIndex) -> Result<Duration, StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| async move {
            // A command that names a key of the shard: in a cluster, its node answers.
            let asked = Instant::now();
            let _: bool = redis.exists(shard.keys.of(&Key::Shard)).await?;
            Ok(asked.elapsed())
        };
        self.with_shard(shard, call).await
    }

    /// Returns when the oldest entry of the shard's journal came, in milliseconds by its server's clock: the days hold all
    /// that came before. None if the journal is empty.
    pub async fn oldest_entry(&self, shard: ShardIndex) -> Result<Option<u64>, StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| async move {
            let mut first = redis::cmd("XRANGE");
            first.arg(shard.keys.of(&Key::Journal)).arg("-").arg("+").arg("COUNT").arg(1);
            match first.query_async::<Vec<(String, redis::Value)>>(&mut redis).await {
                Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
                entries => Ok(entries?.into_iter().next()),
            }
        };
        let oldest = self.with_shard(shard, call).await?;
        Ok(oldest.and_then(|(id, _)| entry_time(&id)))
    }

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
        let months = months(first, last);
        let days = first.to(last).map(|day| shard.keys.of(&Key::Top(day)));
        let lists: Vec<String> =
            days.chain(months.iter().map(|month| shard.keys.of(&Key::TopOfMonth(*month)))).collect();
        let sketches: Vec<Day> = first.max(last.minus(IN_SKETCHES)).to(last).collect();
        let at_once = MAX_KEYS.saturating_sub(lists.len()) / (1 + months.len() + sketches.len());
        let mut deleted = Deleted::default();
        for pages in pages.chunks(at_once.clamp(1, DELETED_AT_ONCE)) {
            let mut script = DELETE.key(shard.keys.of(&Key::Shard));
            script.arg(ring.to_string()).arg(lists.len());
            for list in &lists {
                script.key(list);
            }
            for page in pages {
                script.key(shard.keys.of(&Key::Page(page.clone()))).arg(page.as_str());
            }
            for page in pages {
                for month in &months {
                    script.key(shard.keys.of(&Key::Days(*month, page.clone())));
                }
                for day in &sketches {
                    script.key(shard.keys.of(&Key::Visitors(*day, Some(page.clone()))));
                }
            }
            let ((counted, visits), _): ((i64, u64), _) = self.invoke(shard, &script).await?;
            let Ok(counted) = u64::try_from(counted) else { return Ok(None) };
            deleted = Deleted { pages: deleted.pages + counted, visits: deleted.visits + visits };
        }
        Ok(Some(deleted))
    }
}

/// A shard's part in the roll-up, as a run finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RollupState {
    /// The ring in force; none where no ring was announced yet.
    pub(crate) ring: Option<Fingerprint>,
    /// The last day rolled up, and the ring by which it was.
    pub(crate) finished: Option<(Day, Fingerprint)>,
    /// Secrets that were there, and are no more.
    pub(crate) secrets_destroyed: usize,
}

/// The outcome of counting some sketches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Sketches that have become numbers.
    pub(crate) counted: usize,
    /// Sketches that cannot be: their place in the call, and why. They stay as they are.
    pub(crate) rejected: Vec<(usize, String)>,
}

/// Ending days, for the roll-up.
impl RedisStore {
    /// Deletes the secrets of these days, and returns how far the shard has got. One round trip.
    pub(crate) async fn begin_rollup(&self, shard: ShardIndex, destroy: &[Day]) -> Result<RollupState, StoreError> {
        let shard = &self.shards[shard];
        let secrets: Vec<String> = destroy.iter().map(|day| shard.keys.of(&Key::Secret(*day))).collect();
        let call = |redis: Connection| {
            let [mut one, mut two, mut three] = [redis.clone(), redis.clone(), redis];
            let secrets = &secrets;
            try_join3(
                async move { one.unlink(secrets).await },
                async move { two.hget(shard.keys.of(&Key::Shard), "ring").await },
                async move { three.hmget(shard.keys.of(&Key::Rollup), &["through", "ring"]).await },
            )
        };
        let (secrets_destroyed, ring, finished): (usize, Option<String>, [Option<String>; 2]) =
            self.with_shard(shard, call).await?;
        let [through, by] = finished;
        let finished = through.zip(by).and_then(|(day, ring)| Some((day.parse().ok()?, ring.parse().ok()?)));
        Ok(RollupState { ring: ring.and_then(|ring| ring.parse().ok()), finished, secrets_destroyed })
    }

    /// Notes that days are rolled up through `day`, by this ring.
    pub(crate) async fn note_rolled_up(
        &self,
        shard: ShardIndex,
        through: Day,
        ring: Fingerprint,
    ) -> Result<(), StoreError> {
        let shard = &self.shards[shard];
        let mut script = ROLLED_UP.key(shard.keys.of(&Key::Rollup));
        script.arg("through").arg(through.to_string()).arg("ring").arg(ring.to_string());
        Ok(self.invoke(shard, &script).await?.0)
    }

    /// Returns the contents of these sketches; none where the shard has none, or something else in its place. At most
    /// [`MERGED_AT_ONCE`].
    pub(crate) async fn sketches(
        &self,
        shard: ShardIndex,
        sketches: &[Key],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let shard = &self.shards[shard];
        let keys: Vec<String> = sketches.iter().map(|sketch| shard.keys.of(sketch)).collect();
        self.command(shard, &Cmd::mget(keys)).await
    }

    /// Merges these contents into the shard's sketches, and returns which of them it could. At most [`MERGED_AT_ONCE`].
    pub(crate) async fn merge(&self, shard: ShardIndex, sketches: &[(&Key, Vec<u8>)]) -> Result<Vec<bool>, StoreError> {
        let shard = &self.shards[shard];
        let mut script = MERGE.key(shard.keys.of(&Key::Merging));
        for (sketch, content) in sketches {
            script.key(shard.keys.of(sketch)).arg(content.as_slice());
        }
        Ok(self.invoke(shard, &script).await?.0)
    }

    /// Deletes these sketches where their content is still this one, and returns how many. At most [`MERGED_AT_ONCE`].
    pub(crate) async fn remove_unchanged(
        &self,
        shard: ShardIndex,
        sketches: &[(&Key, Vec<u8>)],
    ) -> Result<usize, StoreError> {
        let shard = &self.shards[shard];
        let mut script = REMOVE.prepare_invoke();
        for (sketch, content) in sketches {
            script.key(shard.keys.of(sketch)).arg(content.as_slice());
        }
        Ok(self.invoke(shard, &script).await?.0)
    }

    /// Turns sketches into the visitors of their day, each in one step with its deletion. A number that is there already
    /// stays if it is more. At most [`COUNTED_AT_ONCE`].
    pub(crate) async fn count_visitors(&self, shard: ShardIndex, sketches: &[Key]) -> Result<Counted, StoreError> {
        let shard = &self.shards[shard];
        let mut script = COUNT.prepare_invoke();
        for sketch in sketches {
            let Key::Visitors(day, page) = sketch else { continue };
            let month = day.month();
            let month = page.as_ref().map_or(Key::SiteMonth(month), |page| Key::Days(month, page.clone()));
            script.key(shard.keys.of(sketch)).key(shard.keys.of(&month)).arg(format!("{}u", day.of_month()));
        }
        let ((counted, rejected), _) = self.invoke(shard, &script).await?;
        Ok(Counted { counted, rejected })
    }

    /// Makes the top list of a month that is over from those of its days: some milliseconds, once a month.
    pub(crate) async fn list_month(&self, shard: ShardIndex, month: Month) -> Result<(), StoreError> {
        let shard = &self.shards[shard];
        let mut script = LIST_MONTH.key(shard.keys.of(&Key::TopOfMonth(month)));
        for day in month.first().to(month.last()) {
            script.key(shard.keys.of(&Key::Top(day)));
        }
        script.arg(TOP_KEPT);
        Ok(self.invoke(shard, &script).await?.0)
    }

    /// Deletes these keys, of any type, and returns how many there were. At most [`DROPPED_AT_ONCE`].
    pub(crate) async fn drop_keys(&self, shard: ShardIndex, keys: &[Key]) -> Result<usize, StoreError> {
        let shard = &self.shards[shard];
        let keys: Vec<String> = keys.iter().map(|key| shard.keys.of(key)).collect();
        self.command(shard, &Cmd::unlink(keys)).await
    }
}

/// Returns the fields of a month. A key of another type is told when it is written to; here it has no days.
async fn fields(mut redis: Connection, key: String) -> RedisResult<Fields> {
    let read: RedisResult<HashMap<String, String>> = redis.hgetall(key).await;
    match read {
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(Fields::new()),
        read => Ok(read?.into_iter().filter_map(|(field, value)| Some((field, value.parse().ok()?))).collect()),
    }
}

/// Returns how many are in a sketch. One that is none, or damaged, is reported by the roll-up; here it counts nobody.
async fn visitors(mut redis: Connection, key: String) -> RedisResult<u64> {
    match redis.pfcount(key).await {
        Err(error) if matches!(error.code(), Some("WRONGTYPE" | "INVALIDOBJ")) => Ok(0),
        count => count,
    }
}

/// Names what is forgotten with a page: below 4,000 keys also for the most days that are kept, which is what `ElastiCache`
/// Serverless takes.
fn name_forgotten(script: &mut ScriptInvocation<'_>, shard: &Shard, page: &PageId, first: Day, last: Day) {
    for day in first.to(last) {
        script.key(shard.keys.of(&Key::Top(day)));
    }
    for month in months(first, last) {
        script.key(shard.keys.of(&Key::Days(month, page.clone()))).key(shard.keys.of(&Key::TopOfMonth(month)));
    }
    for day in first.max(last.minus(IN_SKETCHES)).to(last) {
        script.key(shard.keys.of(&Key::Visitors(day, Some(page.clone()))));
    }
}

/// The months of these days.
fn months(first: Day, last: Day) -> Vec<Month> {
    first.to(last).filter(|day| *day == first || day.of_month() == 1).map(Day::month).collect()
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
    let whole = |month: Month| !by_day && month.first() >= first && month.last() <= last;
    let days = first.to(last).filter_map(|day| match day.month() {
        month if !whole(month) => Some(Part::Day(day)),
        month => (day == month.first()).then_some(Part::Month(month)),
    });
    days.collect()
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
