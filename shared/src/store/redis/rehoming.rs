//! What shards in Redis know of the ring, and how far they have got with a change of it.

use super::cluster::Connection;
use super::script::{LazyScript, with_checks};
use super::{RedisStore, pages, server_millis};
use crate::batch::MAX_BATCH_PAGES;
use crate::record::RecordName;
use crate::ring::Fingerprint;
use crate::shard::ShardName;
use crate::store::rehoming::{Cleaned, Cleaning, Pass, RecordSlice, Rehoming, RingState, Stage};
use crate::store::{ShardIndex, StoreError};
use futures_util::future::try_join_all;
use redis::{AsyncCommands, RedisResult, Script};
use std::collections::HashMap;

/// What the keys of records look like behind the shard's prefix: `page`, `days` and `site`, and next to nothing else. A scan
/// takes one pattern.
const RECORDS: &str = "[pds][ai][gyt][es]*";

/// What all of them but the site's own begin with. A key that does and is no record's is told of.
const CLASSES: [&[u8]; 3] = [b"page:", b"days:", b"site:"];

#[derive(Debug)]
pub(super) struct RehomingScripts {
    announce: LazyScript,
    advance: LazyScript,
    pub(super) take: LazyScript,
    pub(super) land: LazyScript,
    clean: LazyScript,
}

impl RehomingScripts {
    pub(super) fn new() -> Self {
        Self {
            announce: LazyScript::new(|| Script::new(include_str!("announce.lua"))),
            advance: LazyScript::new(|| Script::new(include_str!("advance.lua"))),
            take: LazyScript::new(|| Script::new(with_checks!("take.lua"))),
            land: LazyScript::new(|| Script::new(with_checks!("land.lua"))),
            clean: LazyScript::new(|| Script::new(include_str!("clean.lua"))),
        }
    }
}

fn list(members: &[ShardName]) -> String {
    members.iter().map(ShardName::as_str).collect::<Vec<_>>().join(",")
}

impl RedisStore {
    async fn advance_to(
        &self,
        shard: ShardIndex,
        ring: &str,
        passes: (Pass, Pass),
        (what, members): (&str, &str),
    ) -> Result<bool, StoreError> {
        let shard = &self.shards[shard];
        let (from, to) = passes;
        let call = |mut redis: Connection| {
            let mut script = self.rehoming.advance.prepare_invoke();
            script.key(shard.keys.shard()).key(shard.keys.moving());
            let late = if from.goes_on_to(to) { String::new() } else { to.late.to_string() };
            script.arg(ring).arg(from.to_string()).arg(to.to_string()).arg(late).arg(what).arg(members);
            async move { script.invoke_async::<bool>(&mut redis).await }
        };
        self.with_shard(shard, call).await
    }
}

impl Rehoming for RedisStore {
    async fn ring_state(&self, shard: ShardIndex) -> Result<RingState, StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| async move {
            let now = server_millis(&mut redis).await?;
            let fields: HashMap<String, String> = redis.hgetall(shard.keys.shard()).await?;
            Ok((now, fields))
        };
        let ((now, fields), incarnation) = self.with_incarnation(shard, call).await?;
        let field = |name: &str| fields.get(name).map(String::as_str);
        Ok(RingState {
            ring: field("ring").and_then(|ring| ring.parse().ok()),
            moving: field("moving").is_some(),
            members: pages::names(field("members").unwrap_or_default()),
            late: field("late").and_then(|late| late.parse().ok()).unwrap_or(0),
            pass: field("pass").and_then(|pass| pass.parse().ok()),
            tag: field("tag").and_then(|tag| tag.parse().ok()),
            now,
            incarnation,
        })
    }

    async fn announce(&self, shard: ShardIndex, ring: Fingerprint, members: &[ShardName]) -> Result<(), StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| {
            let mut script = self.rehoming.announce.prepare_invoke();
            script.key(shard.keys.shard()).arg(ring.to_string()).arg(list(members));
            async move { script.invoke_async::<()>(&mut redis).await }
        };
        self.with_shard(shard, call).await
    }

    async fn advance(&self, shard: ShardIndex, ring: Fingerprint, from: Pass, to: Pass) -> Result<bool, StoreError> {
        let renews = matches!((from.stage, to.stage), (Stage::Taken, Stage::Out { .. }));
        let what = if renews { "renew" } else { "" };
        self.advance_to(shard, &ring.to_string(), (from, to), (what, "")).await
    }

    async fn settle(
        &self,
        shard: ShardIndex,
        ring: Fingerprint,
        from: Pass,
        members: &[ShardName],
    ) -> Result<bool, StoreError> {
        self.advance_to(shard, &ring.to_string(), (from, from), ("settle", &list(members))).await
    }

    async fn scan_records(&self, shard: ShardIndex, cursor: u64) -> Result<RecordSlice, StoreError> {
        let shard = &self.shards[shard];
        let prefix = shard.keys.record_prefix();
        let ((next, keys), run) =
            self.scan_keys(shard, (&format!("{prefix}{RECORDS}"), pages::SCANNED), cursor).await?;
        let mut slice = RecordSlice { next, run, ..RecordSlice::default() };
        for key in keys {
            let name = key.get(prefix.len()..).unwrap_or_default();
            match std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()) {
                Some(record) => slice.records.push(record),
                None if CLASSES.iter().any(|class| name.starts_with(class)) => slice.unreadable.push(key),
                None => {}
            }
        }
        Ok(slice)
    }

    async fn clean(&self, shard: ShardIndex, cursor: u64, cleaning: &Cleaning) -> Result<Cleaned, StoreError> {
        let RecordSlice { records, next, run, .. } = self.scan_records(shard, cursor).await?;
        // Only pages have notes. The others were there a moment ago, which is all that is asked of them.
        let (pages, others): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| matches!(record, RecordName::Page(_)));
        let (pages, shard) = (&pages, &self.shards[shard]);
        let call = |redis: Connection| async move {
            // Some hundred at once: a script's keys are all in memory, and nobody else is served meanwhile.
            let calls = pages.chunks(MAX_BATCH_PAGES).map(|pages| {
                let mut redis = redis.clone();
                async move {
                    let mut script = self.rehoming.clean.prepare_invoke();
                    for page in pages {
                        script.key(shard.keys.record(page));
                    }
                    match cleaning {
                        Cleaning::Out { before } => drop(script.arg("out").arg(*before)),
                        Cleaning::In { before } => {
                            script.arg("in");
                            for (shard, tag) in before {
                                script.arg(shard.as_str()).arg(*tag);
                            }
                        }
                    }
                    script.invoke_async::<u64>(&mut redis).await
                }
            });
            let kept: RedisResult<Vec<u64>> = try_join_all(calls).await;
            Ok(kept?.into_iter().sum())
        };
        let kept: u64 = self.with_shard(shard, call).await?;
        Ok(Cleaned { next, kept: kept + others.len() as u64, run })
    }
}
