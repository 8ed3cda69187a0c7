//! The shards in memory, with faults on request: for tests of the services above.
//!
//! It keeps the same promises as the Redis store; `tests/store_contract.rs` holds both to them.

mod days;
mod parked;
mod rehoming;
mod shard;

use super::parking::{Mark, Park, Parked, ParkedPage, Unreadable};
use super::statistics::{DayCount, Days};
use super::{Applied, Apply, Incarnation, Ledger, Reading, ShardIndex, Store, StoreError, Traces};
use crate::batch::{BatchId, WriterId};
use crate::clock::Clock;
use crate::day::Day;
use crate::page::PageId;
use crate::record::{self, PageRecord};
use crate::ring::Ring;
use crate::shard::ShardName;
use crate::visit::{Secret, Visitor};
use shard::{LateCall, Shard};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The shard cannot be reached: the call is not applied.
    Unreachable,
    /// The call is applied and its answer lost.
    AnswerLost,
    /// The call is applied at once, and its answer takes this long.
    Slow(Duration),
    /// No answer ever comes, and the call is not applied.
    Mute,
    /// No answer ever comes; the call is applied at the next [`MemoryStore::deliver_late`].
    Late,
}

/// Shards in memory. Clones share them.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    shards: Arc<Vec<Mutex<Shard>>>,
    names: Arc<Vec<ShardName>>,
    clock: Clock,
    /// Shards that live at one address.
    together: Vec<ShardIndex>,
}

impl MemoryStore {
    /// `shards` empty shards that tell time by `clock`. Their names are `a`, `b`, `c`, ….
    pub fn new(shards: usize, clock: Clock) -> Self {
        let name = |letter: u8| char::from(letter).to_string().parse::<ShardName>();
        let names = (b'a'..=b'z').take(shards).filter_map(|letter| name(letter).ok()).collect();
        let shards = (0..shards).map(|_| Mutex::default()).collect();
        Self { shards: Arc::new(shards), names: Arc::new(names), clock, together: Vec::new() }
    }

    /// The same store, with these shards at one address.
    #[must_use]
    pub fn with_one_endpoint_for(self, together: &[ShardIndex]) -> Self {
        Self { together: together.to_vec(), ..self }
    }

    /// The next calls to `shard` go wrong like this, in order; `None` lets one through.
    pub fn fail_next(&self, shard: ShardIndex, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.shard(shard).faults.extend(faults);
    }

    /// Until further notice, every call to `shard` goes wrong like this, or none does.
    pub fn set_down(&self, shard: ShardIndex, fault: Option<Fault>) {
        self.shard(shard).down = fault;
    }

    /// Forgets what was to go wrong with the next calls to `shard`.
    pub fn clear_faults(&self, shard: ShardIndex) {
        self.shard(shard).faults.clear();
    }

    /// Applies the calls that were late, the newest first: the order in which a network delivers is any.
    pub fn deliver_late(&self, shard: ShardIndex) {
        let now = self.clock.now();
        self.shard(shard).deliver_late(now);
    }

    /// Remembers what `shard` holds now, as a disk would.
    pub fn save(&self, shard: ShardIndex) {
        let mut shard = self.shard(shard);
        shard.saved = shard.data.clone();
    }

    /// Puts `shard` back to what was saved last, as a crash would.
    pub fn crash(&self, shard: ShardIndex) {
        let mut shard = self.shard(shard);
        shard.data = shard.saved.clone();
        shard.crashes += 1;
    }

    /// Makes a page's key one that cannot be counted up.
    pub fn break_page(&self, shard: ShardIndex, page: PageId) {
        self.shard(shard).broken.push(page);
    }

    /// Has `shard` take so many more new pages and refuse others.
    pub fn limit_new_pages(&self, shard: ShardIndex, pages: u64) {
        self.shard(shard).new_pages_left = Some(pages);
    }

