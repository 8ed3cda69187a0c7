//! One shard in memory.

use super::Fault;
use super::days::DayRecords;
use super::parked::ParkedCopies;
use super::rehoming::RingData;
use crate::applied::AppliedSet;
use crate::batch::WriterId;
use crate::clock::Moment;
use crate::day::Day;
use crate::page::PageId;
use crate::record::PageRecord;
use crate::store::parking::{Park, Parked};
use crate::store::{Applied, Apply, Incarnation, Rejected, Standing, TIDY_AT_ONCE};
use crate::timing::Timing;
use crate::visit::Secret;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

#[derive(Clone, Debug, Default)]
pub(super) struct Data {
    pub(super) records: BTreeMap<PageId, PageRecord>,
    pub(super) applied: HashMap<WriterId, AppliedSet>,
    pub(super) writers: HashMap<WriterId, Moment>,
    pub(super) sets: HashMap<WriterId, (Moment, Duration)>,
    pub(super) parked: ParkedCopies,
    pub(super) ring: RingData,
    pub(super) days: DayRecords,
    pub(super) secrets: HashMap<Day, Secret>,
}

/// Longest way of a call that is late. A connection that gets no acknowledgement is given up after some 15
/// minutes (Linux' `tcp_retries2`), and a server reads what has come as soon as it does anything. Settled sets
/// ([`Timing::settled_set_kept`]) are kept for longer, since a call later than that could count once more.
const LATEST: Duration = Duration::from_mins(30);

/// A call whose answer nobody waits for any more.
#[derive(Clone, Debug)]
pub(super) enum LateCall {
    Apply(Apply),
    Park(Park),
}

#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) data: Data,
    pub(super) saved: Data,
    pub(super) crashes: u64,
    pub(super) faults: VecDeque<Option<Fault>>,
    pub(super) down: Option<Fault>,
    pub(super) late: Vec<(Moment, LateCall)>,
    pub(super) broken: Vec<PageId>,
    /// New pages that are still taken; `None`: any number.
    pub(super) new_pages_left: Option<u64>,
    pub(super) calls: u64,
}

impl Shard {
    pub(super) fn next_fault(&self) -> Option<Fault> {
        self.faults.front().copied().unwrap_or(self.down)
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        Incarnation(self.crashes + 1)
    }

    pub(super) fn park(&mut self, park: &Park, now: Moment) -> Parked {
        let incarnation = self.incarnation();
        self.data.parked.park(park, incarnation, now)
    }

    pub(super) fn apply(&mut self, call: &Apply, now: Moment) -> Applied {
        let (incarnation, server_time) = (self.incarnation(), now.since_epoch());
        let mut applied = Applied { incarnation, server_time, ..Applied::default() };
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
            applied.fresh.push(batch.sequence());
            set.visits += batch.visits();
            self.data.days.add_site(batch);
            for increment in batch.increments() {
                let (page, visits) = (&increment.page, &increment.visits);
                let is_new = !self.data.records.contains_key(page);
                if is_new && self.new_pages_left == Some(0) {
                    set.rejected += visits;
                    applied.refused += visits;
                } else if self.broken.contains(page) {
                    set.rejected += visits;
                    let reason = "WRONGTYPE".to_owned();
                    applied.rejected.push(Rejected { page: page.clone(), visits: *visits, reason });
                } else {
                    self.new_pages_left = self.new_pages_left.map(|left| left - u64::from(is_new));
                    let record = self.data.records.entry(page.clone()).or_default();
                    record.total += visits;
                    record.bots += increment.bots;
                    self.data.days.add(batch.day(), increment);
                }
            }
        }
        if !applied.fresh.is_empty() {
            self.data.ring.note_late(call.ring);
        }
        set.raise(call.base.get() - 1);
        self.data.applied.insert(call.writer, set.clone());
        self.list(call, now);
        Applied { set, ..applied }
    }

    pub(super) fn list(&mut self, call: &Apply, now: Moment) {
        let until = (now, call.standing.set_kept(&Timing::REAL));
        // A delivery's is the longest time of a writer that may be delivered for, so that it shortens none.
        self.data.sets.insert(call.writer, until);
        match call.standing {
            Standing::Active => drop(self.data.writers.insert(call.writer, now)),
            Standing::Gone | Standing::Settled => drop(self.data.writers.remove(&call.writer)),
            Standing::Delivered | Standing::Import => {}
        }
    }

    pub(super) fn tidy(&mut self, now: Moment) -> usize {
        let past = self.data.sets.iter().filter(|(_, (from, kept))| now.since(*from) >= *kept);
        let past: Vec<WriterId> = past.map(|(writer, _)| *writer).take(TIDY_AT_ONCE).collect();
        for writer in &past {
            self.data.sets.remove(writer);
            self.data.applied.remove(writer);
            self.data.writers.remove(writer);
        }
        self.data.writers.retain(|_, last| now.since(*last) <= Timing::REAL.writer_listed);
        past.len()
    }

    pub(super) fn deliver_late(&mut self, now: Moment) {
        while let Some((sent, call)) = self.late.pop() {
            match call {
                _ if now.since(sent) > LATEST => {}
                LateCall::Apply(call) => drop(self.apply(&call, now)),
                LateCall::Park(park) => drop(self.park(&park, now)),
            }
        }
    }
}
