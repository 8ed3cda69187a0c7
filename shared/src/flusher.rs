//! The writing side: takes visits into memory and pushes them to their shards, each exactly once.
//!
//! [`Flusher`] is the handle that the function and its layers share. Its state lies behind one plain mutex that is never held
//! across an await. The decisions are pure and elsewhere: `crate::lane` when and what, [`crate::outbox`]
//! what is known. Here are the calls that follow from it: batches to their shard, one call at a time; copies of what it does
//! not take to another one, as an insurance only, since the writer goes on trying; and the day's secret, under which visitors
//! are sealed, from the shard that owns it.

use crate::batch::{NoRandomness, Sequence, WriterId};
use crate::clock::{Clock, Moment, Timing};
use crate::config::Config;
use crate::day::Day;
use crate::handoff::{Park, Parked};
use crate::lane::{self, Call, CallOptions, Lane, Reason, VisitState};
use crate::outbox::ParkedAt;
use crate::report::FlushReport;
use crate::ring::Ring;
use crate::store::{Applied, Ledger, Rejected, ShardIndex, StoreError, WriterStatus};
use crate::telemetry::Lines;
use crate::telemetry::metrics::{self, Figures, Metrics, Samples};
use crate::visit::{Refusal, Secret, Visit, secret_key};
use futures_util::future::{Either, join_all, select};
use std::collections::{BTreeSet, HashSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Time for everything that is done at SIGTERM, the day's secret included. Lambda sends SIGKILL after 500 ms.
pub const SHUTDOWN_BUDGET: Duration = Duration::from_millis(450);

/// At SIGTERM: a shard that is silent for this long has its batches parked, and one that is to take copies is
/// given no longer. So an owner and two further shards may be mute within [`SHUTDOWN_BUDGET`].
const SILENCE: Duration = Duration::from_millis(120);

/// At SIGTERM: time between two attempts to bring the same batches to safety.
const BREATH: Duration = Duration::from_millis(20);

/// Longest wait for a secret. Without it, visits are sent all the same, and their visitors are not counted.
const SECRET_WAIT: Duration = Duration::from_millis(250);

/// Longest wait for a secret at SIGTERM, out of the half second that is left in all.
const SECRET_WAIT_AT_SIGTERM: Duration = Duration::from_millis(50);

/// Time for which a shard that did not tell a secret is left alone: else each flush of a busy environment would wait for it.
const SECRET_PAUSE: Duration = Duration::from_secs(5);

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
    metrics: Metrics,
    state: Mutex<State>,
    /// Shard whose batches carry the visits that were refused.
    refusals: ShardIndex,
    /// For each shard: a call of it has ended.
    landed: Vec<Notify>,
}

#[derive(Debug, Default)]
struct State {
    writer: Option<WriterId>,
    lanes: Vec<Lane>,
    line: Line,
    last_flush: Option<Moment>,
    /// Time between two flushes of a busy environment.
    interval: Duration,
    stopping: bool,
    /// When a day's secret could not be read.
    no_secret: Option<Moment>,
}

/// The next line of metrics. It is counted where it is learned, under the flusher's lock: what a flush that is cut off has
/// learned goes with the next line.
#[derive(Debug, Default)]
struct Line {
    /// Visits taken into memory.
    taken: u64,
    done: FlushReport,
    latencies: Samples,
    /// Age of the oldest visit in memory as a flush began.
    oldest: Option<Duration>,
}

impl Line {
    fn figures(&self) -> Figures {
        let mut figures = self.done.figures();
        figures.count(metrics::VISITS, self.taken);
        figures.durations(metrics::REDIS_LATENCY, &self.latencies);
        if let Some(oldest) = self.oldest {
            figures.level(metrics::BUFFER_AGE, u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX));
        }
        figures
    }
}

/// A flush under way: its reason, and its outcome so far, of all shards together.
struct Flush {
    reason: Reason,
    done: Mutex<FlushReport>,
    lines: Lines,
}

impl Flush {
    fn new(reason: Reason) -> Self {
        Self { reason, done: Mutex::default(), lines: Lines::default() }
    }

