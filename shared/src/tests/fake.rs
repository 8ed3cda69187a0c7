//! A ledger in memory.

use super::{Fault, Faults};
use crate::applied::AppliedSet;
use crate::batch::{Batch, BatchId, WriterId};
use crate::clock::{Clock, Moment};
use crate::day::Day;
use crate::page::PageId;
use crate::shard::ShardName;
use crate::store::parking::{Mark, PARKED_BYTES, Park, Parked, ParkedCopy, ParkedPage, Unreadable};
use crate::store::{Applied, Apply, Incarnation, Ledger, Rejected, ShardIndex, Standing, StoreError};
use crate::timing::Timing;
use crate::visit::Secret;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest way of a call that is late. A connection that gets no acknowledgement is given up after some 15
/// minutes (Linux' `tcp_retries2`), and a server reads what has come as soon as it does anything. Settled sets
/// ([`Timing::settled_set_kept`]) are kept for longer, since a call later than that could count once more.
const LATEST: Duration = Duration::from_mins(30);

/// Copies on a page: few, so that tests meet several pages.
const PAGE: usize = 3;

/// Shards in memory that answer the calls of [`Ledger`] as Redis does. Clones share them. Faults are planned as with
/// [`Faults`]; here a mute shard never answers.
#[derive(Clone, Debug)]
pub struct Fake {
    shards: Arc<Vec<Mutex<Shard>>>,
    faults: Faults,
    clock: Clock,
    /// Shards that live at one address.
    together: Vec<ShardIndex>,
}

#[derive(Debug, Default)]
struct Shard {
    data: Data,
    saved: Data,
    late: Vec<(Moment, LateCall)>,
    broken: HashSet<PageId>,
    /// New pages that are still taken; `None`: any number.
    new_pages_left: Option<u64>,
    /// Bytes of the room for copies that a test has taken.
    parking_taken: u64,
}

/// A call whose answer nothing waits for any more.
#[derive(Clone, Debug)]
enum LateCall {
    Apply(Apply),
    Park(Park),
}

#[derive(Clone, Debug, Default)]
struct Data {
    /// Visits of a page, and those of them by bots.
    pages: BTreeMap<PageId, (u64, u64)>,
    journal: Vec<Arc<Batch>>,
    applied: HashMap<WriterId, AppliedSet>,
    listed: HashSet<WriterId>,
    sets: HashMap<WriterId, (Moment, Duration)>,
    secrets: HashMap<Day, Secret>,
    parked: BTreeMap<(ShardName, BatchId), Copy>,
    /// Copies and marks so far: a cursor that copies deleted meanwhile do not move.
    numbers: u64,
    aside: usize,
}

#[derive(Clone, Debug)]
struct Copy {
    number: u64,
    batch: Arc<Batch>,
    sealed: Moment,
    delivered: Option<(u64, Incarnation, Moment)>,
}

impl Fake {
    /// So many empty shards, which tell time by `clock`.
    pub fn new(shards: usize, clock: Clock) -> Self {
        let faults = Faults::new(shards);
        let shards = Arc::new((0..shards).map(|_| Mutex::default()).collect());
        Self { shards, faults, clock, together: Vec::new() }
    }

    /// Places these shards at one address.
    #[must_use]
    pub fn with_one_endpoint_for(self, together: &[ShardIndex]) -> Self {
        Self { together: together.to_vec(), ..self }
    }

    /// Applies the calls that were late, the newest first: the order in which a network delivers is any.
    pub fn deliver_late(&self, shard: ShardIndex) {
        let (now, run) = (self.clock.now(), self.run(shard));
        let mut shard = self.shard(shard);
        while let Some((sent, call)) = shard.late.pop() {
            match call {
                _ if now.since(sent) > LATEST => {}
                LateCall::Apply(call) => drop(shard.apply(&call, run, now)),
                LateCall::Park(park) => drop(shard.park(&park, run, now)),
            }
        }
    }

