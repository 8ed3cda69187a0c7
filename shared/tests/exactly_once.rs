//! Random schedules of visits, flushes, sweeps, faults, freezes and crashes against a plain sum.
//!
//! The reference is a map from page to visits taken. Whatever happens, no page may ever show more; and
//! once every shard answers again, a page shows exactly that, as long as its writers live. A failure found
//! is kept below as a named regression with its steps.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use visits_core::clock::ManualClock;
use visits_core::flusher::{Flusher, Limits};
use visits_core::page::PageId;
use visits_core::ring::Ring;
use visits_core::shard::{ShardName, Weight};
use visits_core::store::memory::{Fault, MemoryStore};
use visits_core::timing::Timing;

const WRITERS: usize = 3;
const SHARDS: usize = 2;
const PAGES: u8 = 6;
const INTERVAL: Duration = Duration::from_secs(30);
const BUDGET: Duration = Duration::from_secs(5);

/// A crash takes a shard back by less than the time for which writers remember what was applied (60 s).
const OLDEST_SAVE: Duration = Duration::from_secs(50);

#[derive(Clone, Debug)]
enum Step {
    Visit {
        writer: usize,
        page: u8,
    },
    FlushIfDue {
        writer: usize,
    },
    Sweep {
        writer: usize,
    },
    /// The environment is killed, with nothing said. A new one takes its place.
    Kill {
        writer: usize,
    },
    /// SIGTERM: the environment has 450 ms. A new one takes its place.
    Shutdown {
        writer: usize,
    },
    Fail {
        shard: usize,
        fault: Fault,
    },
    Down {
        shard: usize,
        fault: Fault,
    },
    Up {
        shard: usize,
    },
    DeliverLate {
        shard: usize,
    },
    Save {
        shard: usize,
    },
    Crash {
        shard: usize,
    },
    Pass {
        seconds: u64,
    },
    Freeze {
        seconds: u64,
    },
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![Just(Fault::Unreachable), Just(Fault::AnswerLost), Just(Fault::Mute), Just(Fault::Late)]
}

/// Steps in which no environment dies.
fn peaceful() -> impl Strategy<Value = Step> {
    let (writer, shard) = (0..WRITERS, 0..SHARDS);
    prop_oneof![
        8 => (writer.clone(), 0..PAGES).prop_map(|(writer, page)| Step::Visit { writer, page }),
        6 => writer.clone().prop_map(|writer| Step::FlushIfDue { writer }),
        2 => writer.prop_map(|writer| Step::Sweep { writer }),
        3 => (shard.clone(), fault()).prop_map(|(shard, fault)| Step::Fail { shard, fault }),
        1 => (shard.clone(), fault()).prop_map(|(shard, fault)| Step::Down { shard, fault }),
        2 => shard.clone().prop_map(|shard| Step::Up { shard }),
        2 => shard.clone().prop_map(|shard| Step::DeliverLate { shard }),
        2 => shard.prop_map(|shard| Step::Save { shard }),
        3 => (0..40_u64).prop_map(|seconds| Step::Pass { seconds }),
        1 => (0..1_000_u64).prop_map(|seconds| Step::Freeze { seconds }),
    ]
}

fn with_crashes() -> impl Strategy<Value = Step> {
    prop_oneof![9 => peaceful(), 1 => (0..SHARDS).prop_map(|shard| Step::Crash { shard })]
}

fn with_deaths() -> impl Strategy<Value = Step> {
    let kill = (0..WRITERS).prop_map(|writer| Step::Kill { writer });
    let shutdown = (0..WRITERS).prop_map(|writer| Step::Shutdown { writer });
    prop_oneof![9 => peaceful(), 1 => kill, 1 => shutdown]
}

struct World {
    store: MemoryStore,
    ring: Ring,
    time: ManualClock,
    saved: [Duration; SHARDS],
    now: Duration,
    writers: Vec<Flusher<MemoryStore>>,
    taken: BTreeMap<PageId, u64>,
    /// Visits that dead environments still held.
    died: u64,
}

impl World {
    fn new() -> Self {
        let time = ManualClock::new();
        let store = MemoryStore::new(SHARDS, time.clock());
        let shard = |name: &str| (name.parse::<ShardName>().unwrap(), Weight::default());
        let ring = Ring::new([shard("a"), shard("b")]).unwrap();
        let mut world = Self {
            store,
            ring,
            time,
            saved: [Duration::ZERO; SHARDS],
            now: Duration::ZERO,
            writers: Vec::new(),
            taken: BTreeMap::new(),
            died: 0,
        };
        world.writers = (0..WRITERS).map(|_| world.new_writer()).collect();
        world
    }

