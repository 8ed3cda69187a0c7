//! Values of what a shard knows besides totals: days, visitors, top lists, and what was refused.
//!
//! `crate::statistics` adds the shards up, `crate::rollup` ends days, and the calls of both are in `store::redis::statistics`.

pub use crate::visit::Refused;

use super::ShardIndex;
use crate::batch::WriterId;
use crate::day::{Day, Month};
use crate::page::PageId;
use crate::ring::{Fingerprint, Ring};
use crate::visit;
use std::fmt;
use std::str::FromStr;
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

/// The visitors of a day: of a page, or of the site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sketch {
    /// The day.
    pub day: Day,
    /// The page; none: the site.
    pub page: Option<PageId>,
}

impl Sketch {
    /// Returns the shard that counts them.
    pub fn owner(&self, ring: &Ring) -> ShardIndex {
        match &self.page {
            Some(page) => ring.owner(page.as_str()),
            None => ring.owner(&visit::site_key(self.day)),
        }
    }
}

impl fmt::Display for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.page {
            Some(page) => write!(f, "{}:{page}", self.day),
            None => write!(f, "{}", self.day),
        }
    }
}

/// The name of something that a shard keeps of a day or a month.
///
/// ```
/// use visits_core::store::statistics::DatedKey;
///
/// let key: DatedKey = "days:2026-11:blog/a:b".parse()?;
/// assert_eq!(key.last_day().to_string(), "2026-11-30");
/// assert_eq!(key.to_string(), "days:2026-11:blog/a:b");
/// # Ok::<(), visits_core::store::statistics::InvalidDatedKey>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DatedKey {
    /// `visitors:<day>:<page>`, `visitors:<day>`: a sketch.
    Visitors(Sketch),
    /// `days:<month>:<page>`: a page's days.
    Days(Month, PageId),
    /// `site:<month>`: those of the site.
    Site(Month),
    /// `top:<day>`: the day's top list.
    TopOfDay(Day),
    /// `top:<month>`: that of a month.
    TopOfMonth(Month),
    /// `secret:<day>`: the day's secret.
    Secret(Day),
}

/// A text that names none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of what is kept of a day or a month")]
pub struct InvalidDatedKey;

impl DatedKey {
    /// Returns the last day that it tells of.
    pub fn last_day(&self) -> Day {
        match self {
            Self::Visitors(Sketch { day, .. }) | Self::TopOfDay(day) | Self::Secret(day) => *day,
            Self::Days(month, _) | Self::Site(month) | Self::TopOfMonth(month) => month.last(),
        }
    }
}

impl fmt::Display for DatedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Visitors(sketch) => write!(f, "visitors:{sketch}"),
            Self::Days(month, page) => write!(f, "days:{month}:{page}"),
            Self::Site(month) => write!(f, "site:{month}"),
            Self::TopOfDay(day) => write!(f, "top:{day}"),
            Self::TopOfMonth(month) => write!(f, "top:{month}"),
            Self::Secret(day) => write!(f, "secret:{day}"),
        }
    }
}

impl FromStr for DatedKey {
    type Err = InvalidDatedKey;

    fn from_str(text: &str) -> Result<Self, InvalidDatedKey> {
        let day = |text: &str| text.parse::<Day>().map_err(|_| InvalidDatedKey);
        let month = |text: &str| text.parse::<Month>().map_err(|_| InvalidDatedKey);
        let page = |text: &str| PageId::from_decoded(text).map_err(|_| InvalidDatedKey);
        let (kind, name) = text.split_once(':').ok_or(InvalidDatedKey)?;
        match (kind, name.split_once(':')) {
            ("visitors", None) => Ok(Self::Visitors(Sketch { day: day(name)?, page: None })),
            ("visitors", Some((of, id))) => Ok(Self::Visitors(Sketch { day: day(of)?, page: Some(page(id)?) })),
            ("days", Some((of, id))) => Ok(Self::Days(month(of)?, page(id)?)),
            ("site", None) => Ok(Self::Site(month(name)?)),
            ("top", None) => day(name).map(Self::TopOfDay).or_else(|_| Ok(Self::TopOfMonth(month(name)?))),
            ("secret", None) => Ok(Self::Secret(day(name)?)),
            _ => Err(InvalidDatedKey),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DatedKey;

    #[test]
    fn a_key_reads_back_with_its_last_day_and_nothing_else_is_one() {
        let table = [
            ("visitors:2026-11-24", "2026-11-24"),
            ("visitors:2026-11-24:a:b", "2026-11-24"),
            ("days:2024-02:home", "2024-02-29"),
            ("site:2026-12", "2026-12-31"),
            ("top:2026-11-24", "2026-11-24"),
            ("top:2026-11", "2026-11-30"),
            ("secret:2026-11-24", "2026-11-24"),
        ];
        for (text, last) in table {
            let key: DatedKey = text.parse().unwrap();
            assert_eq!((key.to_string().as_str(), key.last_day().to_string().as_str()), (text, last));
        }
        for text in ["", "site", "sets", "seen:a", "visitors:2026-11", "visitors:2026-11-24:", "days:2026-11", "top:x"]
        {
            assert!(text.parse::<DatedKey>().is_err(), "{text}");
        }
    }
}
