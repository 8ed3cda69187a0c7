//! Environments, shards and deliverers on one clock, and the plain sum that they are held against.

use crate::steps::{By, RINGS, SHARDS, Step, WRITERS};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use visits_core::clock::ManualClock;
use visits_core::flusher::{Flusher, Limits};
use visits_core::page::PageId;
use visits_core::parking::{Delivery, deliver};
use visits_core::rehome::{Rehome, rehome};
use visits_core::ring::Ring;
use visits_core::shard::{ShardName, Weight};
use visits_core::store::Store;
use visits_core::store::memory::{Fault, MemoryStore};
use visits_core::store::statistics::DayCount;
use visits_core::timing::Timing;
use visits_core::visit::{Fingerprint, Visit};

const INTERVAL: Duration = Duration::from_secs(30);
const BUDGET: Duration = Duration::from_secs(5);

/// Few, so that a shard that is down soon fills them.
const BUFFER_PAGES: usize = 8;

/// Longest that all hours of a schedule last together: a batch is given up after seven days, which is another promise.
const MOST_HOURS: u64 = 5 * 24;

/// A crash takes a shard back by less than the time for which writers remember what was applied (60 s).
const OLDEST_SAVE: Duration = Duration::from_secs(50);

pub(crate) struct World {
    store: MemoryStore,
    rings: [Ring; RINGS],
    /// The one that functions are given now.
    ring: usize,
    /// The clock of environments and deliverers.
    time: ManualClock,
    /// The shards' own clock.
    server: ManualClock,
    saved: [Duration; SHARDS],
    now: Duration,
    writers: Vec<Flusher<MemoryStore>>,
    hours: u64,
    pub(crate) taken: BTreeMap<PageId, u64>,
    /// Those of them by bots.
    pub(crate) taken_bots: BTreeMap<PageId, u64>,
    /// Visits that dead environments still held and had not parked.
    pub(crate) died: u64,
    /// A crash takes only what a living writer or a deliverer still answers for: disks are written when an
    /// environment ends and as soon as a copy is parked, and who dies after a crash has healed it.
    careful_disks: bool,
    /// A shard has crashed, and these environments may not have found out.
    must_heal: [bool; WRITERS],
}

impl World {
    pub(crate) fn new(careful_disks: bool) -> Self {
        let (time, server) = (ManualClock::new(), ManualClock::new());
        let store = MemoryStore::new(SHARDS, server.clock());
        let shard = |(name, weight): (&str, u8)| (name.parse::<ShardName>().unwrap(), Weight::new(weight).unwrap());
        let ring = |weights: [u8; SHARDS]| Ring::new(["a", "b", "c"].into_iter().zip(weights).map(shard)).unwrap();
        let rings = [ring([1, 1, 1]), ring([1, 1, 0]), ring([1, 0, 3])];
        let (saved, now) = ([Duration::ZERO; SHARDS], Duration::ZERO);
        let mut world = Self {
            store,
            rings,
            ring: 0,
            time,
            server,
            saved,
            now,
            writers: Vec::new(),
            hours: 0,
            taken: BTreeMap::new(),
            taken_bots: BTreeMap::new(),
            died: 0,
            careful_disks,
            must_heal: [false; WRITERS],
        };
        world.writers = (0..WRITERS).map(|_| world.new_writer()).collect();
        world
    }

    fn new_writer(&self) -> Flusher<MemoryStore> {
        let limits = Limits { interval: INTERVAL, pages: BUFFER_PAGES, timing: Timing::REAL, days: true };
        Flusher::new(Arc::new(self.store.clone()), self.rings[self.ring].clone(), self.time.clock(), limits)
    }

    /// Takes a step, and lets careful disks write what it left.
    async fn take(&mut self, step: &Step) {
        let before = self.copies();
        let ends = match step {
            Step::Kill { writer } | Step::Shutdown { writer } => {
                self.heal(*writer).await;
                true
            }
            Step::Crash { .. } => {
                self.must_heal = [true; WRITERS];
                false
            }
            _ => false,
        };
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
            Step::Visit { writer, page, by } => self.visit(writer, page, by),
            Step::FlushIfDue { writer } => drop(self.writers[writer].flush_if_due(BUDGET).await),
            Step::Sweep { writer } => drop(self.writers[writer].sweep(BUDGET).await),
            Step::Kill { writer } => self.kill(writer).await,
            Step::Shutdown { writer } => {
                let report = self.writers[writer].shutdown().await;
                self.died += report.visits_held - report.visits_parked;
                self.writers[writer] = self.new_writer();
            }
            Step::Deliver { deliverers } => drop(join_all((0..deliverers).map(|_| self.deliver())).await),
            Step::ChangeRing { ring } => self.ring = ring,
            Step::Rehome { runs, ring } => {
                let before = self.counts();
                join_all((0..runs).map(|_| self.rehome(ring.unwrap_or(self.ring)))).await;
                assert_eq!(self.counts(), before, "moving pages changes no count");
            }
            Step::Tidy { shard } => drop(tokio::time::timeout(BUDGET, self.store.tidy(shard)).await),
            Step::Fail { shard, fault } => self.store.fail_next(shard, [Some(fault)]),
            Step::Down { shard, fault } => self.store.set_down(shard, Some(fault)),
            Step::Up { shard } => self.store.set_down(shard, None),
            Step::DeliverLate { shard } => self.store.deliver_late(shard),
            Step::Save { shard } => self.save(shard),
            Step::Crash { shard } => self.store.crash(shard),
            Step::Pass { seconds } => self.pass(seconds, ManualClock::advance),
            Step::PassHours { hours } => {
                let hours = hours.min(MOST_HOURS - self.hours);
                self.hours += hours;
                self.pass(3_600 * hours, ManualClock::advance);
            }
            Step::Freeze { seconds } => self.pass(seconds, ManualClock::freeze),
            Step::SetClock { seconds } => {
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
            *self.taken_bots.entry(page.clone()).or_default() += u64::from(bot);
            *self.taken.entry(page).or_default() += 1;
        }
    }