    /// Remembers what `shard` holds now, as a disk would.
    pub fn save(&self, shard: ShardIndex) {
        let mut shard = self.shard(shard);
        shard.saved = shard.data.clone();
    }

    /// Puts `shard` back to what was saved last, as a crash would.
    pub fn crash(&self, shard: ShardIndex) {
        self.begin_run(shard);
        let mut shard = self.shard(shard);
        shard.data = shard.saved.clone();
    }

    /// Makes a page's key one that cannot be counted up.
    pub fn break_page(&self, shard: ShardIndex, page: PageId) {
        self.shard(shard).broken.insert(page);
    }

    /// Has `shard` take so many more new pages and refuse others.
    pub fn limit_new_pages(&self, shard: ShardIndex, pages: u64) {
        self.shard(shard).new_pages_left = Some(pages);
    }

    /// Takes `bytes` of the room that `shard` has for copies.
    pub fn take_parking_room(&self, shard: ShardIndex, bytes: u64) {
        self.shard(shard).parking_taken = bytes;
    }

    /// Deletes applied sets that are past their time.
    pub fn tidy(&self, shard: ShardIndex) {
        let (now, mut shard) = (self.clock.now(), self.shard(shard));
        let Data { sets, applied, listed, .. } = &mut shard.data;
        sets.retain(|_, (from, kept)| now.since(*from) < *kept);
        applied.retain(|writer, _| sets.contains_key(writer));
        listed.retain(|writer| sets.contains_key(writer));
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
        (0..self.shards.len()).map(|shard| self.shard(shard).data.aside).sum()
    }

    /// A page's visits on all shards.
    pub fn sum(&self, page: &PageId) -> u64 {
        (0..self.shards.len()).map(|shard| self.count(shard, page).0).sum()
    }

    /// A page's visits on `shard`, and those of them by bots.
    pub fn count(&self, shard: ShardIndex, page: &PageId) -> (u64, u64) {
        self.shard(shard).data.pages.get(page).copied().unwrap_or_default()
    }

    /// The batches that `shard` has applied, in this order.
    pub fn journal(&self, shard: ShardIndex) -> Vec<Arc<Batch>> {
        self.shard(shard).data.journal.clone()
    }

    /// Writers on the sweep's list.
    pub fn listed(&self, shard: ShardIndex) -> usize {
        self.shard(shard).data.listed.len()
    }

    /// Days whose secret is on `shard`.
    pub fn secrets_on(&self, shard: ShardIndex) -> usize {
        self.shard(shard).data.secrets.len()
    }

    fn shard(&self, shard: ShardIndex) -> MutexGuard<'_, Shard> {
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, shard: ShardIndex) -> Incarnation {
        self.faults.run(shard, Incarnation(1))
    }

    /// Makes one call as planned.
    async fn call<T>(
        &self,
        index: ShardIndex,
        late: Option<LateCall>,
        act: impl Fn(&mut Shard, Moment) -> T,
    ) -> Result<T, StoreError> {
        let (fault, now) = (self.faults.next(index), self.clock.now());
        let answer = {
            let mut shard = self.shard(index);
            match fault {
                Some(Fault::Unreachable | Fault::Mute) => None,
                Some(Fault::Late) => {
                    shard.late.extend(late.map(|call| (now, call)));
                    None
                }
                Some(Fault::Duplicate) => {
                    act(&mut shard, now);
                    Some(act(&mut shard, now))
                }
                None | Some(Fault::AnswerLost | Fault::Slow(_)) => Some(act(&mut shard, now)),
            }
        };
        // A real call lets others run while its answer is on its way.
        tokio::task::yield_now().await;
        let (shard, reason) = (format!("memory_{index}"), "a planned fault".to_owned());
        match (fault, answer) {
            (Some(Fault::AnswerLost), _) => Err(StoreError::Unknown { shard, reason }),
            (Some(Fault::Slow(time)), Some(answer)) => {
                tokio::time::sleep(time).await;
                Ok(answer)
            }
            (_, Some(answer)) => Ok(answer),
            (Some(Fault::Unreachable), None) => Err(StoreError::Unreachable { shard, reason }),
            (_, None) => std::future::pending().await,
        }
    }
}

