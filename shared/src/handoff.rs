//! The hand-off: brings what waits on one shard to the shard that it belongs on, exactly once.
//!
//! What waits is an [`Envelope`]: a parked copy of a batch (hinted handoff, as in Amazon's Dynamo, SOSP 2007), or records that
//! a ring change took from a shard. The envelopes of one kind for one owner are a [`Mailbox`]. A note at an envelope says
//! where it was found last, when, and in which run of that server:
//!
//! 1. A batch is delivered at once. Records are delivered when they have been *here*, on the shard that they were taken from,
//!    for a minute in one run of its server: else a crash could bring back what their owner counts already.
//! 2. Delivered, an envelope is noted as *there*. A delivery may be repeated by anyone, at any time: its owner counts it once.
//! 3. A minute later it is delivered again. If it is still *there*, in the same run of the owner's server, it is deleted; an
//!    owner that has lost it takes it once more, and the minute begins anew.
//!
//! A batch that is too old, and what cannot be read, is set aside for the operator. Records never age out.

use crate::batch::{Batch, BatchId, MAX_BATCH_PAGES, Sequence, WriterId};
use crate::budget::Budget;
use crate::clock::{Clock, Moment};
use crate::page::PageId;
use crate::record::Round;
use crate::ring::{Fingerprint, Ring};
use crate::shard::ShardName;
use crate::store::redis::keys::Key;
use crate::store::{Applied, Apply, Incarnation, Ledger, ShardIndex, Standing, StoreError};
use crate::telemetry::Lines;
use crate::timing::Timing;
use futures_util::future::{join, join_all};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Most bytes that one shard takes in one mailbox: some 300,000 pages, minutes of a busy site.
pub const MAILBOX_BYTES: u64 = 64 * 1024 * 1024;

/// The kind of what an envelope holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Copies of batches.
    Batches,
    /// Records that a ring change moves.
    Records,
}

/// The envelopes of one kind that wait on a shard for another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mailbox {
    /// What they hold.
    pub kind: Kind,
    /// The shard that they wait for.
    pub owner: ShardName,
}

/// A text that names no mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a mailbox: batches:<shard> and records:<shard> are accepted")]
pub struct InvalidMailbox;

impl Mailbox {
    /// The copies of batches for `owner`.
    pub fn batches(owner: &ShardName) -> Self {
        Self { kind: Kind::Batches, owner: owner.clone() }
    }

    /// The records for `owner`.
    pub fn records(owner: &ShardName) -> Self {
        Self { kind: Kind::Records, owner: owner.clone() }
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Batches => "batches",
            Kind::Records => "records",
        };
        write!(f, "{kind}:{}", self.owner)
    }
}

impl FromStr for Mailbox {
    type Err = InvalidMailbox;

    fn from_str(text: &str) -> Result<Self, InvalidMailbox> {
        let (kind, owner) = text.split_once(':').ok_or(InvalidMailbox)?;
        let owner = owner.parse().map_err(|_| InvalidMailbox)?;
        match kind {
            "batches" => Ok(Self { kind: Kind::Batches, owner }),
            "records" => Ok(Self { kind: Kind::Records, owner }),
            _ => Err(InvalidMailbox),
        }
    }
}

/// A call to park copies of batches.
#[derive(Clone, Debug)]
pub struct Park {
    /// The shard that the batches are addressed to.
    pub owner: ShardName,
    /// The writer that sealed them.
    pub writer: WriterId,
    /// The batches with their age since sealing.
    pub batches: Vec<(Arc<Batch>, Duration)>,
}

/// The answer to [`Park`]: all of it or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parked {
    /// The shard has the copies, those that were there before included.
    Taken {
        /// The run of its server.
        incarnation: Incarnation,
        /// When it answered by its own clock, since the Unix epoch.
        server_time: Duration,
    },
    /// It has [`MAILBOX_BYTES`] for this owner already, and took none.
    Full,
}