    fn report(&self) -> MutexGuard<'_, FlushReport> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_last(&self) -> bool {
        self.reason == Reason::Shutdown
    }
}

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
    /// A flusher with nothing pending. The ring's shards are the store's, in the same order.
    pub fn new(store: Arc<S>, ring: Ring, clock: Clock, limits: Limits) -> Self {
        let others = |owner| ring.preference("").into_iter().any(|shard| shard != owner);
        let fingerprint = ring.fingerprint();
        let lanes = (0..ring.len()).map(|owner| Lane::new(limits.timing, fingerprint, others(owner))).collect();
        let state = Mutex::new(State { lanes, interval: limits.interval, ..State::default() });
        let landed = (0..ring.len()).map(|_| Notify::new()).collect();
        let refusals = ring.owner("refusals");
        Self { store, ring, clock, limits, metrics: Metrics::default(), state, refusals, landed }
    }

    /// Has the flusher write a line of metrics with each flush.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Flushes at intervals of at most `interval` from now on.
    pub fn flush_within(&self, interval: Duration) {
        let mut state = self.lock();
        state.interval = state.interval.min(interval);
    }

    /// Flushes if it is time to. To be called after every response, and by a timer where nothing freezes.
    pub async fn flush_if_due(&self, budget: Duration) -> Option<FlushReport> {
        let now = self.clock.now();
        let reason = {
            let state = self.lock();
            let shards = state.lanes.iter().map(|lane| lane.pending(now));
            lane::due(shards, state.last_flush, state.interval, now)?
        };
        // Boxed, since most visits end here: a future is moved about with all that its rarest branch may need.
        Some(Box::pin(self.flush(reason, budget)).await)
    }

    /// Flushes everything because the scheduled sweep asks for it. If then nothing is left to send or to
    /// confirm, the writer leaves the sweep's list; its next visit flushes at once and lists it again.
    pub async fn sweep(&self, budget: Duration) -> FlushReport {
        let end = Instant::now() + budget;
        let mut report = self.flush(Reason::Sweep, budget).await;
        if self.lock().lanes.iter().all(Lane::is_clean) {
            report.unregistered = self.settle(end.saturating_duration_since(Instant::now())).await;
        }
        report
    }

    /// Flushes everything because the environment ends; from now on visits are refused. What can be neither
    /// sent nor parked within [`SHUTDOWN_BUDGET`] is lost with the environment, and logged as such.
    pub async fn shutdown(&self) -> FlushReport {
        let end = Instant::now() + SHUTDOWN_BUDGET;
        self.learn_secrets(SECRET_WAIT_AT_SIGTERM).await;
        let now = self.clock.now();
        {
            let mut state = self.lock();
            state.stopping = true;
            for lane in &mut state.lanes {
                lane.seal_up_to(lane.last_open(), now);
            }
        }
        let left = end.saturating_duration_since(Instant::now());
        let mut report = self.flush(Reason::Shutdown, left).await;
        let visits_lost = report.visits_held - report.visits_parked;
        if visits_lost > 0 {
            tracing::error!(visits_lost, "the environment ends with visits that it could neither send nor park");
        }
        report.visits_lost += visits_lost;
        self.lock().line.done.visits_lost += visits_lost;
        self.write_metrics();
        report
    }

    /// Flushes when due until the task ends. Only for where nothing freezes: see [`Config::timer`].
    pub async fn run_timer(&self, budget: Duration) {
        loop {
            let tick = (self.lock().interval / 10).clamp(Duration::from_millis(50), Duration::from_secs(1));
            tokio::time::sleep(tick).await;
            self.flush_if_due(budget).await;
        }
    }

    /// Writes what was counted since the last line.
    fn write_metrics(&self) {
        self.metrics.write(|| std::mem::take(&mut self.lock().line).figures());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held has left counts that are whole: each change is a few
        // assignments. Losing the buffer to a poisoned lock would be worse than anything in it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Taking visits: one or several, into memory or until they are safe.
impl<S: Ledger> Flusher<S> {
    /// Takes visits into memory (`buffered`), all of them or none: they go out with the next flush of their shards.
    pub fn record(&self, visits: impl Into<Vec<Visit>>) -> Result<(), RecordError> {
        self.take(visits.into(), false).map(|_| ())
    }

    /// Takes visits, all of them or none, and returns when their shards have them, or a copy is parked (`direct`). Visits
    /// that come while a call is on its way share the next one.
    pub async fn record_direct(&self, visits: impl Into<Vec<Visit>>) -> Result<(), RecordError> {
        let tickets = self.take(visits.into(), true)?;
        let waits = tickets.into_iter().map(|ticket| self.wait(ticket));
        join_all(waits).await.into_iter().collect()
    }

    /// Counts a visit that was refused, for the owner to see.
    pub fn refuse(&self, refusal: Refusal) {
        let now = self.clock.now();
        let mut state = self.lock();
        // A refusal that cannot be counted is no reason to fail: the refusal itself is the answer.
        if let (Some(day), Ok(())) = (self.day(now), state.ready()) {
            state.lanes[self.refusals].buffer.add_refusal(refusal, day);
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
                VisitState::Safe => return Ok(()),
                VisitState::Failed => return Err(RecordError::NotConfirmed),
                VisitState::Wait => landed.await,
                VisitState::Begin => self.flush_shard(ticket.shard).await,
            }
        }
    }

    /// Takes visits, and returns one ticket for each shard that takes part.
    fn take(&self, visits: Vec<Visit>, direct: bool) -> Result<Vec<Ticket>, RecordError> {
        let visits: Vec<_> = visits.into_iter().map(|visit| (self.ring.owner(visit.page.as_str()), visit)).collect();
        let now = self.clock.now();
        let mut state = self.lock();
        state.ready()?;
        let unavailable = |lane: &Lane| lane.pause(now).filter(|_| direct && !lane.can_park(now));
        if let Some(retry_after) = visits.iter().find_map(|(shard, _)| unavailable(&state.lanes[*shard])) {
            return Err(RecordError::Unavailable { retry_after });
        }
        let day = self.day(now);
        let new = visits.iter().filter(|(shard, visit)| !state.lanes[*shard].buffer.knows(&visit.page, day));
        let new = new.map(|(_, visit)| visit.page.as_str()).collect::<HashSet<_>>().len();
        if new > 0 && !state.has_room(new, self.limits.pages) {
            let retry_after = visits.iter().filter_map(|(shard, _)| state.lanes[*shard].pause(now)).max();
            return Err(RecordError::Full { retry_after: retry_after.unwrap_or_default() });
        }
        state.line.taken += visits.len() as u64;
        let mut tickets: Vec<Ticket> = Vec::with_capacity(1);
        for (shard, visit) in visits {
            let lane = &mut state.lanes[shard];
            let (since, sequence) = (lane.begun, lane.add(visit, day, now));
            // A wait for a shard's last batch is one for all.
            match tickets.iter_mut().find(|ticket| ticket.shard == shard) {
                Some(ticket) => ticket.sequence = ticket.sequence.max(sequence),
                None => tickets.push(Ticket { shard, sequence, since }),
            }
        }
        Ok(tickets)
    }

    /// The day that a visit of now belongs to.
    fn day(&self, now: Moment) -> Option<Day> {
        self.limits.days.then(|| Day::of(now))
    }
}

