//! Environments that take visits all the time, and what is asked of the counts in the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use visits_core::clock::{Clock, Timing};
use visits_core::config::Config;
use visits_core::flusher::{Flusher, Limits};
use visits_core::handoff::deliver;
use visits_core::report::FlushReport;
use visits_core::store::redis::RedisStore;
use visits_core::tests::page;

/// Longest wait for anything that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

const WRITERS: usize = 4;
const BUDGET: Duration = Duration::from_secs(5);

/// Enough for each shard to own some of them.
const PAGES: usize = 40;

/// Pauses are short, so that a test need not wait for them; what is remembered is remembered for its real minute.
const TIMING: Timing =
    Timing { first_pause: Duration::from_millis(20), longest_pause: Duration::from_millis(200), ..Timing::REAL };

/// One environment and the visits that it has acknowledged.
struct Writer {
    store: Arc<RedisStore>,
    flusher: Flusher<RedisStore>,
    acknowledged: BTreeMap<String, u64>,
    healed: u64,
    lost: u64,
}

/// Environments at work.
pub(crate) struct Load {
    config: Config,
    stop: Arc<AtomicBool>,
    writers: JoinSet<Writer>,
}

/// Sums of a load that has ended.
pub(crate) struct Ended {
    /// Visits that were acknowledged.
    pub(crate) visits: u64,
    /// Visits that were sent again because a server had lost them.
    pub(crate) healed: u64,
}

impl Load {
    pub(crate) fn start(config: &Config) -> Self {
        let mut load = Self { config: config.clone(), stop: Arc::default(), writers: JoinSet::new() };
        for _ in 0..WRITERS {
            let store = Arc::new(RedisStore::new(config).unwrap());
            let limits = Limits { interval: Duration::from_millis(50), pages: 10_000, timing: TIMING, days: true };
            let flusher = Flusher::new(Arc::clone(&store), config.ring(), Clock::system(), limits);
            let writer = Writer { store, flusher, acknowledged: BTreeMap::new(), healed: 0, lost: 0 };
            load.writers.spawn(writer.work(load.stop.clone()));
        }
        load
    }

    /// Goes on for some time.
    pub(crate) async fn goes_on(&self) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    /// Ends the load and checks that every acknowledged visit is counted exactly once, also after copies were
    /// delivered and everything was asked for once more.
    pub(crate) async fn ends_exact(self) -> Ended {
        self.stop.store(true, Ordering::Relaxed);
        let (mut writers, ring) = (self.writers.join_all().await, self.config.ring());
        let mut acknowledged = BTreeMap::new();
        for _ in 0..2 {
            for writer in &mut writers {
                writer.push_everything().await;
            }
            let store = &writers[0].store;
            let delivery = deliver(&**store, &ring, &Clock::system(), Timing::REAL, BUDGET).await;
            assert_eq!((delivery.calls_failed, delivery.owners_waiting), (0, 0), "{delivery:?}");
            acknowledged.clear();
            for (page, visits) in writers.iter().flat_map(|writer| &writer.acknowledged) {
                *acknowledged.entry(page.clone()).or_default() += visits;
            }
            let mut counted = BTreeMap::new();
            for id in acknowledged.keys() {
                counted.insert(id.clone(), store.total(ring.owner(id), &page(id)).await.unwrap());
            }
            assert_eq!(counted, acknowledged);
        }
        assert_eq!(writers.iter().map(|writer| writer.lost).sum::<u64>(), 0);
        Ended { visits: acknowledged.values().sum(), healed: writers.iter().map(|writer| writer.healed).sum() }
    }
}

impl Writer {
    async fn work(mut self, stop: Arc<AtomicBool>) -> Self {
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            self.visit(number);
            if let Some(report) = self.flusher.flush_if_due(BUDGET).await {
                self.note(&report);
            }
            // Some hundred visits a second of each are a load; more would only heat the machine.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self
    }

    fn visit(&mut self, number: usize) {
        let id = format!("page-{}", number % PAGES);
        if self.flusher.record(page(&id)).is_ok() {
            *self.acknowledged.entry(id).or_default() += 1;
        }
    }

    /// Visits every page, so that each shard is called and tells what it has, until all that was lost is sent again.
    async fn push_everything(&mut self) {
        let started = Instant::now();
        loop {
            (0..PAGES).for_each(|number| self.visit(number));
            let report = self.flusher.sweep(BUDGET).await;
            self.note(&report);
            if report.failed == 0 && report.visits_held == 0 && report.visits_healing == 0 {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{report:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn note(&mut self, report: &FlushReport) {
        self.healed += report.visits_healing;
        self.lost += report.visits_lost + report.visits_unconfirmed + report.visits_rejected;
    }
}
