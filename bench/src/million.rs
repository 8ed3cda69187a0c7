//! One million visits a second on two Redis endpoints: the flushes of 100,000 environments with 10 visits a second each,
//! half of whose pages are on one server.

use crate::figures::{Group, Row};
use crate::invocations::Popular;
use crate::shards::{Shards, apply, call, fold_all, page, random_writer, sealed};
use crate::{Effort, median};
use fastrand::Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use test_support::RedisServer;
use visits_core::batch::{Content, MAX_BATCH_PAGES};
use visits_core::buffer::Buffer;
use visits_core::clock::Clock;
use visits_core::config::Config;
use visits_core::day::Day;
use visits_core::ring::Ring;
use visits_core::store::Apply;
use visits_core::store::redis::RedisStore;
use visits_core::visit::{Fingerprint, Secret, Visit};

/// Environments of standard Lambda, which takes 10 requests a second in each.
const ENVIRONMENTS: u32 = 100_000;

/// Visits of an environment in an interval of 30 s.
const VISITS: u32 = 300;

/// Requests at once in an environment of Managed Instances.
const SLOTS: u32 = 64;

/// Pages of the site.
const SITE: u32 = 100_000;

/// Visitors of a day. Each request is another environment's, so that few visits of an interval are by the same one.
const VISITORS: u32 = 10_000_000;

/// Connections, each with one call at a time: enough that the server always has one to read.
const CONNECTIONS: usize = 64;

/// Environments that have sent between two folds: some half of a second's, which is how long a fold takes.
const BETWEEN_FOLDS: usize = 1_500;

/// Batches of an environment in an interval.
type Interval = Vec<Content>;

/// Result of a round. Processor time is that of Redis.
#[derive(Clone, Copy)]
struct Reached {
    /// Batches a second.
    rate: f64,
    /// Processor time of a batch in us.
    cpu: f64,
    /// Increments and visits in a batch.
    increments: f64,
    visits: f64,
}

/// Measures batches without statistics and with them, alone and while another program folds them, in turn.
pub fn million(effort: Effort) -> Group {
    let (environments, pool) = (effort.choose(3_500, 200), effort.choose(2_000, 100));
    let mut load = Load::new(effort.choose(ENVIRONMENTS, 2_000));
    let (popular, today) = (Popular::new(SITE), Day::of(Clock::system().now()));
    let intervals = |count, visits, day| -> Vec<Interval> {
        let mut random = Rng::with_seed(1);
        (0..count).map(|_| interval(&popular, &mut random, &load.shards.ring, visits, day)).collect()
    };
    let (plain, counted) = (intervals(pool, VISITS, None), intervals(pool, VISITS, Some(today)));
    let managed = intervals(effort.choose(40, 5), VISITS * SLOTS, None);
    let mut rounds: [Vec<Reached>; 4] = Default::default();
    let mut folds = Vec::new();
    for _ in 0..effort.choose(5, 1) {
        rounds[0].push(load.run(&plain, environments, false));
        rounds[1].push(load.run(&managed, effort.choose(100, 10), false));
        rounds[2].push(load.run(&counted, environments, false));
        let before = load.shards.cpu();
        load.shards.fold();
        folds.push((load.shards.cpu() - before) * 1e6 / f64::from(environments));
        rounds[3].push(load.run(&counted, environments, true));
    }
    let [plain, managed, counting, folding] = rounds.each_ref().map(|rounds| middle(rounds));
    Group::new("million", "needed, or without statistics", rows(plain, managed, counting, folding, median(folds)))
}

