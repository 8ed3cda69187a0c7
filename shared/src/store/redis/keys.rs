//! The names of a shard's keys. All carry the shard's name as hash tag, so that a script's keys share one slot of a cluster.

use crate::batch::WriterId;
use crate::day::{Day, Month};
use crate::handoff::Mailbox;
use crate::page::PageId;
use crate::ring::Ring;
use crate::shard::{Namespace, ShardName};
use crate::store::ShardIndex;
use crate::visit;
use std::fmt;
use std::str::FromStr;

/// The name of a key of a shard, without what all keys of the shard begin with. Those that count visits or visitors are read
/// back, from scans and from what travels between shards.
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
    /// `journal`, stream: batches that are not folded into days yet.
    Journal,
    /// `applied:<writer>`, hash: a writer's applied set.
    Applied(WriterId),
    /// `writers`, sorted set: writers that the sweep must visit, by their last flush (ms of the server's clock).
    Writers,
    /// `sets`, sorted set: writers with an applied set, by the time from which it may be deleted.
    Sets,
    /// `out:<mailbox>`, hash: envelopes that wait here for another shard, by id.
    Out(Mailbox),
    /// `notes:<mailbox>`, hash: where each of these envelopes was found last.
    Notes(Mailbox),
    /// `outgoing`, hash: the bytes in each mailbox.
    Outgoing,
    /// `aside`, hash: what can never be delivered or folded, for the operator.
    Aside,
    /// `imports`, hash: imports that were begun here, by import id.
    Imports,
    /// `rollup`, hash: the last day that is rolled up, and the ring by which it was.
    Rollup,
    /// `merging`, text: a sketch that is being merged. It is there within a script only.
    Merging,
    /// `shard`, hash: which shard this is, and its ring.
    Shard,
}

/// A text that is not the name of a key that counts visits or visitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a key that counts visits or visitors")]
pub struct InvalidKey;

impl Key {
    /// Returns the record of a month, of a page or of the site.
    pub fn month(month: Month, page: Option<&PageId>) -> Self {
        page.map_or(Self::SiteMonth(month), |page| Self::Days(month, page.clone()))
    }

    /// Returns the shard that the key belongs on, if it is on shard `here`. The site's records stay where they were counted
    /// until that shard drains; what is neither record nor sketch stays.
    pub fn home(&self, ring: &Ring, here: ShardIndex) -> ShardIndex {
        match self {
            Self::Page(page) | Self::Days(_, page) | Self::Visitors(_, Some(page)) => ring.owner(page.as_str()),
            Self::Visitors(day, None) => ring.owner(&visit::site_key(*day)),
            Self::Site | Self::SiteMonth(_) if ring.is_draining(here) => ring.owner("site"),
            _ => here,
        }
    }

    /// Whether it is a record of visits, which moves with a change of the ring.
    pub fn is_record(&self) -> bool {
        matches!(self, Self::Page(_) | Self::Days(..) | Self::Site | Self::SiteMonth(_))
    }

    /// Returns the page whose record it is; none if it is another key.
    pub fn into_page(self) -> Option<PageId> {
        if let Self::Page(page) = self { Some(page) } else { None }
    }

    /// Returns the last day that it tells of; none if that is no day or month.
    pub fn last_day(&self) -> Option<Day> {
        match self {
            Self::Visitors(day, _) | Self::Top(day) | Self::Secret(day) => Some(*day),
            Self::Days(month, _) | Self::SiteMonth(month) | Self::TopOfMonth(month) => Some(month.last()),
            _ => None,
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
            Self::Journal => f.write_str("journal"),
            Self::Applied(writer) => write!(f, "applied:{writer}"),
            Self::Writers => f.write_str("writers"),
            Self::Sets => f.write_str("sets"),
            Self::Out(mailbox) => write!(f, "out:{mailbox}"),
            Self::Notes(mailbox) => write!(f, "notes:{mailbox}"),
            Self::Outgoing => f.write_str("outgoing"),
            Self::Aside => f.write_str("aside"),
            Self::Imports => f.write_str("imports"),
            Self::Rollup => f.write_str("rollup"),
            Self::Merging => f.write_str("merging"),
            Self::Shard => f.write_str("shard"),
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

/// The key names of one shard.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(namespace: &Namespace, shard: &ShardName) -> Self {
        Self { prefix: format!("{namespace}:{{{shard}}}") }
    }

    /// Returns a key's whole name.
    pub(crate) fn of(&self, key: &Key) -> String {
        format!("{}:{key}", self.prefix)
    }

    /// Returns the whole names of these keys.
    pub(crate) fn all(&self, keys: impl IntoIterator<Item = Key>) -> Vec<String> {
        keys.into_iter().map(|key| self.of(&key)).collect()
    }

    /// Returns the beginning of the names of all keys of the shard.
    pub(crate) fn prefix(&self) -> String {
        format!("{}:", self.prefix)
    }

    /// Writes the name of a page's record in the place of what `key` holds: a flush names hundreds of pages.
    pub(crate) fn page_into(&self, key: &mut String, page: &PageId) {
        key.clear();
        for part in [self.prefix.as_str(), ":page:", page.as_str()] {
            key.push_str(part);
        }
    }
}

/// Set of the names of all shards that live on one server: the only key that belongs to no shard.
pub(crate) fn roster(namespace: &Namespace) -> String {
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