/// The calls of a flush.
impl<S: Ledger> Flusher<S> {
    /// Sends what the shards have pending, all that take part at once, within `budget`.
    async fn flush(&self, reason: Reason, budget: Duration) -> FlushReport {
        let (started, end) = (self.clock.now(), Instant::now() + budget);
        if reason != Reason::Shutdown {
            self.learn_secrets(SECRET_WAIT.min(budget / 4)).await;
        }
        let shards: Vec<ShardIndex> = {
            let mut state = self.lock();
            let oldest = state.lanes.iter().filter_map(|lane| lane.oldest(started)).max();
            state.line.oldest = state.line.oldest.max(oldest);
            let takes_part = |shard: &usize| lane::takes_part(state.lanes[*shard].pending(started), reason);
            let shards: Vec<ShardIndex> = (0..state.lanes.len()).filter(takes_part).collect();
            if shards.len() == state.lanes.len() {
                state.last_flush = Some(started);
            }
            shards
        };
        let flush = &Flush::new(reason);
        let shards = shards.into_iter().map(async |shard| {
            if tokio::time::timeout_at(end, self.send_or_park(flush, shard)).await.is_err() {
                tracing::warn!(shard = self.ring.name(shard).as_str(), ?budget, "the flush ran out of time");
            }
        });
        join_all(shards).await;
        let report = {
            let state = self.lock();
            FlushReport {
                writer: state.writer,
                visits_held: state.lanes.iter().map(Lane::held_visits).sum(),
                visits_parked: state.lanes.iter().map(|lane| lane.outbox.parked_visits()).sum(),
                unconfirmed: state.lanes.iter().map(|lane| lane.outbox.unconfirmed()).sum(),
                ..*flush.report()
            }
        };
        report.log(reason, self.clock.now().since(started));
        self.write_metrics();
        report
    }

