//! A page's record on one shard, and the count that its records on all shards make.
//!
//! While pages move from shard to shard, a record says what it gave away and what it got, so that the sum over the
//! shards is right at every moment, whichever of them is read first: a take turns `total` into `out`, and a
//! delivery adds to `total` and to `in` alike.

use crate::day::Month;
use crate::page::PageId;
use crate::ring::Ring;
use crate::shard::ShardName;
use crate::store::ShardIndex;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

/// The number of a ring change, in all shards the same. Later changes have greater ones.
pub type Round = u64;

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

    /// Returns the shard that a record of this name belongs on, if it is on shard `here`. Each shard that is not draining has
    /// records of the site, and keeps them.
    pub fn home(&self, ring: &Ring, here: ShardIndex) -> ShardIndex {
        let is_of_site = matches!(self, Self::Site | Self::SiteMonth(_));
        if is_of_site && !ring.is_draining(here) { here } else { ring.owner(self.placed_by()) }
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

/// What one shard holds of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRecord {
    /// Visits counted here.
    pub total: u64,
    /// Visits that were taken from here to go to another shard, by round.
    pub moved_out: BTreeMap<Round, u64>,
    /// Visits among the total that came from another shard, by its name and its round.
    pub moved_in: BTreeMap<(String, Round), u64>,
    /// Visits among the total that were bots'.
    pub bots: u64,
    /// Bots' visits among those that were taken from here.
    pub bots_out: BTreeMap<Round, u64>,
    /// Bots' visits among those that came from another shard.
    pub bots_in: BTreeMap<(String, Round), u64>,
}

/// A field of a page's record that is no number of visits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the field {field} holds {value:?}, which is no number of visits")]
pub struct BadField {
    /// Its name.
    pub field: String,
    /// What it holds.
    pub value: String,
}

impl PageRecord {
    /// Reads the fields of a record. Fields that have no part in the count are left alone.
    pub fn from_fields<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, BadField> {
        let mut record = Self::default();
        for (field, value) in fields {
            let number = || value.parse().map_err(|_| BadField { field: field.to_owned(), value: value.to_owned() });
            let (note, bots) = field.strip_suffix(":bots").map_or((field, false), |note| (note, true));
            if field == "total" {
                record.total = number()?;
            } else if field == "bots" {
                record.bots = number()?;
            } else if let Some(round) = out_round(note) {
                let out = if bots { &mut record.bots_out } else { &mut record.moved_out };
                out.insert(round, number()?);
            } else if let Some((shard, round)) = in_source(note) {
                let came = if bots { &mut record.bots_in } else { &mut record.moved_in };
                came.insert((shard.to_owned(), round), number()?);
            }
        }
        Ok(record)
    }
}

fn out_round(field: &str) -> Option<Round> {
    field.strip_prefix("out:")?.parse().ok()
}

fn in_source(field: &str) -> Option<(&str, Round)> {
    let (shard, round) = field.strip_prefix("in:")?.split_once(':')?;
    Some((shard, round.parse().ok()?))
}

/// A page's count: all that its records count, and what is on its way between them.
///
/// What left a shard in a round is on its way as far as no record says that it arrived. A shard that arrived
/// more than left has had its `out` cleaned up already, with nothing on its way.
pub fn count<'a>(records: impl IntoIterator<Item = (&'a ShardName, &'a PageRecord)> + Clone) -> u64 {
    sum(records, |record| Part { here: record.total, out: &record.moved_out, came: &record.moved_in })
}

/// The part of a page's count that is bots' visits, by the same rule.
pub fn count_bots<'a>(records: impl IntoIterator<Item = (&'a ShardName, &'a PageRecord)> + Clone) -> u64 {
    sum(records, |record| Part { here: record.bots, out: &record.bots_out, came: &record.bots_in })
}

/// Some of the visits of a record.
struct Part<'a> {
    here: u64,
    out: &'a BTreeMap<Round, u64>,
    came: &'a BTreeMap<(String, Round), u64>,
}

