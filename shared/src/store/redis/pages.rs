//! Pages and their records in Redis.

use super::cluster::Connection;
use super::keys::Key;
use super::{RedisStore, Shard};
use crate::page::PageId;
use crate::record::{BadField, PageRecord};
use crate::ring::Fingerprint;
use crate::shard::ShardName;
use crate::store::{Reading, ServerRun, ShardIndex, StoreError, Traces};
use futures_util::future::join_all;
use redis::{Cmd, FromRedisValue};
use std::collections::HashMap;

/// Keys that Redis looks at for one slice. A thousand take it about a third of a millisecond.
const SCANNED: usize = 1_000;

/// Keys that a scan looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// Records of pages.
    Pages,
    /// Records of pages, their months, and those of the site.
    Records,
    /// Sketches: few once their days are rolled up.
    Sketches,
    /// All that is kept of days and months, and secrets; not sketches.
    Kept,
}

impl Scan {
    /// Returns the pattern behind the shard's prefix, of which a scan takes one and which finds some others, too; and the
    /// beginnings of those keys that are reported if they have no name.
    fn looks_for(self) -> (&'static str, &'static [&'static [u8]]) {
        match self {
            Self::Pages => ("page:*", &[b"page:"]),
            Self::Records => ("[pds][ai][gyt][es]*", &[b"page:", b"days:", b"site:"]),
            Self::Sketches => ("visitors:*", &[b"visitors:"]),
            Self::Kept => ("[dst][aieo]*", &[]),
        }
    }
}

/// Some of the keys that a scan looks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySlice {
    /// The keys. One may come twice, in this slice or a later one.
    pub keys: Vec<Key>,
    /// Keys among them that are no names, as they are.
    pub unreadable: Vec<Vec<u8>>,
    /// Cursor of the next slice; 0: this was the last one.
    pub next: u64,
    /// The run of the server that answered. Another run knows nothing of this one's cursors.
    pub run: ServerRun,
}

/// A page's record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// A key of another type, or anything else that the shard refuses to read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// A record with something else in it than visits.
    #[error(transparent)]
    Field(#[from] BadField),
}

/// Fields that say what a shard knows of its ring.
const RING: [&str; 2] = ["ring", "moving"];

/// The fields that count a page's visits.
pub(crate) const COUNTS: [&str; 2] = ["total", "bots"];

/// A command's answer for one key of several; or why that key has none.
pub(super) type Answer = Result<redis::Value, String>;

/// The fields of a record as they are.
type Fields = HashMap<String, String>;

impl RedisStore {
    /// Reads a page's count on this shard, and whether that can be all, in one round trip.
    pub async fn read(&self, shard: ShardIndex, page: &PageId) -> Result<Reading, StoreError> {
        self.read_all(shard, std::slice::from_ref(page)).await?.remove(0)
    }

    /// Reads a page's count on this shard; 0 if it has none.
    pub async fn total(&self, shard: ShardIndex, page: &PageId) -> Result<u64, StoreError> {
        Ok(self.read(shard, page).await?.total)
    }

    /// Reads some pages, in their order and in one round trip. At most a few hundred at once.
    pub async fn read_all(
        &self,
        shard: ShardIndex,
        pages: &[PageId],
    ) -> Result<Vec<Result<Reading, StoreError>>, StoreError> {
        let shard = &self.shards[shard];
        let keys: Vec<String> = pages.iter().map(|page| shard.keys.of(&Key::Page(page.clone()))).collect();
        let ring = Cmd::hmget(shard.keys.of(&Key::Shard), &RING);
        let counts = keys.iter().map(|key| Cmd::hmget(key, &COUNTS));
        let mut answers = self.each(shard, &counts.chain([ring]).collect::<Vec<_>>()).await?;
        let settled = answers.pop().and_then(|ring| settled(&parsed(ring).ok()?));
        let reading = |(key, answer): (&String, Answer)| {
            // The connection is good, and so are the other pages.
            let counts = parsed(answer).and_then(|counts| numbers(&counts).map_err(str::to_owned));
            let [total, bots] = counts.map_err(|error| shard.refused(&format!("{key} {error}")))?;
            Ok(Reading { total, bots, settled })
        };
        Ok(keys.iter().zip(answers).map(reading).collect())
    }

