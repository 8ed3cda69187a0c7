//! The names of a shard's keys. All carry the shard's name as hash tag, so that a script's keys share one slot of a cluster.
//!
//! [`Key`] names what counts visits and visitors: these names also travel from shard to shard, and are read back from scans.

use crate::day::{Day, Month};
use crate::handoff::Mailbox;
use crate::page::PageId;
use crate::record::RecordName;
use crate::ring::Ring;
use crate::shard::{Namespace, ShardName};
use crate::store::ShardIndex;
use crate::visit;
use std::fmt;
use std::str::FromStr;

/// The name of a key of a shard that counts visits or visitors, without what all keys of the shard begin with.
///
/// ```
/// use visits_core::store::redis::keys::Key;
///
/// let key: Key = "days:2026-11:blog/a:b".parse()?;
/// assert_eq!(key.last_day().map(|day| day.to_string()).as_deref(), Some("2026-11-30"));
/// assert_eq!(key.to_string(), "days:2026-11:blog/a:b");
/// # Ok::<(), visits_core::store::redis::keys::InvalidKey>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// `page:<page id>`, hash: all visits of a page.
    Page(PageId),
    /// `days:<month>:<page id>`, hash: those of a month, by day.
    Days(Month, PageId),
    /// `site`, hash: all visits of the site that the shard has counted.
    Site,
    /// `site:<month>`, hash: those of a month, by day.
    SiteMonth(Month),
    /// `visitors:<day>:<page id>`, `visitors:<day>`, `HyperLogLog`: the visitors of a page, or of the site, on a day.
    Visitors(Day, Option<PageId>),
    /// `top:<day>`, sorted set: the pages with the most visits by people on a day.
    Top(Day),
    /// `top:<month>`, sorted set: those of a month that is over.
    TopOfMonth(Month),
    /// `secret:<day>`, text: the secret that visitors of a day are hashed with.
    Secret(Day),
}

/// A text that is not the name of such a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a key that counts visits or visitors")]
pub struct InvalidKey;

impl Key {
    /// Returns the shard where it belongs, seen from the shard that has it. The site's records stay where they were counted
    /// until that shard drains; top lists and secrets stay anyway.
    pub fn home(&self, ring: &Ring, here: ShardIndex) -> ShardIndex {
        match self {
            Self::Page(page) | Self::Days(_, page) | Self::Visitors(_, Some(page)) => ring.owner(page.as_str()),
            Self::Visitors(day, None) => ring.owner(&visit::site_key(*day)),
            Self::Site | Self::SiteMonth(_) if ring.is_draining(here) => ring.owner("site"),
            Self::Site | Self::SiteMonth(_) | Self::Top(_) | Self::TopOfMonth(_) | Self::Secret(_) => here,
        }
    }

    /// Whether it is a record of visits, which moves with a change of the ring.
    pub fn is_record(&self) -> bool {
        matches!(self, Self::Page(_) | Self::Days(..) | Self::Site | Self::SiteMonth(_))
    }

    /// Returns the last day that it tells of; none if it tells of all days.
    pub fn last_day(&self) -> Option<Day> {
        match self {
            Self::Page(_) | Self::Site => None,
            Self::Visitors(day, _) | Self::Top(day) | Self::Secret(day) => Some(*day),
            Self::Days(month, _) | Self::SiteMonth(month) | Self::TopOfMonth(month) => Some(month.last()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page(page) => write!(f, "page:{page}"),
            Self::Days(month, page) => write!(f, "days:{month}:{page}"),
            Self::Site => f.write_str("site"),
            Self::SiteMonth(month) => write!(f, "site:{month}"),
            Self::Visitors(day, Some(page)) => write!(f, "visitors:{day}:{page}"),
            Self::Visitors(day, None) => write!(f, "visitors:{day}"),
            Self::Top(day) => write!(f, "top:{day}"),
            Self::TopOfMonth(month) => write!(f, "top:{month}"),
            Self::Secret(day) => write!(f, "secret:{day}"),
        }
    }
}

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let day = |text: &str| text.parse::<Day>().map_err(|_| InvalidKey);
        let month = |text: &str| text.parse::<Month>().map_err(|_| InvalidKey);
        let page = |text: &str| PageId::from_decoded(text).map_err(|_| InvalidKey);
        let Some((kind, name)) = text.split_once(':') else {
            return if text == "site" { Ok(Self::Site) } else { Err(InvalidKey) };
        };
        match (kind, name.split_once(':')) {
            ("page", _) => page(name).map(Self::Page),
            ("days", Some((of, id))) => Ok(Self::Days(month(of)?, page(id)?)),
            ("site", None) => month(name).map(Self::SiteMonth),
            ("visitors", None) => Ok(Self::Visitors(day(name)?, None)),
            ("visitors", Some((of, id))) => Ok(Self::Visitors(day(of)?, Some(page(id)?))),
            ("top", None) => day(name).map(Self::Top).or_else(|_| month(name).map(Self::TopOfMonth)),
            ("secret", None) => day(name).map(Self::Secret),
            _ => Err(InvalidKey),
        }
    }
}

