//! Many environments at once on one server.

use super::traffic::Interval;
use crate::server::{Server, apply, call, one_thread, page};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use test_support::RedisServer;
use tokio::runtime::Runtime;
use visits_core::batch::{MAX_BATCH_PAGES, WriterId};
use visits_core::config::Config;
use visits_core::ring::Ring;
use visits_core::store::Apply;
use visits_core::store::redis::RedisStore;

/// Connections, each with one call at a time: enough that the server always has one to read.
const CONNECTIONS: usize = 64;

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
    stores: Arc<[RedisStore]>,
    config: Config,
    pub(super) ring: Ring,
    /// How many of the known writers have sent.
    used: u32,
}

impl Load {
    pub(super) fn new(pages: u32, writers: u32) -> Self {
        let server = Server::new(RedisServer::start());
        let stores = (0..CONNECTIONS).map(|_| server.store()).collect();
        let config = server.config();
        let ring = config.ring();
        let mut load = Self { server, runtime: one_thread(), stores, config, ring, used: 0 };
        load.seed(pages, writers);
        load
    }

    /// Nothing of this is measured.
    fn seed(&mut self, pages: u32, writers: u32) {
        let pages: Vec<_> = (0..pages as usize).map(page).filter(|page| self.ring.owner(page.as_str()) == 0).collect();
        let known = (0..writers).map(|writer| vec![call(id(writer), 1, vec![(pages[0].clone(), 1)])]).collect();
        self.drive(known, false);
        let whole_site = pages.chunks(MAX_BATCH_PAGES).zip(0..);
        let whole_site = whole_site.map(|(pages, number)| {
            vec![call(WriterId::from_u128(u128::MAX - number), 1, pages.iter().map(|page| (page.clone(), 1)).collect())]
        });
        self.drive(whole_site.collect(), false);
    }

    /// Sends an interval of so many `environments`, each a writer that the server knows, from a pool of intervals. With
    /// `reconnect` each call has a connection of its own.
    pub(super) fn run(&mut self, pool: &[Interval], environments: u32, reconnect: bool) -> Reached {
        let writers = self.used..self.used + environments;
        self.used = writers.end;
        let jobs = writers.map(|writer| {
            let batches = pool[writer as usize % pool.len()].iter();
            batches.zip(2..).map(|(increments, sequence)| call(id(writer), sequence, increments.clone())).collect()
        });
        self.drive(jobs.collect(), reconnect)
    }

    /// Works the jobs off, the calls of each in their order, over all connections.
    fn drive(&mut self, jobs: Vec<Vec<Apply>>, reconnect: bool) -> Reached {
        let jobs: Arc<[Vec<Apply>]> = jobs.into();
        let next = Arc::new(AtomicUsize::new(0));
        let (before, began) = (self.server.cpu(), Instant::now());
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                let (jobs, next, stores) = (Arc::clone(&jobs), Arc::clone(&next), Arc::clone(&self.stores));
                let config = reconnect.then(|| self.config.clone());
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
        for task in tasks {
            self.runtime.block_on(task).expect("every call is answered");
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

/// A writer as random as those are that the system draws.
fn id(number: u32) -> WriterId {
    WriterId::from_u128(u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}
