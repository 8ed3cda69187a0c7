//! The days of a page or of the site: records of a month each, and sketches of days that are not rolled up yet.

use super::super::cluster::Connection;
use super::super::keys::Keys;
use super::super::{RedisStore, Shard};
use crate::day::{Day, Month};
use crate::page::PageId;
use crate::store::StoreError;
use crate::store::statistics::DayCount;
use crate::visit::Refused;
use futures_util::future::{join_all, try_join, try_join3};
use redis::{AsyncCommands, RedisResult};
use std::collections::HashMap;

/// Days before the last one asked for that may not be rolled up: a copy of a batch is delivered for up to seven days, and
/// its visitors are in a sketch until the next roll-up.
pub(super) const IN_SKETCHES: u32 = 9;

/// Of what the days are wanted.
pub(super) enum Of<'a> {
    Page(&'a PageId),
    Site,
}

#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) total: u64,
    pub(super) bots: u64,
    pub(super) days: Vec<DayCount>,
    pub(super) refused: Refused,
}

/// The fields of a month.
type Fields = HashMap<String, u64>;

impl Of<'_> {
    fn record(&self, keys: &Keys) -> String {
        match self {
            Self::Page(page) => keys.page(page),
            Self::Site => keys.site(),
        }
    }

    fn month(&self, keys: &Keys, month: Month) -> String {
        match self {
            Self::Page(page) => keys.page_month(month, page),
            Self::Site => keys.site_month(month),
        }
    }

    fn visitors(&self, keys: &Keys, day: Day) -> String {
        match self {
            Self::Page(page) => keys.page_visitors(day, page),
            Self::Site => keys.site_visitors(day),
        }
    }
}

impl RedisStore {
    /// Reads everything in one round trip.
    pub(super) async fn read_days(
        &self,
        shard: &Shard,
        of: &Of<'_>,
        first: Day,
        last: Day,
    ) -> Result<Found, StoreError> {
        let keys = &shard.keys;
        let mut months = vec![first.month()];
        while months.last().is_some_and(|month| *month < last.month()) {
            months.extend(months.last().map(|month| month.next()));
        }
        let recent: Vec<Day> = first.max(last.minus(IN_SKETCHES)).to(last).collect();
        let call = |redis: Connection| {
            let records = months.iter().map(|month| fields(redis.clone(), of.month(keys, *month)));
            let sketches = recent.iter().map(|day| count(redis.clone(), of.visitors(keys, *day)));
            let (records, sketches) = (join_all(records), join_all(sketches));
            let (mut redis, key) = (redis.clone(), of.record(keys));
            async move {
                let totals = async move { redis.hmget(key, &["total", "bots"]).await };
                let (totals, records, sketches): ([Option<u64>; 2], _, _) =
                    try_join3(totals, async { Ok(records.await) }, async { Ok(sketches.await) }).await?;
                let (records, sketches) = try_join(async { all(records) }, async { all(sketches) }).await?;
                Ok((totals, records, sketches))
            }
        };
        let (totals, records, sketches): (_, Vec<Fields>, Vec<u64>) = self.with_shard(shard, call).await?;
        let records: HashMap<Month, Fields> = months.into_iter().zip(records).collect();
        let sketches: HashMap<Day, u64> = recent.into_iter().zip(sketches).collect();
        let mut found = Found { total: totals[0].unwrap_or(0), bots: totals[1].unwrap_or(0), ..Found::default() };
        for day in first.to(last) {
            let field = |suffix: &str| {
                let number =
                    records.get(&day.month()).and_then(|fields| fields.get(&format!("{}{suffix}", day.of_month())));
                number.copied().unwrap_or(0)
            };
            let in_sketch = sketches.get(&day).copied().unwrap_or(0);
            // What came after the roll-up is in a sketch of its own: the larger one is nearer.
            found.days.push(DayCount { people: field(""), bots: field("b"), visitors: field("u").max(in_sketch) });
            found.refused.origin += field("o");
            found.refused.page += field("p");
            found.refused.repeat += field("r");
            found.refused.new_page += field("n");
        }
        Ok(found)
    }
}

fn all<T>(answers: Vec<RedisResult<T>>) -> RedisResult<Vec<T>> {
    answers.into_iter().collect()
}

/// A key of another type is told when it is written to; here it has no days.
async fn fields(mut redis: Connection, key: String) -> RedisResult<Fields> {
    let read: RedisResult<HashMap<String, String>> = redis.hgetall(key).await;
    match read {
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(Fields::new()),
        read => Ok(read?.into_iter().filter_map(|(field, value)| Some((field, value.parse().ok()?))).collect()),
    }
}

/// A sketch that is none, or damaged, is reported by the roll-up; here it counts nobody.
async fn count(mut redis: Connection, key: String) -> RedisResult<u64> {
    match redis.pfcount(key).await {
        Err(error) if matches!(error.code(), Some("WRONGTYPE" | "INVALIDOBJ")) => Ok(0),
        count => count,
    }
}
