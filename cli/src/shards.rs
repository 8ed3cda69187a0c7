//! The shards of this call: what they know of the ring, a way through all their pages in bounded memory, pages' counts over all
//! of them, and what an operator should look at, gathered meanwhile.

use crate::output::{Failure, bar, counted};
use futures_util::future::try_join_all;
use indicatif::ProgressBar;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashSet};
use visits_core::config::Config;
use visits_core::credentials::Aws;
use visits_core::page::PageId;
use visits_core::record;
use visits_core::ring::Ring;
use visits_core::shard::ShardName;
use visits_core::store::redis::RedisStore;
use visits_core::store::redis::keys::Key;
use visits_core::store::redis::pages::Scan;
use visits_core::store::redis::rehoming::RingState;
use visits_core::store::{ShardIndex, StoreError};
use xxhash_rust::xxh3::xxh3_128;

/// Most warnings that are kept: a server with a million strange keys is reported, not listed.
const MAX_WARNINGS: usize = 20;

/// Steps of the bar for each shard.
const STEPS: u64 = 1000;

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
    /// Progress of a walk over all pages.
    pub(crate) bar: ProgressBar,
    /// Pages that walks have found.
    pages: Cell<u64>,
    warnings: RefCell<Vec<String>>,
    /// Warnings beyond those that are kept.
    more_warnings: Cell<u64>,
}

impl Shards {
    /// Returns shards that are only looked at. Connects to nothing yet.
    pub(crate) fn looking(config: Config) -> Result<Self, Failure> {
        let shards = Self::changing(config)?;
        Ok(Self { store: shards.store.looking(), ..shards })
    }

    /// Returns shards that are changed. Connects to nothing yet. An identity for AWS may come from wherever its SDK looks.
    pub(crate) fn changing(config: Config) -> Result<Self, Failure> {
        let store = RedisStore::with_aws(&config, Aws::with_sdk(config.clock()))?;
        let (ring, bar) = (config.ring(), bar(config.shards.len() as u64 * STEPS));
        let (pages, warnings, more_warnings) = Default::default();
        Ok(Self { config, ring, store, bar, pages, warnings, more_warnings })
    }

    /// Returns the number of shards.
    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether the ring places this page on this shard.
    pub(crate) fn owns(&self, shard: ShardIndex, page: &PageId) -> bool {
        self.ring.owner(page.as_str()) == shard
    }

    /// Adds a warning, a sentence without a full stop. One that is there already says nothing new.
    pub(crate) fn warn(&self, warning: String) {
        let mut warnings = self.warnings.borrow_mut();
        if warnings.len() < MAX_WARNINGS && !warnings.contains(&warning) {
            warnings.push(warning);
        } else if !warnings.contains(&warning) {
            self.more_warnings.update(|more| more + 1);
        }
    }

    /// Has the bar begin anew for another walk.
    pub(crate) fn restart(&self) {
        self.bar.reset();
        self.pages.set(0);
    }

    /// Takes the bar away and returns all warnings; where there are too many, the last says how many are left out.
    pub(crate) fn finish(&self) -> Vec<String> {
        self.bar.finish_and_clear();
        let (mut warnings, more) = (self.warnings.take(), self.more_warnings.take());
        warnings.extend((more > 0).then(|| format!("and {more} more")));
        warnings
    }

    /// Returns the pages' counts, in their order. Each is the sum over all shards, so that it is right also while a ring change
    /// moves pages. A page without one has a sentence that says why and names the shard. At most some thousand at once.
    pub(crate) async fn counts(&self, pages: &[PageId]) -> Result<Vec<Result<Count, String>>, StoreError> {
        let mut records = Vec::with_capacity(self.len());
        for of_shard in try_join_all((0..self.len()).map(|shard| self.store.records(shard, pages))).await? {
            records.push(of_shard.into_iter());
        }
        let count = |_| {
            let of_page = self.ring.shards().iter().zip(records.iter_mut().filter_map(Iterator::next));
            let readable = of_page.map(|(name, record)| match record {
                Ok(record) => Ok((name, record)),
                Err(error) => Err(format!("its record on shard {name}: {error}")),
            });
            // All of them are read, also behind one that cannot be: each shard's next record is the next page's.
            let records: Vec<_> = readable.collect();
            let records = records.into_iter().collect::<Result<Vec<_>, _>>()?;
            let records = records.iter().map(|(name, record)| (*name, record));
            let (visits, bots) = record::count(records);
            Ok(Count { visits, bots })
        };
        Ok(pages.iter().map(count).collect())
    }

    /// Returns all shards' knowledge of the ring.
    pub(crate) async fn rings(&self) -> Result<Vec<RingState>, StoreError> {
        try_join_all((0..self.len()).map(|shard| self.store.ring_state(shard))).await
    }