impl Deref for Fake {
    type Target = Faults;

    fn deref(&self) -> &Faults {
        &self.faults
    }
}

impl Shard {
    fn apply(&mut self, call: &Apply, incarnation: Incarnation, now: Moment) -> Applied {
        let mut applied = Applied { incarnation, server_time: now.since_epoch(), ..Applied::default() };
        let mut set = self.data.applied.remove(&call.writer).unwrap_or_default();
        for (batch, age) in &call.batches {
            if set.contains(batch.sequence()) {
                continue;
            }
            if *age > Timing::REAL.max_batch_age {
                applied.expired.push(batch.sequence());
                continue;
            }
            set.insert(batch.sequence());
            set.visits += batch.visits();
            applied.fresh.push(batch.sequence());
            self.data.journal.push(Arc::clone(batch));
            for increment in batch.increments() {
                let (page, visits) = (&increment.page, increment.visits);
                let is_new = !self.data.pages.contains_key(page);
                if is_new && self.new_pages_left == Some(0) {
                    set.rejected += visits;
                    applied.refused += visits;
                } else if self.broken.contains(page) {
                    set.rejected += visits;
                    let reason = "WRONGTYPE".to_owned();
                    applied.rejected.push(Rejected { page: page.clone(), visits, reason });
                } else {
                    self.new_pages_left = self.new_pages_left.map(|left| left - u64::from(is_new));
                    let count = self.data.pages.entry(page.clone()).or_default();
                    *count = (count.0 + visits, count.1 + increment.bots);
                }
            }
        }
        set.raise(call.base.get() - 1);
        self.data.applied.insert(call.writer, set.clone());
        // A delivery's is the longest time of a writer that may be delivered for, so that it shortens none.
        self.data.sets.insert(call.writer, (now, call.standing.set_kept(&Timing::REAL)));
        match call.standing {
            Standing::Active => drop(self.data.listed.insert(call.writer)),
            Standing::Gone | Standing::Settled => drop(self.data.listed.remove(&call.writer)),
            Standing::Delivered | Standing::Import => {}
        }
        Applied { set, ..applied }
    }

    fn park(&mut self, park: &Park, incarnation: Incarnation, now: Moment) -> Parked {
        let id = |batch: &Batch| (park.owner.clone(), BatchId { writer: park.writer, sequence: batch.sequence() });
        let size = |batch: &Batch| batch.encode().len() as u64;
        let held = self.data.parked.iter().filter(|((owner, _), _)| *owner == park.owner);
        let held: u64 = held.map(|(_, copy)| size(&copy.batch)).sum();
        let new = park.batches.iter().filter(|(batch, _)| !self.data.parked.contains_key(&id(batch)));
        if self.parking_taken + held + new.map(|(batch, _)| size(batch)).sum::<u64>() > PARKED_BYTES {
            return Parked::Full;
        }
        for (batch, age) in &park.batches {
            self.data.numbers += 1;
            let (number, sealed) = (self.data.numbers, now.before(*age));
            let copy = Copy { number, batch: Arc::clone(batch), sealed, delivered: None };
            self.data.parked.entry(id(batch)).or_insert(copy);
        }
        Parked::Taken { incarnation, server_time: now.since_epoch() }
    }
}

impl Data {
    fn owners(&self) -> Vec<(String, u64)> {
        let mut owners = BTreeMap::new();
        for (owner, _) in self.parked.keys() {
            *owners.entry(owner.to_string()).or_default() += 1;
        }
        owners.into_iter().collect()
    }

