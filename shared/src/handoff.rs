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
use crate::budget::{Budget, Step};
use crate::clock::Clock;
use crate::record::Round;
use crate::ring::{Fingerprint, Ring};
use crate::shard::ShardName;
use crate::store::redis::keys::Key;
use crate::store::{Applied, Apply, Ledger, ServerRun, ShardIndex, StoreError, WriterStatus};
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
    /// Kind of the content.
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
        let kind = if self.kind == Kind::Batches { "batches" } else { "records" };
        write!(f, "{kind}:{}", self.owner)
    }
}

impl FromStr for Mailbox {
    type Err = InvalidMailbox;

    fn from_str(text: &str) -> Result<Self, InvalidMailbox> {
        let (kind, owner) = text.split_once(':').ok_or(InvalidMailbox)?;
        let kind = match kind {
            "batches" => Kind::Batches,
            "records" => Kind::Records,
            _ => return Err(InvalidMailbox),
        };
        Ok(Self { kind, owner: owner.parse().map_err(|_| InvalidMailbox)? })
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
        server_run: ServerRun,
        /// When it answered by its own clock, since the Unix epoch.
        server_time: Duration,
    },
    /// The shard has [`MAILBOX_BYTES`] for this owner already, and took none.
    Full,
}

/// A note at an envelope: where it was found last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// When it was made, in milliseconds of the clock of the shard that holds the envelope.
    pub at: u64,
    /// The run of the server that the envelope was found on.
    pub run: ServerRun,
    /// Found on its owner; otherwise on the shard that holds it.
    pub there: bool,
    /// Age of the note when the envelope was read.
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
    /// Content.
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
    /// Reason why it cannot be read.
    pub reason: String,
}

/// Some of the envelopes in a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvelopePage {
    /// The envelopes. One may come twice, here or in a later page.
    pub envelopes: Vec<Envelope>,
    /// Entries that are no envelopes.
    pub unreadable: Vec<Unreadable>,
    /// Where to read on; 0: this was the last page.
    pub next: u64,
    /// The run of the server that holds the mailbox.
    pub run: ServerRun,
}

/// An envelope that leaves its mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// A delivered envelope: deleted, if it still bears this note.
    Delivered(BatchId, Note),
    /// One that can never be delivered: put aside, with the reason.
    Aside(Unreadable),
}

/// A call to deliver records.
#[derive(Clone, Copy, Debug)]
pub struct Landing<'a> {
    /// The identity of the envelope.
    pub id: BatchId,
    /// The shard that the records were taken from.
    pub source: &'a ShardName,
    /// Records with what they counted.
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
    pub server_run: ServerRun,
}

/// A record that was not taken or not delivered, with the reason that the shard gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// The record.
    pub record: Key,
    /// Visits that are in no record because of it.
    pub visits: u64,
    /// Reason that the shard gave, for the log.
    pub reason: String,
}

/// Statistics of one run of the hand-off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Copies of batches found, as far as their owner could be asked.
    pub copies_tried: usize,
    /// Visits in them that were counted only now.
    pub visits_delivered: u64,
    /// Visits among them that had been delivered before and were lost by their owner.
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
    let step = Step::new("delivery", (store, ring, clock), budget);
    let fingerprint = ring.fingerprint();
    let mut run = Run { step: &step, fingerprint, timing, down: HashSet::new(), waiting: HashSet::new() };
    step.run(run.deliver_all()).await;
    let owners_waiting = run.waiting.iter().map(|(_, mailbox)| &mailbox.owner).collect::<HashSet<_>>().len();
    let (done, calls_failed) = step.end();
    if done.visits_refused > 0 {
        let visits_refused = done.visits_refused;
        tracing::warn!(visits_refused, "visits of new pages over VISITS_NEW_PAGES_A_DAY, in parked copies");
    }
    Delivery { owners_waiting, calls_failed, ..done }
}