    /// Reads all that this shard knows of where a page's visits are.
    pub async fn traces(&self, shard: ShardIndex, page: &PageId) -> Result<Traces, StoreError> {
        let shard = &self.shards[shard];
        let key = shard.keys.of(&Key::Page(page.clone()));
        let (fields, members) = (Cmd::hgetall(&key), Cmd::hget(shard.keys.of(&Key::Shard), "members"));
        let ((fields, members), _): ((Fields, Option<String>), _) = self.query_both(shard, &fields, &members).await?;
        let record = record(&fields).map_err(|error| shard.refused(&format!("{key}: {error}")))?;
        Ok(Traces { record, members: names(members.as_deref().unwrap_or_default()) })
    }

    /// Runs commands all together. A key of another type, or a damaged sketch, spoils none of the others; any other refusal is
    /// meant for all.
    pub(super) async fn each(&self, shard: &Shard, commands: &[Cmd]) -> Result<Vec<Answer>, StoreError> {
        let call = |redis: Connection| async move {
            let answers = commands.iter().map(|command| {
                let mut redis = redis.clone();
                async move {
                    match command.query_async(&mut redis).await {
                        Err(error) if matches!(error.code(), Some("WRONGTYPE" | "INVALIDOBJ")) => {
                            Ok(Err(error.to_string()))
                        }
                        answer => answer.map(Ok),
                    }
                }
            });
            join_all(answers).await.into_iter().collect()
        };
        self.with_shard(shard, call).await
    }
}

/// Reads an answer, or says why there is none.
pub(super) fn parsed<T: FromRedisValue>(answer: Answer) -> Result<T, String> {
    T::from_redis_value(answer?).map_err(|error| error.to_string())
}

/// The numbers of [`COUNTS`]; 0 for one that is missing.
fn numbers(counts: &[Option<String>; 2]) -> Result<[u64; 2], &'static str> {
    let number = |text: &Option<String>| text.as_ref().map_or(Ok(0), |text| text.parse());
    let [total, bots] = counts;
    let no_count = |_| "holds a total that is no count";
    Ok([number(total).map_err(no_count)?, number(bots).map_err(no_count)?])
}

/// The ring in force, unless pages move.
fn settled(ring: &[Option<String>; 2]) -> Option<Fingerprint> {
    match ring {
        [Some(ring), None] => ring.parse().ok(),
        _ => None,
    }
}

fn record(fields: &Fields) -> Result<PageRecord, BadRecord> {
    let fields = fields.iter().map(|(field, value)| (field.as_str(), value.as_str()));
    PageRecord::from_fields(fields).map_err(BadRecord::from)
}

/// The names of a list with commas.
pub(super) fn names(list: &str) -> Vec<ShardName> {
    list.split(',').filter_map(|name| name.parse().ok()).collect()
}

impl RedisStore {
    /// Returns a slice of the shard's keys, from `cursor` on (0: the beginning). All that is there from the first to the last
    /// slice comes at least once, if all are of one run of the server. A slice costs the shard less than a millisecond.
    pub async fn scan(&self, shard: ShardIndex, scan: Scan, cursor: u64) -> Result<KeySlice, StoreError> {
        let (shard, (pattern, reported)) = (&self.shards[shard], scan.looks_for());
        let prefix = shard.keys.prefix();
        let mut scan = redis::cmd("SCAN");
        // No character of a shard's name or a namespace has a meaning in a pattern.
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}{pattern}")).arg("COUNT").arg(SCANNED);
        // A scan names no key, so a node that has lost the shard's slot answers it; not so this.
        let here = Cmd::exists(shard.keys.of(&Key::Shard));
        let ((found, _), run): ((_, bool), _) = self.query_both(shard, &scan, &here).await?;
        let (next, found): (u64, Vec<Vec<u8>>) = found;
        let mut slice = KeySlice { next, run, ..KeySlice::default() };
        for key in found {
            let name = key.get(prefix.len()..).unwrap_or_default();
            match std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()) {
                Some(name) => slice.keys.push(name),
                None if reported.iter().any(|class| name.starts_with(class)) => slice.unreadable.push(key),
                None => {}
            }
        }
        Ok(slice)
    }

    /// Returns the shard's records of these pages, in their order; an empty one where it has none. At most some
    /// thousand pages at once: all of the answers are in memory together.
    pub async fn records(
        &self,
        shard: ShardIndex,
        pages: &[PageId],
    ) -> Result<Vec<Result<PageRecord, BadRecord>>, StoreError> {
        let shard = &self.shards[shard];
        let key = |page: &PageId| shard.keys.of(&Key::Page(page.clone()));
        let commands: Vec<Cmd> = pages.iter().map(|page| Cmd::hgetall(key(page))).collect();
        let read = |answer| record(&parsed(answer).map_err(BadRecord::Unreadable)?);
        Ok(self.each(shard, &commands).await?.into_iter().map(read).collect())
    }
}
