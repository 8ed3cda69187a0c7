//! The shards of this call, and pages' counts over all of them.

use crate::exit::Failure;
use futures_util::future::try_join_all;
use visits_core::config::Config;
use visits_core::credentials::Aws;
use visits_core::page::PageId;
use visits_core::record::{self, PageRecord};
use visits_core::ring::Ring;
use visits_core::shard::ShardName;
use visits_core::store::redis::RedisStore;
use visits_core::store::redis::pages::BadRecord;
use visits_core::store::{ShardIndex, StoreError};

/// A page's visits.
#[derive(Clone, Copy)]
pub(crate) struct Count {
    pub(crate) visits: u64,
    /// Visits among them by bots.
    pub(crate) bots: u64,
}

/// The shards and the ring that they make.
pub(crate) struct Shards {
    pub(crate) config: Config,
    pub(crate) ring: Ring,
    pub(crate) store: RedisStore,
}

impl Shards {
    /// Shards that are only looked at. Connects to nothing yet.
    pub(crate) fn looking(config: Config) -> Result<Self, Failure> {
        let shards = Self::changing(config)?;
        Ok(Self { store: shards.store.looking(), ..shards })
    }

    /// Shards that are changed. Connects to nothing yet. An identity for AWS may come from wherever its SDK looks.
    pub(crate) fn changing(config: Config) -> Result<Self, Failure> {
        let store = RedisStore::with_aws(&config, Aws::with_sdk(config.clock()))?;
        Ok(Self { ring: config.ring(), store, config })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether the ring places this page on this shard.
    pub(crate) fn owns(&self, shard: ShardIndex, page: &PageId) -> bool {
        self.ring.owner(page.as_str()) == shard
    }

    /// The name of one of a shard's keys.
    pub(crate) fn key(&self, shard: ShardIndex, key: &str) -> String {
        format!("{}:{{{}}}:{key}", self.config.namespace, self.ring.name(shard))
    }

    /// The pages' counts, in their order. Each is the sum over all shards, so that it is right also while a ring change
    /// moves pages. A page without one has a sentence that says why and names the shard. At most some thousand at once.
    pub(crate) async fn counts(&self, pages: &[PageId]) -> Result<Vec<Result<Count, String>>, StoreError> {
        let records = try_join_all((0..self.len()).map(|shard| self.store.records(shard, pages))).await?;
        let of_page = |page: usize| records.iter().map(move |of_shard| &of_shard[page]);
        Ok((0..pages.len()).map(|page| count(self.ring.shards(), of_page(page))).collect())
    }
}

fn count<'a>(
    names: &[ShardName],
    records: impl Iterator<Item = &'a Result<PageRecord, BadRecord>>,
) -> Result<Count, String> {
    let readable = names.iter().zip(records).map(|(name, record)| match record {
        Ok(record) => Ok((name, record)),
        Err(error) => Err(format!("its record on shard {name}: {error}")),
    });
    let readable = readable.collect::<Result<Vec<_>, _>>()?;
    let (visits, bots) = (record::count(readable.iter().copied()), record::count_bots(readable.iter().copied()));
    Ok(Count { visits, bots })
}