    fn new_writer(&self) -> Flusher<MemoryStore> {
        let limits = Limits { interval: INTERVAL, pages: 10_000, timing: Timing::REAL };
        Flusher::new(Arc::new(self.store.clone()), self.ring.clone(), self.time.clock(), limits)
    }

    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Visit { writer, page } => {
                let page = PageId::from_decoded(&format!("page-{page}")).unwrap();
                self.writers[writer].record(page.clone()).unwrap();
                *self.taken.entry(page).or_insert(0) += 1;
            }
            Step::FlushIfDue { writer } => drop(self.writers[writer].flush_if_due(BUDGET).await),
            Step::Sweep { writer } => drop(self.writers[writer].sweep(BUDGET).await),
            Step::Kill { writer } => {
                // What it holds is asked by a sweep that reaches nobody.
                (0..SHARDS).for_each(|shard| self.store.set_down(shard, Some(Fault::Unreachable)));
                self.died += self.writers[writer].sweep(BUDGET).await.visits_held;
                (0..SHARDS).for_each(|shard| self.store.set_down(shard, None));
                self.writers[writer] = self.new_writer();
            }
            Step::Shutdown { writer } => {
                self.died += self.writers[writer].shutdown().await.visits_held;
                self.writers[writer] = self.new_writer();
            }
            Step::Fail { shard, fault } => self.store.fail_next(shard, [Some(fault)]),
            Step::Down { shard, fault } => self.store.set_down(shard, Some(fault)),
            Step::Up { shard } => self.store.set_down(shard, None),
            Step::DeliverLate { shard } => self.store.deliver_late(shard),
            Step::Save { shard } => self.save(shard),
            Step::Crash { shard } => self.store.crash(shard),
            Step::Pass { seconds } => self.pass(seconds, ManualClock::advance),
            Step::Freeze { seconds } => self.pass(seconds, ManualClock::freeze),
        }
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
        run(&self.time, by);
    }

    /// Every shard answers again and every writer is swept until it holds nothing.
    async fn come_to_rest(&mut self) {
        for shard in 0..SHARDS {
            self.store.set_down(shard, None);
            self.store.fail_next(shard, []);
            self.store.deliver_late(shard);
        }
        // One round for each fault still planned, one to see what a crash took, one to send it again.
        for _ in 0..200 {
            let mut held = 0;
            for writer in &self.writers {
                let report = writer.sweep(BUDGET).await;
                held += report.visits_held + report.visits_healing + report.failed;
            }
            if held == 0 {
                return;
            }
        }
        panic!("the writers do not come to rest");
    }

    fn counted(&self, page: &PageId) -> u64 {
        self.store.sum(page)
    }

    fn assert_never_more_than_taken(&self) {
        for (page, taken) in &self.taken {
            assert!(self.counted(page) <= *taken, "{page}: {} counted, {taken} taken", self.counted(page));
        }
    }
}

/// Runs a schedule; tokio's time is paused, so that waiting for a mute shard takes none.
fn run(steps: &[Step]) -> World {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new();
        for step in steps {
            world.take(step).await;
            world.assert_never_more_than_taken();
        }
        world.come_to_rest().await;
        world.assert_never_more_than_taken();
        world
    })
}

fn assert_exact(steps: &[Step]) {
    let world = run(steps);
    for (page, taken) in &world.taken {
        assert_eq!(world.counted(page), *taken, "{page}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn every_visit_of_a_living_writer_counts_exactly_once(steps in prop::collection::vec(peaceful(), 1..80)) {
        assert_exact(&steps);
    }

    #[test]
    fn writers_heal_shards_that_lose_what_they_had_acknowledged(steps in prop::collection::vec(with_crashes(), 1..80)) {
        assert_exact(&steps);
    }

    #[test]
    fn a_dead_environment_loses_at_most_what_it_held(steps in prop::collection::vec(with_deaths(), 1..80)) {
        let world = run(&steps);
        let taken: u64 = world.taken.values().sum();
        let counted: u64 = world.taken.keys().map(|page| world.counted(page)).sum();
        assert!(taken - counted <= world.died, "{taken} taken, {counted} counted, {} died", world.died);
    }
}
