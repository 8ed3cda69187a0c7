//! Counts of pages and site on the servers: totals, and the days that the fold has written.

use redis::{Commands as _, Connection};
use std::collections::{BTreeMap, HashMap};

/// Counts over any number of shards.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Total of each page.
    pub pages: BTreeMap<String, u64>,
    /// Visits of all days of each page.
    pub days: BTreeMap<String, u64>,
    /// Total of the site.
    pub site: u64,
    /// Visits of all days of the site.
    pub site_days: u64,
    /// Visits that a full journal left out.
    pub skipped: u64,
}

impl Counts {
    /// Adds the records of a shard.
    ///
    /// # Panics
    /// If its server does not answer.
    pub fn add(&mut self, redis: &mut Connection, shard: &str) {
        for (page, fields) in records(redis, &format!("visits:{{{shard}}}:page:")) {
            *self.pages.entry(page).or_default() += number(&fields, "total");
        }
        for (name, fields) in records(redis, &format!("visits:{{{shard}}}:days:")) {
            let (_, page) = name.split_once(':').expect("a month, and a page");
            *self.days.entry(page.to_owned()).or_default() += of_days(&fields);
        }
        for (name, fields) in records(redis, &format!("visits:{{{shard}}}:site")) {
            self.site += number(&fields, "total");
            self.site_days += if name.is_empty() { 0 } else { of_days(&fields) };
        }
        let skipped: Option<u64> = redis.hget(format!("visits:{{{shard}}}:shard"), "skipped").expect("it answers");
        self.skipped += skipped.unwrap_or(0);
    }

    /// Visits that days or the site have too few or too many of, where every visit has a day.
    pub fn undated(&self) -> u64 {
        let total: u64 = self.pages.values().sum();
        let of_page = |page: &String| self.pages.get(page).copied().unwrap_or(0);
        let of_days = |page: &String| self.days.get(page).copied().unwrap_or(0);
        let elsewhere = self.days.keys().filter(|page| !self.pages.contains_key(*page));
        let pages: u64 = self.pages.keys().chain(elsewhere).map(|page| of_page(page).abs_diff(of_days(page))).sum();
        pages + total.abs_diff(self.site) + total.abs_diff(self.site_days) + self.skipped
    }
}

/// Entries of a shard's journal that are not folded yet.
///
/// # Panics
/// If its server does not answer.
pub(crate) fn unfolded(redis: &mut Connection, shard: &str) -> u64 {
    redis::cmd("XLEN").arg(format!("visits:{{{shard}}}:journal")).query(redis).expect("the server answers")
}

/// Visits of all days of a month, by people and by bots.
pub(crate) fn of_days(fields: &HashMap<String, String>) -> u64 {
    let counts = |field: &&String| field.strip_suffix('b').unwrap_or(field).bytes().all(|byte| byte.is_ascii_digit());
    fields.keys().filter(counts).map(|field| number(fields, field)).sum()
}

/// A field's number; 0 where it is missing.
pub(crate) fn number(fields: &HashMap<String, String>, name: &str) -> u64 {
    fields.get(name).map_or(0, |value| value.parse().expect("a record has numbers"))
}

/// All hashes whose keys begin with `prefix`, by the rest of their keys.
///
/// # Panics
/// If the server does not answer.
pub(crate) fn records(redis: &mut Connection, prefix: &str) -> Vec<(String, HashMap<String, String>)> {
    let keys: Vec<String> = redis.keys(format!("{prefix}*")).expect("the server answers");
    let mut records = Vec::with_capacity(keys.len());
    for keys in keys.chunks(1_000) {
        let mut pipeline = redis::pipe();
        for key in keys {
            pipeline.hgetall(key);
        }
        let fields: Vec<HashMap<String, String>> = pipeline.query(redis).expect("these are hashes");
        records.extend(keys.iter().map(|key| key[prefix.len()..].to_owned()).zip(fields));
    }
    records
}