    /// Sends what one shard has pending: the leader of a group of waiting visits does this.
    async fn flush_shard(&self, shard: ShardIndex) {
        let (started, flush) = (self.clock.now(), Flush::new(Reason::Direct));
        self.learn_secrets(SECRET_WAIT).await;
        self.send_or_park(&flush, shard).await;
        flush.report().log(flush.reason, self.clock.now().since(started));
    }

    /// Sends what one shard has pending, and parks copies of what it does not take.
    async fn send_or_park(&self, flush: &Flush, shard: ShardIndex) {
        if flush.is_last() {
            while !self.send_or_park_at_once(flush, shard).await {
                tokio::time::sleep(BREATH).await;
            }
            return;
        }
        let last = self.lock().lanes[shard].last_open();
        self.send(flush, shard).await;
        self.park(flush, shard, (flush.reason != Reason::Retry).then_some(last)).await;
    }

    /// At SIGTERM: sends, and parks as soon as the shard has been silent for [`SILENCE`]. Returns whether all is safe.
    async fn send_or_park_at_once(&self, flush: &Flush, shard: ShardIndex) -> bool {
        {
            let mut sending = pin!(self.send(flush, shard));
            if tokio::time::timeout(SILENCE, &mut sending).await.is_err() {
                // A parked visit is safe: then the shard's answer need not be waited for.
                let parked = pin!(self.park(flush, shard, None));
                let first = select(&mut sending, parked).await;
                if matches!(first, Either::Right(_)) && !self.is_safe(shard) {
                    sending.await;
                }
            }
        }
        self.park(flush, shard, None).await;
        self.is_safe(shard)
    }

    /// Whether each visit of a shard is applied, or parked.
    fn is_safe(&self, shard: ShardIndex) -> bool {
        let lane = &self.lock().lanes[shard];
        lane.held_visits() == lane.outbox.parked_visits()
    }

    /// Takes the writer off the sweep's list on every shard that has it there. Returns whether it is off
    /// all of them.
    async fn settle(&self, budget: Duration) -> bool {
        let listed: Vec<ShardIndex> = {
            let mut state = self.lock();
            state.last_flush = None;
            (0..state.lanes.len()).filter(|&shard| state.lanes[shard].listed).collect()
        };
        let flush = &Flush::new(Reason::Sweep);
        let settled = listed.into_iter().map(async |shard| {
            let want = |lane: &Lane| CallOptions {
                // Visits that came in since are not sealed by this call; if there are some, the writer does not settle.
                seal_up_to: Sequence::FIRST,
                confirm: true,
                impatient: false,
                status: if lane.is_clean() { lane.farewell() } else { WriterStatus::Active },
            };
            tokio::time::timeout(budget, self.call(flush, shard, want)).await.ok()
        });
        join_all(settled).await;
        self.lock().lanes.iter().all(|lane| !lane.listed)
    }

    /// Calls one shard until what was pending at the start is sent, or a call fails.
    async fn send(&self, flush: &Flush, shard: ShardIndex) {
        let seal_up_to = self.lock().lanes[shard].last_open();
        let mut confirm = matches!(flush.reason, Reason::Interval | Reason::Sweep | Reason::Shutdown);
        let want = |lane: &Lane, confirm: bool| CallOptions {
            seal_up_to,
            confirm: confirm && if flush.is_last() { lane.listed } else { lane.outbox.unconfirmed() > 0 },
            // A sweep does not wait for the end of a pause; shutdown not for a call on its way either.
            impatient: flush.is_last() || (flush.reason == Reason::Sweep && !lane.is_in_flight()),
            status: match (flush.is_last(), lane.is_clean()) {
                (true, true) => lane.farewell(),
                (true, false) => WriterStatus::Gone,
                (false, _) => WriterStatus::Active,
            },
        };
        while self.call(flush, shard, |lane| want(lane, confirm)).await {
            confirm = false;
        }
    }

