//! The names of what a shard knows besides totals.

use super::Keys;
use crate::day::{Day, Month};
use crate::page::PageId;
use crate::record::RecordName;
use crate::store::statistics::{DatedKey, Sketch};

impl Keys {
    /// Hash: a record of any kind.
    pub(in super::super) fn record(&self, name: &RecordName) -> String {
        format!("{}:{name}", self.prefix)
    }

    /// What the keys of all records begin with.
    pub(in super::super) fn record_prefix(&self) -> String {
        format!("{}:", self.prefix)
    }

    /// Hash: all visits of the site that this shard has counted.
    pub(in super::super) fn site(&self) -> String {
        format!("{}:site", self.prefix)
    }

    /// Hash: those of a month, by day.
    pub(in super::super) fn site_month(&self, month: Month) -> String {
        format!("{}:site:{month}", self.prefix)
    }

    /// Hash: a page's visits in a month, by day.
    pub(in super::super) fn page_month(&self, month: Month, page: &PageId) -> String {
        let mut key = String::new();
        self.days_into(&mut key, &month.to_string(), page);
        key
    }

    /// The same in the place of what `key` holds, for a month as text.
    pub(in super::super) fn days_into(&self, key: &mut String, month: &str, page: &PageId) {
        key.clear();
        for part in [self.prefix.as_str(), ":days:", month, ":", page.as_str()] {
            key.push_str(part);
        }
    }

    /// `HyperLogLog`: a page's visitors of a day.
    pub(in super::super) fn page_visitors(&self, day: Day, page: &PageId) -> String {
        let mut key = String::new();
        self.visitors_into(&mut key, &day.to_string(), page);
        key
    }

    /// The same in the place of what `key` holds, for a day as text.
    pub(in super::super) fn visitors_into(&self, key: &mut String, day: &str, page: &PageId) {
        key.clear();
        for part in [self.prefix.as_str(), ":visitors:", day, ":", page.as_str()] {
            key.push_str(part);
        }
    }

    /// `HyperLogLog`: the site's visitors of a day, on the shard that owns them.
    pub(in super::super) fn site_visitors(&self, day: Day) -> String {
        format!("{}:visitors:{day}", self.prefix)
    }

    /// Sorted set: pages with the most visits by people on a day.
    pub(in super::super) fn top(&self, day: Day) -> String {
        format!("{}:top:{day}", self.prefix)
    }

    /// Sorted set: the same for a month that is over.
    pub(in super::super) fn top_month(&self, month: Month) -> String {
        format!("{}:top:{month}", self.prefix)
    }

    /// Text: the secret of a day.
    pub(in super::super) fn secret(&self, day: Day) -> String {
        format!("{}:secret:{day}", self.prefix)
    }

    /// Hash: how far days have been rolled up.
    pub(in super::super) fn rollup(&self) -> String {
        format!("{}:rollup", self.prefix)
    }

    /// Text: a sketch that is being merged. It is there within a script only.
    pub(in super::super) fn merging(&self) -> String {
        format!("{}:merging", self.prefix)
    }

    /// Stream: batches that are not folded into days yet.
    pub(in super::super) fn journal(&self) -> String {
        format!("{}:journal", self.prefix)
    }

    /// What is kept of a day or a month.
    pub(in super::super) fn dated(&self, key: &DatedKey) -> String {
        format!("{}:{key}", self.prefix)
    }

    /// A sketch.
    pub(in super::super) fn sketch(&self, sketch: &Sketch) -> String {
        format!("{}:visitors:{sketch}", self.prefix)
    }
}