    /// Calls made to `shard` so far, failed ones included.
    pub fn calls(&self, shard: ShardIndex) -> u64 {
        self.shard(shard).calls
    }

    /// Takes `bytes` of the room that `shard` has for copies.
    pub fn take_parking_room(&self, shard: ShardIndex, bytes: u64) {
        self.shard(shard).data.parked.claimed = bytes;
    }

    /// Copies parked on all shards.
    pub fn copies(&self) -> usize {
        (0..self.shards.len()).map(|shard| self.copies_on(shard)).sum()
    }

    /// Copies parked on `shard`.
    pub fn copies_on(&self, shard: ShardIndex) -> usize {
        self.shard(shard).data.parked.len()
    }

    /// Copies set aside on all shards.
    pub fn aside(&self) -> usize {
        (0..self.shards.len()).map(|shard| self.shard(shard).data.parked.aside()).sum()
    }

    /// A page's count, from its records on all shards.
    pub fn sum(&self, page: &PageId) -> u64 {
        let records: Vec<PageRecord> = (0..self.shards.len()).map(|shard| self.record(shard, page)).collect();
        record::count(self.names.iter().zip(&records))
    }

    /// The part of a page's count that is bots' visits.
    pub fn sum_bots(&self, page: &PageId) -> u64 {
        let records: Vec<PageRecord> = (0..self.shards.len()).map(|shard| self.record(shard, page)).collect();
        record::count_bots(self.names.iter().zip(&records))
    }

    /// What `shard` counts of a page, by day.
    pub fn days(&self, shard: ShardIndex, page: &PageId) -> Vec<DayCount> {
        self.shard(shard).data.days.days_of(page)
    }

    /// What `shard` counts of the site, with all its days.
    pub fn site(&self, shard: ShardIndex) -> Days {
        self.shard(shard).data.days.all_of_the_site()
    }

    /// What `shard` holds of a page.
    pub fn record(&self, shard: ShardIndex, page: &PageId) -> PageRecord {
        self.shard(shard).data.records.get(page).cloned().unwrap_or_default()
    }

    /// Has every shard know that all pages are where `ring` places them.
    pub fn settle_all(&self, ring: &Ring) {
        for shard in 0..self.shards.len() {
            self.shard(shard).data.ring.settled(ring.fingerprint(), ring.shards());
        }
    }

    /// Who is in the sketch of a page's day on `shard`.
    pub fn visitors(&self, shard: ShardIndex, page: &PageId, day: Day) -> BTreeSet<Visitor> {
        self.shard(shard).data.days.visitors(page, day)
    }

    /// The days whose secrets are on `shard`.
    pub fn secrets_on(&self, shard: ShardIndex) -> BTreeSet<Day> {
        self.shard(shard).data.secrets.keys().copied().collect()
    }

    /// Moves on their way from `shard`.
    pub fn moves_on(&self, shard: ShardIndex) -> usize {
        self.shard(shard).data.ring.moves()
    }

    fn shard(&self, shard: ShardIndex) -> MutexGuard<'_, Shard> {
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one call: `Err` before it, or after it, as the planned fault says.
    async fn call<T>(&self, index: ShardIndex, act: impl FnOnce(&mut Shard) -> T) -> Result<T, StoreError> {
        let (fault, answer) = {
            let mut shard = self.shard(index);
            shard.calls += 1;
            let fault = shard.next_fault();
            shard.faults.pop_front();
            let applied = matches!(fault, None | Some(Fault::AnswerLost | Fault::Slow(_)));
            (fault, applied.then(|| act(&mut shard)))
        };
        // A real call lets others run while its answer is on its way.
        tokio::task::yield_now().await;
        let (shard, reason) = (format!("memory_{index}"), "a planned fault".to_owned());
        match (fault, answer) {
            (None, Some(answer)) => Ok(answer),
            (Some(Fault::Slow(time)), Some(answer)) => {
                tokio::time::sleep(time).await;
                Ok(answer)
            }
            (Some(Fault::Unreachable), _) => Err(StoreError::Unreachable { shard, reason }),
            (Some(Fault::Mute | Fault::Late), _) => std::future::pending().await,
            _ => Err(StoreError::Unknown { shard, reason }),
        }
    }
}

