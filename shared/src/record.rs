//! A page's record on one shard, and the count that its records on all shards make.
//!
//! While pages move from shard to shard, a record says what it gave away and what it got, so that the sum over the
//! shards is right at every moment, whichever of them is read first: a take turns `total` into `out`, and a
//! delivery adds to `total` and to `in` alike.

use crate::shard::ShardName;
use std::collections::{BTreeMap, HashMap};

/// The number of a ring change, in all shards the same. Later changes have greater ones.
pub type Round = u64;

/// A shard's record of a page.
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
    /// Value of the field.
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
/// Visits that left a shard in a round are on their way as far as no record says that they arrived. A shard that arrived
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
}
