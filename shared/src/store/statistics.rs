//! What a shard knows besides totals: days, visitors, top lists, and what was refused. `crate::statistics` adds the shards up.

pub use crate::visit::Refused;

use super::{ShardIndex, Store, StoreError};
use crate::batch::WriterId;
use crate::day::Day;
use crate::page::PageId;
use crate::ring::Fingerprint;
use std::future::Future;
use std::time::Duration;

/// Pages that a shard lists of the present day. Each flush updates and trims the list: more would cost it more.
pub const TOP_TODAY: usize = 200;

/// Pages that a shard keeps listed of a finished day or month.
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

/// Days of a page on one shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageDays {
    /// All visits that the shard counts of the page.
    pub total: u64,
    /// Those of them by bots.
    pub bots: u64,
    /// One for each day asked for, the oldest first.
    pub days: Vec<DayCount>,
}

/// Days of the whole site, as far as one shard counts it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteDays {
    /// All visits that the shard has counted.
    pub total: u64,
    /// Those of them by bots.
    pub bots: u64,
    /// One for each day asked for, the oldest first. Visitors only on the shard that owns the day's sketch.
    pub days: Vec<DayCount>,
    /// What was refused on these days.
    pub refused: Refused,
}

/// How long a shard knows a call to set a count again.
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
    /// Which call this is: within [`SET_ID_KEPT`] the same again changes nothing.
    pub id: WriterId,
}

/// The answer to [`SetCount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// The count is set, by this call or by the same one before.
    Done {
        /// Visits before.
        previous: u64,
        /// Those of them by bots.
        previous_bots: u64,
        /// The same call had been made before, and this one has changed nothing. The figures are the first one's.
        repeated: bool,
    },
    /// A call with this id has set another count: nothing is changed.
    KeyTaken,
    /// Pages are moving between shards: nobody could say what the count would be.
    Moving,
}

/// The shards as the owner sees them. Reads cost a shard well below 10 ms each.
pub trait Statistics: Store {
    /// The days of a page from `first` to `last`, at most [`MAX_HISTORY_DAYS`](crate::config::MAX_HISTORY_DAYS).
    fn page_days(
        &self,
        shard: ShardIndex,
        page: &PageId,
        first: Day,
        last: Day,
    ) -> impl Future<Output = Result<PageDays, StoreError>> + Send;

    /// The days of the site from `first` to `last`, at most [`MAX_HISTORY_DAYS`](crate::config::MAX_HISTORY_DAYS).
    fn site_days(
        &self,
        shard: ShardIndex,
        first: Day,
        last: Day,
    ) -> impl Future<Output = Result<SiteDays, StoreError>> + Send;

    /// The pages with the most visits by people from `first` to `last`, the first of them first. Exact for one day;
    /// for several as far as a page was among the [`TOP_KEPT`] first of the shard on each of them. A page that has moved
    /// to another shard is listed on both: the sum is right.
    /// `search`: only pages with this text in their id; of ASCII letters, case does not count.
    fn top_pages(
        &self,
        shard: ShardIndex,
        first: Day,
        last: Day,
        limit: usize,
        search: Option<&str>,
    ) -> impl Future<Output = Result<Vec<(PageId, u64)>, StoreError>> + Send;

    /// Sets a page's count, exactly once.
    fn set_count(&self, shard: ShardIndex, call: SetCount<'_>) -> impl Future<Output = Result<Set, StoreError>> + Send;

    /// How long the shard takes to answer.
    fn ping(&self, shard: ShardIndex) -> impl Future<Output = Result<Duration, StoreError>> + Send;
}
