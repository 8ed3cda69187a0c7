//! Finished days in Redis.

use super::cluster::Connection;
use super::keys::Keys;
use super::park_script::mark;
use super::script::LazyScript;
use super::{RedisStore, pages, server_millis};
use crate::day::{Day, Month};
use crate::store::rollup::{
    Counted, DatedKey, KeySlice, Pass, RollUp, Scan, Sketch, SketchCopy, Stage, Tidied, Tidying,
};
use crate::store::statistics::{TOP_KEPT, TOP_TODAY};
use crate::store::{Incarnation, ShardIndex, StoreError};
use redis::{FromRedisValue, RedisResult, Script};
use std::collections::HashMap;

/// Keys that Redis looks at for one slice. Where most of them are sketches it takes half a millisecond.
const SCANNED: usize = 500;

/// The text of a script that looks into sketches.
macro_rules! with_sketches {
    ($file:literal) => {
        concat!(include_str!("sketch.lua"), include_str!($file))
    };
}

#[derive(Debug)]
pub(super) struct RollUpScripts {
    tidy: LazyScript,
    advance: LazyScript,
    sketches: LazyScript,
    merge: LazyScript,
    mark: LazyScript,
    remove: LazyScript,
    count: LazyScript,
    list_month: LazyScript,
}

impl RollUpScripts {
    pub(super) fn new() -> Self {
        Self {
            tidy: LazyScript::new(|| Script::new(include_str!("tidy_days.lua"))),
            advance: LazyScript::new(|| Script::new(include_str!("advance_days.lua"))),
            sketches: LazyScript::new(|| Script::new(with_sketches!("sketches.lua"))),
            merge: LazyScript::new(|| Script::new(include_str!("merge.lua"))),
            mark: LazyScript::new(|| Script::new(include_str!("mark_copied.lua"))),
            remove: LazyScript::new(|| Script::new(with_sketches!("remove_copied.lua"))),
            count: LazyScript::new(|| Script::new(include_str!("count_visitors.lua"))),
            list_month: LazyScript::new(|| Script::new(include_str!("list_month.lua"))),
        }
    }
}

/// The record that a sketch's number belongs to, and the field there.
fn place(keys: &Keys, sketch: &Sketch) -> (String, String) {
    let month = sketch.day.month();
    let record = match &sketch.page {
        Some(page) => keys.page_month(month, page),
        None => keys.site_month(month),
    };
    (record, format!("{}u", sketch.day.of_month()))
}

/// What `sketches.lua` tells of one: content, digest and mark.
type Found = (Vec<u8>, String, String);

/// A sketch as it was found, `now` on the shard's clock. A mark of other content is none.
fn sketch_copy((value, digest, text): Found, now: u64) -> SketchCopy {
    let copied = text.rsplit_once(' ').filter(|(_, of)| *of == digest).and_then(|(text, _)| mark(text, now));
    SketchCopy { value, digest, copied }
}

/// The pages with the highest sums in these lists, at most [`TOP_KEPT`], each with its sum.
fn best(lists: impl Iterator<Item = Vec<(Vec<u8>, f64)>>) -> Vec<(Vec<u8>, f64)> {
    let mut sums: HashMap<Vec<u8>, f64> = HashMap::new();
    for (page, people) in lists.flatten() {
        *sums.entry(page).or_default() += people;
    }
    let mut pages: Vec<_> = sums.into_iter().collect();
    // Of equal ones the greater name, as Redis would keep it.
    pages.sort_by(|left, right| right.1.total_cmp(&left.1).then_with(|| right.0.cmp(&left.0)));
    pages.truncate(TOP_KEPT);
    pages
}

