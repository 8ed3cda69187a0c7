//! Many environments at once on one server.

use super::traffic::Interval;
use crate::server::{Server, apply, call, call_with, fold_all, one_thread, page};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use test_support::RedisServer;
use tokio::runtime::Runtime;
use visits_core::batch::{Batch, Content, MAX_BATCH_PAGES, Sequence, WriterId};
use visits_core::clock::Clock;
use visits_core::config::Config;
use visits_core::ring::Ring;
use visits_core::store::Apply;
use visits_core::store::redis::RedisStore;

/// Connections, each with one call at a time: enough that the server always has one to read.
const CONNECTIONS: usize = 64;

/// Environments that have sent between two folds: some half of a second's, which is how long a fold takes.
const BETWEEN_FOLDS: usize = 1_500;

/// How batches are sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// Without statistics.
    Plain,
    /// The same, with a connection for each call.
    Reconnecting,
    /// With statistics.
    Counting,
    /// The same, while another program folds them.
    Folding,
}

/// What was reached in a round.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Reached {
    /// Batches a second.
    pub(super) rate: f64,
    /// Processor time of Redis for a batch, in us.
    pub(super) cpu: f64,
    /// Share of the time that Redis was busy: well below 1, and the load was the bottleneck.
    pub(super) busy: f64,
    /// Increments in a batch.
    pub(super) increments: f64,
    /// Visits in a batch.
    pub(super) visits: f64,
}

/// A server that has all pages of the largest site, and known writers that have not sent since.
pub(super) struct Load {
    server: Server,
    runtime: Runtime,
    /// Without statistics, and with them.
    stores: [Arc<[RedisStore]>; 2],
    folder: Arc<RedisStore>,
    config: Config,
    pub(super) ring: Ring,
    /// How many of the known writers have sent.
    used: u32,
}

impl Load {
    pub(super) fn new(pages: u32, writers: u32) -> Self {
        let server = Server::new(RedisServer::start());
        let plain = (0..CONNECTIONS).map(|_| server.store()).collect();
        let counting = (0..CONNECTIONS).map(|_| server.counting()).collect();
        let (folder, config) = (Arc::new(server.counting()), server.config());
        let ring = config.ring();
        let mut load = Self { server, runtime: one_thread(), stores: [plain, counting], folder, config, ring, used: 0 };
        load.seed(pages, writers);
        load
    }

    /// Nothing of this is measured.
    fn seed(&mut self, pages: u32, writers: u32) {
        let pages: Vec<_> = (0..pages as usize).map(page).filter(|page| self.ring.owner(page.as_str()) == 0).collect();
        let known = (0..writers).map(|writer| vec![call(id(writer), 1, vec![(pages[0].clone(), 1)])]).collect();
        self.drive(known, How::Plain);
        let whole_site = pages.chunks(MAX_BATCH_PAGES).zip(0..);
        let whole_site = whole_site.map(|(pages, number)| {
            vec![call(WriterId::from_u128(u128::MAX - number), 1, pages.iter().map(|page| (page.clone(), 1)).collect())]
        });
        self.drive(whole_site.collect(), How::Plain);
    }

    /// Sends an interval of so many `environments`, each a writer that the server knows, from a pool of intervals.
    pub(super) fn run(&mut self, pool: &[Interval], environments: u32, how: How) -> Reached {
        let writers = self.used..self.used + environments;
        self.used = writers.end;
        let jobs = writers.map(|writer| {
            let batches = pool[writer as usize % pool.len()].iter();
            batches
                .zip(2..)
                .map(|(content, sequence)| call_with(id(writer), sealed(sequence, content.clone())))
                .collect()
        });
        self.drive(jobs.collect(), how)
    }

    /// Folds what was sent; processor time of Redis, in s.
    pub(super) fn fold(&mut self) -> f64 {
        let before = self.server.cpu();
        self.runtime.block_on(fold_all(&self.folder, &self.ring));
        self.server.cpu().saturating_sub(before).as_secs_f64()
    }

    /// Works the jobs off, the calls of each in their order, over all connections.
    fn drive(&mut self, jobs: Vec<Vec<Apply>>, how: How) -> Reached {
        let jobs: Arc<[Vec<Apply>]> = jobs.into();
        let next = Arc::new(AtomicUsize::new(0));
        let counting = matches!(how, How::Counting | How::Folding);
        let (before, began) = (self.server.cpu(), Instant::now());
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                let (jobs, next, stores) =
                    (Arc::clone(&jobs), Arc::clone(&next), Arc::clone(&self.stores[usize::from(counting)]));
                let config = matches!(how, How::Reconnecting).then(|| self.config.clone());
                self.runtime.spawn(async move {
                    while let Some(calls) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        for call in calls {
                            match &config {
                                None => apply(&stores[number], call).await,
                                Some(config) => apply(&RedisStore::new(config).expect("it was right"), call).await,
                            }
                        }
                    }
                })
            })
            .collect();
        let folding = matches!(how, How::Folding).then(|| {
            let (folder, ring, sent) = (Arc::clone(&self.folder), self.ring.clone(), Arc::new(AtomicBool::new(false)));
            let (all_sent, next) = (Arc::clone(&sent), Arc::clone(&next));
            // Once more after the end: what is measured includes the fold of all that was sent.
            let folds = async move {
                let mut before = 0;
                while !all_sent.load(Ordering::Relaxed) {
                    let sending = next.load(Ordering::Relaxed);
                    if sending - before < BETWEEN_FOLDS {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    } else {
                        before = sending;
                        fold_all(&folder, &ring).await;
                    }
                }
                fold_all(&folder, &ring).await;
            };
            (self.runtime.spawn(folds), sent)
        });
        for task in tasks {
            self.runtime.block_on(task).expect("every call is answered");
        }
        if let Some((folds, sent)) = folding {
            sent.store(true, Ordering::Relaxed);
            self.runtime.block_on(folds).expect("all is folded");
        }
        let (wall, cpu) = (began.elapsed().as_secs_f64(), self.server.cpu().saturating_sub(before).as_secs_f64());
        reached(&jobs, wall, cpu)
    }
}

fn reached(jobs: &[Vec<Apply>], wall: f64, cpu: f64) -> Reached {
    let batches = || jobs.iter().flatten().flat_map(|call| &call.batches).map(|(batch, _)| batch);
    let count = batches().count() as f64;
    Reached {
        rate: count / wall,
        cpu: cpu * 1e6 / count,
        busy: cpu / wall,
        increments: batches().map(|batch| batch.pages()).sum::<usize>() as f64 / count,
        visits: batches().map(|batch| batch.visits()).sum::<u64>() as f64 / count,
    }
}

fn sealed(sequence: u64, content: Content) -> Batch {
    Batch::of(Sequence::new(sequence).expect("they count from 1"), content, Clock::system().now())
}

/// A writer as random as those are that the system draws.
fn id(number: u32) -> WriterId {
    WriterId::from_u128(u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}
