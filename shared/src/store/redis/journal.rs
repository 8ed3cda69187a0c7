//! The journal of a shard in Redis: its entries, and how their sums are put in their place.

use super::RedisStore;
use super::cluster::Connection;
use super::keys::Key;
use super::pages::each;
use super::script::{LazyScript, with_checks};
use crate::day::Day;
use crate::fold::{Entry, Sums};
use crate::page::PageId;
use crate::ring::Ring;
use crate::store::statistics::TOP_KEPT;
use crate::store::{ShardIndex, StoreError};
use crate::visit::Visitor;
use redis::{AsyncCommands, Script, Value};
use std::collections::HashMap;

/// Visitors that one command adds.
const VISITORS_AT_ONCE: usize = 1_000;

/// Sketches that one round trip adds to.
const SKETCHES_AT_ONCE: usize = 500;

/// Outcome of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The journal begins with other entries than those that were read: nothing was changed.
    Stale,
    /// The sums are added and the entries are gone.
    Done {
        /// Visits that were left out of the journal since the last commit, since it was full.
        skipped: u64,
        /// Pages whose month is of another type, with the server's reason: their visits of that day are in no day of a page.
        rejected: Vec<(Day, PageId, String)>,
    },
}

pub(super) fn commit_script() -> LazyScript {
    LazyScript::new(|| Script::new(with_checks!("commit.lua")))
}

/// An entry as Redis tells it: its id and its fields.
type RawEntry = (String, HashMap<String, Vec<u8>>);

impl RedisStore {
    /// Returns entries of a shard's journal in their order, at most `count`: from the beginning or behind `after`, up to the
    /// end or `last`.
    pub async fn journal(
        &self,
        shard: ShardIndex,
        after: Option<&str>,
        last: Option<&str>,
        count: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let shard = &self.shards[shard];
        let from = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let call = |mut redis: Connection| {
            let mut range = redis::cmd("XRANGE");
            range.arg(shard.keys.of(&Key::Journal)).arg(&from).arg(last.unwrap_or("+")).arg("COUNT").arg(count);
            async move { range.query_async::<Vec<RawEntry>>(&mut redis).await }
        };
        let entry = |(id, mut fields): RawEntry| {
            let places = |list: Option<Vec<u8>>| {
                let text = list.unwrap_or_default();
                let places = text.split(|byte| *byte == b',').filter_map(|place| std::str::from_utf8(place).ok());
                places.filter_map(|place| place.parse().ok()).collect()
            };
            let (rejected, refused) = (places(fields.remove("x")), places(fields.remove("n")));
            Entry { id, bytes: fields.remove("b").unwrap_or_default(), rejected, refused }
        };
        Ok(self.with_shard(shard, call).await?.into_iter().map(entry).collect())
    }

    /// Adds visitors to sketches of a shard: of a page, or of the site. Adding one again changes nothing. A key of another
    /// type costs what belongs there, and nothing else.
    pub(crate) async fn add_visitors(
        &self,
        shard: ShardIndex,
        sketches: &[(Day, Option<&PageId>, Vec<Visitor>)],
    ) -> Result<(), StoreError> {
        let shard = &self.shards[shard];
        let parts = |(day, page, visitors): &'_ (Day, Option<&PageId>, Vec<Visitor>)| {
            let key = shard.keys.of(&Key::Visitors(*day, page.cloned()));
            let parts = visitors.chunks(VISITORS_AT_ONCE).map(|part| (key.clone(), part.to_vec()));
            parts.collect::<Vec<_>>()
        };
        let parts: Vec<(String, Vec<Visitor>)> = sketches.iter().flat_map(parts).collect();
        for parts in parts.chunks(SKETCHES_AT_ONCE) {
            let keys: Vec<String> = (0..parts.len()).map(|number| number.to_string()).collect();
            let call = |redis: Connection| {
                let keys = &keys;
                let add = |mut redis: Connection, number: &str| {
                    let (key, visitors) = &parts[number.parse::<usize>().unwrap_or_default()];
                    let mut add = redis::cmd("PFADD");
                    add.arg(key);
                    for visitor in visitors {
                        add.arg(&<[u8; 8]>::from(*visitor));
                    }
                    async move { add.query_async::<Value>(&mut redis).await }
                };
                async move { each(&redis, keys, add).await }
            };
            self.with_shard(shard, call).await?;
        }
        Ok(())
    }

    /// Returns how far the first entries of a shard's journal are added. Empty: they are not begun.
    pub(crate) async fn folding(&self, shard: ShardIndex) -> Result<String, StoreError> {
        let shard = &self.shards[shard];
        let call = |mut redis: Connection| async move {
            redis.hget::<_, _, Option<String>>(shard.keys.of(&Key::Shard), "folding").await
        };
        Ok(self.with_shard(shard, call).await?.unwrap_or_default())
    }

    /// Adds a part of the sums of the journal's first entries to days, top lists and the site, each part in one step. `was` and
    /// `becomes` are the notes of how far these entries are added; an empty `becomes` is the last part's, which deletes them.
    /// Safe to repeat: the second one finds that it was done.
    pub(crate) async fn commit(
        &self,
        shard: ShardIndex,
        ring: &Ring,
        (first, last, bytes): (&str, &str, usize),
        (was, becomes): (&str, &str),
        sums: &Sums,
    ) -> Result<Committed, StoreError> {
        let (index, shard) = (shard, &self.shards[shard]);
        let misplaced = sums.pages().filter(|(_, page, _)| ring.owner(page.as_str()) != index).count();
        let call = |mut redis: Connection| {
            let mut script = self.commit.prepare_invoke();
            script
                .key(shard.keys.of(&Key::Journal))
                .key(shard.keys.of(&Key::Shard))
                .key(shard.keys.of(&Key::Site))
                .key(shard.keys.of(&Key::Aside));
            script.arg(first).arg(last).arg(bytes).arg(ring.fingerprint().to_string()).arg(misplaced);
            script.arg(TOP_KEPT).arg(shard.keys.prefix().len() + "days:2026-11:".len()).arg(sums.visits).arg(sums.bots);
            script.arg(was).arg(becomes);
            script.arg(sums.aside.len());
            for (entry, reason) in &sums.aside {
                script.arg(entry).arg(reason);
            }
            for (day, of_day) in &sums.days {
                let (month, refused) = (day.month(), &of_day.refused);
                script.key(shard.keys.of(&Key::SiteMonth(month))).key(shard.keys.of(&Key::Top(*day)));
                script.arg(day.of_month()).arg(of_day.people).arg(of_day.bots);
                script.arg(refused.origin).arg(refused.page).arg(refused.repeat).arg(refused.new_page);
                script.arg(of_day.pages.len());
                for (page, of_page) in &of_day.pages {
                    let key = shard.keys.of(&Key::Days(month, page.clone()));
                    script.key(key).arg(of_page.people).arg(of_page.bots);
                }
            }
            async move { script.invoke_async::<(u64, u64, Vec<(usize, String)>)>(&mut redis).await }
        };
        let (done, skipped, rejected) = self.with_shard(shard, call).await?;
        let pages: Vec<_> = if rejected.is_empty() { Vec::new() } else { sums.pages().collect() };
        let named =
            |(place, reason): (usize, String)| pages.get(place).map(|(day, page, _)| (*day, (*page).clone(), reason));
        let rejected = rejected.into_iter().filter_map(named).collect();
        Ok(if done == 0 { Committed::Stale } else { Committed::Done { skipped, rejected } })
    }
}
