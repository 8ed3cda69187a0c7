//! The names of what a shard keeps of a day or a month.

use crate::day::{Day, Month};
use crate::page::PageId;
use crate::ring::Ring;
use crate::store::ShardIndex;
use crate::visit;
use std::fmt;
use std::str::FromStr;

/// The visitors of a day: of a page, or of the site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sketch {
    /// The day.
    pub day: Day,
    /// The page; none: the site.
    pub page: Option<PageId>,
}

impl Sketch {
    /// The shard that counts them.
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

/// Something that a shard keeps of a day or a month.
///
/// ```
/// use visits_core::store::rollup::DatedKey;
///
/// let key: DatedKey = "days:2026-11:blog/a:b".parse()?;
/// assert_eq!(key.last_day().to_string(), "2026-11-30");
/// assert_eq!(key.to_string(), "days:2026-11:blog/a:b");
/// # Ok::<(), visits_core::store::rollup::InvalidDatedKey>(())
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
    /// The last day that it tells of.
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
