//! Flushes and their plain counterparts, in turn.

use super::days::Traffic;
use crate::server::{Server, apply, call_with, fold_all, one_thread, page};
use crate::statistics::median;
use redis::aio::MultiplexedConnection;
use serde::Serialize;
use std::time::Instant;
use test_support::RedisServer;
use tokio::runtime::Runtime;
use visits_core::batch::{Batch, Sequence, WriterId};
use visits_core::clock::Clock;
use visits_core::page::PageId;
use visits_core::ring::Ring;
use visits_core::store::redis::RedisStore;

/// Increments in a round: some 10 ms, long against the resolution of the processor time.
const INCREMENTS: usize = 10_000;

/// Most flushes in a round: with few pages each takes as long as its round trip.
const FLUSHES: usize = 200;

/// Flushes that bring a day's first half of visitors: one alone would leave the server's Lua with an unusual heap.
const FILLING: usize = 50;

/// What one way of flushing takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Cost {
    /// A flush, from call to answer, in us.
    pub(super) wall: f64,
    /// Processor time of Redis for each increment, in ns.
    pub(super) cpu: f64,
}

/// Both ways at one size.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Costs {
    pub(super) pages: f64,
    pub(super) ours: Cost,
    pub(super) plain: Cost,
}

/// Both ways at one size, ours with statistics and the plain one without.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct WithDays {
    pub(super) costs: Costs,
    /// Processor time of Redis of the fold, for each increment, in ns.
    pub(super) fold: f64,
}

/// A server with a store and a plain connection.
pub(super) struct Measured {
    server: Server,
    runtime: Runtime,
    /// Without statistics, and with them.
    store: RedisStore,
    counting: RedisStore,
    ring: Ring,
    plain: MultiplexedConnection,
    sequence: u64,
}

impl Measured {
    pub(super) fn new(server: RedisServer) -> Self {
        let (server, runtime) = (Server::new(server), one_thread());
        let (store, counting, ring) = (server.store(), server.counting(), server.config().ring());
        let plain = server.client(&runtime);
        Self { server, runtime, store, counting, ring, plain, sequence: 0 }
    }

    /// Both ways in turn.
    pub(super) fn compare(&mut self, pages: usize, rounds: usize) -> Costs {
        let increments: Vec<(PageId, u64)> = batch(pages);
        // Not counted: the pages, the script and the connections come to be there.
        self.ours(&increments);
        self.pipelined(&increments);
        let (mut ours, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(self.ours(&increments));
            plain.push(self.pipelined(&increments));
        }
        Costs { pages: pages as f64, ours: middle(&ours), plain: middle(&plain) }
    }

    /// Plain increments, each with a round trip of its own.
    pub(super) fn one_by_one(&mut self, pages: usize, rounds: usize) -> Cost {
        let increments: Vec<(PageId, u64)> = batch(pages);
        let round = |_| {
            self.round(pages, 1, |this| {
                for (page, visits) in &increments {
                    let mut command = redis::cmd("INCRBY");
                    command.arg(key(page)).arg(*visits);
                    this.runtime.block_on(command.exec_async(&mut this.plain)).expect("the server answers");
                }
            })
        };
        middle(&(0..rounds).map(round).collect::<Vec<_>>())
    }

    /// Flushes of one day, with visitors and bots, in turn with flushes of no day. Pages, months and sketches are there.
    pub(super) fn compare_days(&mut self, pages: usize, rounds: usize) -> WithDays {
        let mut traffic = Traffic::new();
        for part in 0..FILLING {
            self.flush(pages, 1, |sequence| traffic.fill(sequence, pages, part, FILLING));
            self.fold(pages);
        }
        self.compare_with(pages, rounds, |sequence| traffic.flush(sequence, pages))
    }

    /// The same with flushes that are the first ones of their days: every sketch is new.
    pub(super) fn compare_first_of_days(&mut self, pages: usize, rounds: usize) -> WithDays {
        let mut traffic = Traffic::new();
        self.compare_with(pages, rounds, |sequence| {
            traffic.begin_next_day();
            traffic.flush(sequence, pages)
        })
    }

