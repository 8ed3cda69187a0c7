//! Environments, shards and deliverers on one clock, and the plain sum that they are held against.

use crate::steps::{By, RINGS, SHARDS, Step, WRITERS};
use futures_util::future::join_all;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use visits_core::clock::{ManualClock, Timing};
use visits_core::flusher::{Flusher, Limits};
use visits_core::handoff::{Delivery, deliver};
use visits_core::page::PageId;
use visits_core::ring::Ring;
use visits_core::shard::{ShardName, Weight};
use visits_core::telemetry::metrics::Metrics;
use visits_core::tests::{Fake, Fault, metrics};
use visits_core::visit::{Fingerprint, Visit};

const INTERVAL: Duration = Duration::from_secs(30);
const BUDGET: Duration = Duration::from_secs(5);

/// Few, so that a shard that is down soon fills them.
const BUFFER_PAGES: usize = 8;

/// Longest that all hours of a schedule last together: a batch is given up after seven days, which is another promise.
const MAX_HOURS: u64 = 5 * 24;

/// A crash takes a shard back by less than the time for which writers remember what was applied (60 s).
const OLDEST_SAVE: Duration = Duration::from_secs(50);

pub(crate) struct World {
    store: Fake,
    rings: [Ring; RINGS],
    /// The one that functions are given now.
    ring: usize,
    /// The clock of environments and deliverers.
    time: ManualClock,
    /// The shards' own clock.
    server: ManualClock,
    saved: [Duration; SHARDS],
    now: Duration,
    writers: Vec<Flusher<Fake>>,
    hours: u64,
    /// Visits that were taken, and of them those by bots.
    pub(crate) taken: BTreeMap<PageId, (u64, u64)>,
    /// Visits that dead environments still held and had not parked.
    pub(crate) died: u64,
    /// Metrics of the environments, and their lines.
    metrics: (Metrics, Arc<Mutex<Vec<Value>>>),
    /// A crash takes only what a living writer or a deliverer still answers for: disks are written when an
    /// environment ends and as soon as a copy is parked, and who dies after a crash has healed it.
    careful_disks: bool,
    /// A shard has crashed, and these environments may not have found out.
    must_heal: [bool; WRITERS],
}

impl World {
    pub(crate) fn new(careful_disks: bool) -> Self {
        let (time, server) = (ManualClock::new(), ManualClock::new());
        let store = Fake::new(SHARDS, server.clock());
        let shard = |(name, weight): (&str, u8)| (name.parse::<ShardName>().unwrap(), Weight::new(weight).unwrap());
        let ring = |weights: [u8; SHARDS]| Ring::new(["a", "b", "c"].into_iter().zip(weights).map(shard)).unwrap();
        let rings = [ring([1, 1, 1]), ring([1, 1, 0]), ring([1, 0, 3])];
        let metrics = metrics(time.clock());
        let mut world = Self {
            store,
            rings,
            ring: 0,
            time,
            server,
            saved: [Duration::ZERO; SHARDS],
            now: Duration::ZERO,
            writers: Vec::new(),
            hours: 0,
            taken: BTreeMap::new(),
            died: 0,
            metrics,
            careful_disks,
            must_heal: [false; WRITERS],
        };
        world.writers = (0..WRITERS).map(|_| world.new_writer()).collect();
        world
    }

    fn new_writer(&self) -> Flusher<Fake> {
        let limits = Limits { interval: INTERVAL, pages: BUFFER_PAGES, timing: Timing::REAL, days: true };
        Flusher::new(Arc::new(self.store.clone()), self.rings[self.ring].clone(), self.time.clock(), limits)
            .with_metrics(self.metrics.0.clone())
    }

    /// A metric's sum over all lines of all environments.
    pub(crate) fn told(&self, metric: &str) -> u64 {
        self.metrics.1.lock().unwrap().iter().filter_map(|line| line[metric].as_u64()).sum()
    }

