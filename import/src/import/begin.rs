//! The beginning of an import: what the shards know of its id decides whether it begins, goes on, or is done.

use super::{Import, ImportError};
use visits_core::config::Config;
use visits_core::shard::ShardName;
use visits_core::store::ShardIndex;
use visits_core::store::imports::{ImportRecord, Imports};

/// What is to be done.
#[derive(Debug)]
pub(super) enum Begun {
    /// Nothing: all shards have it.
    Done,
    /// Everything that the shards do not have yet, placed as the record says. They all know the record.
    Open(ImportRecord),
}

/// Looks for the import in all shards and notes it in those it concerns, before its first batch.
pub(super) async fn begin<S: Imports>(
    store: &S,
    config: &Config,
    import: &Import,
    digest: u128,
    bytes: u64,
) -> Result<Begun, ImportError> {
    let known = known(store, config, import).await?;
    let new = || new_record(config, digest, bytes);
    let record = known.first().map_or_else(new, |record| ImportRecord { done: false, ..record.clone() });
    if known.iter().any(|other| !other.is_same_import(&record)) {
        return Err(ImportError::Conflict);
    }
    if (record.digest, record.bytes) != (digest, bytes) {
        return Err(ImportError::OtherInput { then: record.bytes, now: bytes });
    }
    if is_done(config, &record, &known) {
        return Ok(Begun::Done);
    }
    for shard in places(config, &record)? {
        let noted = import.patience.answer(async || store.begin_import(shard, &import.id, &record).await).await?;
        // Another program began an import under this id since we looked.
        if !noted.is_same_import(&record) {
            return Err(ImportError::Conflict);
        }
    }
    Ok(Begun::Open(record))
}

/// The records that the configured shards have.
async fn known<S: Imports>(store: &S, config: &Config, import: &Import) -> Result<Vec<ImportRecord>, ImportError> {
    let mut known = Vec::new();
    for shard in 0..config.shards.len() {
        known.extend(import.patience.answer(async || store.import(shard, &import.id).await).await?);
    }
    Ok(known)
}

fn new_record(config: &Config, digest: u128, bytes: u64) -> ImportRecord {
    let owners = config.shards.iter().filter(|shard| shard.weight.get() > 0);
    let ring = owners.map(|shard| (shard.name.clone(), shard.weight)).collect();
    ImportRecord { digest, bytes, ring, done: false }
}

/// Every shard that it concerns and that is still configured says so. One that has no record (any more) or an open one
/// may have lost batches in a crash. A shard that is gone had all of its own when another one was told that it is done.
fn is_done(config: &Config, record: &ImportRecord, known: &[ImportRecord]) -> bool {
    let configured = |name: &ShardName| config.shards.iter().any(|shard| shard.name == *name);
    let concerned = record.ring.iter().filter(|(name, _)| configured(name)).count();
    let done = known.iter().filter(|record| record.done).count();
    done > 0 && done >= concerned
}

/// The store's indices of the shards of the record's ring, in its order.
pub(super) fn places(config: &Config, record: &ImportRecord) -> Result<Vec<ShardIndex>, ImportError> {
    let place = |name: &ShardName| config.shards.iter().position(|shard| shard.name == *name);
    let missing = |name: &ShardName| ImportError::ShardMissing(name.clone());
    record.ring.iter().map(|(name, _)| place(name).ok_or_else(|| missing(name))).collect()
}
