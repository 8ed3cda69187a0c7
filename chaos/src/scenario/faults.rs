//! Many visits over many environments, while they are frozen, reaped with SIGTERM, cut off from their
//! servers and the servers restarted: the counts are exact.

use crate::client::load;
use crate::ledger::Verdict;
use crate::report::Row;
use crate::world::{Setup, World};
use fastrand::Rng;
use fault_proxy::Fault;
use lambda_simulator::Ending;
use std::sync::Arc;
use std::time::Duration;

/// Extent of the scenario.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Visits for each seed.
    pub visits: u64,
    /// Environments at a time.
    pub environments: usize,
    /// Seeds.
    pub seeds: u64,
}

/// Time between two disturbances: some happen within each interval.
const PACE: Duration = Duration::from_millis(40);

/// Events of one run.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    verdict: Verdict,
    refused: u64,
    unknown: u64,
    reaped: u64,
    too_slow: u64,
    restarts: u64,
    faults: u64,
}

/// Runs it with every seed.
pub async fn run(size: Size) -> Vec<Row> {
    let mut sum = Run::default();
    let mut inexact = Vec::new();
    for seed in 1..=size.seeds {
        let run = run_once(size, seed).await;
        eprintln!("seed {seed}: {run:?}");
        if !run.verdict.is_exact() {
            inexact.push(seed);
        }
        sum = sum.plus(&run);
    }
    let Size { visits, environments, seeds } = size;
    let name = format!("{visits} visits over {environments} environments, faults, SIGTERM, restarts; {seeds} seeds");
    let Run { verdict, refused, unknown, reaped, too_slow, restarts, faults } = sum;
    vec![
        Row::claimed(
            &name,
            "acknowledged / counted",
            format!("{} / {}", verdict.acknowledged, verdict.counted),
            inexact.is_empty(),
        ),
        Row::claimed(&name, "lost", verdict.lost, verdict.lost == 0),
        Row::claimed(&name, "counted twice", verdict.doubled, verdict.doubled == 0),
        Row::claimed(&name, "not on their day, or skipped", verdict.undated, verdict.undated == 0),
        Row::told(&name, "seeds that were not exact", format!("{inexact:?}")),
        Row::told(&name, "refused (throttled by Lambda) / without an answer", format!("{refused} / {unknown}")),
        Row::told(&name, "environments reaped / killed after 500 ms", format!("{reaped} / {too_slow}")),
        Row::told(&name, "faults of the proxies / restarts of Redis", format!("{faults} / {restarts}")),
    ]
}

async fn run_once(size: Size, seed: u64) -> Run {
    // Some more than clients: an environment whose flush is held up takes no visit meanwhile.
    let concurrency = Some(size.environments * 6 / 5);
    let world = Arc::new(World::start(&Setup { seed, concurrency, ..Setup::default() }));
    let mut clients = load(&world, size.environments, size.visits, seed);
    let schedule = world.spawn_schedule();
    let mut run = Run::default();
    let mut rng = Rng::with_seed(seed);
    while !clients.is_empty() {
        tokio::select! {
            _ = clients.join_next() => {}
            () = tokio::time::sleep(PACE) => disturb(&world, &mut rng, &mut run).await,
        }
    }
    schedule.abort();
    run.faults = (0..2).map(|shard| world.servers.proxy(shard).faults()).sum();
    world.come_to_rest().await;
    run.verdict = world.verdict();
    if !run.verdict.is_exact() {
        world.keep_logs(&format!("faults-{seed}"));
    }
    (run.refused, run.unknown) = (world.ledger.refused(), world.ledger.unknown());
    run
}

/// One disturbance. At most one shard is troubled at a time: with all shards out of reach, an environment
/// that is reaped has nowhere to put its visits, which is another claim.
async fn disturb(world: &World, rng: &mut Rng, run: &mut Run) {
    let shard = rng.usize(..2);
    let proxy = |shard: usize| world.servers.proxy(shard);
    match rng.u32(..20) {
        0..8 => reap_one(world, rng, run).await,
        8..10 => {
            proxy(1 - shard).heal();
            world.servers.restart(shard);
            run.restarts += 1;
        }
        10..17 => {
            proxy(1 - shard).heal();
            proxy(shard).plan(rng.u64(..), &rates(rng), Duration::from_millis(300));
        }
        17 => {
            proxy(1 - shard).heal();
            let faults = [Fault::Refuse, Fault::Mute, Fault::MuteLate, Fault::HalfOpen, Fault::Delay(PACE / 4)];
            proxy(shard).set(faults[rng.usize(..faults.len())]);
        }
        _ => (0..2).for_each(|shard| proxy(shard).heal()),
    }
}

/// Every kind of fault, each now and then.
fn rates(rng: &mut Rng) -> [(f64, Fault); 7] {
    let rate = rng.f64() * 0.2;
    [
        (rate / 4.0, Fault::Refuse),
        (rate / 8.0, Fault::Mute),
        (rate / 8.0, Fault::MuteLate),
        (rate, Fault::Delay(Duration::from_millis(30))),
        (rate, Fault::CutAfterApply),
        (rate, Fault::CutBeforeApply),
        (rate / 8.0, Fault::HalfOpen),
    ]
}

/// Lambda takes an idle environment away.
async fn reap_one(world: &World, rng: &mut Rng, run: &mut Run) {
    let mut idle = world.idle();
    rng.shuffle(&mut idle);
    for environment in idle {
        // One that has just got an event is not idle any more.
        match world.lambda.reap(environment).await {
            Some(Ending::ShutDown { .. }) => run.reaped += 1,
            Some(_) => run.too_slow += 1,
            None => continue,
        }
        return;
    }
}

impl Run {
    fn plus(self, other: &Self) -> Self {
        let (a, b) = (self.verdict, other.verdict);
        Self {
            verdict: Verdict {
                acknowledged: a.acknowledged + b.acknowledged,
                counted: a.counted + b.counted,
                lost: a.lost + b.lost,
                doubled: a.doubled + b.doubled,
                undated: a.undated + b.undated,
            },
            refused: self.refused + other.refused,
            unknown: self.unknown + other.unknown,
            reaped: self.reaped + other.reaped,
            too_slow: self.too_slow + other.too_slow,
            restarts: self.restarts + other.restarts,
            faults: self.faults + other.faults,
        }
    }
}
