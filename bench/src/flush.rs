//! One flush: exactly once through the script, side by side with the plain increments that it replaces; and with the
//! owner's statistics, side by side with a flush without.

use crate::figures::{Group, Row};
use crate::shards::{Shards, page};
use crate::{Effort, median, micros};
use fastrand::Rng;
use redis::aio::MultiplexedConnection;
use std::time::Instant;
use test_support::RedisServer;
use visits_core::batch::{Increment, MAX_BATCH_PAGES};
use visits_core::clock::Clock;
use visits_core::day::Day;
use visits_core::store::Apply;
use visits_core::visit::Visitor;

/// Flushes in a round: some 10 ms, long against the resolution of the processor time.
const FLUSHES: usize = 20;

/// Flushes that bring the first half of a day's visitors: one alone would leave the server's Lua with an unusual heap.
const FILLING: u64 = 50;

/// Visitors of the most visited page in a day; the n-th page has an n-th of them.
const VISITORS: u64 = 10_000;

/// One page in so many has a visit by a bot among its own.
const BOT_ON: usize = 10;

/// Medians of rounds: the time of a flush from call to answer in us, and the processor time of Redis for each page in ns.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    cpu: f64,
}

/// Measures plain flushes and pipelined INCRBY, without and with an append-only file; then flushes with statistics of one
/// day, and the first ones of their days.
pub fn flush(effort: Effort) -> Group {
    let rounds = effort.choose(30, 3);
    let [ours, plain] = Flushes::new(RedisServer::start()).against_increments(rounds);
    let logged = Flushes::new(RedisServer::builder().append_only(true).start()).against_increments(rounds);
    let mut rows = vec![
        Row::compared("A flush, from call to answer", "us", ours.wall, plain.wall).at_most(1.0),
        Row::compared("Redis CPU for each increment", "ns", ours.cpu, plain.cpu).at_most(2.0),
        Row::compared("A flush, with an append-only file", "us", logged[0].wall, logged[1].wall),
        Row::compared("Redis CPU for each increment, with an append-only file", "ns", logged[0].cpu, logged[1].cpu),
    ];
    for (what, first_of_days) in [("A flush with statistics", false), ("A day's first flush", true)] {
        let (ours, plain, fold) = Flushes::new(RedisServer::start()).with_statistics(rounds, first_of_days);
        let folded = format!("{what}, and its fold: Redis CPU for each page");
        rows.extend([
            Row::compared(format!("{what}, against one without"), "us", ours.wall, plain.wall).at_most(1.2),
            Row::compared(format!("{what}: Redis CPU for each page"), "ns", ours.cpu, plain.cpu).at_most(1.2),
            Row::compared(folded, "ns", ours.cpu + fold, plain.cpu),
        ]);
    }
    Group::new("flush", "500 pipelined INCRBY, or a flush without statistics", rows)
}

/// A server and a plain connection to it.
struct Flushes {
    shards: Shards,
    plain: MultiplexedConnection,
    random: Rng,
}

impl Flushes {
    fn new(server: RedisServer) -> Self {
        let client = redis::Client::open(server.url()).expect("the server's URL is one");
        let shards = Shards::new(vec![server]);
        let plain = shards.runtime.block_on(client.get_multiplexed_async_connection()).expect("the server answers");
        Self { shards, plain, random: Rng::with_seed(1) }
    }

    /// Flushes and increments in turn. The first round is not counted: pages, script and connections come to be there.
    fn against_increments(&mut self, rounds: usize) -> [Cost; 2] {
        let measured: Vec<_> = (0..=rounds).map(|_| [self.without_statistics(), self.pipelined()]).collect();
        [0, 1].map(|way| middle(measured[1..].iter().map(|round| round[way])))
    }