    fn compare_with(&mut self, pages: usize, rounds: usize, mut seal: impl FnMut(u64) -> Batch) -> WithDays {
        let increments: Vec<(PageId, u64)> = batch(pages);
        let (mut plain, mut ours, mut folds) = (Vec::new(), Vec::new(), Vec::new());
        // The first round is not counted: pages, scripts and connections come to be there.
        for round in 0..=rounds {
            let measured = [self.ours(&increments), self.flush(pages, flushes(pages), &mut seal)];
            let fold = self.fold(pages);
            if round > 0 {
                plain.push(measured[0]);
                ours.push(measured[1]);
                folds.push(fold);
            }
        }
        WithDays {
            costs: Costs { pages: pages as f64, ours: middle(&ours), plain: middle(&plain) },
            fold: median(&folds),
        }
    }

    /// Folds what a round of flushes has left; processor time of Redis for each increment, in ns.
    fn fold(&mut self, pages: usize) -> f64 {
        let before = self.server.cpu();
        self.runtime.block_on(fold_all(&self.counting, &self.ring));
        let cpu = self.server.cpu().saturating_sub(before);
        cpu.as_secs_f64() * 1e9 / (pages * flushes(pages)) as f64
    }

    fn ours(&mut self, increments: &[(PageId, u64)]) -> Cost {
        let seal = |sequence| {
            let sequence = Sequence::new(sequence).expect("they count from 1");
            Batch::seal(sequence, increments.to_vec(), Clock::system().now())
        };
        self.flush(increments.len(), flushes(increments.len()), seal)
    }

    fn flush(&mut self, pages: usize, flushes: usize, mut seal: impl FnMut(u64) -> Batch) -> Cost {
        let first = self.sequence + 1;
        self.sequence += flushes as u64;
        let sealed = (first..=self.sequence).map(|sequence| call_with(WriterId::from_u128(1), seal(sequence)));
        let mut calls = sealed.collect::<Vec<_>>().into_iter();
        self.round(pages, flushes, |this| {
            let call = calls.next().expect("there is one for each flush");
            let store = if call.batches[0].0.day().is_some() { &this.counting } else { &this.store };
            this.runtime.block_on(apply(store, &call));
        })
    }

    fn pipelined(&mut self, increments: &[(PageId, u64)]) -> Cost {
        self.round(increments.len(), flushes(increments.len()), |this| {
            let mut pipeline = redis::pipe();
            for (page, visits) in increments {
                pipeline.cmd("INCRBY").arg(key(page)).arg(*visits).ignore();
            }
            this.runtime.block_on(pipeline.exec_async(&mut this.plain)).expect("the server answers");
        })
    }

    fn round(&mut self, pages: usize, flushes: usize, mut flush: impl FnMut(&mut Self)) -> Cost {
        let before = self.server.cpu();
        let times = (0..flushes).map(|_| {
            let began = Instant::now();
            flush(self);
            began.elapsed().as_secs_f64() * 1e6
        });
        let times: Vec<f64> = times.collect();
        let cpu = self.server.cpu().saturating_sub(before);
        Cost { wall: median(&times), cpu: cpu.as_secs_f64() * 1e9 / (pages * flushes) as f64 }
    }
}

/// How many flushes of this size make a round.
fn flushes(pages: usize) -> usize {
    (INCREMENTS / pages).min(FLUSHES)
}

/// A batch's increments: the most visited page has some 300 visits, the n-th an n-th of them.
fn batch(pages: usize) -> Vec<(PageId, u64)> {
    (1..=pages).map(|rank| (page(rank), 1 + 300 / rank as u64)).collect()
}

fn key(page: &PageId) -> String {
    format!("visits:{page}")
}

fn middle(rounds: &[Cost]) -> Cost {
    let of = |figure: fn(&Cost) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
    Cost { wall: of(|cost| cost.wall), cpu: of(|cost| cost.cpu) }
}