/// A note at an envelope: where it was found last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// When it was made, in milliseconds of the clock of the shard that holds the envelope.
    pub at: u64,
    /// The run of the server that the envelope was found on.
    pub run: Incarnation,
    /// Found on its owner; otherwise on the shard that holds it.
    pub there: bool,
    /// How long ago that was when the envelope was read.
    pub age: Duration,
}

/// The content of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A copy of a batch.
    Batch(Arc<Batch>),
    /// Records with what they counted.
    Records(Records),
}

/// Records on their way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// The round of the ring change in which they were taken.
    pub round: Round,
    /// The records, each with its fields and what to add to them.
    pub records: Vec<(Key, Vec<(String, u64)>)>,
}

/// An envelope as a delivery reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Its identity: of the batch, or one that the take drew.
    pub id: BatchId,
    /// What it holds.
    pub content: Payload,
    /// Time since the batch was sealed or the records were taken, by the clock of the shard that holds it.
    pub age: Duration,
    /// Where it was found last; `None`: nothing is known.
    pub note: Option<Note>,
}

/// Something in a mailbox that cannot be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its name there, as it is.
    pub field: Vec<u8>,
    /// What is wrong with it.
    pub reason: String,
}

/// Some of the envelopes in a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvelopePage {
    /// The envelopes. One may come twice, here or in a later page.
    pub envelopes: Vec<Envelope>,
    /// What else was found.
    pub unreadable: Vec<Unreadable>,
    /// Where to read on; 0: this was the last page.
    pub next: u64,
    /// The run of the server that holds the mailbox.
    pub run: Incarnation,
}

/// An envelope that leaves its mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is delivered: deleted, if it still bears this note.
    Delivered(BatchId, Note),
    /// It can never be delivered: put aside, with the reason.
    Aside(Unreadable),
}

/// A call to deliver records.
#[derive(Clone, Copy, Debug)]
pub struct Landing<'a> {
    /// The identity of the envelope.
    pub id: BatchId,
    /// The shard that the records were taken from.
    pub source: &'a ShardName,
    /// What was taken.
    pub content: &'a Records,
    /// The ring in force, if all the records belong on the called shard by it.
    pub ring: Option<Fingerprint>,
}

/// The answer to [`Landing`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Landed {
    /// Whether this call has delivered it; it was there before otherwise.
    pub fresh: bool,
    /// Records whose key holds something else: what they counted is lost.
    pub rejected: Vec<RejectedRecord>,
    /// The run of the server that answered.
    pub incarnation: Incarnation,
}

/// A record that was not taken or not delivered, with the reason that the shard gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// The record.
    pub record: Key,
    /// Visits that are in no record because of it.
    pub visits: u64,
    /// What the shard said, for the log.
    pub reason: String,
}

/// Statistics of one run of the hand-off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Copies of batches found, as far as their owner could be asked.
    pub copies_tried: usize,
    /// Visits in them that were counted only now.
    pub visits_delivered: u64,
    /// Those of them that had been delivered before and were lost by their owner.
    pub visits_healed: u64,
    /// Visits that will not be counted: in copies that were set aside, or at keys that cannot be counted up.
    pub visits_lost: u64,
    /// Visits of new pages in copies that `VISITS_NEW_PAGES_A_DAY` refused.
    pub visits_refused: u64,
    /// Age of the oldest copy found that its owner is not known to have, in seconds.
    pub oldest_copy_seconds: u64,
    /// Copies and moves deleted, since their owner has had them for long enough.
    pub copies_removed: usize,
    /// Copies and moves set aside: damaged, or too old. An operator must look at them.
    pub copies_set_aside: usize,
    /// Pages whose records were delivered to their owners.
    pub pages_delivered: u64,
    /// Moves (some hundred records each) that are left: for a minute, or for a shard.
    pub moves_waiting: usize,
    /// Owners for which something had to be left for the next run.
    pub owners_waiting: usize,
    /// Calls that failed.
    pub calls_failed: usize,
}

