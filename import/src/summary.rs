//! Findings in an input: sums, and the first of the records that could not be read.

use crate::tally::Count;
use serde::Serialize;
use std::fmt;
use visits_core::page::PageIdError;

/// Most bad records that are kept with their reason: enough to see what is wrong, whatever the input's size.
pub const BAD_KEPT: usize = 20;

/// Sums of what was read so far. A record is a line of a log, a row of a CSV file, an object of a JSON file; headers are none.
/// `counted + ignored + bad = records`, always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Bytes read.
    #[serde(skip)]
    pub bytes: u64,
    /// Records read.
    pub records: u64,
    /// Records that stand for visits.
    pub counted: u64,
    /// Records that are well-formed and stand for none: other methods, failed requests, files of a page.
    pub ignored: u64,
    /// Records that could not be read.
    pub bad: u64,
    /// Visits of the records counted.
    pub visits: u64,
    /// Visits among them by bots.
    pub bots: u64,
    /// The first [`BAD_KEPT`] bad records.
    #[serde(skip)]
    pub bad_records: Vec<BadRecord>,
}

/// A record that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// Number of its line, or of its first line, from 1.
    pub line: u64,
    /// Reason why it cannot be read.
    pub reason: String,
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Why a record is bad; its text is made only for those that are kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("{0}")]
    Told(&'static str),
    #[error("{0}")]
    Page(#[from] PageIdError),
    #[error("not the JSON that is expected: {0}")]
    Json(String),
}

/// Kind of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Counted(Count),
    Ignored,
    Bad(Reason),
}

impl Summary {
    pub(crate) fn add(&mut self, seen: Seen, line: u64) {
        self.records += 1;
        match seen {
            Seen::Counted(count) => {
                self.counted += 1;
                self.visits = self.visits.saturating_add(count.visits);
                self.bots = self.bots.saturating_add(count.bots);
            }
            Seen::Ignored => self.ignored += 1,
            Seen::Bad(reason) => {
                self.bad += 1;
                if self.bad_records.len() < BAD_KEPT {
                    self.bad_records.push(BadRecord { line, reason: reason.to_string() });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bad_records_are_counted_and_the_first_are_kept() {
        let mut summary = Summary::default();
        for line in 1..=100 {
            summary.add(Seen::Bad(Reason::Told("no good")), line);
        }
        summary.add(Seen::Counted(Count { visits: 5, bots: 2 }), 101);
        summary.add(Seen::Ignored, 102);
        assert_eq!((summary.records, summary.counted, summary.ignored, summary.bad), (102, 1, 1, 100));
        assert_eq!((summary.visits, summary.bots, summary.bad_records.len()), (5, 2, BAD_KEPT));
        assert_eq!(summary.bad_records[1].to_string(), "line 2: no good");
    }
}