    /// Takes a step, and lets careful disks write what it left.
    async fn take(&mut self, step: &Step) {
        let before = self.copies();
        let ends = matches!(step, Step::Kill(_) | Step::Shutdown(_));
        match step {
            Step::Kill(writer) | Step::Shutdown(writer) => self.heal(*writer).await,
            Step::Crash(_) => self.must_heal = [true; WRITERS],
            _ => {}
        }
        self.act(step).await;
        let after = self.copies();
        for shard in 0..SHARDS {
            if self.careful_disks && (ends || after[shard] > before[shard]) {
                self.save(shard);
            }
        }
    }

    /// Has an environment that is about to end find out what crashes took, and send it again.
    async fn heal(&mut self, writer: usize) {
        if !self.careful_disks || !std::mem::take(&mut self.must_heal[writer]) {
            return;
        }
        for _ in 0..200 {
            (0..SHARDS).for_each(|shard| self.store.set_down(shard, None));
            let report = self.writers[writer].sweep(BUDGET).await;
            if report.failed + report.visits_healing + report.visits_held == report.visits_parked {
                return;
            }
        }
        panic!("the environment does not heal what a crash took");
    }

    fn copies(&self) -> [usize; SHARDS] {
        std::array::from_fn(|shard| self.store.copies_on(shard))
    }

    async fn act(&mut self, step: &Step) {
        match *step {
            Step::Visit(writer, page, by) => self.visit(writer, page, by),
            Step::FlushIfDue(writer) => drop(self.writers[writer].flush_if_due(BUDGET).await),
            Step::Sweep(writer) => drop(self.writers[writer].sweep(BUDGET).await),
            Step::Cut(writer, shard) => {
                self.store.fail_next(shard, [Some(Fault::Mute)]);
                drop(tokio::time::timeout(Duration::from_millis(5), self.writers[writer].sweep(BUDGET)).await);
            }
            Step::Kill(writer) => self.kill(writer).await,
            Step::Shutdown(writer) => {
                let report = self.writers[writer].shutdown().await;
                self.died += report.visits_held - report.visits_parked;
                self.writers[writer] = self.new_writer();
            }
            Step::Deliver(deliverers) => drop(join_all((0..deliverers).map(|_| self.deliver())).await),
            Step::ChangeRing(ring) => self.ring = ring,
            Step::Tidy(shard) => self.store.tidy(shard),
            Step::Fail(shard, fault) => self.store.fail_next(shard, [Some(fault)]),
            Step::Down(shard, fault) => self.store.set_down(shard, Some(fault)),
            Step::Up(shard) => self.store.set_down(shard, None),
            Step::DeliverLate(shard) => self.store.deliver_late(shard),
            Step::Save(shard) => self.save(shard),
            Step::Crash(shard) => self.store.crash(shard),
            Step::Pass(seconds) => self.pass(seconds, ManualClock::advance),
            Step::PassHours(hours) => {
                let hours = hours.min(MAX_HOURS - self.hours);
                self.hours += hours;
                self.pass(3_600 * hours, ManualClock::advance);
            }
            Step::Freeze(seconds) => self.pass(seconds, ManualClock::freeze),
            Step::SetClock(seconds) => {
                let by = Duration::from_secs(seconds.unsigned_abs());
                if seconds < 0 { self.time.set_back(by) } else { self.time.freeze(by) }
            }
        }
    }

    fn visit(&mut self, writer: usize, page: u8, by: By) {
        let page = PageId::from_decoded(&format!("page-{page}")).unwrap();
        let visitor = if let By::Visitor(number) = by { Some(Fingerprint::of(&number.to_string(), "")) } else { None };
        let bot = matches!(by, By::Bot);
        // A full buffer refuses: then the visit is not counted.
        if self.writers[writer].record(Visit { page: page.clone(), bot, visitor }).is_ok() {
            let taken = self.taken.entry(page).or_default();
            *taken = (taken.0 + 1, taken.1 + u64::from(bot));
        }
    }