/// Delivers once, within `budget`.
///
/// The order changes with each minute: what does not fit into one run, or an owner that is silent, keeps nothing else
/// from its turn.
pub async fn deliver<S: Ledger>(
    store: &S,
    ring: &Ring,
    clock: &Clock,
    timing: Timing,
    budget: impl Into<Budget>,
) -> Delivery {
    let mut run = Run {
        store,
        ring,
        fingerprint: ring.fingerprint(),
        clock,
        timing,
        started: clock.now(),
        budget: budget.into(),
        down: HashSet::new(),
        waiting: HashSet::new(),
        done: Delivery::default(),
        lines: Lines::default(),
    };
    run.budget.cut_off("delivery", run.deliver_all()).await;
    run.done.owners_waiting = run.waiting.iter().map(|(_, mailbox)| &mailbox.owner).collect::<HashSet<_>>().len();
    if run.done.visits_refused > 0 {
        let visits_refused = run.done.visits_refused;
        tracing::warn!(visits_refused, "visits of new pages over VISITS_NEW_PAGES_A_DAY, in parked copies");
    }
    run.done
}

/// What is to be done about an envelope now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It is noted as here: a minute runs from now.
    Note,
    /// It waits for the end of its minute.
    Wait,
    /// It is delivered, once more if it was before.
    Deliver,
}

impl Turn {
    /// Decides by the note; `run` is the present run of the server that holds the envelope, `wait` a minute.
    fn of(kind: Kind, note: Option<Note>, run: Incarnation, wait: Duration) -> Self {
        match note {
            Some(note) if note.there && note.age < wait => Self::Wait,
            Some(note) if note.there => Self::Deliver,
            _ if kind == Kind::Batches => Self::Deliver,
            Some(note) if note.run == run && note.age < wait => Self::Wait,
            Some(note) if note.run == run => Self::Deliver,
            // It came through a restart, or is not known to have: only from now on it counts as here.
            _ => Self::Note,
        }
    }
}

/// What a delivery found out about the envelopes of a page.
#[derive(Default)]
struct Findings {
    here: Vec<(BatchId, Incarnation)>,
    there: Vec<(BatchId, Incarnation)>,
    remove: Vec<Removal>,
    /// Visits in what is set aside, as far as it can be read.
    lost: u64,
}

impl Findings {
    /// The owner has it: newly, or as before.
    fn delivered(&mut self, id: BatchId, note: Option<Note>, fresh: bool, run: Incarnation) {
        match note {
            Some(note) if note.there && note.run == run && !fresh => self.remove.push(Removal::Delivered(id, note)),
            // It was lost, or may have been lost and brought again a moment ago: the minute begins anew.
            _ => self.there.push((id, run)),
        }
    }

    fn set_aside(&mut self, copy: &Copy, reason: String) {
        self.remove.push(Removal::Aside(Unreadable { field: copy.id.to_string().into_bytes(), reason }));
        self.lost += copy.batch.visits();
    }
}

/// A copy of a batch that is to be delivered.
#[derive(Clone, Debug)]
struct Copy {
    id: BatchId,
    batch: Arc<Batch>,
    age: Duration,
    note: Option<Note>,
}

/// Where envelopes are and where they go.
#[derive(Clone, Copy)]
struct Way<'a> {
    from: ShardIndex,
    to: ShardIndex,
    mailbox: &'a Mailbox,
}

/// The parts of a delivery's state.
struct Run<'a, S> {
    store: &'a S,
    ring: &'a Ring,
    fingerprint: Fingerprint,
    clock: &'a Clock,
    timing: Timing,
    started: Moment,
    budget: Budget,
    /// Owners that did not answer: each is tried once a run, however many shards hold something for it.
    down: HashSet<ShardIndex>,
    /// Mailboxes of which not all was tried.
    waiting: HashSet<(ShardIndex, Mailbox)>,
    done: Delivery,
    lines: Lines,
}

