//! Shards, writers with their batches, and a plain count of what days must show.

use redis::Commands;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use visits_core::batch::{Batch, Content, Increment, Sequence, WriterId};
use visits_core::clock::Clock;
use visits_core::day::{Day, Month};
use visits_core::fold::Folded;
use visits_core::page::PageId;
use visits_core::ring::Ring;
use visits_core::store::{Applied, Apply, Ledger, ShardIndex, StoreError, WriterStatus};
use visits_core::tests::{Shards, fold, page};
use visits_core::visit::Refused;

/// The first day of the tests. Its month ends with the day after the next.
pub(crate) fn first_day() -> Day {
    "2026-11-29".parse().unwrap()
}

/// A page's numbers on a day: visits by people, and by bots.
pub(crate) type Count = (u64, u64);

pub(crate) struct World {
    pub(crate) shards: Shards,
    pub(crate) ring: Ring,
    /// All batches, in the order of their sequences, for each shard.
    pub(crate) batches: Vec<Vec<Arc<Batch>>>,
    writer: WriterId,
}

impl World {
    pub(crate) fn with(shards: Shards) -> Self {
        let ring = shards.ring();
        let batches = vec![Vec::new(); ring.len()];
        Self { shards, ring, batches, writer: WriterId::from_u128(7) }
    }

    /// Seals a batch for `shard`.
    pub(crate) fn seal(&mut self, shard: ShardIndex, day: Option<Day>, increments: Vec<Increment>, refused: Refused) {
        let sequence = Sequence::new(self.batches[shard].len() as u64 + 1).unwrap();
        let batch = Batch::of(sequence, Content { day, increments, refused }, Clock::system().now());
        self.batches[shard].push(Arc::new(batch));
    }

    /// Sends the batches with these places to their shard.
    pub(crate) async fn send(&self, shard: ShardIndex, places: &[usize]) -> Result<Applied, StoreError> {
        let batches = places.iter().map(|place| (Arc::clone(&self.batches[shard][*place]), Duration::ZERO)).collect();
        let ring = Some(self.ring.fingerprint());
        let (writer, base, status) = (self.writer, Sequence::FIRST, WriterStatus::Delivered);
        self.shards.store().apply(shard, &Apply { writer, base, batches, status, ring }).await
    }

    pub(crate) async fn send_all(&self) {
        for (shard, batches) in self.batches.iter().enumerate() {
            let places: Vec<usize> = (0..batches.len()).collect();
            for places in places.chunks(5) {
                self.send(shard, places).await.unwrap();
            }
        }
    }

    pub(crate) async fn fold(&self) -> Folded {
        fold(self.shards.store(), &self.ring, &Clock::system()).await
    }

    /// The days of pages as the batches have them, without pages that `is_left_out`.
    pub(crate) fn expected(&self, is_left_out: impl Fn(ShardIndex, &PageId) -> bool) -> BTreeMap<(Day, PageId), Count> {
        let mut days: BTreeMap<(Day, PageId), Count> = BTreeMap::new();
        for (shard, batches) in self.batches.iter().enumerate() {
            for batch in batches {
                let Some(day) = batch.day() else { continue };
                for one in batch.increments().iter().filter(|one| !is_left_out(shard, &one.page)) {
                    let count = days.entry((day, one.page.clone())).or_default();
                    *count = (count.0 + one.people(), count.1 + one.bots);
                }
            }
        }
        days
    }

    /// The days of pages as the shards have them, added up.
    pub(crate) fn days(&self) -> BTreeMap<(Day, PageId), Count> {
        let (mut days, mut redis) = (BTreeMap::<(Day, PageId), Count>::new(), self.shards.connect());
        for shard in 0..self.ring.len() {
            let prefix = self.shards.key(shard, "days:");
            for key in self.shards.keys(shard, "days:*") {
                let (month, id) = key.strip_prefix(&prefix).unwrap().split_once(':').unwrap();
                let Ok(fields) = redis.hgetall::<_, HashMap<String, u64>>(&key) else { continue };
                for (field, number) in fields {
                    let (of_month, is_bots) =
                        field.strip_suffix('b').map_or((field.as_str(), false), |day| (day, true));
                    let day = month.parse::<Month>().unwrap().day(of_month.parse().unwrap()).unwrap();
                    let count = days.entry((day, page(id))).or_default();
                    *(if is_bots { &mut count.1 } else { &mut count.0 }) += number;
                }
            }
        }
        days
    }

    /// Adds up what fields of a hash the shards have.
    pub(crate) fn site(&self, key: &str, fields: &[&str]) -> u64 {
        let mut redis = self.shards.connect();
        let mut number = |shard, field: &&str| -> u64 {
            redis.hget::<_, _, Option<u64>>(self.shards.key(shard, key), *field).unwrap().unwrap_or_default()
        };
        (0..self.ring.len()).map(|shard| fields.iter().map(|field| number(shard, field)).sum::<u64>()).sum()
    }

    /// Entries that wait on all shards.
    pub(crate) fn waiting(&self) -> usize {
        let mut redis = self.shards.connect();
        let mut length =
            |shard| redis::cmd("XLEN").arg(self.shards.key(shard, "journal")).query::<usize>(&mut redis).unwrap();
        (0..self.ring.len()).map(&mut length).sum()
    }
}
