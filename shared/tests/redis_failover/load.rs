//! Environments that take visits all the time, and what is asked of the counts in the end.

use crate::world::{PATIENCE, World};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use visits_core::clock::Clock;
use visits_core::flusher::Flusher;
use visits_core::handoff::deliver;
use visits_core::page::PageId;
use visits_core::report::FlushReport;
use visits_core::store::redis::RedisStore;
use visits_core::timing::Timing;

const WRITERS: usize = 4;
const BUDGET: Duration = Duration::from_secs(5);

/// Enough for each shard to own some of them.
const PAGES: usize = 12;

/// One environment and the visits that it has acknowledged.
struct Writer {
    flusher: Flusher<RedisStore>,
    acknowledged: BTreeMap<String, u64>,
    healed: u64,
    lost: u64,
}

/// Environments at work.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    writers: JoinSet<Writer>,
}

impl Load {
    pub(crate) fn start(world: &World) -> Self {
        let mut load = Self { stop: Arc::default(), writers: JoinSet::new() };
        for _ in 0..WRITERS {
            let writer = Writer { flusher: world.flusher(), acknowledged: BTreeMap::new(), healed: 0, lost: 0 };
            load.writers.spawn(writer.work(load.stop.clone()));
        }
        load
    }

    /// Ends the load and checks that every acknowledged visit is counted exactly once, also after copies were
    /// delivered and everything was asked for once more. Returns the visits that were sent again because a server had
    /// lost them.
    pub(crate) async fn ends_exact(self, world: &World) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let mut writers = self.writers.join_all().await;
        for _ in 0..2 {
            for writer in &mut writers {
                writer.push_everything().await;
            }
            let store = world.store();
            let delivery = deliver(&store, &world.config().ring(), &Clock::system(), Timing::REAL, BUDGET).await;
            assert_eq!((delivery.calls_failed, delivery.owners_waiting), (0, 0), "{delivery:?}");
            assert_eq!(counts(world, &store).await, acknowledged(&writers));
        }
        assert_eq!(writers.iter().map(|writer| writer.lost).sum::<u64>(), 0);
        writers.iter().map(|writer| writer.healed).sum()
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
        let page = format!("page-{}", number % PAGES);
        if self.flusher.record(PageId::from_decoded(&page).unwrap()).is_ok() {
            *self.acknowledged.entry(page).or_default() += 1;
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

fn acknowledged(writers: &[Writer]) -> BTreeMap<String, u64> {
    let mut sum = BTreeMap::new();
    for (page, visits) in writers.iter().flat_map(|writer| &writer.acknowledged) {
        *sum.entry(page.clone()).or_default() += visits;
    }
    sum
}

/// What the counter shows for each page.
async fn counts(world: &World, store: &RedisStore) -> BTreeMap<String, u64> {
    let ring = world.config().ring();
    let mut counts = BTreeMap::new();
    for number in 0..PAGES {
        let page = format!("page-{number}");
        let total = store.total(ring.owner(&page), &PageId::from_decoded(&page).unwrap()).await.unwrap();
        counts.insert(page, total);
    }
    counts
}
