//! SIGTERM: how long an environment takes to bring its visits to safety, with healthy shards and without.

use crate::client::page;
use crate::report::Row;
use crate::world::{RECORD, Setup, World};
use fastrand::Rng;
use fault_proxy::Fault;
use lambda_simulator::{Choice, Ending};
use std::time::Duration;

/// Extent of the scenario.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Environments shut down under each condition.
    pub environments: usize,
}

/// Environments shut down at a time: few, so that they do not wait for the processor.
const AT_A_TIME: usize = 4;

/// Visits that each holds.
const VISITS: usize = 25;

/// Runs it with both shards healthy, and one refused, mute, or with connections that are dead without saying so.
pub async fn run(size: Size) -> Vec<Row> {
    let conditions = [
        ("2 healthy shards", Fault::None),
        ("one shard refused", Fault::Refuse),
        ("one shard mute", Fault::Mute),
        ("connections to one shard half-open", Fault::HalfOpen),
    ];
    let mut rows = Vec::new();
    for (name, fault) in conditions {
        rows.extend(run_once(size, name, fault).await);
    }
    rows
}

async fn run_once(size: Size, condition: &str, fault: Fault) -> Vec<Row> {
    // The first visit of an environment goes out at once, and lets it connect; the others stay.
    // Redis' timeouts are the default ones, longer than the 500 ms that Lambda gives.
    let env = vec![
        ("VISITS_FLUSH_INTERVAL", "10m".to_owned()),
        ("REDIS_CONNECT_TIMEOUT", "500ms".to_owned()),
        ("REDIS_TIMEOUT", "1s".to_owned()),
    ];
    let world = World::start(&Setup { choice: Choice::LeastRecentlyUsed, env, ..Setup::default() });
    let (mut times, mut too_slow) = (Vec::new(), 0);
    while times.len() + too_slow < size.environments {
        fill(&world).await;
        world.servers.proxy(0).set(fault);
        for (_, ending) in world.lambda.reap_all().await {
            match ending {
                Ending::ShutDown { after, .. } => times.push(after),
                _ => too_slow += 1,
            }
        }
        world.servers.proxy(0).heal();
    }
    world.come_to_rest().await;
    let verdict = world.verdict();
    let name = format!("SIGTERM, {condition}, {} environments with {VISITS} visits each", size.environments);
    vec![
        Row::claimed(&name, "time to exit: p50 / p99 / longest", percentiles(&mut times), too_slow == 0),
        Row::claimed(&name, "killed after 500 ms", too_slow, too_slow == 0),
        Row::claimed(
            &name,
            "lost / counted twice / not on their day",
            format!("{} / {} / {}", verdict.lost, verdict.doubled, verdict.undated),
            verdict.is_exact(),
        ),
    ]
}

/// Environments that are connected and hold visits for both shards.
async fn fill(world: &World) {
    for _ in 0..AT_A_TIME {
        world.lambda.prewarm(RECORD).await.expect("it is deployed");
    }
    world.settle().await;
    let mut rng = Rng::with_seed(7);
    for _ in 0..AT_A_TIME * VISITS {
        world.visit(&page(&mut rng)).await;
        world.settle().await;
    }
}

fn percentiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |hundredths: usize| times.get((times.len() * hundredths / 100).min(times.len().saturating_sub(1)));
    let shown = [50, 99, 100].map(|hundredths| at(hundredths).map_or("none".to_owned(), |time| format!("{time:.1?}")));
    shown.join(" / ")
}
