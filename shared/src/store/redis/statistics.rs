//! Knowledge of a shard besides totals, in Redis: the days of pages and of the site, visitors, top lists, and how days end.
//!
//! `fold` adds to all of it, in steps of its own. Here it is read and changed for the owner (`crate::statistics`) and finished
//! (`crate::rollup`). All calls are safe to repeat, and to be made by two callers at once.

pub use crate::visit::Refused;

use super::RedisStore;
use super::cluster::Connection;
use super::keys::Key;
use super::pages::{COUNTS, parsed};
use super::script::{LazyScript, millis, script, with_checks};
use crate::batch::WriterId;
use crate::day::{Day, Month};
use crate::fold::entry_time;
use crate::page::PageId;
use crate::ring::Fingerprint;
use crate::store::{ShardIndex, StoreError};
use redis::{AsyncCommands, Cmd, Script, Value};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Pages that a shard lists of a day or a month.
pub const TOP_KEPT: usize = 200;

/// Visits of one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayCount {
    /// Visits by people.
    pub people: u64,
    /// Visits by bots.
    pub bots: u64,
    /// Unique visitors, as far as the day's sketch can tell: within 2 % at 100,000.
    pub visitors: u64,
}

/// Days of a page or of the whole site, as far as one shard counts them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// All visits that the shard has counted.
    pub total: u64,
    /// Visits among them by bots.
    pub bots: u64,
    /// One for each day asked for, the oldest first. The visitors of a day are on one shard only, the owner of its sketch.
    pub days: Vec<DayCount>,
    /// Visits of the site that were refused on these days.
    pub refused: Refused,
}

impl Days {
    /// Adds another shard's part; `visitors` makes one figure of the two for a day.
    pub(crate) fn add(&mut self, part: &Self, visitors: fn(u64, u64) -> u64) {
        self.total = self.total.saturating_add(part.total);
        self.bots = self.bots.saturating_add(part.bots);
        self.refused.add_all(part.refused);
        self.days.resize(self.days.len().max(part.days.len()), DayCount::default());
        for (sum, day) in self.days.iter_mut().zip(&part.days) {
            sum.people = sum.people.saturating_add(day.people);
            sum.bots = sum.bots.saturating_add(day.bots);
            sum.visitors = visitors(sum.visitors, day.visitors);
        }
    }
}

/// Time for which a shard knows a call to set a count again.
pub const SET_ID_KEPT: Duration = Duration::from_hours(7 * 24);

/// A call to set a page's count.
#[derive(Clone, Copy, Debug)]
pub struct SetCount<'a> {
    /// The page; the shard owns it.
    pub page: &'a PageId,
    /// Its count from now on.
    pub count: u64,
    /// Days whose visits and visitors are forgotten with it, and from whose top lists the page goes: the first and the last.
    pub forget: Option<(Day, Day)>,
    /// The ring by which the shard owns the page.
    pub ring: Fingerprint,
    /// The call's identity: within [`SET_ID_KEPT`] a second call with it changes nothing.
    pub id: WriterId,
}

/// The answer to [`SetCount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// The count is set, by this call or by the same one before.
    Done {
        /// Visits before.
        previous: u64,
        /// Visits among them by bots.
        previous_bots: u64,
        /// Whether this call had been made before, and has changed nothing now. The figures are the first one's.
        repeated: bool,
    },
    /// A call with this id has set another count: nothing is changed.
    KeyTaken,
    /// Pages are moving between shards, so the count is not known: nothing is changed.
    Moving,
}

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

