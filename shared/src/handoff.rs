//! The hand-off: brings what waits on one shard to the shard that it belongs on, exactly once.
//!
//! An [`Envelope`] waits there: a parked copy of a batch (hinted handoff, as in Amazon's Dynamo, SOSP 2007), or records that
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

use crate::batch::{Batch, BatchId, Increment, Sequence, WriterId};
use crate::budget::{Budget, Step};
use crate::clock::{Clock, Timing};
use crate::record::Round;
use crate::ring::{Fingerprint, Ring};
use crate::shard::ShardName;
use crate::store::redis::keys::Key;
use crate::store::{Applied, Apply, Ledger, ServerRun, ShardIndex, StoreError, WriterStatus};
use futures_util::future::{join, join_all};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
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

impl Kind {
    fn name(self) -> &'static str {
        if self == Self::Batches { "batches" } else { "records" }
    }
}

/// The envelopes of one kind that wait on a shard for another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mailbox {
    /// Kind of the content.
    pub kind: Kind,
    /// The shard that they wait for.
    pub owner: ShardName,
}

impl Mailbox {
    /// The copies of batches for `owner`.
    pub fn batches(owner: &ShardName) -> Self {
        Self { kind: Kind::Batches, owner: owner.clone() }
    }

    /// The records for `owner`.
    pub fn records(owner: &ShardName) -> Self {
        Self { kind: Kind::Records, owner: owner.clone() }
    }

    /// Reads a name; `None` if it is of no mailbox.
    pub fn named(name: &str) -> Option<Self> {
        let (kind, owner) = name.split_once(':')?;
        let kind = [Kind::Batches, Kind::Records].into_iter().find(|known| known.name() == kind)?;
        Some(Self { kind, owner: owner.parse().ok()? })
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.owner)
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

/// An entry of a mailbox that can never be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undeliverable {
    /// Its name there, as it is.
    pub field: Vec<u8>,
    /// Reason, for the operator.
    pub reason: String,
    /// Visits in it, as far as it can be read.
    pub visits: u64,
}

/// Some of the envelopes in a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvelopePage {
    /// The envelopes. One may come twice, here or in a later page.
    pub envelopes: Vec<Envelope>,
    /// Entries that are no envelopes.
    pub unreadable: Vec<Undeliverable>,
    /// Where to read on; 0: this was the last page.
    pub next: u64,
    /// The run of the server that holds the mailbox.
    pub run: ServerRun,
}

/// A finding about an envelope, to be written down in its mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Found in this run of a server just now: of its owner's, or of the one that holds it.
    Found {
        /// Its identity.
        id: BatchId,
        /// The run of the server.
        run: ServerRun,
        /// Found on its owner.
        there: bool,
    },
    /// Delivered: to be deleted, if it still bears this note.
    Delivered(BatchId, Note),
    /// Impossible to deliver, now and later: to be put aside.
    Aside(Undeliverable),
}