    /// Flushes with statistics and without in turn, and the processor time of Redis of the fold that follows each round
    /// (ns for each page). All are of one day, half of whose visitors have come, or each is the first of its day.
    fn with_statistics(&mut self, rounds: usize, first_of_days: bool) -> (Cost, Cost, f64) {
        let mut day = Day::of(Clock::system().now());
        if !first_of_days {
            for _ in 0..FILLING {
                let increments = self.increments(|_, visitors| (visitors / (2 * FILLING)).max(1));
                self.shards.apply(0, Some(day), increments);
                self.shards.fold();
            }
        }
        let measured: Vec<_> = (0..=rounds)
            .map(|_| {
                let without = self.without_statistics();
                let calls = (0..FLUSHES).map(|_| {
                    day = if first_of_days { day.plus(1) } else { day };
                    let increments = self.increments(|rank, _| 1 + rank as u64 % 2);
                    self.shards.call(Some(day), increments)
                });
                let calls: Vec<Apply> = calls.collect();
                let with = self.round(|this, number| this.shards.send(0, &calls[number]));
                let before = self.shards.cpu();
                self.shards.fold();
                (with, without, per_page(self.shards.cpu() - before))
            })
            .collect();
        let of = |cost: fn(&(Cost, Cost, f64)) -> Cost| middle(measured[1..].iter().map(cost));
        (of(|round| round.0), of(|round| round.1), median(measured[1..].iter().map(|round| round.2)))
    }

    fn without_statistics(&mut self) -> Cost {
        let calls: Vec<Apply> = (0..FLUSHES)
            .map(|_| {
                let increments = (1..=MAX_BATCH_PAGES).map(|rank| (page(rank), visits(rank))).collect();
                self.shards.call(None, increments)
            })
            .collect();
        self.round(|this, number| this.shards.send(0, &calls[number]))
    }

    fn pipelined(&mut self) -> Cost {
        self.round(|this, _| {
            let mut pipeline = redis::pipe();
            for rank in 1..=MAX_BATCH_PAGES {
                pipeline.cmd("INCRBY").arg(format!("visits:{}", page(rank))).arg(visits(rank)).ignore();
            }
            this.shards.runtime.block_on(pipeline.exec_async(&mut this.plain)).expect("the server answers");
        })
    }

    fn round(&mut self, mut flush: impl FnMut(&mut Self, usize)) -> Cost {
        let before = self.shards.cpu();
        let times: Vec<f64> = (0..FLUSHES)
            .map(|number| {
                let began = Instant::now();
                flush(self, number);
                micros(began.elapsed())
            })
            .collect();
        Cost { wall: median(times), cpu: per_page(self.shards.cpu() - before) }
    }

    /// Increments of a batch. `some` says how many of its visitors a page brings, by its rank and the visitors of its day.
    fn increments(&mut self, some: impl Fn(usize, u64) -> u64) -> Vec<Increment> {
        let increment = |rank: usize| {
            let known = (VISITORS / rank as u64).max(4);
            let draw = |_| Visitor(Rng::with_seed(((rank as u64) << 32) + self.random.u64(..known)).u64(..));
            let mut visitors: Vec<Visitor> = (0..some(rank, known)).map(draw).collect();
            visitors.sort_unstable();
            visitors.dedup();
            let bots = u64::from(rank.is_multiple_of(BOT_ON));
            Increment { page: page(rank), visits: visits(rank) + bots, bots, visitors }
        };
        (1..=MAX_BATCH_PAGES).map(increment).collect()
    }
}

/// Visits of a page in a batch: the most visited one has some 300, the n-th an n-th of them.
fn visits(rank: usize) -> u64 {
    1 + 300 / rank as u64
}

/// Nanoseconds for each page of a round that took so many seconds.
fn per_page(seconds: f64) -> f64 {
    seconds * 1e9 / (MAX_BATCH_PAGES * FLUSHES) as f64
}

fn middle(rounds: impl Iterator<Item = Cost> + Clone) -> Cost {
    Cost { wall: median(rounds.clone().map(|cost| cost.wall)), cpu: median(rounds.map(|cost| cost.cpu)) }
}