impl Store for MemoryStore {
    async fn read(&self, shard: ShardIndex, page: &PageId) -> Result<Reading, StoreError> {
        self.call(shard, |shard| shard.data.read(page)).await
    }

    async fn read_all(
        &self,
        shard: ShardIndex,
        pages: &[PageId],
    ) -> Result<Vec<Result<Reading, StoreError>>, StoreError> {
        self.call(shard, |shard| pages.iter().map(|page| Ok(shard.data.read(page))).collect()).await
    }

    async fn traces(&self, shard: ShardIndex, page: &PageId) -> Result<Traces, StoreError> {
        self.call(shard, |shard| shard.data.traces(page)).await
    }

    async fn writers(&self, shard: ShardIndex) -> Result<HashMap<WriterId, Duration>, StoreError> {
        let now = self.clock.now();
        let since = |shard: &mut Shard| shard.data.writers.iter().map(|(w, last)| (*w, now.since(*last))).collect();
        self.call(shard, since).await
    }

    async fn tidy(&self, shard: ShardIndex) -> Result<usize, StoreError> {
        let now = self.clock.now();
        self.call(shard, |shard| shard.tidy(now)).await
    }
}

impl Ledger for MemoryStore {
    async fn apply(&self, shard: ShardIndex, call: &Apply) -> Result<Applied, StoreError> {
        let now = self.clock.now();
        {
            let mut shard = self.shard(shard);
            if shard.next_fault() == Some(Fault::Late) {
                shard.late.push((now, LateCall::Apply(call.clone())));
            }
        }
        self.call(shard, |shard| shard.apply(call, now)).await
    }

    async fn known_secret(&self, shard: ShardIndex, day: Day) -> Result<Option<Secret>, StoreError> {
        self.call(shard, |shard| shard.data.secrets.get(&day).copied()).await
    }

    async fn secret(&self, shard: ShardIndex, day: Day, offer: Secret) -> Result<Secret, StoreError> {
        self.call(shard, |shard| *shard.data.secrets.entry(day).or_insert(offer)).await
    }

    async fn park(&self, shard: ShardIndex, park: &Park) -> Result<Parked, StoreError> {
        let now = self.clock.now();
        {
            let mut shard = self.shard(shard);
            if shard.next_fault() == Some(Fault::Late) {
                shard.late.push((now, LateCall::Park(park.clone())));
            }
        }
        self.call(shard, |shard| shard.park(park, now)).await
    }

    async fn parked_owners(&self, shard: ShardIndex) -> Result<Vec<(String, u64)>, StoreError> {
        self.call(shard, |shard| shard.data.parked.owners()).await
    }

    async fn parked(&self, shard: ShardIndex, owner: &ShardName, cursor: u64) -> Result<ParkedPage, StoreError> {
        let now = self.clock.now();
        self.call(shard, |shard| shard.data.parked.page(owner, cursor, now)).await
    }

    async fn mark_delivered(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        copies: &[(BatchId, Incarnation)],
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.call(shard, |shard| shard.data.parked.mark(owner, copies, now)).await
    }

    async fn remove_delivered(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        copies: &[(BatchId, Mark)],
    ) -> Result<usize, StoreError> {
        self.call(shard, |shard| shard.data.parked.remove(owner, copies)).await
    }

    async fn set_aside(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        copies: &[Unreadable],
    ) -> Result<usize, StoreError> {
        self.call(shard, |shard| shard.data.parked.set_aside(owner, copies)).await
    }

    fn share_endpoint(&self, one: ShardIndex, other: ShardIndex) -> bool {
        [one, other].iter().all(|shard| self.together.contains(shard))
    }
}