/// An owner's answer to records that are delivered to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Landed {
    /// Whether this call has delivered them; they were there before otherwise.
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
            let of_owner = Mailbox::named(&name)
                .and_then(|mailbox| Some((self.step.ring.index(mailbox.owner.as_str())?, mailbox)));
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
        let (mut cursor, mut all_tried) = (0, true);
        loop {
            if self.step.is_over() || (cursor != 0 && self.is_over(way)) {
                return false;
            }
            let page = self.step.store.envelopes(way.from, way.mailbox, cursor).await;
            let Some(page) = self.step.answer(page) else { return false };
            cursor = page.next;
            all_tried &= self.deliver_page(way, page).await;
            if cursor == 0 {
                return all_tried;
            }
        }
    }

    /// Delivers a page of envelopes side by side, and writes down what was found; whether their owner answered for all of them.
    async fn deliver_page(&mut self, way: Way<'_>, page: EnvelopePage) -> bool {
        let (step, kind) = (self.step, way.mailbox.kind);
        let (mut updates, mut due) = (Vec::new(), BTreeMap::new());
        for envelope in page.envelopes {
            step.done().moves_waiting += usize::from(kind == Kind::Records);
            match Turn::of(kind, envelope.note, page.run, self.timing.delivered_kept) {
                Turn::Note => updates.push(Update::Found { id: envelope.id, run: page.run, there: false }),
                Turn::Wait => step.done().copies_tried += usize::from(kind == Kind::Batches),
                // A cursor may show one twice.
                Turn::Deliver => drop(due.insert(envelope.id, envelope)),
            }
        }
        let begun = if self.is_over(way) { 0 } else { due.len() };
        let answers = join_all(due.values().take(begun).map(|envelope| self.deliver(way, envelope))).await;
        let mut oldest = due.values().skip(begun).map(undelivered_for).max().unwrap_or_default();
        let mut all_tried = begun == due.len();
        for (envelope, answer) in due.values().zip(answers) {
            match answer {
                Ok(update) => updates.push(update),
                Err(error) => {
                    step.failed(&error);
                    if !matches!(error, StoreError::Refused { .. }) {
                        self.down.insert(way.to);
                    }
                    oldest = oldest.max(undelivered_for(envelope));
                    all_tried = false;
                }
            }
        }
        {
            let mut done = step.done();
            done.oldest_copy_seconds = done.oldest_copy_seconds.max(oldest);
        }
        updates.extend(page.unreadable.into_iter().map(Update::Aside));
        // What the owner has answered is written down also where the time is over: the next run need not begin with it.
        self.write_down(way, &updates).await;
        all_tried
    }

    /// Delivers an envelope. Returns what is to be written down of it.
    async fn deliver(&self, way: Way<'_>, envelope: &Envelope) -> Result<Update, StoreError> {
        let Envelope { id, note, .. } = *envelope;
        let aside =
            |reason, visits| Update::Aside(Undeliverable { field: id.to_string().into_bytes(), reason, visits });
        let (fresh, run) = match &envelope.content {
            Payload::Batch(batch) => match self.deliver_copy(way, envelope, batch).await {
                Ok(applied) if !applied.expired.is_empty() => {
                    return Ok(aside(format!("older than {:?}", self.timing.max_batch_age), batch.visits()));
                }
                // A key of another type where the writer's applied set belongs never changes by itself.
                Err(StoreError::Refused { reason, .. }) if reason.contains("WRONGTYPE") => {
                    return Ok(aside(format!("its owner refuses it: {reason}"), batch.visits()));
                }
                applied => applied.map(|applied| (!applied.fresh.is_empty(), applied.server_run))?,
            },
            Payload::Records(records) => self.deliver_records(way, id, records).await?,
        };
        Ok(Update::after_delivery(id, note, fresh, run))
    }

    /// Delivers a copy of a batch.
    async fn deliver_copy(&self, way: Way<'_>, copy: &Envelope, batch: &Arc<Batch>) -> Result<Applied, StoreError> {
        self.step.done().copies_tried += 1;
        let is_here = |increment: &Increment| self.step.ring.owner(increment.page.as_str()) == way.to;
        let call = Apply {
            writer: copy.id.writer,
            base: Sequence::FIRST,
            batches: vec![(Arc::clone(batch), copy.age)],
            status: WriterStatus::Delivered,
            ring: batch.increments().iter().all(is_here).then_some(self.fingerprint),
        };
        let applied = self.step.store.apply(way.to, &call).await?;
        let fresh = if applied.fresh.is_empty() { 0 } else { batch.visits() };
        let counted = fresh.saturating_sub(applied.visits_rejected() + applied.refused);
        let mut done = self.step.done();
        done.visits_delivered += counted;
        done.visits_healed += if copy.note.is_some_and(|note| note.there) { counted } else { 0 };
        done.visits_lost += applied.visits_rejected();
        done.visits_refused += applied.refused;
        drop(done);
        Ok(applied)
    }

    /// Delivers records. Returns whether they were new to their owner, and the run of its server.
    async fn deliver_records(
        &self,
        way: Way<'_>,
        id: BatchId,
        moved: &Records,
    ) -> Result<(bool, ServerRun), StoreError> {
        let Step { store, ring, .. } = *self.step;
        let all_here = moved.records.iter().all(|(record, _)| record.home(ring, way.to) == way.to);
        let by = all_here.then_some(self.fingerprint);
        let landed = store.land(way.to, ring.name(way.from), id, moved, by).await?;
        if landed.fresh {
            let pages = moved.records.iter().filter(|(record, _)| matches!(record, Key::Page(_)));
            self.step.done().pages_delivered += pages.count() as u64;
        }
        for RejectedRecord { record, visits, reason } in landed.rejected {
            self.step.done().visits_lost += visits;
            let shard = self.step.name(way.to);
            self.step.lines.write(|| tracing::error!(shard, %record, visits, reason, "visits could not be moved"));
        }
        Ok((landed.fresh, landed.server_run))
    }

    /// Writes down at the envelopes what was found, and counts what has left the mailbox.
    async fn write_down(&self, Way { from, mailbox, .. }: Way<'_>, updates: &[Update]) {
        let step = self.step;
        for update in updates {
            if let Update::Aside(Undeliverable { field, reason, .. }) = update {
                let (shard, id) = (step.name(from), String::from_utf8_lossy(field));
                step.lines.write(|| tracing::error!(shard, %mailbox, %id, reason, "an envelope cannot be delivered"));
            }
        }
        if updates.is_empty() {
            return;
        }
        let written = step.answer(step.store.update(from, mailbox, updates).await).unwrap_or_default();
        let mut done = step.done();
        for (update, _) in updates.iter().zip(written).filter(|(_, written)| *written) {
            match update {
                Update::Found { .. } => {}
                Update::Delivered(..) => {
                    done.copies_removed += 1;
                    let moves = usize::from(mailbox.kind == Kind::Records);
                    done.moves_waiting = done.moves_waiting.saturating_sub(moves);
                }
                Update::Aside(aside) => {
                    done.copies_set_aside += 1;
                    done.visits_lost += aside.visits;
                }
            }
        }
    }
}

impl Update {
    /// Decides by the owner's answer to a delivery: whether the envelope was new to it, and in which run of its server.
    fn after_delivery(id: BatchId, note: Option<Note>, fresh: bool, run: ServerRun) -> Self {
        match note {
            Some(note) if note.there && note.run == run && !fresh => Self::Delivered(id, note),
            // It was lost, or may have been lost and brought again a moment ago: the minute begins anew.
            _ => Self::Found { id, run, there: true },
        }
    }
}

/// Returns the seconds since a batch was sealed, of which its owner is not known to have had it.
fn undelivered_for(envelope: &Envelope) -> u64 {
    let waits = envelope.note.is_none() && matches!(envelope.content, Payload::Batch(_));
    if waits { envelope.age.as_secs() } else { 0 }
}

#[cfg(test)]
mod tests;