    async fn kill(&mut self, writer: usize) {
        // What it holds is asked by a sweep that reaches nobody.
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

    /// A run of flush-visits' re-homing, which may be ended in the same way.
    async fn rehome(&self, ring: usize) -> Option<Rehome> {
        let clock = self.time.clock();
        let run = rehome(&self.store, &self.rings[ring], &clock, Timing::REAL, BUDGET);
        tokio::time::timeout(BUDGET, run).await.ok()
    }

    /// Visits and bots' visits of all pages.
    fn counts(&self) -> Vec<(u64, u64)> {
        self.taken.keys().map(|page| (self.counted(page), self.store.sum_bots(page))).collect()
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
            left += u64::from(!self.rehome(self.ring).await.is_some_and(|rehome| rehome.ring_settled));
            if left == 0 {
                return;
            }
            self.pass(61, ManualClock::advance);
        }
        panic!("the writers and copies do not come to rest");
    }

    pub(crate) fn counted(&self, page: &PageId) -> u64 {
        self.store.sum(page)
    }

    /// Every page is on its owner with all of its days, and nothing is left of its way there.
    fn assert_all_at_home(&self) {
        let ring = &self.rings[self.ring];
        for page in self.taken.keys() {
            for shard in 0..SHARDS {
                let (record, days) = (self.store.record(shard, page), self.store.days(shard, page));
                let all = (self.counted(page), self.store.sum_bots(page));
                let (total, bots) = if shard == ring.owner(page.as_str()) { all } else { (0, 0) };
                assert_eq!((record.total, record.bots), (total, bots), "{page} on {shard}: {record:?}");
                assert_eq!(sum(&days), (total, bots), "days of {page} on {shard}: {days:?}");
                assert!(record.moved_out.is_empty() && record.bots_out.is_empty(), "{page} on {shard}: {record:?}");
            }
        }
        (0..SHARDS).for_each(|shard| assert_eq!(self.store.moves_on(shard), 0));
    }

    /// The site has what its pages have, and nothing of it is left on a draining shard.
    fn assert_the_site_is_the_sum_of_its_pages(&self) {
        let (mut site, mut of_days) = ((0, 0), (0, 0));
        for shard in 0..SHARDS {
            let found = self.store.site(shard);
            let days = sum(&found.days);
            site = (site.0 + found.total, site.1 + found.bots);
            of_days = (of_days.0 + days.0, of_days.1 + days.1);
            assert!(
                found.total + found.bots + days.0 == 0 || !self.rings[self.ring].is_draining(shard),
                "{shard}: {found:?}"
            );
        }
        let pages = self.counts().into_iter().fold((0, 0), |sum, page| (sum.0 + page.0, sum.1 + page.1));
        assert_eq!((site, of_days), (pages, pages));
    }

    pub(crate) fn assert_never_more_than_taken(&self) {
        for (page, taken) in &self.taken {
            let (counted, bots) = (self.counted(page), self.store.sum_bots(page));
            assert!(counted <= *taken, "{page}: {counted} counted, {taken} taken");
            assert!(bots <= self.taken_bots[page], "{page}: {bots} counted as bots', {} taken", self.taken_bots[page]);
        }
    }

    /// Of bots' visits, too.
    pub(crate) fn assert_exact(&self) {
        for (page, taken) in &self.taken {
            let counted = (self.counted(page), self.store.sum_bots(page));
            assert_eq!(counted, (*taken, self.taken_bots[page]), "{page}");
        }
    }
}

/// Visits and bots' visits of some days.
fn sum(days: &[DayCount]) -> (u64, u64) {
    days.iter().fold((0, 0), |sum, day| (sum.0 + day.people + day.bots, sum.1 + day.bots))
}

/// Runs a schedule; tokio's time is paused, so that waiting for a mute shard takes none.
pub(crate) fn run(steps: &[Step]) -> World {
    run_on(steps, false)
}

/// The same, where a crash takes nothing that nobody answers for.
pub(crate) fn run_on_careful_disks(steps: &[Step]) -> World {
    run_on(steps, true)
}

fn run_on(steps: &[Step], careful_disks: bool) -> World {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(careful_disks);
        for step in steps {
            world.take(step).await;
            world.assert_never_more_than_taken();
        }
        world.come_to_rest().await;
        world.assert_all_at_home();
        world.assert_the_site_is_the_sum_of_its_pages();
        world.assert_never_more_than_taken();
        world
    })
}