/// Next step of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// A note that it is here: a minute runs from now.
    Note,
    /// A wait for the end of its minute.
    Wait,
    /// A delivery, once more if it was delivered before.
    Deliver,
}

impl Turn {
    /// Decides by the note; `run` is the present run of the server that holds the envelope, `wait` a minute.
    fn of(kind: Kind, note: Option<Note>, run: ServerRun, wait: Duration) -> Self {
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

/// Findings of a delivery about the envelopes of a page.
#[derive(Default)]
struct Findings {
    here: Vec<(BatchId, ServerRun)>,
    there: Vec<(BatchId, ServerRun)>,
    delivered: Vec<Removal>,
    aside: Vec<Unreadable>,
    /// Visits in what is set aside, as far as it can be read.
    lost: u64,
}

impl Findings {
    /// The owner has it: newly, or as before.
    fn found_there(&mut self, id: BatchId, note: Option<Note>, fresh: bool, run: ServerRun) {
        match note {
            Some(note) if note.there && note.run == run && !fresh => self.delivered.push(Removal::Delivered(id, note)),
            // It was lost, or may have been lost and brought again a moment ago: the minute begins anew.
            _ => self.there.push((id, run)),
        }
    }

    fn set_aside(&mut self, copy: &Copy, reason: String) {
        self.aside.push(Unreadable { field: copy.id.to_string().into_bytes(), reason });
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

/// A run under way.
struct Run<'a, S> {
    step: &'a Step<'a, S, Delivery>,
    fingerprint: Fingerprint,
    timing: Timing,
    /// Owners that did not answer: each is tried once a run, however many shards hold something for it.
    down: HashSet<ShardIndex>,
    /// Mailboxes of which not all was tried.
    waiting: HashSet<(ShardIndex, Mailbox)>,
}

impl<S: Ledger> Run<'_, S> {
    async fn deliver_all(&mut self) {
        let (step, (listed, mut lists)) = (self.step, mpsc::unbounded_channel());
        // Beside the deliveries: a list that is not polled while it connects keeps its shard from every other call.
        let listing = join_all(step.shards().map(|shard| {
            let listed = listed.clone();
            async move { listed.send((shard, step.store.outgoing(shard).await)).ok() }
        }));
        drop(listed);
        // By what answers first: a silent shard's list is waited for last.
        let delivering = async {
            while let Some((shard, outgoing)) = lists.recv().await {
                self.deliver_from(shard, step.answer(outgoing).unwrap_or_default()).await;
            }
        };
        join(listing, delivering).await;
    }

    /// Delivers what `shard` holds in these mailboxes, as far as their owners are configured.
    async fn deliver_from(&mut self, shard: ShardIndex, outgoing: Vec<(String, u64)>) {
        let mut mailboxes = Vec::new();
        for (name, _) in outgoing {
            let mailbox = name.parse::<Mailbox>().ok();
            let of_owner = mailbox.and_then(|mailbox| Some((self.step.ring.index(mailbox.owner.as_str())?, mailbox)));
            if of_owner.is_none() {
                let shard = self.step.name(shard);
                let line = || tracing::error!(shard, mailbox = name, "it is for no shard that is configured");
                self.step.lines.write(line);
            }
            mailboxes.extend(of_owner);
        }
        mailboxes.sort_unstable();
        let minute = usize::try_from(self.step.started.epoch_millis() / 60_000).unwrap_or(0);
        let first = minute % mailboxes.len().max(1);
        mailboxes.rotate_left(first);
        self.waiting.extend(mailboxes.iter().map(|(_, mailbox)| (shard, mailbox.clone())));
        for (owner, mailbox) in mailboxes {
            if self.empty(Way { from: shard, to: owner, mailbox: &mailbox }).await {
                self.waiting.remove(&(shard, mailbox));
            }
        }
    }

    /// Whether no call to the owner may be begun.
    fn is_over(&self, way: Way<'_>) -> bool {
        self.down.contains(&way.to) || self.step.is_over()
    }

    /// Delivers what is in a mailbox; whether all of it was tried.
    async fn empty(&mut self, way: Way<'_>) -> bool {
        let mut cursor = 0;
        loop {
            if self.step.is_over() || (cursor != 0 && self.is_over(way)) {
                return false;
            }
            let page = self.step.store.envelopes(way.from, way.mailbox, cursor).await;
            let Some(page) = self.step.answer(page) else { return false };
            cursor = page.next;
            let all_tried = self.deliver_page(way, page).await;
            if cursor == 0 || !all_tried {
                return all_tried;
            }
        }
    }

    /// Delivers a page of envelopes; whether their owner answered for all of them.
    async fn deliver_page(&mut self, way: Way<'_>, page: EnvelopePage) -> bool {
        let mut found = Findings { aside: page.unreadable, ..Findings::default() };
        let (mut copies, mut records) = (BTreeMap::new(), BTreeMap::new());
        for Envelope { id, content, age, note } in page.envelopes {
            self.step.done().moves_waiting += usize::from(way.mailbox.kind == Kind::Records);
            match (Turn::of(way.mailbox.kind, note, page.run, self.timing.delivered_kept), content) {
                (Turn::Note, _) => found.here.push((id, page.run)),
                (Turn::Wait, _) => self.step.done().copies_tried += usize::from(way.mailbox.kind == Kind::Batches),
                // A cursor may show one twice.
                (Turn::Deliver, Payload::Batch(batch)) => drop(copies.insert(id, Copy { id, batch, age, note })),
                (Turn::Deliver, Payload::Records(content)) => drop(records.insert(id, (content, note))),
            }
        }
        let mut all_tried = true;
        for copies in calls(copies) {
            // Answers of the owner until now are noted all the same, so that the next run need not begin with them.
            if self.is_over(way) || !self.deliver_copies(way, &copies, &mut found).await {
                let undelivered = copies.iter().filter(|copy| copy.note.is_none());
                let oldest = undelivered.map(|copy| copy.age.as_secs()).max().unwrap_or_default();
                let mut done = self.step.done();
                done.oldest_copy_seconds = done.oldest_copy_seconds.max(oldest);
                all_tried = false;
            }
        }
        all_tried &= records.is_empty() || self.deliver_records(way, records, &mut found).await;
        self.note(way, found).await;
        all_tried
    }

    /// Delivers copies of one writer; whether their owner answered.
    async fn deliver_copies(&mut self, way: Way<'_>, copies: &[Copy], found: &mut Findings) -> bool {
        self.step.done().copies_tried += copies.len();
        let batches = copies.iter().map(|copy| (Arc::clone(&copy.batch), copy.age)).collect();
        let mut increments = copies.iter().flat_map(|copy| copy.batch.increments());
        let all_here = increments.all(|increment| self.step.ring.owner(increment.page.as_str()) == way.to);
        let ring = all_here.then_some(self.fingerprint);
        let (writer, base) = (copies[0].id.writer, Sequence::FIRST);
        let call = Apply { writer, base, batches, status: WriterStatus::Delivered, ring };
        let answer = self.step.store.apply(way.to, &call).await;
        if let Err(StoreError::Refused { reason, .. }) = &answer
            && reason.contains("WRONGTYPE")
        {
            // A key of another type where the writer's applied set belongs never changes by itself. The owner may take
            // the next writer's batches.
            for copy in copies {
                found.set_aside(copy, format!("its owner refuses it: {reason}"));
            }
        }
        match self.answer_of(way, answer) {
            Ok(applied) => self.learn(&applied, copies, found),
            Err(refused) => return refused,
        }
        true
    }

    /// Returns the answer of the owner; for an error, whether it was one.
    fn answer_of<T>(&mut self, way: Way<'_>, answer: Result<T, StoreError>) -> Result<T, bool> {
        answer.map_err(|error| {
            self.step.failed(&error);
            let refused = matches!(error, StoreError::Refused { .. });
            if !refused {
                self.down.insert(way.to);
            }
            refused
        })
    }

    /// Takes the owner's answer for some copies.
    fn learn(&self, applied: &Applied, copies: &[Copy], found: &mut Findings) {
        let is_fresh = |copy: &Copy| applied.fresh.contains(&copy.id.sequence);
        let visits = |counts: &dyn Fn(&Copy) -> bool| -> u64 {
            copies.iter().filter(|copy| is_fresh(copy) && counts(copy)).map(|copy| copy.batch.visits()).sum()
        };
        let counted = visits(&|_| true).saturating_sub(applied.visits_rejected() + applied.refused);
        let was_there = |copy: &Copy| copy.note.is_some_and(|note| note.there);
        let mut done = self.step.done();
        done.visits_delivered += counted;
        done.visits_healed += visits(&was_there).min(counted);
        done.visits_lost += applied.visits_rejected();
        done.visits_refused += applied.refused;
        for copy in copies {
            if applied.expired.contains(&copy.id.sequence) {
                found.set_aside(copy, format!("older than {:?}", self.timing.max_batch_age));
            } else {
                found.found_there(copy.id, copy.note, is_fresh(copy), applied.server_run);
            }
        }
    }

    /// Delivers records; whether their owner took all of them.
    async fn deliver_records(
        &mut self,
        way: Way<'_>,
        records: BTreeMap<BatchId, (Records, Option<Note>)>,
        found: &mut Findings,
    ) -> bool {
        if self.is_over(way) {
            return false;
        }
        let (step, source) = (self.step, self.step.ring.name(way.from));
        let stays = |record: &Key| record.home(step.ring, way.to) == way.to;
        let landing = records.iter().map(|(id, (content, note))| {
            let ring = content.records.iter().all(|(record, _)| stays(record)).then_some(self.fingerprint);
            async move {
                let landing = Landing { id: *id, source, content, ring };
                (*id, content, *note, step.store.land(way.to, &landing).await)
            }
        });
        let mut all_landed = true;
        for (id, content, note, landed) in join_all(landing).await {
            let Ok(landed) = self.answer_of(way, landed) else {
                all_landed = false;
                continue;
            };
            found.found_there(id, note, landed.fresh, landed.server_run);
            if landed.fresh {
                let pages = content.records.iter().filter(|(record, _)| matches!(record, Key::Page(_)));
                step.done().pages_delivered += pages.count() as u64;
            }
            for RejectedRecord { record, visits, reason } in landed.rejected {
                step.done().visits_lost += visits;
                let shard = step.name(way.to);
                step.lines.write(|| tracing::error!(shard, %record, visits, reason, "visits could not be moved"));
            }
        }
        all_landed
    }

    /// Writes down at the envelopes what was found.
    async fn note(&self, way: Way<'_>, found: Findings) {
        let (step, Way { from, mailbox, .. }) = (self.step, way);
        for (there, envelopes) in [(false, found.here), (true, found.there)] {
            if !envelopes.is_empty() {
                step.answer(step.store.mark(from, mailbox, there, &envelopes).await);
            }
        }
        if !found.delivered.is_empty() {
            let removed = step.answer(step.store.remove(from, mailbox, &found.delivered).await).unwrap_or(0);
            let mut done = step.done();
            done.copies_removed += removed;
            let moves = if mailbox.kind == Kind::Records { removed } else { 0 };
            done.moves_waiting = done.moves_waiting.saturating_sub(moves);
        }
        for Unreadable { field, reason } in &found.aside {
            let (shard, id) = (step.name(from), String::from_utf8_lossy(field));
            step.lines.write(|| tracing::error!(shard, %mailbox, %id, reason, "an envelope cannot be delivered"));
        }
        let aside: Vec<Removal> = found.aside.into_iter().map(Removal::Aside).collect();
        if !aside.is_empty()
            && let Some(aside) = step.answer(step.store.remove(from, mailbox, &aside).await)
        {
            step.done().copies_set_aside += aside;
            step.done().visits_lost += found.lost;
        }
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