fn rows(plain: Reached, managed: Reached, counting: Reached, folding: Reached, fold: f64) -> Vec<Row> {
    let needed = f64::from(ENVIRONMENTS) / 30.0;
    let visits = 1e6 / plain.cpu * plain.visits;
    let for_a_visit = |reached: Reached| reached.cpu * 1e3 / reached.visits;
    let cpu = |what, ours| Row::compared(what, "us", ours, plain.cpu);
    vec![
        Row::compared("Batches that one server took", "1/s", plain.rate, needed).at_least(1.0),
        Row::alone("Increments in a batch", "increments", plain.increments),
        Row::alone("Visits in a batch", "visits", plain.visits),
        Row::alone("Redis CPU for a batch", "us", plain.cpu),
        Row::compared("Visits for which one core of it would do", "1/s", visits, needed * f64::from(VISITS) / 2.0),
        cpu("With statistics: Redis CPU for a batch, against one without", counting.cpu).at_most(1.2),
        cpu("With statistics and their fold: Redis CPU for a batch, against one without", counting.cpu + fold)
            .at_most(1.6),
        Row::alone("Redis CPU of the fold for a visit", "ns", fold * 1e3 / counting.visits),
        Row::compared(
            "With statistics and folds beside: batches that one server took and folded",
            "1/s",
            folding.rate,
            needed,
        )
        .at_least(1.0),
        Row::compared(
            "With statistics and folds beside: batches for which one core of it would do",
            "1/s",
            1e6 / folding.cpu,
            needed,
        )
        .at_least(1.0),
        Row::compared(
            "Managed Instances: Redis CPU for a visit, against standard Lambda",
            "ns",
            for_a_visit(managed),
            for_a_visit(plain),
        ),
    ]
}

/// Returns the medians; but the rate is the best round's: whatever else the machine does can only lower it.
fn middle(rounds: &[Reached]) -> Reached {
    let of = |figure: fn(&Reached) -> f64| median(rounds.iter().map(figure));
    Reached {
        rate: rounds.iter().map(|round| round.rate).fold(0.0, f64::max),
        cpu: of(|round| round.cpu),
        increments: of(|round| round.increments),
        visits: of(|round| round.visits),
    }
}

/// Returns an interval with so many `visits`, of which the first shard gets its pages'. A batch goes as soon as it is full,
/// the last one at the end. With a `day` they are of it, one in ten by a bot and the others by visitors.
fn interval(popular: &Popular, random: &mut Rng, ring: &Ring, visits: u32, day: Option<Day>) -> Interval {
    let secret: Secret = "000102030405060708090a0b0c0d0e0f".parse().expect("this is a secret");
    let (mut buffer, mut batches) = (Buffer::default(), Vec::new());
    for _ in 0..visits {
        let page = page(popular.draw(random));
        if ring.owner(page.as_str()) == 0 {
            let bot = day.is_some() && random.u32(..10) == 0;
            let visitor = (day.is_some() && !bot).then(|| random.u32(..VISITORS).to_string());
            let visitor = visitor.map(|address| Fingerprint::of(&address, "an agent"));
            buffer.add(Visit { page, bot, visitor }, day);
        }
        if buffer.pages() >= MAX_BATCH_PAGES {
            batches.extend(buffer.take_next(|_| Some(&secret)));
        }
    }
    batches.extend(buffer.take_next(|_| Some(&secret)));
    batches
}

/// A server that has all pages of the site, and known writers that have not sent since.
struct Load {
    shards: Shards,
    /// Stores without statistics and with them, for each connection.
    stores: [Arc<[RedisStore]>; 2],
    /// Known writers that have sent.
    used: u32,
}

impl Load {
    /// Nothing of this is measured.
    fn new(writers: u32) -> Self {
        let shards = Shards::new(vec![RedisServer::start()]);
        let stores = [0, shards.config.history_days].map(|history_days| {
            let config = Config { history_days, ..shards.config.clone() };
            (0..CONNECTIONS).map(|_| RedisStore::new(&config).expect("good addresses")).collect()
        });
        let mut load = Self { shards, stores, used: 0 };
        let pages: Vec<_> =
            (0..SITE as usize).map(page).filter(|page| load.shards.ring.owner(page.as_str()) == 0).collect();
        let first = Content { increments: vec![(pages[0].clone(), 1).into()], ..Content::default() };
        let known = (0..writers).map(|writer| vec![call(random_writer(writer), sealed(1, first.clone()))]);
        load.drive(known.collect(), false);
        for some in pages.chunks(MAX_BATCH_PAGES) {
            load.shards.apply(0, None, some.iter().map(|page| (page.clone(), 1)).collect());
        }
        load
    }

