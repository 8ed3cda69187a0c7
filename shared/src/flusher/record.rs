//! Taking visits: one or several, into memory or until they are safe.

use super::call::Patience;
use super::lane::{Lane, Place};
use super::{Flusher, State};
use crate::batch::{NoRandomness, Sequence, WriterId};
use crate::clock::Moment;
use crate::day::Day;
use crate::policy::Reason;
use crate::store::Ledger;
use crate::store::ShardIndex;
use crate::visit::{Refusal, Visit};
use futures_util::future::join_all;
use std::collections::HashSet;
use std::time::Duration;

/// Why a visit was not taken, or not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The buffer holds as many pages as it may, and their shards do not take them. Not counted.
    #[error("the buffer is full")]
    Full {
        /// When to try again.
        retry_after: Duration,
    },
    /// The environment ends. Not counted.
    #[error("the environment is shutting down")]
    Stopping,
    /// `direct`: the page's shard failed a moment ago, and so did parking. Not counted.
    #[error("the shard is not available")]
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// `direct`: the shard's answer is missing. The visit is kept and may still be counted.
    #[error("the visit is not confirmed")]
    NotConfirmed,
    /// No writer can be made. Not counted.
    #[error(transparent)]
    NoWriter(#[from] NoRandomness),
}

/// A visit that was taken.
#[derive(Clone, Copy, Debug)]
struct Ticket {
    shard: ShardIndex,
    sequence: Sequence,
    /// Calls to the shard begun before it.
    since: u64,
}

impl<S: Ledger> Flusher<S> {
    /// Takes one visit into memory (`buffered`): it goes out with the next flush of its shard.
    pub fn record(&self, visit: impl Into<Visit>) -> Result<(), RecordError> {
        self.take(visit.into(), false).map(|_| ())
    }

    /// The same for several visits, of which all are taken or none.
    pub fn record_all(&self, visits: Vec<Visit>) -> Result<(), RecordError> {
        self.take_all(visits, false).map(|_| ())
    }

    /// Takes one visit and returns when its shard has it, or a copy is parked (`direct`). Visits that come while
    /// a call is on its way share the next one.
    pub async fn record_direct(&self, visit: impl Into<Visit>) -> Result<(), RecordError> {
        let ticket = self.take(visit.into(), true)?;
        self.wait(ticket).await
    }

    /// The same for several visits, of which all are taken or none.
    pub async fn record_all_direct(&self, visits: Vec<Visit>) -> Result<(), RecordError> {
        let tickets = self.take_all(visits, true)?;
        let waits = tickets.into_iter().map(|ticket| self.wait(ticket));
        join_all(waits).await.into_iter().collect()
    }

    /// Counts a visit that was refused, for the owner to see.
    pub fn refuse(&self, refusal: Refusal) {
        let now = self.clock.now();
        let mut state = self.lock();
        // Whoever cannot be counted is no reason to fail: the refusal itself is the answer.
        if let (Some(day), Ok(())) = (self.day(now), state.ready()) {
            state.lanes[self.refusals].add_refusal(refusal, day);
        }
    }

    async fn wait(&self, ticket: Ticket) -> Result<(), RecordError> {
        loop {
            let landed = self.landed[ticket.shard].notified();
            tokio::pin!(landed);
            landed.as_mut().enable();
            let now = self.clock.now();
            let place = self.lock().lanes[ticket.shard].place(ticket.sequence, ticket.since, now);
            match place {
                Place::Safe => return Ok(()),
                Place::Failed => return Err(RecordError::NotConfirmed),
                Place::Wait => landed.await,
                Place::Begin => {
                    self.flush_shard(ticket.shard, Reason::Direct, Patience::OneAtATime).await;
                }
            }
        }
    }

    fn take(&self, visit: Visit, direct: bool) -> Result<Ticket, RecordError> {
        let shard = self.ring.owner(visit.page.as_str());
        let now = self.clock.now();
        let mut state = self.lock();
        state.ready()?;
        state.check(shard, direct, now)?;
        let room = state.lanes[shard].knows(&visit.page, self.day(now)) || state.has_room(1, self.limits.pages);
        self.add(&mut state, shard, visit, room, now)
    }

    /// One ticket for each shard that takes part.
    fn take_all(&self, visits: Vec<Visit>, direct: bool) -> Result<Vec<Ticket>, RecordError> {
        let visits: Vec<_> = visits.into_iter().map(|visit| (self.ring.owner(visit.page.as_str()), visit)).collect();
        let now = self.clock.now();
        let mut state = self.lock();
        state.ready()?;
        for (shard, _) in &visits {
            state.check(*shard, direct, now)?;
        }
        let day = self.day(now);
        let new = visits.iter().filter(|(shard, visit)| !state.lanes[*shard].knows(&visit.page, day));
        let new = new.map(|(_, visit)| visit.page.as_str()).collect::<HashSet<_>>().len();
        if new > 0 && !state.has_room(new, self.limits.pages) {
            let retry_after = visits.iter().filter_map(|(shard, _)| state.lanes[*shard].pause(now)).max();
            return Err(RecordError::Full { retry_after: retry_after.unwrap_or_default() });
        }
        let mut tickets: Vec<Option<Ticket>> = vec![None; self.ring.len()];
        for (shard, visit) in visits {
            let ticket = self.add(&mut state, shard, visit, true, now)?;
            // Whoever waits for a shard's last batch has waited for all.
            let last = tickets[shard].filter(|last| last.sequence >= ticket.sequence).unwrap_or(ticket);
            tickets[shard] = Some(last);
        }
        Ok(tickets.into_iter().flatten().collect())
    }

    fn add(
        &self,
        state: &mut State,
        shard: ShardIndex,
        visit: Visit,
        room: bool,
        now: Moment,
    ) -> Result<Ticket, RecordError> {
        let lane = &mut state.lanes[shard];
        let since = lane.calls_begun();
        let Some(sequence) = lane.add(visit, self.day(now), room, now) else {
            return Err(RecordError::Full { retry_after: lane.pause(now).unwrap_or_default() });
        };
        state.counters.visits += 1;
        Ok(Ticket { shard, sequence, since })
    }

    /// The day that a visit of now belongs to.
    fn day(&self, now: Moment) -> Option<Day> {
        self.limits.days.then(|| Day::of(now))
    }
}

impl State {
    /// Makes sure that visits can be taken.
    fn ready(&mut self) -> Result<(), RecordError> {
        if self.stopping {
            return Err(RecordError::Stopping);
        }
        if self.writer.is_none() {
            self.writer = Some(WriterId::random()?);
        }
        Ok(())
    }

    /// Whether a visit that is to be confirmed has a chance to be.
    fn check(&self, shard: ShardIndex, direct: bool, now: Moment) -> Result<(), RecordError> {
        let lane = &self.lanes[shard];
        match lane.pause(now) {
            Some(retry_after) if direct && !lane.can_park(now) => Err(RecordError::Unavailable { retry_after }),
            _ => Ok(()),
        }
    }

    /// Whether there is room for so many more pages, if need be by letting go what is parked for good. Where that would not
    /// be enough, nothing goes.
    fn has_room(&mut self, pages: usize, most: usize) -> bool {
        let over = |state: &Self| (state.held_pages() + pages).saturating_sub(most);
        if over(self) == 0 {
            return true;
        }
        let can_go: usize = self.lanes.iter().map(Lane::can_shed).sum();
        if over(self) > can_go {
            return false;
        }
        while over(self) > 0 && self.lanes.iter_mut().any(Lane::shed) {}
        over(self) == 0
    }
}
