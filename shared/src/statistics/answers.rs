//! What the owner gets, as it is written in JSON.

use crate::clock::Moment;
use crate::day::Day;
use crate::page::PageId;
use crate::shard::ShardName;
use crate::store::statistics::{DayCount, PageDays, Refused, SiteDays};
use serde::{Serialize, Serializer};
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
    /// When the shards were asked, to the second.
    #[serde(serialize_with = "as_rfc_3339")]
    pub as_of: u64,
    /// How old a visit may be that is not in the figures yet, in seconds.
    #[serde(rename = "flush_interval_s", serialize_with = "as_seconds")]
    pub flush_interval: Duration,
    /// Most days that may be asked for.
    pub history_days: u32,
}

impl History {
    pub(super) fn new(page: &PageId, first: Day, last: Day, parts: &PageDays) -> Self {
        let PageDays { total, bots, days } = parts;
        let (page, days) = (page.as_str().to_owned(), rows(first, last, days));
        Self { page, from: first, to: last, visits: *total, bots: *bots, days }
    }
}

impl Top {
    pub(super) fn new(first: Day, last: Day, pages: Vec<(PageId, u64)>, complete: bool) -> Self {
        let pages = pages.into_iter().map(|(page, people)| TopPage { page: page.as_str().to_owned(), people });
        Self { from: first, to: last, pages: pages.collect(), complete }
    }
}

impl ShardHealth {
    pub(super) fn ok(name: &ShardName, latency: Duration) -> Self {
        let latency_ms = (latency.as_secs_f64() * 10_000.0).round() / 10.0;
        Self { name: name.as_str().to_owned(), status: ShardStatus::Ok, latency_ms: Some(latency_ms) }
    }

    pub(super) fn down(name: &ShardName) -> Self {
        Self { name: name.as_str().to_owned(), status: ShardStatus::Down, latency_ms: None }
    }
}

/// What a summary says besides its figures.
pub(super) struct Circumstances {
    pub(super) shards: Vec<ShardHealth>,
    pub(super) complete: bool,
    pub(super) asked: Moment,
    pub(super) flush_interval: Duration,
    pub(super) history_days: u32,
}

impl Summary {
    pub(super) fn new(first: Day, last: Day, site: &SiteDays, around: Circumstances) -> Self {
        let days = rows(first, last, &site.days);
        let Circumstances { shards, complete, asked, flush_interval, history_days } = around;
        Self {
            from: first,
            to: last,
            today: days.last().copied().unwrap_or_else(|| row(last, DayCount::default())),
            total: Totals { visits: site.total, people: site.total.saturating_sub(site.bots), bots: site.bots },
            days,
            refused: site.refused,
            shards,
            complete,
            as_of: asked.epoch_millis() / 1_000,
            flush_interval,
            history_days,
        }
    }
}

fn row(day: Day, DayCount { people, bots, visitors }: DayCount) -> DayRow {
    DayRow { day, people, bots, visitors }
}

/// One row for each day, also for one of which nothing is known.
fn rows(first: Day, last: Day, days: &[DayCount]) -> Vec<DayRow> {
    first
        .to(last)
        .zip(days.iter().copied().chain(std::iter::repeat(DayCount::default())))
        .map(|(d, c)| row(d, c))
        .collect()
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
