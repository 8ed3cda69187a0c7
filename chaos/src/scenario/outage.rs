//! One shard is out of reach for five minutes under load: no visit is refused, none is lost, and once it is back
//! the counts are right within the next run of the schedule.

use crate::client::keep_visiting;
use crate::report::Row;
use crate::world::{SCALE, SCHEDULE, Setup, World};
use fault_proxy::Fault;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Extent of the scenario.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Clients at a time.
    pub clients: usize,
    /// For how long the shard is gone, in production's time.
    pub down: Duration,
}

/// Most runs of the schedule that are waited for.
const RUNS: u32 = 20;

/// Runs it with a shard that refuses connections, and with one that is mute.
pub async fn run(size: Size) -> Vec<Row> {
    let mut rows = Vec::new();
    for (how, fault) in [("refused", Fault::Refuse), ("mute", Fault::Mute)] {
        rows.extend(run_once(size, how, fault).await);
    }
    rows
}

async fn run_once(size: Size, how: &str, fault: Fault) -> Vec<Row> {
    let world = Arc::new(World::start(&Setup::default()));
    let clients = keep_visiting(&world, size.clients, 1);
    let down = size.down / SCALE;
    tokio::time::sleep(SCHEDULE).await;
    world.servers.proxy(0).set(fault);
    let schedule = world.spawn_schedule();
    tokio::time::sleep(down).await;
    schedule.abort();

    let told = world.ledger.acknowledged();
    let (parked, before) = (world.servers.copies(), world.ledger.total());
    world.servers.proxy(0).heal();
    let back = Instant::now();
    let runs = runs_until_right(&world, &told).await;
    let took = back.elapsed();
    clients.stop().await;
    world.come_to_rest().await;

    let verdict = world.verdict();
    let (refused, unknown) = (world.ledger.refused(), world.ledger.unknown());
    let name = format!("one of two shards {how} for {:?} under load", size.down);
    vec![
        Row::claimed(
            &name,
            "acknowledged / counted",
            format!("{} / {}", verdict.acknowledged, verdict.counted),
            verdict.is_exact(),
        ),
        Row::claimed(&name, "refused / without an answer", format!("{refused} / {unknown}"), refused + unknown == 0),
        Row::claimed(
            &name,
            "lost / counted twice",
            format!("{} / {}", verdict.lost, verdict.doubled),
            verdict.is_exact(),
        ),
        Row::told(&name, "visits until it was back / copies parked then", format!("{before} / {parked}")),
        Row::claimed(
            &name,
            "right again after",
            format!("{} runs of the schedule, {took:.1?}", runs.map_or("more".to_owned(), |runs| runs.to_string())),
            runs.is_some_and(|runs| runs <= 2),
        ),
    ]
}

/// Runs the schedule until every visit in `told` is counted; how many runs that took.
async fn runs_until_right(world: &World, told: &BTreeMap<String, u64>) -> Option<u32> {
    for run in 1..=RUNS {
        let next = Instant::now() + SCHEDULE;
        if let Err(error) = world.scheduled_flush().await {
            eprintln!("a scheduled flush failed: {error}");
        }
        tokio::time::sleep_until(next.into()).await;
        let counted = world.servers.counts().pages;
        if told.iter().all(|(page, visits)| counted.get(page).is_some_and(|count| count >= visits)) {
            return Some(run);
        }
    }
    None
}