    /// Makes one call to a shard, if there is one to make. Returns whether it was made and answered.
    async fn call(&self, flush: &Flush, shard: ShardIndex, want: impl FnOnce(&Lane) -> CallOptions) -> bool {
        let call = {
            let mut state = self.lock();
            let Some(writer) = state.writer else { return false };
            let lane = &mut state.lanes[shard];
            let want = want(lane);
            lane.begin(writer, want, self.clock.now())
        };
        let Some(call) = call else { return false };
        // Cut off (the flush ran out of time, or panicked) the call counts as failed, so that no visit waits for it for ever.
        let mut answer = scopeguard::guard(None, |answer| self.land(flush, shard, &call, answer.as_ref()));
        match self.store.apply(shard, &call.apply).await {
            Ok(applied) => *answer = Some(applied),
            Err(error) => {
                tracing::warn!(%error, batches = call.apply.batches.len(), "a flush failed; its batches are kept");
            }
        }
        answer.is_some()
    }

    /// Takes the answer to a call, or notes that none came.
    fn land(&self, flush: &Flush, shard: ShardIndex, call: &Call, answer: Option<&Applied>) {
        let (now, mut done) = (self.clock.now(), FlushReport { calls: 1, ..FlushReport::default() });
        let mut state = self.lock();
        if let Some(applied) = answer {
            let batches = &call.apply.batches;
            done.add(&state.lanes[shard].answered(call, applied, now));
            done.batches = batches.len() as u64;
            done.pages = batches.iter().map(|(batch, _)| batch.pages() as u64).sum();
            done.duplicates = done.batches.saturating_sub((applied.fresh.len() + applied.expired.len()) as u64);
            done.visits_rejected = applied.visits_rejected();
            done.visits_refused = applied.refused;
            state.line.latencies.add(now.since(call.asked));
        } else {
            state.lanes[shard].failed(call, now);
            done.failed = 1;
        }
        drop(state);
        self.count(flush, &done);
        self.landed[shard].notify_waiters();
        for Rejected { page, visits, reason } in answer.iter().flat_map(|applied| &applied.rejected) {
            let (shard, page) = (self.ring.name(shard).as_str(), page.as_str());
            flush.lines.write(|| {
                tracing::error!(shard, page, visits_rejected = visits, reason, "a page's key cannot be counted up");
            });
        }
    }

    /// Adds to the outcome of the flush and to the next line of metrics.
    fn count(&self, flush: &Flush, done: &FlushReport) {
        flush.report().add(done);
        self.lock().line.done.add(done);
    }
}

/// Copies of what a shard does not take.
impl<S: Ledger> Flusher<S> {
    /// Stores copies of all that `owner` has not taken, on the first other shard that takes them. Open batches up to
    /// `seal_up_to` are sealed for it.
    async fn park(&self, flush: &Flush, owner: ShardIndex, seal_up_to: Option<Sequence>) {
        loop {
            let (writer, batches) = {
                let (now, mut state) = (self.clock.now(), self.lock());
                let Some(writer) = state.writer else { return };
                let begun = state.lanes[owner].begin_parking(seal_up_to, flush.is_last(), now);
                let Some(batches) = begun else { return };
                (writer, batches)
            };
            // However this ends, others may park again, and visits that wait look again.
            let mut taken = scopeguard::guard(false, |taken| {
                self.lock().lanes[owner].end_parking(taken, self.clock.now());
                self.landed[owner].notify_waiters();
            });
            let park = Park { owner: self.ring.name(owner).clone(), writer, batches };
            // At SIGTERM, one shard that is silent may not take the time of the next.
            let patience = if flush.is_last() { SILENCE } else { Duration::MAX };
            let (shard, batches) = (park.owner.as_str(), park.batches.len());
            let Some(refuge) = self.first_that_takes(owner, &park, patience).await else {
                tracing::warn!(shard, "no other shard takes copies of its batches");
                return;
            };
            *taken = true;
            self.count(flush, &FlushReport { parked: batches as u64, ..FlushReport::default() });
            tracing::info!(shard, refuge = self.ring.name(refuge).as_str(), batches, "parked copies of batches");
        }
    }