    fn page(&self, owner: &ShardName, cursor: u64, now: Moment) -> ParkedPage {
        let of_owner = self.parked.iter().filter(|((of, _), copy)| of == owner && copy.number > cursor);
        let mut rest: Vec<_> = of_owner.map(|((_, id), copy)| (*id, copy)).collect();
        rest.sort_by_key(|(_, copy)| copy.number);
        let next = rest.get(PAGE).map_or(0, |_| rest[PAGE - 1].1.number);
        let copies = rest.into_iter().take(PAGE).map(|(id, copy)| ParkedCopy {
            id,
            batch: Arc::clone(&copy.batch),
            age: now.since(copy.sealed),
            delivered: copy.delivered.map(|(at, owner, time)| Mark { at, owner, age: now.since(time) }),
        });
        ParkedPage { copies: copies.collect(), unreadable: Vec::new(), next }
    }

    fn remove(&mut self, owner: &ShardName, id: BatchId, mark: Option<u64>) -> bool {
        let key = (owner.clone(), id);
        let bears = |copy: &Copy| mark.is_none() || copy.delivered.map(|(at, ..)| at) == mark;
        self.parked.get(&key).is_some_and(bears) && self.parked.remove(&key).is_some()
    }
}

impl Ledger for Fake {
    async fn apply(&self, shard: ShardIndex, call: &Apply) -> Result<Applied, StoreError> {
        let run = self.run(shard);
        self.call(shard, Some(LateCall::Apply(call.clone())), |shard, now| shard.apply(call, run, now)).await
    }

    async fn known_secret(&self, shard: ShardIndex, day: Day) -> Result<Option<Secret>, StoreError> {
        self.call(shard, None, |shard, _| shard.data.secrets.get(&day).copied()).await
    }

    async fn secret(&self, shard: ShardIndex, day: Day, offer: Secret) -> Result<Secret, StoreError> {
        self.call(shard, None, |shard, _| *shard.data.secrets.entry(day).or_insert(offer)).await
    }

    async fn park(&self, shard: ShardIndex, park: &Park) -> Result<Parked, StoreError> {
        let run = self.run(shard);
        self.call(shard, Some(LateCall::Park(park.clone())), |shard, now| shard.park(park, run, now)).await
    }

    async fn parked_owners(&self, shard: ShardIndex) -> Result<Vec<(String, u64)>, StoreError> {
        self.call(shard, None, |shard, _| shard.data.owners()).await
    }

    async fn parked(&self, shard: ShardIndex, owner: &ShardName, cursor: u64) -> Result<ParkedPage, StoreError> {
        self.call(shard, None, |shard, now| shard.data.page(owner, cursor, now)).await
    }

    async fn mark_delivered(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        copies: &[(BatchId, Incarnation)],
    ) -> Result<(), StoreError> {
        let mark = |shard: &mut Shard, now| {
            shard.data.numbers += 1;
            for (id, run) in copies {
                if let Some(copy) = shard.data.parked.get_mut(&(owner.clone(), *id)) {
                    copy.delivered = Some((shard.data.numbers, *run, now));
                }
            }
        };
        self.call(shard, None, mark).await
    }

    async fn remove_delivered(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        copies: &[(BatchId, Mark)],
    ) -> Result<usize, StoreError> {
        let remove = |shard: &mut Shard, _| {
            copies.iter().filter(|(id, mark)| shard.data.remove(owner, *id, Some(mark.at))).count()
        };
        self.call(shard, None, remove).await
    }

    async fn set_aside(
        &self,
        shard: ShardIndex,
        owner: &ShardName,
        copies: &[Unreadable],
    ) -> Result<usize, StoreError> {
        let aside = |shard: &mut Shard, _| {
            let ids = copies.iter().filter_map(|copy| std::str::from_utf8(&copy.field).ok()?.parse().ok());
            let aside = ids.filter(|id| shard.data.remove(owner, *id, None)).count();
            shard.data.aside += aside;
            aside
        };
        self.call(shard, None, aside).await
    }

    fn share_endpoint(&self, one: ShardIndex, other: ShardIndex) -> bool {
        [one, other].iter().all(|shard| self.together.contains(shard))
    }
}