/// Key names of one shard.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(namespace: &Namespace, shard: &ShardName) -> Self {
        Self { prefix: format!("{namespace}:{{{shard}}}") }
    }

    /// A key that counts visits or visitors.
    pub(super) fn of(&self, key: &Key) -> String {
        format!("{}:{key}", self.prefix)
    }

    /// The beginning of all keys of the shard.
    pub(super) fn prefix(&self) -> String {
        format!("{}:", self.prefix)
    }

    /// Stream: batches that are not folded into days yet.
    pub(super) fn journal(&self) -> String {
        format!("{}:journal", self.prefix)
    }

    /// Hash: the last day that is rolled up, and the ring by which it was.
    pub(super) fn rollup(&self) -> String {
        format!("{}:rollup", self.prefix)
    }

    /// Text: a sketch that is being merged. It is there within a script only.
    pub(super) fn merging(&self) -> String {
        format!("{}:merging", self.prefix)
    }

    // TODO(key): callers of these name a `Key` once their own changes have landed.
    pub(super) fn record(&self, name: &RecordName) -> String {
        format!("{}:{name}", self.prefix)
    }

    pub(super) fn record_prefix(&self) -> String {
        self.prefix()
    }

    pub(super) fn secret(&self, day: Day) -> String {
        self.of(&Key::Secret(day))
    }

    /// Hash: `total`, the page's visits, and `bots`, those of them by bots.
    pub(super) fn page(&self, page: &PageId) -> String {
        let mut key = String::new();
        self.page_into(&mut key, page);
        key
    }

    /// The same in the place of what `key` holds: a flush names hundreds of pages.
    pub(super) fn page_into(&self, key: &mut String, page: &PageId) {
        key.clear();
        for part in [self.prefix.as_str(), ":page:", page.as_str()] {
            key.push_str(part);
        }
    }

    /// What the keys of all pages begin with.
    pub(super) fn page_prefix(&self) -> String {
        format!("{}:page:", self.prefix)
    }

    /// Hash: a writer's applied set.
    pub(super) fn applied(&self, writer: &impl std::fmt::Display) -> String {
        format!("{}:applied:{writer}", self.prefix)
    }

    /// Sorted set: writers that the sweep must visit, by their last flush (ms of the server's clock).
    pub(super) fn writers(&self) -> String {
        format!("{}:writers", self.prefix)
    }

    /// Sorted set: writers with an applied set, by the time from which it may be deleted.
    pub(super) fn sets(&self) -> String {
        format!("{}:sets", self.prefix)
    }

    /// Hash: envelopes that wait here for another shard, by id.
    pub(super) fn mailbox(&self, mailbox: &Mailbox) -> String {
        format!("{}:out:{mailbox}", self.prefix)
    }

    /// Hash: where each of these envelopes was found last.
    pub(super) fn notes(&self, mailbox: &Mailbox) -> String {
        format!("{}:notes:{mailbox}", self.prefix)
    }

    /// Hash: the bytes in each mailbox.
    pub(super) fn outgoing(&self) -> String {
        format!("{}:outgoing", self.prefix)
    }

    /// Length of what the key of a page's month begins with: the name of any month is as long.
    pub(super) fn month_prefix_len(&self) -> usize {
        self.prefix.len() + ":days:2026-11:".len()
    }

    /// Hash: envelopes that can never be delivered, for the operator.
    pub(super) fn aside(&self) -> String {
        format!("{}:aside", self.prefix)
    }

    /// Hash: imports that were begun here, by import id.
    pub(super) fn imports(&self) -> String {
        format!("{}:imports", self.prefix)
    }

    /// Hash: which shard this is.
    pub(super) fn shard(&self) -> String {
        format!("{}:shard", self.prefix)
    }
}

/// Set of the names of all shards that live on one server: the only key that belongs to no shard.
pub(super) fn roster(namespace: &Namespace) -> String {
    format!("{namespace}:shards")
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn a_key_reads_back_with_its_last_day_and_nothing_else_is_one() {
        let table = [
            ("page:home", None),
            ("page:days:2026-11:x", None),
            ("site", None),
            ("days:2024-02:home", Some("2024-02-29")),
            ("days:2024-02:a:b", Some("2024-02-29")),
            ("site:2026-12", Some("2026-12-31")),
            ("visitors:2026-11-24", Some("2026-11-24")),
            ("visitors:2026-11-24:a:b", Some("2026-11-24")),
            ("top:2026-11-24", Some("2026-11-24")),
            ("top:2026-11", Some("2026-11-30")),
            ("secret:2026-11-24", Some("2026-11-24")),
        ];
        for (text, last) in table {
            let key: Key = text.parse().unwrap();
            let last_day = key.last_day().map(|day| day.to_string());
            assert_eq!((key.to_string().as_str(), last_day.as_deref()), (text, last));
        }
        let others =
            ["", "sites", "site:", "sets", "seen:a", "page", "page:", "days:2026-11", "days:2026-11:", "days:2026:x"];
        for text in others.into_iter().chain(["visitors:2026-11", "visitors:2026-11-24:", "top:x", "top:2026-11-24:x"])
        {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }
}
