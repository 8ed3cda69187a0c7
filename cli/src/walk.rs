//! Going through all pages of a shard, slice by slice, in bounded memory.

use crate::progress::Progress;
use crate::rings::Rings;
use crate::shards::Shards;
use crate::warnings::Warnings;
use std::collections::HashSet;
use visits_core::page::PageId;
use visits_core::store::redis::keys::Key;
use visits_core::store::redis::pages::Scan;
use visits_core::store::{ShardIndex, StoreError};
use xxhash_rust::xxh3::xxh3_128;

/// A way through the pages that one shard has a record of. A page may come twice.
pub(crate) struct Walk<'a> {
    shards: &'a Shards,
    shard: ShardIndex,
    /// Where the next slice begins; none after the last one.
    cursor: Option<u64>,
}

impl<'a> Walk<'a> {
    /// From the first page on.
    pub(crate) fn new(shards: &'a Shards, shard: ShardIndex) -> Self {
        Self { shards, shard, cursor: Some(0) }
    }

    /// The next slice, perhaps an empty one; none after the last one. A key that names no page is warned of.
    pub(crate) async fn next(
        &mut self,
        progress: &mut Progress,
        warnings: &mut Warnings,
    ) -> Result<Option<Vec<PageId>>, StoreError> {
        let Some(cursor) = self.cursor else { return Ok(None) };
        let slice = self.shards.store.scan(self.shard, Scan::Pages, cursor).await?;
        self.cursor = Some(slice.next).filter(|&next| next != 0);
        for key in &slice.unreadable {
            let (name, key) = (self.shards.ring.name(self.shard), String::from_utf8_lossy(key));
            warnings.add(format!("shard {name}: the key {key:?} names no page"));
        }
        let pages: Vec<PageId> = slice.keys.into_iter().filter_map(Key::into_page).collect();
        progress.walked(self.shard, pages.len(), slice.next);
        Ok(Some(pages))
    }

    /// The next slice of pages that this shard has visits of. Those that the ring does not place here may have a record
    /// that only tells where their visits went: such a record is passed over.
    pub(crate) async fn next_held(
        &mut self,
        progress: &mut Progress,
        warnings: &mut Warnings,
    ) -> Result<Option<Vec<PageId>>, StoreError> {
        let Some(pages) = self.next(progress, warnings).await? else { return Ok(None) };
        let (mut held, strays): (Vec<_>, Vec<_>) =
            pages.into_iter().partition(|page| self.shards.owns(self.shard, page));
        if !strays.is_empty() {
            let records = self.shards.store.records(self.shard, &strays).await?;
            // One that cannot be read is there, whatever it holds.
            let has_visits = records.into_iter().map(|record| record.map_or(true, |record| record.total > 0));
            held.extend(strays.into_iter().zip(has_visits).filter(|(_, has)| *has).map(|(page, _)| page));
        }
        Ok(Some(held))
    }
}

/// A way through the pages of all shards, from the first one on. A page may come several times, and none is missed
/// while pages move: one that went from a shard not read yet to one that was read is found by a second round.
pub(crate) struct Tour<'a> {
    walk: Walk<'a>,
    before: Rings,
    second: bool,
}

impl<'a> Tour<'a> {
    /// Asks the shards for their rings first.
    pub(crate) async fn begin(shards: &'a Shards, warnings: &mut Warnings) -> Result<Self, StoreError> {
        let before = Rings::ask(shards).await?;
        before.warn(shards, warnings);
        Ok(Self { walk: Walk::new(shards, 0), before, second: false })
    }

    /// The next slice, as [`Walk::next`] gives it.
    pub(crate) async fn next(
        &mut self,
        progress: &mut Progress,
        warnings: &mut Warnings,
    ) -> Result<Option<Vec<PageId>>, StoreError> {
        loop {
            if let Some(pages) = self.walk.next(progress, warnings).await? {
                return Ok(Some(pages));
            }
            let Walk { shards, shard, .. } = self.walk;
            self.walk = if shard + 1 < shards.len() {
                Walk::new(shards, shard + 1)
            } else if !self.second && self.before.have_moved(&Rings::ask(shards).await?) {
                self.second = true;
                Walk::new(shards, 0)
            } else {
                return Ok(None);
            };
        }
    }
}

/// Which pages have come already, at 17 to 40 bytes a page. Two of ten million pages are taken for one with a
/// probability of 1 in 10^24.
#[derive(Default)]
pub(crate) struct Seen(HashSet<u128>);

impl Seen {
    /// Whether the page comes for the first time.
    pub(crate) fn is_new(&mut self, page: &PageId) -> bool {
        self.0.insert(xxh3_128(page.as_str().as_bytes()))
    }
}