fn sum<'a>(
    records: impl IntoIterator<Item = (&'a ShardName, &'a PageRecord)> + Clone,
    part: fn(&PageRecord) -> Part<'_>,
) -> u64 {
    let mut arrived: HashMap<(&str, Round), u64> = HashMap::new();
    for (_, record) in records.clone() {
        for ((source, round), visits) in part(record).came {
            let sum = arrived.entry((source, *round)).or_default();
            *sum = sum.saturating_add(*visits);
        }
    }
    let mut count = 0_u64;
    for (shard, record) in records {
        let Part { here, out, .. } = part(record);
        count = count.saturating_add(here);
        for (round, visits) in out {
            let arrived = arrived.get(&(shard.as_str(), *round)).copied().unwrap_or(0);
            count = count.saturating_add(visits.saturating_sub(arrived));
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &[(&str, &str)]) -> PageRecord {
        PageRecord::from_fields(fields.iter().copied()).unwrap()
    }

    fn counted(records: [&[(&str, &str)]; 2]) -> u64 {
        let names = ["a", "b"].map(|name| name.parse::<ShardName>().unwrap());
        let records = records.map(record);
        count(names.iter().zip(&records))
    }

    #[test]
    fn a_move_changes_the_count_at_none_of_its_steps() {
        let steps: [[&[(&str, &str)]; 2]; 6] = [
            [&[("total", "7")], &[("total", "3")]],
            [&[("out:5", "7")], &[("total", "3")]],
            [&[("out:5", "7")], &[("total", "10"), ("in:a:5", "7")]],
            [&[("out:5", "7"), ("total", "2")], &[("total", "8"), ("in:a:5", "7")]],
            [&[], &[("total", "10"), ("in:a:5", "7")]],
            [&[], &[("total", "10")]],
        ];
        for step in steps {
            assert_eq!(counted(step), 10, "{step:?}");
        }
    }

    #[test]
    fn bots_are_counted_by_the_same_rule_and_apart() {
        let counted = |records: [&[(&str, &str)]; 2]| {
            let names = ["a", "b"].map(|name| name.parse::<ShardName>().unwrap());
            let records = records.map(record);
            let both = names.iter().zip(&records);
            (count(both.clone()), count_bots(both))
        };
        let steps: [[&[(&str, &str)]; 2]; 4] = [
            [&[("total", "7"), ("bots", "2")], &[("total", "3"), ("bots", "1")]],
            [&[("out:5", "7"), ("out:5:bots", "2")], &[("total", "3"), ("bots", "1")]],
            [
                &[("out:5", "7"), ("out:5:bots", "2")],
                &[("total", "10"), ("bots", "3"), ("in:a:5", "7"), ("in:a:5:bots", "2")],
            ],
            [&[], &[("total", "10"), ("bots", "3"), ("in:a:5", "7"), ("in:a:5:bots", "2")]],
        ];
        for step in steps {
            assert_eq!(counted(step), (10, 3), "{step:?}");
        }
    }

    #[test]
    fn rounds_and_shards_are_kept_apart() {
        // What came from `a` in round 4 was cleaned up there; the 7 in round 5 are still on their way.
        assert_eq!(counted([&[("out:5", "7")], &[("total", "9"), ("in:a:4", "9"), ("in:c:5", "2")]]), 16);
    }

    #[test]
    fn what_is_no_number_is_told_and_other_fields_are_left_alone() {
        assert_eq!(record(&[("total", "1"), ("out:x", "?"), ("in:a", "?"), ("days", "?")]).total, 1);
        for field in ["total", "bots", "out:5", "out:5:bots", "in:a:5", "in:a:5:bots"] {
            let error = PageRecord::from_fields([(field, "-1")]).unwrap_err();
            assert_eq!(error.to_string(), format!("the field {field} holds \"-1\", which is no number of visits"));
        }
    }

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