    /// Warns of counts that are too low, since a shard that holds some is not asked, or is asked under another namespace.
    pub(crate) fn warn_of_missing(&self, rings: &[RingState]) {
        let namespace = &self.config.namespace;
        for shard in (0..self.len()).filter(|&shard| self.store.is_new(shard)) {
            let name = self.ring.name(shard);
            self.warn(format!("shard {name} is new: nothing was ever counted on it in the namespace {namespace}"));
        }
        let members: BTreeSet<&ShardName> = rings.iter().flat_map(|state| &state.members).collect();
        for name in members.into_iter().filter(|name| self.ring.index(name.as_str()).is_none()) {
            self.warn(format!(
                "shard {name} may hold counts and is not listed: list it, with ;weight=0 if it is to go"
            ));
        }
    }

    /// Hands over the pages that one shard has a record of, slice by slice. A page may come twice. A key that names no page is
    /// warned of.
    pub(crate) async fn walk<E: From<StoreError>>(
        &self,
        shard: ShardIndex,
        mut take: impl AsyncFnMut(Vec<PageId>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut cursor = 0;
        loop {
            let slice = self.store.scan(shard, Scan::Pages, cursor).await?;
            for key in &slice.unreadable {
                let (name, key) = (self.ring.name(shard), String::from_utf8_lossy(key));
                self.warn(format!("shard {name}: the key {key:?} names no page"));
            }
            let pages: Vec<PageId> = slice.keys.into_iter().filter_map(Key::into_page).collect();
            self.pages.update(|before| before + pages.len() as u64);
            // A shard's table that grows makes the share smaller.
            self.bar.set_position(self.bar.position().max(shard as u64 * STEPS + scanned(slice.next)));
            self.bar.set_message(counted(self.pages.get(), "page", "pages"));
            take(pages).await?;
            cursor = slice.next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }

    /// Hands over each page that this shard has visits of, once. Those that the ring does not place here may have a record
    /// that only tells where their visits went: such a record is passed over.
    pub(crate) async fn walk_held(&self, shard: ShardIndex, mut take: impl FnMut(&PageId)) -> Result<(), StoreError> {
        let mut seen = Seen::default();
        let held = async |pages: Vec<PageId>| {
            let (mut held, strays): (Vec<_>, Vec<_>) = pages.into_iter().partition(|page| self.owns(shard, page));
            let records = self.store.records(shard, &strays).await?;
            // One that cannot be read is there, whatever it holds.
            let has_visits = records.into_iter().map(|record| record.map_or(true, |record| record.visits.total > 0));
            held.extend(strays.into_iter().zip(has_visits).filter(|(_, has)| *has).map(|(page, _)| page));
            held.iter().filter(|page| seen.is_new(page)).for_each(&mut take);
            Ok(())
        };
        self.walk(shard, held).await
    }

    /// Hands over the pages of all shards, slice by slice. A page may come several times, and none is missed while pages move:
    /// one that went from a shard not read yet to one that was read is found by a second round.
    pub(crate) async fn walk_all(
        &self,
        mut take: impl AsyncFnMut(Vec<PageId>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let before = self.rings().await?;
        self.warn_of_missing(&before);
        for is_second in [false, true] {
            for shard in 0..self.len() {
                self.walk(shard, &mut take).await?;
            }
            if is_second || !have_moved(&before, &self.rings().await?) {
                break;
            }
        }
        Ok(())
    }
}

/// Whether a ring change is under way.
pub(crate) fn are_moving(rings: &[RingState]) -> bool {
    rings.iter().any(RingState::is_moving)
}

/// Whether pages may have moved between the two times of asking.
fn have_moved(before: &[RingState], after: &[RingState]) -> bool {
    are_moving(before) || are_moving(after) || before.iter().zip(after).any(|(before, after)| before.ring != after.ring)
}

/// Returns how much of a Redis server's keys a `SCAN` has been through, in steps. Its cursor counts through the table's
/// buckets with the highest bit as the least, so that its bits in reverse order are the share of what is done.
fn scanned(cursor: u64) -> u64 {
    // As if it were a binary fraction: the bits of the product above the point.
    if cursor == 0 { STEPS } else { cursor.reverse_bits().carrying_mul(STEPS, 0).1 }
}

/// Pages that have come already, at 17 to 40 bytes a page. Two of ten million pages are taken for one with a probability of
/// 1 in 10^24.
#[derive(Default)]
pub(crate) struct Seen(HashSet<u128>);

impl Seen {
    /// Whether the page comes for the first time.
    pub(crate) fn is_new(&mut self, page: &PageId) -> bool {
        self.0.insert(xxh3_128(page.as_str().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_tells_the_share_of_the_table() {
        // A table of 8 buckets is read in the order 0, 4, 2, 6, 1, 5, 3, 7.
        let shares = [4, 2, 6, 1, 5, 3, 7, 0].map(scanned);
        assert_eq!(shares, [125, 250, 375, 500, 625, 750, 875, 1000]);
    }

    #[test]
    fn too_many_warnings_are_counted_and_not_kept() {
        let endpoint = |name: &str| (name == "REDIS_ENDPOINTS").then(|| "a=redis://a".into());
        let shards = Shards::looking(Config::from_vars(endpoint).unwrap()).unwrap();
        (0..25).for_each(|number| shards.warn(format!("number {number}")));
        shards.warn("number 3".to_owned());
        let list = shards.finish();
        assert_eq!((list.len(), list[19].as_str(), list[20].as_str()), (21, "number 19", "and 5 more"));
    }
}
