//! The writing side: takes visits into memory and pushes them to their shards, each exactly once.
//!
//! [`Flusher`] is the handle that the function and its layers share. Its state lies behind one plain
//! mutex that is never held across an await; calls to shards run outside of it (`call`). Everything that
//! decides is pure and elsewhere: [`crate::policy`] when, `lane` what, [`crate::outbox`] what is known.

mod backoff;
mod call;
mod lane;
mod park;
mod report;
mod secrets;

use crate::batch::{NoRandomness, Sequence, WriterId};
use crate::clock::{Clock, Moment};
use crate::config::Config;
use crate::day::Day;
use crate::policy::{self, Reason};
use crate::ring::Ring;
use crate::store::ShardIndex;
use crate::store::parking::Parking;
use crate::timing::Timing;
use crate::visit::{self, Refusal, Visit};
use call::Patience;
use futures_util::future::join_all;
use lane::{Lane, Place};
pub use report::FlushReport;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Time for everything that is done at SIGTERM. Lambda sends SIGKILL after 500 ms.
pub const SHUTDOWN_BUDGET: Duration = Duration::from_millis(450);

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

/// The settings that a flusher needs.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time between two flushes of a busy environment.
    pub interval: Duration,
    /// Most pages held in memory that are not known to be applied.
    pub pages: usize,
    /// The protocol's durations.
    pub timing: Timing,
    /// Whether visits are told apart by days.
    pub days: bool,
}

impl From<&Config> for Limits {
    fn from(config: &Config) -> Self {
        Self {
            interval: config.flush_interval,
            pages: config.buffer_pages,
            timing: config.testing.timing,
            days: config.history_days > 0,
        }
    }
}

/// Buffer and outboxes of one environment, and the shards that they go to.
#[derive(Debug)]
pub struct Flusher<S> {
    store: Arc<S>,
    ring: Ring,
    clock: Clock,
    limits: Limits,
    state: Mutex<State>,
    /// For each shard: a call of it has ended.
    landed: Vec<Notify>,
}

#[derive(Debug)]
struct State {
    writer: Option<WriterId>,
    lanes: Vec<Lane>,
    last_flush: Option<Moment>,
    stopping: bool,
    /// The shard that the present day's visitors of the site go to.
    site: Option<(Day, ShardIndex)>,
    /// When a day's secret could not be read.
    no_secret: Option<Moment>,
}

/// A visit that was taken.
#[derive(Clone, Copy, Debug)]
struct Ticket {
    shard: ShardIndex,
    sequence: Sequence,
    /// Calls to the shard begun before it.
    since: u64,
}

impl<S: Parking> Flusher<S> {
    /// A flusher with nothing pending. The ring's shards are the store's, in the same order.
    pub fn new(store: Arc<S>, ring: Ring, clock: Clock, limits: Limits) -> Self {
        let shards = ring.len();
        let others = |owner| ring.preference("").into_iter().any(|shard| shard != owner);
        let fingerprint = ring.fingerprint();
        let lanes = (0..shards).map(|owner| Lane::new(limits.timing, fingerprint, others(owner))).collect();
        let state = State { writer: None, lanes, last_flush: None, stopping: false, site: None, no_secret: None };
        let state = Mutex::new(state);
        let landed = (0..shards).map(|_| Notify::new()).collect();
        Self { store, ring, clock, limits, state, landed }
    }

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
            let shard = state.site_shard(&self.ring, day);
            state.lanes[shard].add_refusal(refusal, day);
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
        let room = state.has_room(1, self.limits.pages);
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
        let new = visits.iter().filter(|(shard, visit)| !state.lanes[*shard].knows(&visit.page, day)).count();
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
        let (day, visitor) = (self.day(now), visit.visitor);
        let lane = &mut state.lanes[shard];
        let since = lane.calls_begun();
        let Some(sequence) = lane.add(visit, day, room) else {
            return Err(RecordError::Full { retry_after: lane.pause(now).unwrap_or_default() });
        };
        if let (Some(day), Some(visitor)) = (day, visitor) {
            let site = state.site_shard(&self.ring, day);
            state.lanes[site].add_visitor(visitor, day);
        }
        Ok(Ticket { shard, sequence, since })
    }

    /// The day that a visit of now belongs to.
    fn day(&self, now: Moment) -> Option<Day> {
        self.limits.days.then(|| Day::of(now))
    }

    /// Flushes if it is time to. To be called after every response, and by a timer where nothing freezes.
    pub async fn flush_if_due(&self, budget: Duration) -> Option<FlushReport> {
        let now = self.clock.now();
        let reason = {
            let state = self.lock();
            let shards = state.lanes.iter().map(|lane| lane.pending(now));
            policy::due(shards, state.last_flush, self.limits.interval, now)?
        };
        // Boxed, since most visits end here: a future is moved about with all that its rarest branch may need.
        Some(Box::pin(self.flush(reason, budget, Patience::OneAtATime)).await)
    }

    /// Flushes everything because the scheduled sweep asks for it. If then nothing is left to send or to
    /// confirm, the writer leaves the sweep's list; its next visit flushes at once and lists it again.
    pub async fn sweep(&self, budget: Duration) -> FlushReport {
        let mut report = self.flush(Reason::Sweep, budget, Patience::NoPause).await;
        if self.lock().is_clean() {
            report.unregistered = self.settle(budget).await;
        }
        report
    }

    /// Flushes everything because the environment ends; from now on visits are refused. What can be neither
    /// sent nor parked within [`SHUTDOWN_BUDGET`] is lost with the environment, and logged as such.
    pub async fn shutdown(&self) -> FlushReport {
        self.learn_secrets(secrets::AT_SIGTERM).await;
        let now = self.clock.now();
        {
            let mut state = self.lock();
            state.stopping = true;
            for lane in &mut state.lanes {
                lane.seal_up_to(lane.last_open(), now);
            }
        }
        let mut report = self.flush(Reason::Shutdown, SHUTDOWN_BUDGET, Patience::None).await;
        let visits_lost = report.visits_held - report.visits_parked;
        if visits_lost > 0 {
            tracing::error!(visits_lost, "the environment ends with visits that it could neither send nor park");
        }
        report.visits_lost += visits_lost;
        report
    }

    /// Flushes when due until the task ends. Only for where nothing freezes: see [`Config::timer`].
    pub async fn run_timer(&self, budget: Duration) {
        let tick = (self.limits.interval / 10).clamp(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            tokio::time::sleep(tick).await;
            self.flush_if_due(budget).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held has left counts that are whole: each change is a few
        // assignments. Losing the buffer to a poisoned lock would be worse than anything in it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Whether there is room for so many more pages, if need be by letting go what is parked for good.
    fn has_room(&mut self, pages: usize, most: usize) -> bool {
        (1..=pages).all(|more| self.held_pages() + more <= most || self.lanes.iter_mut().any(Lane::shed))
    }

    /// The shard that a day's visitors of the site go to: one sketch for all, whatever pages they visit.
    fn site_shard(&mut self, ring: &Ring, day: Day) -> ShardIndex {
        match self.site {
            Some((known, shard)) if known == day => shard,
            _ => {
                let shard = ring.owner(&visit::site_key(day));
                self.site = Some((day, shard));
                shard
            }
        }
    }

    fn held_pages(&self) -> usize {
        self.lanes.iter().map(Lane::held_pages).sum()
    }

    fn is_clean(&self) -> bool {
        self.lanes.iter().all(Lane::is_clean)
    }
}

#[cfg(test)]
mod tests;
