//! Values of what a shard knows besides totals: days, visitors, top lists, and what was refused.
//!
//! `crate::statistics` adds the shards up, `crate::rollup` ends days, and the calls of both are in `store::redis::statistics`.

pub use crate::visit::Refused;

use crate::batch::WriterId;
use crate::day::Day;
use crate::page::PageId;
use crate::ring::Fingerprint;
use std::time::Duration;

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
    /// Those of them by bots.
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
        /// Those of them by bots.
        previous_bots: u64,
        /// The same call had been made before, and this one has changed nothing. The figures are the first one's.
        repeated: bool,
    },
    /// A call with this id has set another count: nothing is changed.
    KeyTaken,
    /// Pages are moving between shards, so the count is not known: nothing is changed.
    Moving,
}
