//! A ledger in memory.

use super::{Fault, Faults};
use crate::batch::{Batch, BatchId, WriterId};
use crate::clock::{Clock, Moment, Timing};
use crate::day::Day;
use crate::handoff::{
    Envelope, EnvelopePage, Landed, MAILBOX_BYTES, Mailbox, Note, Park, Parked, Payload, Records, Update,
};
use crate::page::PageId;
use crate::ring::Fingerprint;
use crate::shard::ShardName;
use crate::store::AppliedSet;
use crate::store::{Applied, Apply, Ledger, Nearness, Rejected, ServerRun, ShardIndex, StoreError, WriterStatus};
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
    noted: Option<(u64, ServerRun, bool, Moment)>,
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

    fn run(&self, shard: ShardIndex) -> ServerRun {
        self.faults.run(shard, ServerRun(1))
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
    fn apply(&mut self, call: &Apply, server_run: ServerRun, now: Moment) -> Applied {
        let mut applied = Applied { server_run, server_time: now.since_epoch(), ..Applied::default() };
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
        self.data.sets.insert(call.writer, (now, call.status.set_kept(&Timing::REAL)));
        match call.status {
            WriterStatus::Active => drop(self.data.listed.insert(call.writer)),
            WriterStatus::Gone | WriterStatus::Settled => drop(self.data.listed.remove(&call.writer)),
            WriterStatus::Delivered | WriterStatus::Import => {}
        }
        Applied { set, ..applied }
    }

    fn park(&mut self, park: &Park, server_run: ServerRun, now: Moment) -> Parked {
        let id = |batch: &Batch| (park.owner.clone(), BatchId { writer: park.writer, sequence: batch.sequence() });
        let size = |batch: &Batch| batch.encode().len() as u64;
        let held = self.data.parked.iter().filter(|((owner, _), _)| *owner == park.owner);
        let held: u64 = held.map(|(_, copy)| size(&copy.batch)).sum();
        let new = park.batches.iter().filter(|(batch, _)| !self.data.parked.contains_key(&id(batch)));
        if self.parking_taken + held + new.map(|(batch, _)| size(batch)).sum::<u64>() > MAILBOX_BYTES {
            return Parked::Full;
        }
        for (batch, age) in &park.batches {
            self.data.numbers += 1;
            let (number, sealed) = (self.data.numbers, now.before(*age));
            let copy = Copy { number, batch: Arc::clone(batch), sealed, noted: None };
            self.data.parked.entry(id(batch)).or_insert(copy);
        }
        Parked::Taken { server_run, server_time: now.since_epoch() }
    }
}

impl Data {
    fn mailboxes(&self) -> Vec<(String, u64)> {
        let mut mailboxes = BTreeMap::new();
        for (owner, _) in self.parked.keys() {
            *mailboxes.entry(Mailbox::batches(owner).to_string()).or_default() += 1;
        }
        mailboxes.into_iter().collect()
    }

    fn page(&self, owner: &ShardName, cursor: u64, now: Moment, run: ServerRun) -> EnvelopePage {
        let of_owner = self.parked.iter().filter(|((of, _), copy)| of == owner && copy.number > cursor);
        let mut rest: Vec<_> = of_owner.map(|((_, id), copy)| (*id, copy)).collect();
        rest.sort_by_key(|(_, copy)| copy.number);
        let next = rest.get(PAGE).map_or(0, |_| rest[PAGE - 1].1.number);
        let note = |(at, run, there, time)| Note { at, run, there, age: now.since(time) };
        let envelopes = rest.into_iter().take(PAGE).map(|(id, copy)| Envelope {
            id,
            content: Payload::Batch(Arc::clone(&copy.batch)),
            age: now.since(copy.sealed),
            note: copy.noted.map(note),
        });
        EnvelopePage { envelopes: envelopes.collect(), unreadable: Vec::new(), next, run }
    }

    fn update(&mut self, owner: &ShardName, update: &Update, now: Moment) -> bool {
        let id = match update {
            Update::Found { id, .. } | Update::Delivered(id, _) => Some(*id),
            Update::Aside(aside) => std::str::from_utf8(&aside.field).ok().and_then(|id| id.parse().ok()),
        };
        let Some(key) = id.map(|id| (owner.clone(), id)) else { return false };
        let Some(copy) = self.parked.get_mut(&key) else { return false };
        match update {
            Update::Found { run, there, .. } => copy.noted = Some((self.numbers, *run, *there, now)),
            Update::Delivered(_, note) if copy.noted.map(|(at, ..)| at) != Some(note.at) => return false,
            Update::Delivered(..) | Update::Aside(_) => drop(self.parked.remove(&key)),
        }
        self.aside += usize::from(matches!(update, Update::Aside(_)));
        true
    }
}

impl Ledger for Fake {
    async fn apply(&self, shard: ShardIndex, call: &Apply) -> Result<Applied, StoreError> {
        let run = self.run(shard);
        self.call(shard, Some(LateCall::Apply(call.clone())), |shard, now| shard.apply(call, run, now)).await
    }

    async fn secret(&self, shard: ShardIndex, day: Day, offer: Option<Secret>) -> Result<Option<Secret>, StoreError> {
        let keep = |shard: &mut Shard, _| {
            if let Some(offer) = offer {
                shard.data.secrets.entry(day).or_insert(offer);
            }
            shard.data.secrets.get(&day).copied()
        };
        self.call(shard, None, keep).await
    }

    async fn park(&self, shard: ShardIndex, park: &Park) -> Result<Parked, StoreError> {
        let run = self.run(shard);
        self.call(shard, Some(LateCall::Park(park.clone())), |shard, now| shard.park(park, run, now)).await
    }

    async fn outgoing(&self, shard: ShardIndex) -> Result<Vec<(String, u64)>, StoreError> {
        self.call(shard, None, |shard, _| shard.data.mailboxes()).await
    }

    async fn envelopes(&self, shard: ShardIndex, mailbox: &Mailbox, cursor: u64) -> Result<EnvelopePage, StoreError> {
        let run = self.run(shard);
        self.call(shard, None, |shard, now| shard.data.page(&mailbox.owner, cursor, now, run)).await
    }

    async fn update(&self, shard: ShardIndex, mailbox: &Mailbox, updates: &[Update]) -> Result<Vec<bool>, StoreError> {
        let update = |shard: &mut Shard, now| {
            shard.data.numbers += 1;
            updates.iter().map(|update| shard.data.update(&mailbox.owner, update, now)).collect()
        };
        self.call(shard, None, update).await
    }

    async fn land(
        &self,
        shard: ShardIndex,
        _: &ShardName,
        _: BatchId,
        _: &Records,
        _: Option<Fingerprint>,
    ) -> Result<Landed, StoreError> {
        // There are no records here.
        self.call(shard, None, |_, _| Landed::default()).await
    }

    fn nearness(&self, one: ShardIndex, other: ShardIndex) -> Nearness {
        let together = [one, other].iter().all(|shard| self.together.contains(shard));
        if together { Nearness::OneServer } else { Nearness::Apart }
    }
}
