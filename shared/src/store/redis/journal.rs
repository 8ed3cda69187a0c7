//! The journal of a shard in Redis: its entries, and how their sums are put in their place.

use super::RedisStore;
use super::keys::Key;
use super::script::{LazyScript, script, with_checks};
use super::sketch::sketch;
use crate::day::Day;
use crate::fold::{Entry, Part};
use crate::page::PageId;
use crate::ring::Ring;
use crate::store::redis::statistics::TOP_KEPT;
use crate::store::{ShardIndex, StoreError};
use crate::visit::Visitor;
use redis::Cmd;
use std::collections::HashMap;

/// Visitors from which on a sketch of them is cheaper for the shard than each of them: it takes some 70 µs, as a thousand do.
const SKETCHED: usize = 1_000;

/// Sketches that one round trip adds to.
const SKETCHES_AT_ONCE: usize = 500;

/// Outcome of a commit: the visits that a full journal has left out since the last one, and the pages whose month is of another
/// type, with the server's reason: their visits of that day are in no day of a page. None: the journal begins with other
/// entries than those that were read, and nothing was changed.
pub(crate) type Committed = Option<(u64, Vec<(PageId, String)>)>;

static COMMIT: LazyScript = script!("commit.lua");

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
        let mut range = redis::cmd("XRANGE");
        range.arg(shard.keys.of(&Key::Journal)).arg(&from).arg(last.unwrap_or("+")).arg("COUNT").arg(count);
        let entry = |(id, mut fields): RawEntry| {
            let places = |list: Option<Vec<u8>>| {
                let text = list.unwrap_or_default();
                let places = text.split(|byte| *byte == b',').filter_map(|place| std::str::from_utf8(place).ok());
                places.filter_map(|place| place.parse().ok()).collect()
            };
            let (rejected, refused) = (places(fields.remove("x")), places(fields.remove("n")));
            Entry { id, bytes: fields.remove("b").unwrap_or_default(), rejected, refused }
        };
        Ok(self.command::<Vec<RawEntry>>(shard, &range).await?.into_iter().map(entry).collect())
    }

    /// Adds visitors to sketches of a shard: of a page, or of the site. Adding one again changes nothing. A key of another
    /// type costs what belongs there, and nothing else.
    pub(crate) async fn add_visitors(
        &self,
        shard: ShardIndex,
        sketches: &[(Key, &[Visitor])],
    ) -> Result<(), StoreError> {
        let (few, many): (Vec<_>, Vec<_>) = sketches.iter().partition(|(_, visitors)| visitors.len() < SKETCHED);
        for (key, visitors) in many {
            self.merge(shard, &[(key, sketch(visitors))]).await?;
        }
        let shard = &self.shards[shard];
        for few in few.chunks(SKETCHES_AT_ONCE) {
            let add = |(key, visitors): &&(Key, &[Visitor])| {
                let mut add = redis::cmd("PFADD");
                add.arg(shard.keys.of(key));
                for visitor in *visitors {
                    add.arg(&<[u8; 8]>::from(*visitor));
                }
                add
            };
            self.each(shard, &few.iter().map(add).collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// Returns how far the first entries of a shard's journal are added. Empty: they are not begun.
    pub(crate) async fn folding(&self, shard: ShardIndex) -> Result<String, StoreError> {
        let shard = &self.shards[shard];
        let folding: Option<String> = self.command(shard, &Cmd::hget(shard.keys.of(&Key::Shard), "folding")).await?;
        Ok(folding.unwrap_or_default())
    }

    /// Adds a part of the sums of the journal's first entries to a day, its top list and the site, in one step. `was` and
    /// `becomes` are the notes of how far these entries are added; an empty `becomes` is the last part's, which deletes them.
    /// Safe to repeat: the second one finds that it was done.
    pub(crate) async fn commit(
        &self,
        shard: ShardIndex,
        ring: &Ring,
        (first, last, bytes): (&str, &str, usize),
        (was, becomes): (&str, &str),
        part: &Part<'_>,
    ) -> Result<Committed, StoreError> {
        let (index, shard) = (shard, &self.shards[shard]);
        let misplaced = part.pages.iter().filter(|(page, _)| ring.owner(page.as_str()) != index).count();
        let of_day = part.of_day.map_or_else(Default::default, |day| (day.people, day.bots, day.refused));
        let (of_site, aside) =
            part.whole.map_or_else(Default::default, |sums| ([sums.visits, sums.bots], &sums.aside[..]));
        let mut script = COMMIT.prepare_invoke();
        for key in [Key::Journal, Key::Shard, Key::Site, Key::Aside] {
            script.key(shard.keys.of(&key));
        }
        script.arg(first).arg(last).arg(bytes).arg(was).arg(becomes).arg(ring.fingerprint().to_string());
        script.arg(misplaced).arg(TOP_KEPT).arg(&of_site).arg(part.day.map_or(0, Day::of_month));
        let (people, bots, refused) = of_day;
        script.arg(&[people, bots, refused.origin, refused.page, refused.repeat, refused.new_page]);
        script.arg(part.pages.len());
        if let Some(day) = part.day {
            script.key(shard.keys.of(&Key::SiteMonth(day.month()))).key(shard.keys.of(&Key::Top(day)));
            for (page, of_page) in &part.pages {
                script.key(shard.keys.of(&Key::Days(day.month(), (*page).clone())));
                script.arg(of_page.people).arg(of_page.bots);
            }
        }
        for (entry, reason) in aside {
            script.arg(entry).arg(reason);
        }
        let (done, skipped, rejected): (u64, u64, Vec<(usize, String)>) = self.invoke(shard, &script).await?;
        let named = |(place, reason): (usize, String)| Some(((*part.pages.get(place)?.0).clone(), reason));
        let rejected = rejected.into_iter().filter_map(named).collect();
        Ok((done == 1).then_some((skipped, rejected)))
    }
}