    /// Sends an interval of so many `environments`, each a writer that the server knows, from a pool of intervals.
    fn run(&mut self, pool: &[Interval], environments: u32, folds: bool) -> Reached {
        let of_writer = |writer: u32| {
            let batches = pool[writer as usize % pool.len()].iter().zip(2..);
            batches.map(|(content, sequence)| call(random_writer(writer), sealed(sequence, content.clone()))).collect()
        };
        let jobs = (self.used..self.used + environments).map(of_writer).collect();
        self.used += environments;
        self.drive(jobs, folds)
    }

    /// Works the jobs off, the calls of each in their order, over all connections; with `folds` beside.
    fn drive(&mut self, jobs: Vec<Vec<Apply>>, folds: bool) -> Reached {
        let counting = jobs[0][0].batches[0].0.day().is_some();
        let (jobs, next) = (Arc::<[Vec<Apply>]>::from(jobs), Arc::new(AtomicUsize::new(0)));
        let (before, began) = (self.shards.cpu(), Instant::now());
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                let (jobs, next) = (Arc::clone(&jobs), Arc::clone(&next));
                let stores = Arc::clone(&self.stores[usize::from(counting)]);
                self.shards.runtime.spawn(async move {
                    while let Some(calls) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        for call in calls {
                            apply(&stores[number], 0, call).await;
                        }
                    }
                })
            })
            .collect();
        let all_sent = Arc::new(AtomicBool::new(!folds));
        let folding = self.shards.runtime.spawn({
            let (store, ring, all_sent) =
                (Arc::clone(&self.shards.store), self.shards.ring.clone(), Arc::clone(&all_sent));
            async move {
                let mut before = 0;
                while !all_sent.load(Ordering::Relaxed) {
                    let sending = next.load(Ordering::Relaxed);
                    if sending - before < BETWEEN_FOLDS {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    } else {
                        before = sending;
                        fold_all(&store, &ring).await;
                    }
                }
                // Once more after the end: what is measured includes the fold of all that was sent.
                if folds {
                    fold_all(&store, &ring).await;
                }
            }
        });
        for task in tasks {
            self.shards.runtime.block_on(task).expect("every call is answered");
        }
        all_sent.store(true, Ordering::Relaxed);
        self.shards.runtime.block_on(folding).expect("all is folded");
        let (wall, cpu) = (began.elapsed().as_secs_f64(), self.shards.cpu() - before);
        let batches = || jobs.iter().flatten().flat_map(|call| &call.batches).map(|(batch, _)| batch);
        let count = batches().count() as f64;
        Reached {
            rate: count / wall,
            cpu: cpu * 1e6 / count,
            increments: batches().map(|batch| batch.pages()).sum::<usize>() as f64 / count,
            visits: batches().map(|batch| batch.visits()).sum::<u64>() as f64 / count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use visits_core::shard::Weight;

    #[test]
    fn a_busy_interval_is_sent_in_full_batches_and_a_quiet_one_in_one() {
        let shards = ["a", "b"].map(|name| (name.parse().unwrap(), Weight::default()));
        let (ring, popular, mut random) = (Ring::new(shards).unwrap(), Popular::new(10_000), Rng::with_seed(1));
        assert_eq!(interval(&popular, &mut random, &ring, 300, None).len(), 1);
        let busy = interval(&popular, &mut random, &ring, 10_000, None);
        let sizes: Vec<usize> = busy.iter().map(|batch| batch.increments.len()).collect();
        assert!(sizes.len() > 2, "{sizes:?}");
        assert!(sizes[..sizes.len() - 1].iter().all(|&size| size == MAX_BATCH_PAGES), "{sizes:?}");
    }
}
