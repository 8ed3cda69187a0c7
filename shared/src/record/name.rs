//! The names of the records in which a shard counts.

use crate::day::Month;
use crate::page::PageId;
use std::fmt;
use std::str::FromStr;

/// A record that counts visits.
///
/// ```
/// use visits_core::record::RecordName;
///
/// let name: RecordName = "days:2026-11:blog/a:b".parse()?;
/// assert_eq!(name.placed_by(), "blog/a:b");
/// assert_eq!(name.to_string(), "days:2026-11:blog/a:b");
/// # Ok::<(), visits_core::record::InvalidRecordName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordName {
    /// `page:<page id>`: all visits of a page.
    Page(PageId),
    /// `days:<month>:<page id>`: those of a month, by day.
    Days(Month, PageId),
    /// `site`: all visits of the site that the shard has counted.
    Site,
    /// `site:<month>`: those of a month, by day.
    SiteMonth(Month),
}

/// A text that names no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a record: page:<page>, days:<month>:<page>, site and site:<month> are accepted")]
pub struct InvalidRecordName;

impl RecordName {
    /// By which the ring finds its owner. Each shard has records of the site; one that is draining gives them to the
    /// owner of this.
    pub fn placed_by(&self) -> &str {
        match self {
            Self::Page(page) | Self::Days(_, page) => page.as_str(),
            Self::Site | Self::SiteMonth(_) => "site",
        }
    }

    /// Whether each shard has a record of this name, which stays where it is until the shard is emptied.
    pub fn is_of_site(&self) -> bool {
        matches!(self, Self::Site | Self::SiteMonth(_))
    }
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page(page) => write!(f, "page:{page}"),
            Self::Days(month, page) => write!(f, "days:{month}:{page}"),
            Self::Site => f.write_str("site"),
            Self::SiteMonth(month) => write!(f, "site:{month}"),
        }
    }
}

impl FromStr for RecordName {
    type Err = InvalidRecordName;

    fn from_str(text: &str) -> Result<Self, InvalidRecordName> {
        let page = |id: &str| PageId::from_decoded(id).map_err(|_| InvalidRecordName);
        let month = |text: &str| text.parse::<Month>().map_err(|_| InvalidRecordName);
        match text.split_once(':') {
            None if text == "site" => Ok(Self::Site),
            Some(("page", id)) => page(id).map(Self::Page),
            Some(("site", text)) => month(text).map(Self::SiteMonth),
            Some(("days", rest)) => {
                let (text, id) = rest.split_once(':').ok_or(InvalidRecordName)?;
                Ok(Self::Days(month(text)?, page(id)?))
            }
            _ => Err(InvalidRecordName),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RecordName;

    #[test]
    fn a_name_reads_back_and_nothing_else_is_one() {
        for text in ["page:home", "page:days:2026-11:x", "days:2026-11:a:b", "site", "site:2026-11"] {
            assert_eq!(text.parse::<RecordName>().unwrap().to_string(), text);
        }
        for text in
            ["", "page:", "page", "days:2026-11", "days:2026-11:", "days:2026:x", "sites", "site:", "top:2026-11"]
        {
            assert!(text.parse::<RecordName>().is_err(), "{text}");
        }
    }
}