    async fn kill(&mut self, writer: usize) {
        // A sweep that reaches no shard asks what it holds.
        (0..SHARDS).for_each(|shard| self.store.set_down(shard, Some(Fault::Unreachable)));
        let report = self.writers[writer].sweep(BUDGET).await;
        self.died += report.visits_held - report.visits_parked;
        (0..SHARDS).for_each(|shard| self.store.set_down(shard, None));
        self.writers[writer] = self.new_writer();
    }

    /// A run of flush-visits. One that meets a mute shard is ended by its function's timeout, at any step.
    async fn deliver(&self) -> Option<Delivery> {
        let clock = self.time.clock();
        let run = deliver(&self.store, &self.rings[self.ring], &clock, Timing::REAL, BUDGET);
        tokio::time::timeout(BUDGET, run).await.ok()
    }

    fn save(&mut self, shard: usize) {
        self.store.save(shard);
        self.saved[shard] = self.now;
    }

    /// Lets time pass, and the disks keep up as `everysec` does.
    fn pass(&mut self, seconds: u64, run: fn(&ManualClock, Duration)) {
        let by = Duration::from_secs(seconds);
        for shard in 0..SHARDS {
            if self.now + by > self.saved[shard] + OLDEST_SAVE {
                self.save(shard);
            }
        }
        self.now += by;
        self.server.advance(by);
        run(&self.time, by);
    }

    /// Every shard answers again; writers are swept and copies delivered until nothing is left of either.
    pub(crate) async fn come_to_rest(&mut self) {
        for shard in 0..SHARDS {
            self.store.set_down(shard, None);
            self.store.deliver_late(shard);
        }
        // Some rounds for the faults still planned, one to see what a crash took, one to send it again, one to
        // confirm it, and two for the copies.
        for _ in 0..200 {
            let mut left = self.copies().iter().sum::<usize>() as u64;
            left += self.deliver().await.map_or(1, |delivery| delivery.visits_delivered);
            for writer in &self.writers {
                let report = writer.sweep(BUDGET).await;
                left += report.visits_held + report.visits_healing + report.failed;
            }
            if left == 0 {
                return;
            }
            self.pass(61, ManualClock::advance);
        }
        panic!("the writers and copies do not come to rest");
    }

    /// A page's visits on all shards, and of them those by bots.
    pub(crate) fn counted(&self, page: &PageId) -> (u64, u64) {
        (self.store.sum(page), (0..SHARDS).map(|shard| self.store.count(shard, page).1).sum())
    }

    /// The batches that the shards have applied add up to their counts.
    fn assert_the_journals_add_up(&self) {
        for shard in 0..SHARDS {
            let mut sums: BTreeMap<PageId, (u64, u64)> = BTreeMap::new();
            for batch in self.store.journal(shard) {
                for increment in batch.increments() {
                    let sum = sums.entry(increment.page.clone()).or_default();
                    *sum = (sum.0 + increment.visits, sum.1 + increment.bots);
                }
            }
            for page in self.taken.keys() {
                assert_eq!(
                    sums.get(page).copied().unwrap_or_default(),
                    self.store.count(shard, page),
                    "{page} on {shard}"
                );
            }
        }
    }

    pub(crate) fn assert_never_more_than_taken(&self) {
        for (page, taken) in &self.taken {
            let counted = self.counted(page);
            assert!(counted.0 <= taken.0 && counted.1 <= taken.1, "{page}: {counted:?} counted, {taken:?} taken");
        }
    }

    /// Of bots' visits, too.
    pub(crate) fn assert_exact(&self) {
        for (page, taken) in &self.taken {
            assert_eq!(self.counted(page), *taken, "{page}");
        }
    }
}

/// Runs a schedule; tokio's time is paused, so that waiting for a mute shard takes none. On careful disks a crash takes nothing
/// that no writer or deliverer answers for.
pub(crate) fn run(steps: &[Step], careful_disks: bool) -> World {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(careful_disks);
        for step in steps {
            world.take(step).await;
            world.assert_never_more_than_taken();
        }
        world.come_to_rest().await;
        world.assert_the_journals_add_up();
        world.assert_never_more_than_taken();
        world
    })
}