impl RollUp for RedisStore {
    async fn tidy_days(&self, shard: ShardIndex, tidying: &Tidying) -> Result<Tidied, StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| {
            let mut script = self.rollup.tidy.prepare_invoke();
            script.key(shard.keys.rollup()).key(shard.keys.shard()).arg(tidying.trim.len()).arg(TOP_TODAY);
            for day in &tidying.trim {
                script.key(shard.keys.top(*day));
            }
            for day in &tidying.destroy {
                script.key(shard.keys.secret(*day));
            }
            async move { script.invoke_async::<(usize, Option<String>, Option<String>)>(&mut redis).await }
        };
        let (destroyed, pass, ring) = self.with_shard(shard, call).await?;
        let pass = pass.map(|pass| pass.parse().map_err(|error| shard.refused(&format!("{pass:?} is {error}"))));
        Ok(Tidied { destroyed, pass: pass.transpose()?, ring: ring.and_then(|ring| ring.parse().ok()) })
    }

    async fn advance_days(&self, shard: ShardIndex, from: Option<Pass>, to: Pass) -> Result<bool, StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| {
            let mut script = self.rollup.advance.prepare_invoke();
            script.key(shard.keys.rollup()).key(shard.keys.copied());
            script.arg(from.map(|pass| pass.to_string()).unwrap_or_default()).arg(to.to_string());
            script.arg(u8::from(matches!(to.stage, Stage::Moved)));
            async move { script.invoke_async::<bool>(&mut redis).await }
        };
        self.with_shard(shard, call).await
    }

    async fn scan_days(&self, shard: ShardIndex, scan: Scan, cursor: u64) -> Result<KeySlice, StoreError> {
        let shard = &self.shards[shard];
        let prefix = shard.keys.record_prefix();
        let wanted = match scan {
            Scan::Sketches => "visitors:*",
            // Days, site, top and secret; and some others, which are passed over.
            Scan::Kept => "[dst][aieo]*",
        };
        let ((next, keys), run) = self.scan_keys(shard, (&format!("{prefix}{wanted}"), SCANNED), cursor).await?;
        let mut slice = KeySlice { next, run, ..KeySlice::default() };
        for key in keys {
            let name = key.get(prefix.len()..).and_then(|name| std::str::from_utf8(name).ok());
            match name.and_then(|name| name.parse().ok()) {
                Some(name) => slice.keys.push(name),
                None if scan == Scan::Sketches => slice.unreadable.push(key),
                None => {}
            }
        }
        Ok(slice)
    }

    async fn sketches(&self, shard: ShardIndex, sketches: &[Sketch]) -> Result<Vec<Option<SketchCopy>>, StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| {
            let mut script = self.rollup.sketches.prepare_invoke();
            script.key(shard.keys.copied());
            for sketch in sketches {
                script.key(shard.keys.sketch(sketch)).arg(sketch.to_string());
            }
            async move {
                let now = server_millis(&mut redis).await?;
                Ok((now, script.invoke_async::<Vec<Option<Found>>>(&mut redis).await?))
            }
        };
        let (now, found) = self.with_shard(shard, call).await?;
        Ok(found.into_iter().map(|found| found.map(|found| sketch_copy(found, now))).collect())
    }

    async fn merge(
        &self,
        shard: ShardIndex,
        sketches: &[(&Sketch, &SketchCopy)],
    ) -> Result<(Vec<bool>, Incarnation), StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| {
            let mut script = self.rollup.merge.prepare_invoke();
            script.key(shard.keys.merging());
            for (sketch, copy) in sketches {
                script.key(shard.keys.sketch(sketch)).arg(copy.value.as_slice());
            }
            async move { script.invoke_async::<Vec<bool>>(&mut redis).await }
        };
        self.with_incarnation(shard, call).await
    }

    async fn mark_copied(
        &self,
        shard: ShardIndex,
        sketches: &[(&Sketch, &SketchCopy)],
        run: Incarnation,
    ) -> Result<(), StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| {
            let mut script = self.rollup.mark.key(shard.keys.copied());
            for (sketch, copy) in sketches {
                script.arg(sketch.to_string()).arg(format!("{} {}", run.0, copy.digest));
            }
            async move { script.invoke_async::<()>(&mut redis).await }
        };
        self.with_shard(shard, call).await
    }

    async fn remove_copied(&self, shard: ShardIndex, sketches: &[(&Sketch, &SketchCopy)]) -> Result<usize, StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| {
            let mut script = self.rollup.remove.prepare_invoke();
            script.key(shard.keys.copied());
            for (sketch, copy) in sketches {
                script.key(shard.keys.sketch(sketch)).arg(sketch.to_string()).arg(&copy.digest);
            }
            async move { script.invoke_async::<usize>(&mut redis).await }
        };
        self.with_shard(shard, call).await
    }

    async fn count(&self, shard: ShardIndex, sketches: &[Sketch]) -> Result<Counted, StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| {
            let mut script = self.rollup.count.prepare_invoke();
            for sketch in sketches {
                let (record, field) = place(&shard.keys, sketch);
                script.key(shard.keys.sketch(sketch)).key(record).arg(field);
            }
            async move { script.invoke_async::<(usize, Vec<(usize, String)>)>(&mut redis).await }
        };
        let (counted, rejected) = self.with_shard(shard, call).await?;
        Ok(Counted { counted, rejected })
    }

    async fn trim_finished(&self, shard: ShardIndex, days: &[Day]) -> Result<(), StoreError> {
        let shard = &self.shards[shard];
        let lists: Vec<String> = days.iter().map(|day| shard.keys.top(*day)).collect();
        let trim = |mut redis: Connection, list| async move {
            let mut trim = redis::cmd("ZREMRANGEBYRANK");
            trim.arg(list).arg(0).arg(-i64::try_from(TOP_KEPT + 1).unwrap_or(i64::MAX));
            trim.query_async(&mut redis).await
        };
        let call = |redis: Connection| {
            let lists = &lists;
            async move { pages::each(&redis, lists, trim).await }
        };
        self.with_shard(shard, call).await.map(drop)
    }

    async fn list_month(&self, shard: ShardIndex, month: Month) -> Result<(), StoreError> {
        let shard = &self.shards[shard];
        let lists: Vec<String> = month.first().to(month.last()).map(|day| shard.keys.top(day)).collect();
        let read = |mut redis: Connection, list| async move {
            let mut read = redis::cmd("ZREVRANGE");
            read.arg(list).arg(0).arg(TOP_KEPT - 1).arg("WITHSCORES").query_async(&mut redis).await
        };
        let call = |mut redis: Connection| {
            let lists = &lists;
            async move {
                let found = pages::each(&redis, lists, read).await?;
                let found = found.into_iter().filter_map(Result::ok).map(FromRedisValue::from_redis_value);
                let found: Vec<Vec<(Vec<u8>, f64)>> = found.collect::<Result<_, _>>()?;
                let pages = best(found.into_iter());
                if pages.is_empty() {
                    return RedisResult::Ok(());
                }
                let mut script = self.rollup.list_month.prepare_invoke();
                script.key(shard.keys.top_month(month));
                for (page, people) in &pages {
                    script.arg(*people).arg(page.as_slice());
                }
                script.invoke_async::<()>(&mut redis).await
            }
        };
        self.with_shard(shard, call).await
    }

    async fn drop_keys(&self, shard: ShardIndex, keys: &[DatedKey]) -> Result<usize, StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| {
            let mut unlink = redis::cmd("UNLINK");
            for key in keys {
                unlink.arg(shard.keys.dated(key));
            }
            async move { unlink.query_async::<usize>(&mut redis).await }
        };
        self.with_shard(shard, call).await
    }
}
