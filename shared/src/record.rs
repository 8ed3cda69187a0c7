//! A page's record on one shard, and the count that its records on all shards make.
//!
//! While pages move from shard to shard, a record says what it gave away and what it got, so that the sum over the
//! shards is right at every moment, whichever of them is read first: a take turns `total` into `out`, and a
//! delivery adds to `total` and to `in` alike.

use crate::shard::ShardName;
use std::collections::BTreeMap;

/// The number of a ring change, in all shards the same. Later changes have greater ones.
pub type Round = u64;

/// A shard's record of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRecord {
    /// All visits.
    pub visits: Counter,
    /// Bots' visits among them.
    pub bots: Counter,
}

/// A shard's count of some of a page's visits, with the notes of those that moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Visits counted here.
    pub total: u64,
    /// Visits that were taken from here to go to another shard, by round.
    pub moved_out: BTreeMap<Round, u64>,
    /// Visits among the total that came from another shard, by its name and its round.
    pub moved_in: BTreeMap<(String, Round), u64>,
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
            let note = field.strip_suffix(":bots");
            let counter = if note.is_some() || field == "bots" { &mut record.bots } else { &mut record.visits };
            let number = match note.unwrap_or(field).split(':').collect::<Vec<_>>()[..] {
                ["total" | "bots"] if note.is_none() => &mut counter.total,
                ["out", round] => match round.parse() {
                    Ok(round) => counter.moved_out.entry(round).or_default(),
                    Err(_) => continue,
                },
                ["in", shard, round] => match round.parse() {
                    Ok(round) => counter.moved_in.entry((shard.to_owned(), round)).or_default(),
                    Err(_) => continue,
                },
                _ => continue,
            };
            *number = value.parse().map_err(|_| BadField { field: field.to_owned(), value: value.to_owned() })?;
        }
        Ok(record)
    }
}

/// Returns a page's count, and the part of it that is bots' visits: all that its records count, and what is on its way between
/// them.
///
/// Visits that left a shard in a round are on their way as far as no record says that they arrived. A shard that arrived
/// more than left has had its `out` cleaned up already, with nothing on its way.
pub fn count<'a>(records: impl Iterator<Item = (&'a ShardName, &'a PageRecord)> + Clone) -> (u64, u64) {
    let bots = sum(records.clone().map(|(shard, record)| (shard, &record.bots)));
    (sum(records.map(|(shard, record)| (shard, &record.visits))), bots)
}

fn sum<'a>(counters: impl Iterator<Item = (&'a ShardName, &'a Counter)>) -> u64 {
    let counters: Vec<_> = counters.collect();
    let arrived = |shard: &ShardName, round| {
        let came = counters.iter().filter_map(|(_, counter)| counter.moved_in.get(&(shard.to_string(), round)));
        came.fold(0_u64, |sum, visits| sum.saturating_add(*visits))
    };
    counters.iter().fold(0, |sum, (shard, counter)| {
        let out = counter.moved_out.iter();
        let on_their_way = out.map(|(round, visits)| visits.saturating_sub(arrived(shard, *round)));
        on_their_way.fold(sum.saturating_add(counter.total), u64::saturating_add)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &[(&str, &str)]) -> PageRecord {
        PageRecord::from_fields(fields.iter().copied()).unwrap()
    }

    #[test]
    fn a_move_changes_the_count_at_none_of_its_steps() {
        let steps: [[&[(&str, &str)]; 2]; 7] = [
            [&[("total", "7")], &[("total", "3")]],
            [&[("out:5", "7")], &[("total", "3")]],
            [&[("out:5", "7")], &[("total", "10"), ("in:a:5", "7")]],
            [&[("out:5", "7"), ("total", "2")], &[("total", "8"), ("in:a:5", "7")]],
            [&[], &[("total", "10"), ("in:a:5", "7")]],
            [&[], &[("total", "10")]],
            // The notes of what came from `a` in round 4 are still there; the 7 of round 5 are on their way.
            [&[("out:5", "7")], &[("total", "3"), ("in:a:4", "3"), ("in:c:5", "2")]],
        ];
        let names = ["a", "b"].map(|name| name.parse::<ShardName>().unwrap());
        for step in steps {
            assert_eq!(count(names.iter().zip(&step.map(record))), (10, 0), "{step:?}");
            // Bots' visits are counted by the same rule, and apart: here all are theirs.
            let bots = step.map(|fields| {
                let of_bots = |field: &str| if field == "total" { "bots".to_owned() } else { format!("{field}:bots") };
                let fields: Vec<_> = fields.iter().map(|(field, value)| (of_bots(field), *value)).collect();
                PageRecord::from_fields(fields.iter().map(|(field, value)| (field.as_str(), *value))).unwrap()
            });
            assert_eq!(count(names.iter().zip(&bots)), (0, 10), "{step:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_told_and_other_fields_are_left_alone() {
        let fields = [("total", "1"), ("out:x", "?"), ("in:a", "?"), ("days", "?"), ("total:bots", "?")];
        assert_eq!(record(&fields).visits.total, 1);
        for field in ["total", "bots", "out:5", "out:5:bots", "in:a:5", "in:a:5:bots"] {
            let error = PageRecord::from_fields([(field, "-1")]).unwrap_err();
            assert_eq!(error.to_string(), format!("the field {field} holds \"-1\", which is no number of visits"));
        }
    }
}
