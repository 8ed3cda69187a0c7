//! The owner's answers, as they are written in JSON, and how the shards' parts are added up to them. Pure.

use crate::day::Day;
use crate::page::PageId;
use crate::shard::ShardName;
use crate::store::statistics::{DayCount, Refused};
use serde::{Serialize, Serializer};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

/// One day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DayRow {
    /// The day in UTC.
    pub day: Day,
    /// Visits by people.
    pub people: u64,
    /// Visits by bots.
    pub bots: u64,
    /// Unique visitors of the day.
    pub visitors: u64,
}

/// A page's days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct History {
    /// The page's id.
    pub page: String,
    /// The first day.
    pub from: Day,
    /// The last day: the present one.
    pub to: Day,
    /// Visits of all time.
    pub visits: u64,
    /// Those of them by bots.
    pub bots: u64,
    /// Every day, the oldest first.
    pub days: Vec<DayRow>,
    /// The moment up to which the days are complete, as in [`Summary`].
    #[serde(serialize_with = "as_rfc_3339")]
    pub as_of: u64,
}

/// A page in a top list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopPage {
    /// The page's id.
    pub page: String,
    /// Visits by people.
    pub people: u64,
}

/// The pages with the most visits by people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Top {
    /// The first day.
    pub from: Day,
    /// The last day: the present one.
    pub to: Day,
    /// The first page first.
    pub pages: Vec<TopPage>,
    /// Every shard has answered.
    pub complete: bool,
    /// The moment up to which the list is complete, as in [`Summary`].
    #[serde(serialize_with = "as_rfc_3339")]
    pub as_of: u64,
}

/// Visits of all time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// All.
    pub visits: u64,
    /// By people.
    pub people: u64,
    /// By bots.
    pub bots: u64,
}

/// What was refused in the chosen days.
pub type Refusals = Refused;

/// How a shard is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShardHealth {
    /// Its name.
    pub name: String,
    /// Whether it has said all that it was asked for.
    pub status: ShardStatus,
    /// How long it took to answer, in milliseconds, to a tenth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
}

/// See [`ShardHealth`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ShardStatus {
    /// It answers.
    Ok,
    /// It does not.
    Down,
}

/// The whole site.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The first day.
    pub from: Day,
    /// The last day: the present one.
    pub to: Day,
    /// The present day.
    pub today: DayRow,
    /// Visits of all time.
    pub total: Totals,
    /// Every day, the oldest first.
    pub days: Vec<DayRow>,
    /// What was refused on these days.
    pub refused: Refusals,
    /// Every shard, in the order of `REDIS_ENDPOINTS`.
    pub shards: Vec<ShardHealth>,
    /// Every shard has answered: otherwise the figures are too low.
    pub complete: bool,
    /// The moment up to which days, tops and visitors are complete, to the second: visits that came to a shard before it
    /// are in them. Those of the last `flush_interval_s` may still be on their way to a shard.
    #[serde(serialize_with = "as_rfc_3339")]
    pub as_of: u64,
    /// How old a visit may be that is not in the figures yet, in seconds.
    #[serde(rename = "flush_interval_s", serialize_with = "as_seconds")]
    pub flush_interval: Duration,
    /// Most days that may be asked for.
    pub history_days: u32,
}

impl ShardHealth {
    /// A shard that has answered, and how long that took.
    pub(crate) fn ok(name: &ShardName, latency: Duration) -> Self {
        let latency_ms = (latency.as_secs_f64() * 10_000.0).round() / 10.0;
        Self { name: name.as_str().to_owned(), status: ShardStatus::Ok, latency_ms: Some(latency_ms) }
    }

    /// A shard that has not.
    pub(crate) fn down(name: &ShardName) -> Self {
        Self { name: name.as_str().to_owned(), status: ShardStatus::Down, latency_ms: None }
    }
}

impl Totals {
    /// Tells people from bots.
    pub(crate) fn new(visits: u64, bots: u64) -> Self {
        Self { visits, people: visits.saturating_sub(bots), bots }
    }
}

/// One row for each day, also for one of which nothing is known.
pub(crate) fn rows(first: Day, last: Day, days: &[DayCount]) -> Vec<DayRow> {
    let row = |(day, DayCount { people, bots, visitors })| DayRow { day, people, bots, visitors };
    first.to(last).zip(days.iter().copied().chain(std::iter::repeat(DayCount::default()))).map(row).collect()
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn as_rfc_3339<S: Serializer>(seconds: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(*seconds)).unwrap_or(UNIX_EPOCH);
    serializer.collect_str(&humantime::format_rfc3339_seconds(time))
}

/// Whole if it is.
fn as_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    if time.subsec_nanos() == 0 {
        serializer.serialize_u64(time.as_secs())
    } else {
        serializer.serialize_f64(time.as_secs_f64())
    }
}

/// The first `limit` pages of all lists together, those with as many visits by their ids.
pub(crate) fn top_pages(lists: Vec<Vec<(PageId, u64)>>, limit: usize) -> Vec<TopPage> {
    let mut sums: HashMap<PageId, u64> = HashMap::new();
    for (page, people) in lists.into_iter().flatten() {
        let sum = sums.entry(page).or_default();
        *sum = sum.saturating_add(people);
    }
    let mut pages: Vec<_> = sums.into_iter().collect();
    pages.sort_unstable_by(|one, other| (Reverse(one.1), &one.0).cmp(&(Reverse(other.1), &other.0)));
    pages.truncate(limit);
    pages.into_iter().map(|(page, people)| TopPage { page: page.as_str().to_owned(), people }).collect()
}