impl<S: Ledger> Run<'_, S> {
    async fn deliver_all(&mut self) {
        let (store, (listed, mut lists)) = (self.store, mpsc::unbounded_channel());
        // Beside the deliveries: a list that is not polled while it connects keeps its shard from every other call.
        let listing = join_all((0..self.ring.len()).map(|shard| {
            let listed = listed.clone();
            async move { listed.send((shard, store.outgoing(shard).await)).ok() }
        }));
        drop(listed);
        // By what answers first: a silent shard's list is waited for last.
        let delivering = async {
            while let Some((shard, outgoing)) = lists.recv().await {
                self.deliver_from(shard, outgoing).await;
            }
        };
        join(listing, delivering).await;
    }

    /// Delivers what `shard` holds in these mailboxes.
    async fn deliver_from(&mut self, shard: ShardIndex, outgoing: Result<Vec<(String, u64)>, StoreError>) {
        let mut mailboxes = self.mailboxes(shard, outgoing);
        let minute = usize::try_from(self.started.epoch_millis() / 60_000).unwrap_or(0);
        let first = minute % mailboxes.len().max(1);
        mailboxes.rotate_left(first);
        self.waiting.extend(mailboxes.iter().map(|(_, mailbox)| (shard, mailbox.clone())));
        for (owner, mailbox) in mailboxes {
            if self.empty(Way { from: shard, to: owner, mailbox: &mailbox }).await {
                self.waiting.remove(&(shard, mailbox));
            }
        }
    }

    /// The mailboxes on `shard`, as far as their owners are configured.
    fn mailboxes(
        &mut self,
        shard: ShardIndex,
        outgoing: Result<Vec<(String, u64)>, StoreError>,
    ) -> Vec<(ShardIndex, Mailbox)> {
        let mut mailboxes = Vec::new();
        for (name, _) in self.answer(outgoing).unwrap_or_default() {
            let mailbox: Option<Mailbox> = name.parse().ok();
            if let Some(mailbox) = mailbox.and_then(|mailbox| Some((self.ring.index(mailbox.owner.as_str())?, mailbox)))
            {
                mailboxes.push(mailbox);
            } else {
                let shard = self.ring.name(shard).as_str();
                self.lines.write(|| tracing::error!(shard, mailbox = name, "it is for no shard that is configured"));
            }
        }
        mailboxes.sort_unstable();
        mailboxes
    }

    fn is_over(&self) -> bool {
        self.budget.is_over(self.started, self.clock.now())
    }

    /// Delivers what is in a mailbox; whether all of it was tried.
    async fn empty(&mut self, way: Way<'_>) -> bool {
        let mut cursor = 0;
        loop {
            let down = self.down.contains(&way.to);
            if self.is_over() || (down && cursor != 0) {
                return false;
            }
            let page = self.store.envelopes(way.from, way.mailbox, cursor).await;
            let Some(page) = self.answer(page) else { return false };
            cursor = page.next;
            let all_tried = self.deliver_page(way, page).await;
            if cursor == 0 || !all_tried {
                return all_tried;
            }
        }
    }

    /// Delivers a page of envelopes; whether their owner answered for all of them.
    async fn deliver_page(&mut self, way: Way<'_>, page: EnvelopePage) -> bool {
        let mut found =
            Findings { remove: page.unreadable.into_iter().map(Removal::Aside).collect(), ..Findings::default() };
        let (mut copies, mut records) = (BTreeMap::new(), BTreeMap::new());
        for Envelope { id, content, age, note } in page.envelopes {
            self.done.moves_waiting += usize::from(way.mailbox.kind == Kind::Records);
            match (Turn::of(way.mailbox.kind, note, page.run, self.timing.delivered_kept), content) {
                (Turn::Note, _) => found.here.push((id, page.run)),
                (Turn::Wait, _) => self.done.copies_tried += usize::from(way.mailbox.kind == Kind::Batches),
                // A cursor may show one twice.
                (Turn::Deliver, Payload::Batch(batch)) => drop(copies.insert(id, Copy { id, batch, age, note })),
                (Turn::Deliver, Payload::Records(content)) => drop(records.insert(id, (content, note))),
            }
        }
        let all_tried = self.deliver_copies(way, copies, &mut found).await;
        let all_landed = records.is_empty() || self.deliver_records(way, records, &mut found).await;
        self.note(way, found).await;
        all_tried && all_landed
    }

    async fn deliver_copies(&mut self, way: Way<'_>, copies: BTreeMap<BatchId, Copy>, found: &mut Findings) -> bool {
        let mut all_tried = true;
        for copies in calls(copies) {
            // Answers of the owner until now are noted all the same, so that the next run need not begin with them.
            if self.down.contains(&way.to) || self.is_over() {
                self.note_waiting(&copies);
                all_tried = false;
                continue;
            }
            self.done.copies_tried += copies.len();
            let batches = copies.iter().map(|copy| (Arc::clone(&copy.batch), copy.age)).collect();
            let here = |page: &PageId| self.ring.owner(page.as_str()) == way.to;
            let pages = copies.iter().flat_map(|copy| copy.batch.increments()).map(|increment| &increment.page);
            let ring = pages.into_iter().all(here).then_some(self.fingerprint);
            let (writer, base) = (copies[0].id.writer, Sequence::FIRST);
            let call = Apply { writer, base, batches, standing: Standing::Delivered, ring };
            match self.store.apply(way.to, &call).await {
                Ok(applied) => self.learn(&applied, &copies, found),
                Err(error) => {
                    match &error {
                        // A key of another type where the writer's applied set belongs never changes by itself. The owner
                        // may take the next writer's batches.
                        StoreError::Refused { reason, .. } if reason.contains("WRONGTYPE") => {
                            for copy in &copies {
                                found.set_aside(copy, format!("its owner refuses it: {reason}"));
                            }
                        }
                        StoreError::Refused { .. } => {}
                        _ => {
                            self.down.insert(way.to);
                            self.note_waiting(&copies);
                            all_tried = false;
                        }
                    }
                    self.failed(&error);
                }
            }
        }
        all_tried
    }

    /// Takes the owner's answer for some copies.
    fn learn(&mut self, applied: &Applied, copies: &[Copy], found: &mut Findings) {
        let is_fresh = |copy: &Copy| applied.fresh.contains(&copy.id.sequence);
        let visits = |counts: &dyn Fn(&Copy) -> bool| -> u64 {
            copies.iter().filter(|copy| is_fresh(copy) && counts(copy)).map(|copy| copy.batch.visits()).sum()
        };
        let counted = visits(&|_| true).saturating_sub(applied.visits_rejected() + applied.refused);
        let was_there = |copy: &Copy| copy.note.is_some_and(|note| note.there);
        self.done.visits_delivered += counted;
        self.done.visits_healed += visits(&was_there).min(counted);
        self.done.visits_lost += applied.visits_rejected();
        self.done.visits_refused += applied.refused;
        for copy in copies {
            if applied.expired.contains(&copy.id.sequence) {
                found.set_aside(copy, format!("older than {:?}", self.timing.max_batch_age));
            } else {
                found.delivered(copy.id, copy.note, is_fresh(copy), applied.incarnation);
            }
        }
    }

    async fn deliver_records(
        &mut self,
        way: Way<'_>,
        records: BTreeMap<BatchId, (Records, Option<Note>)>,
        found: &mut Findings,
    ) -> bool {
        if self.down.contains(&way.to) || self.is_over() {
            return false;
        }
        let (store, source) = (self.store, self.ring.name(way.from));
        let stays = |record: &Key| record.home(self.ring, way.to) == way.to;
        let landing = records.iter().map(|(id, (content, note))| {
            let ring = content.records.iter().all(|(record, _)| stays(record)).then_some(self.fingerprint);
            async move {
                let landing = Landing { id: *id, source, content, ring };
                (*id, content, *note, store.land(way.to, &landing).await)
            }
        });
        let mut all_landed = true;
        for (id, content, note, landed) in join_all(landing).await {
            let landed = match landed {
                Ok(landed) => landed,
                Err(error) => {
                    if !matches!(error, StoreError::Refused { .. }) {
                        self.down.insert(way.to);
                    }
                    self.failed(&error);
                    all_landed = false;
                    continue;
                }
            };
            found.delivered(id, note, landed.fresh, landed.incarnation);
            if landed.fresh {
                let pages = content.records.iter().filter(|(record, _)| matches!(record, Key::Page(_)));
                self.done.pages_delivered += pages.count() as u64;
            }
            for RejectedRecord { record, visits, reason } in landed.rejected {
                self.done.visits_lost += visits;
                let shard = way.mailbox.owner.as_str();
                self.lines.write(|| tracing::error!(shard, %record, visits, reason, "visits could not be moved"));
            }
        }
        all_landed
    }

    /// Writes down at the envelopes what was found.
    async fn note(&mut self, way: Way<'_>, found: Findings) {
        let (store, Way { from, mailbox, .. }) = (self.store, way);
        for (there, envelopes) in [(false, found.here), (true, found.there)] {
            if !envelopes.is_empty() {
                let marked = store.mark(from, mailbox, there, &envelopes).await;
                self.answer(marked);
            }
        }
        let (aside, delivered): (Vec<_>, Vec<_>) =
            found.remove.into_iter().partition(|removal| matches!(removal, Removal::Aside(_)));
        if !delivered.is_empty() {
            let removed = store.remove(from, mailbox, &delivered).await;
            let removed = self.answer(removed).unwrap_or(0);
            self.done.copies_removed += removed;
            let moves = if mailbox.kind == Kind::Records { removed } else { 0 };
            self.done.moves_waiting = self.done.moves_waiting.saturating_sub(moves);
        }
        for removal in &aside {
            let Removal::Aside(Unreadable { field, reason }) = removal else { continue };
            let (shard, id) = (self.ring.name(from).as_str(), String::from_utf8_lossy(field));
            self.lines.write(|| tracing::error!(shard, %mailbox, %id, reason, "an envelope cannot be delivered"));
        }
        if !aside.is_empty() {
            let aside = store.remove(from, mailbox, &aside).await;
            if let Some(aside) = self.answer(aside) {
                self.done.copies_set_aside += aside;
                self.done.visits_lost += found.lost;
            }
        }
    }

    /// Takes note of copies that their owner does not take now.
    fn note_waiting(&mut self, copies: &[Copy]) {
        let undelivered = copies.iter().filter(|copy| copy.note.is_none());
        let oldest = undelivered.map(|copy| copy.age.as_secs()).max().unwrap_or_default();
        self.done.oldest_copy_seconds = self.done.oldest_copy_seconds.max(oldest);
    }

    /// The answer, or nothing for an error, which is counted and logged.
    fn answer<T>(&mut self, answer: Result<T, StoreError>) -> Option<T> {
        answer.inspect_err(|error| self.failed(error)).ok()
    }

    fn failed(&mut self, error: &StoreError) {
        self.done.calls_failed += 1;
        tracing::warn!(%error, "a delivery failed");
    }
}

/// The copies in calls of one writer each and of at most [`MAX_BATCH_PAGES`] pages, or a single batch.
fn calls(copies: BTreeMap<BatchId, Copy>) -> Vec<Vec<Copy>> {
    let pages = |copies: &[Copy]| copies.iter().map(|copy| copy.batch.pages()).sum::<usize>();
    let mut calls: Vec<Vec<Copy>> = Vec::new();
    for (id, copy) in copies {
        match calls.last_mut() {
            Some(call) if call[0].id.writer == id.writer && pages(call) + copy.batch.pages() <= MAX_BATCH_PAGES => {
                call.push(copy);
            }
            _ => calls.push(vec![copy]),
        }
    }
    calls
}

#[cfg(test)]
mod tests;