    async fn first_that_takes(&self, owner: ShardIndex, park: &Park, patience: Duration) -> Option<ShardIndex> {
        for refuge in self.refuges(owner, park.writer) {
            let answer = tokio::time::timeout(patience, self.store.park(refuge, park)).await;
            let note = |taken| self.lock().lanes[owner].parked(&park.batches, taken, self.clock.now());
            match answer {
                Ok(Ok(Parked::Taken { server_run, server_time })) => {
                    note(Some(ParkedAt { shard: refuge, server_run, server_time }));
                    return Some(refuge);
                }
                // It may have them all the same.
                Err(_) | Ok(Err(StoreError::Unknown { .. })) => note(None),
                Ok(Ok(Parked::Full) | Err(_)) => {}
            }
            let refuge = self.ring.name(refuge).as_str();
            tracing::warn!(shard = park.owner.as_str(), refuge, ?answer, "copies of batches could not be parked");
        }
        None
    }

    /// The shards to park on, best first: by rendezvous order of owner and writer, so that the writers of one
    /// shard spread over the others; not those that are draining; those of the owner's own endpoint after them, since
    /// that is likely what is down, and in a cluster those of its own node last.
    fn refuges(&self, owner: ShardIndex, writer: WriterId) -> Vec<ShardIndex> {
        let order = self.ring.preference(&format!("{} {writer}", self.ring.name(owner)));
        let mut refuges: Vec<ShardIndex> = order.into_iter().filter(|shard| *shard != owner).collect();
        refuges.sort_by_key(|shard| self.store.nearness(*shard, owner));
        refuges
    }
}

/// The days' secrets: one a day, read by each environment before it seals the first visitors of that day.
impl<S: Ledger> Flusher<S> {
    /// Reads the secrets of the days that have visitors to be sealed, where they are not known yet, within `patience`.
    async fn learn_secrets(&self, patience: Duration) {
        let (now, end) = (self.clock.now(), Instant::now() + patience);
        let wanted: BTreeSet<Day> = {
            let state = self.lock();
            if state.no_secret.is_some_and(|failed| now.since(failed) < SECRET_PAUSE) {
                return;
            }
            state.lanes.iter().flat_map(Lane::secrets_wanted).collect()
        };
        for day in wanted {
            // Boxed: once a day.
            let secret = Box::pin(tokio::time::timeout_at(end, self.secret(day, patience / 2))).await;
            let mut state = self.lock();
            if let Ok(Some(secret)) = secret {
                state.lanes.iter_mut().for_each(|lane| lane.secrets.learn(day, secret));
            } else {
                state.no_secret = Some(now);
                tracing::warn!(%day, "the day's secret cannot be read: visitors are not counted until it can");
                return;
            }
        }
    }

    /// `patience`: longest wait for the shards that are only asked whether they know one.
    async fn secret(&self, day: Day, patience: Duration) -> Option<Secret> {
        let owner = self.ring.owner(&secret_key(day));
        // After a ring change the day's secret is on the shard that owned it before: a second one would count everybody twice.
        let others = (0..self.ring.len()).filter(|shard| *shard != owner);
        let asked = others.map(|shard| tokio::time::timeout(patience, self.store.secret(shard, day, None)));
        let known = join_all(asked).await.into_iter().find_map(|answer| answer.ok()?.ok().flatten());
        let offer = known.map_or_else(Secret::random, Ok).ok()?;
        let kept = self.store.secret(owner, day, Some(offer)).await;
        kept.inspect_err(|error| tracing::warn!(%error, "a day's secret could not be read")).ok().flatten()
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

    /// Whether there is room for so many more pages, if need be by letting go what is parked for good. Where that would not
    /// be enough, nothing goes.
    fn has_room(&mut self, pages: usize, most: usize) -> bool {
        let over = |state: &Self| (state.held_pages() + pages).saturating_sub(most);
        if over(self) == 0 {
            return true;
        }
        let can_go: usize = self.lanes.iter().map(|lane| lane.outbox.can_shed()).sum();
        if over(self) > can_go {
            return false;
        }
        while over(self) > 0 && self.lanes.iter_mut().any(|lane| lane.outbox.shed(1)) {}
        over(self) == 0
    }

    fn held_pages(&self) -> usize {
        self.lanes.iter().map(Lane::held_pages).sum()
    }
}

#[cfg(test)]
mod tests;