/// Reading and changing, for the owner.
impl RedisStore {
    /// Returns the days of a page, or of the site, from `first` to `last`, at most
    /// [`MAX_HISTORY_DAYS`](crate::config::MAX_HISTORY_DAYS). Reads everything in one round trip: records of a month each, and
    /// sketches of days that are not rolled up yet.
    pub async fn days(
        &self,
        shard: ShardIndex,
        page: Option<&PageId>,
        first: Day,
        last: Day,
    ) -> Result<Days, StoreError> {
        let shard = &self.shards[shard];
        let (months, recent): (Vec<Month>, Vec<Day>) = (months(first, last), recent(first, last).collect());
        let key = |key: Key| shard.keys.of(&key);
        let totals = Cmd::hmget(key(page.map_or(Key::Site, |page| Key::Page(page.clone()))), &COUNTS);
        let records = months.iter().map(|month| Cmd::hgetall(key(Key::month(*month, page))));
        let sketches = recent.iter().map(|day| Cmd::pfcount(key(Key::Visitors(*day, page.cloned()))));
        let commands: Vec<Cmd> = [totals].into_iter().chain(records).chain(sketches).collect();
        let mut answers = self.each(shard, &commands).await?.into_iter();
        let totals: [Option<u64>; 2] =
            answers.next().map_or(Ok([None; 2]), parsed).map_err(|error| shard.refused(&error))?;
        // A key of another type is reported when it is written to, and a damaged sketch by the roll-up; here they count nothing.
        let records: HashMap<Month, HashMap<String, String>> =
            months.into_iter().zip(answers.by_ref().map(|answer| parsed(answer).unwrap_or_default())).collect();
        let sketches: HashMap<Day, u64> =
            recent.into_iter().zip(answers.map(|answer| parsed(answer).unwrap_or_default())).collect();
        let [total, bots] = totals.map(Option::unwrap_or_default);
        let mut found = Days { total, bots, ..Days::default() };
        for day in first.to(last) {
            let field = |kind: &str| {
                let field = records[&day.month()].get(&format!("{}{kind}", day.of_month()));
                field.and_then(|number| number.parse().ok()).unwrap_or_default()
            };
            let in_sketch = sketches.get(&day).copied().unwrap_or_default();
            // What came after the roll-up is in a sketch of its own: the larger one is nearer.
            found.days.push(DayCount { people: field(""), bots: field("b"), visitors: field("u").max(in_sketch) });
            let [origin, page, repeat, new_page] = ["o", "p", "r", "n"].map(field);
            found.refused.add_all(Refused { origin, page, repeat, new_page });
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
        for (whole, days) in lists(first, last) {
            script.key(shard.keys.of(&whole)).arg(days.len()).key(shard.keys.all(days));
        }
        let found: Vec<(String, u64)> = self.invoke(shard, &script).await?;
        // A name that is no page id was not written by this program.
        Ok(found.into_iter().filter_map(|(id, people)| Some((PageId::from_decoded(&id).ok()?, people))).collect())
    }

    /// Sets a page's count, exactly once.
    pub async fn set_count(&self, shard: ShardIndex, set: SetCount<'_>) -> Result<Set, StoreError> {
        let shard = &self.shards[shard];
        let what = set.forget.map_or_else(|| set.count.to_string(), |_| format!("{} and forget", set.count));
        let mut script = SET.prepare_invoke();
        script.key(shard.keys.all([Key::Applied(set.id), Key::Sets, Key::Shard, Key::Page(set.page.clone())]));
        // Below 4,000 keys also for the most days that are kept, which is what `ElastiCache` Serverless takes.
        if let Some((first, last)) = set.forget {
            script.key(shard.keys.all(top_lists(first, last).chain(kept_of(set.page, first, last))));
        }
        script.arg(set.id.to_string()).arg(millis(SET_ID_KEPT)).arg(set.ring.to_string());
        script.arg(set.count).arg(set.page.as_str()).arg(&what);
        Ok(match self.invoke::<(i64, u64, u64)>(shard, &script).await? {
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
        match self.journal(shard, None, None, 1).await {
            Err(StoreError::Refused { reason, .. }) if reason.contains("WRONGTYPE") => Ok(None),
            entries => Ok(entries?.first().and_then(|first| entry_time(&first.id))),
        }
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
        let lists = shard.keys.all(top_lists(first, last));
        let of_one = 1 + months(first, last).len() + recent(first, last).count();
        let mut deleted = Deleted::default();
        for pages in pages.chunks((MAX_KEYS.saturating_sub(lists.len()) / of_one).clamp(1, DELETED_AT_ONCE)) {
            let mut script = DELETE.key(shard.keys.of(&Key::Shard));
            script.key(&lists).key(shard.keys.all(pages.iter().cloned().map(Key::Page)));
            script.key(shard.keys.all(pages.iter().flat_map(|page| kept_of(page, first, last))));
            script.arg(ring.to_string()).arg(lists.len());
            for page in pages {
                script.arg(page.as_str());
            }
            let answer: Option<(u64, u64)> = self.invoke(shard, &script).await?;
            let Some((counted, visits)) = answer else { return Ok(None) };
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

/// Ending days, for the roll-up.
impl RedisStore {
    /// Deletes the secrets of these days, and returns how far the shard has got. One round trip.
    pub(crate) async fn begin_rollup(&self, shard: ShardIndex, destroy: &[Day]) -> Result<RollupState, StoreError> {
        let shard = &self.shards[shard];
        let secrets = Cmd::unlink(shard.keys.all(destroy.iter().copied().map(Key::Secret)));
        let ring = Cmd::hget(shard.keys.of(&Key::Shard), "ring");
        let finished = Cmd::hmget(shard.keys.of(&Key::Rollup), &["through", "ring"]);
        let answers: Result<_, _> = self.each(shard, &[secrets, ring, finished]).await?.into_iter().collect();
        let (secrets_destroyed, ring, [through, by]): (usize, Option<String>, [Option<String>; 2]) =
            parsed(answers.map(Value::Array)).map_err(|error| shard.refused(&error))?;
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
        self.invoke(shard, &script).await
    }

    /// Returns the contents of these sketches; none where the shard has none, or something else in its place. At most
    /// [`MERGED_AT_ONCE`].
    pub(crate) async fn sketches(
        &self,
        shard: ShardIndex,
        sketches: &[Key],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let shard = &self.shards[shard];
        self.command(shard, &Cmd::mget(shard.keys.all(sketches.iter().cloned()))).await
    }

    /// Merges these contents into the shard's sketches, and returns which of them it could. At most [`MERGED_AT_ONCE`].
    pub(crate) async fn merge(&self, shard: ShardIndex, sketches: &[(&Key, Vec<u8>)]) -> Result<Vec<bool>, StoreError> {
        let shard = &self.shards[shard];
        let mut script = MERGE.key(shard.keys.of(&Key::Merging));
        for (sketch, content) in sketches {
            script.key(shard.keys.of(sketch)).arg(content.as_slice());
        }
        self.invoke(shard, &script).await
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
        self.invoke(shard, &script).await
    }

    /// Turns sketches into the visitors of their day, each in one step with its deletion. A number that is there already
    /// stays if it is more. At most [`COUNTED_AT_ONCE`]. Returns how many have become numbers, and which cannot: their places
    /// in the call, and why. They stay as they are.
    pub(crate) async fn count_visitors(
        &self,
        shard: ShardIndex,
        sketches: &[Key],
    ) -> Result<(usize, Vec<(usize, String)>), StoreError> {
        let shard = &self.shards[shard];
        let mut script = COUNT.prepare_invoke();
        for sketch in sketches {
            let Key::Visitors(day, page) = sketch else { continue };
            let month = Key::month(day.month(), page.as_ref());
            script.key(shard.keys.of(sketch)).key(shard.keys.of(&month)).arg(format!("{}u", day.of_month()));
        }
        self.invoke(shard, &script).await
    }

    /// Makes the top list of a month that is over from those of its days: some milliseconds, once a month.
    pub(crate) async fn list_month(&self, shard: ShardIndex, month: Month) -> Result<(), StoreError> {
        let shard = &self.shards[shard];
        let mut script = LIST_MONTH.key(shard.keys.of(&Key::TopOfMonth(month)));
        script.key(shard.keys.all(month.first().to(month.last()).map(Key::Top))).arg(TOP_KEPT);
        self.invoke(shard, &script).await
    }

    /// Deletes these keys, of any type, and returns how many there were. At most [`DROPPED_AT_ONCE`].
    pub(crate) async fn drop_keys(&self, shard: ShardIndex, keys: &[Key]) -> Result<usize, StoreError> {
        let shard = &self.shards[shard];
        self.command(shard, &Cmd::unlink(shard.keys.all(keys.iter().cloned()))).await
    }
}

/// Returns the top lists of these days and of their months.
fn top_lists(first: Day, last: Day) -> impl Iterator<Item = Key> {
    first.to(last).map(Key::Top).chain(months(first, last).into_iter().map(Key::TopOfMonth))
}

/// Returns what is kept of a page beside its record.
fn kept_of(page: &PageId, first: Day, last: Day) -> impl Iterator<Item = Key> {
    let months = months(first, last).into_iter().map(|month| Key::Days(month, page.clone()));
    months.chain(recent(first, last).map(|day| Key::Visitors(day, Some(page.clone()))))
}

/// Returns the months of these days.
fn months(first: Day, last: Day) -> Vec<Month> {
    first.to(last).filter(|day| *day == first || day.of_month() == 1).map(Day::month).collect()
}

/// Returns those of these days that may have sketches.
fn recent(first: Day, last: Day) -> impl Iterator<Item = Day> {
    first.max(last.minus(IN_SKETCHES)).to(last)
}

/// Returns the lists of a window, the first one first: of a day, or of a whole month with the days that it stands for.
fn lists(first: Day, last: Day) -> Vec<(Key, Vec<Key>)> {
    let by_day = last.number().saturating_sub(first.number()) < BY_DAY;
    let whole = |month: Month| !by_day && month.first() >= first && month.last() <= last;
    let lists = first.to(last).filter_map(|day| match day.month() {
        month if !whole(month) => Some((Key::Top(day), Vec::new())),
        month if day == month.first() => Some((Key::TopOfMonth(month), day.to(month.last()).map(Key::Top).collect())),
        _ => None,
    });
    lists.collect()
}

#[cfg(test)]
mod tests {
    use super::{Key, lists};

    #[test]
    fn a_short_window_is_made_of_days_and_a_long_one_of_whole_months_and_the_days_at_its_ends() {
        let table = [
            ("2026-11-24", "2026-11-24", 1, 0),
            ("2026-10-21", "2026-11-24", 35, 0),
            ("2025-10-21", "2026-11-24", 11 + 24, 12),
            ("2026-09-01", "2026-10-31", 0, 2),
        ];
        for (first, last, days, months) in table {
            let (first, last) = (first.parse().unwrap(), last.parse().unwrap());
            let lists = lists(first, last);
            let of_months: Vec<_> = lists.iter().filter(|(whole, _)| matches!(whole, Key::TopOfMonth(_))).collect();
            assert_eq!((lists.len() - of_months.len(), of_months.len()), (days, months), "{first} {last}");
            let all: Vec<Key> =
                lists.into_iter().flat_map(|(whole, days)| if days.is_empty() { vec![whole] } else { days }).collect();
            assert_eq!(all, first.to(last).map(Key::Top).collect::<Vec<_>>(), "each day once");
        }
    }
}
