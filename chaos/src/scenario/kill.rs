//! Environments killed with SIGKILL: what is lost is exactly what they had not flushed, and that is no more
//! than the visits of one interval.

use crate::client::keep_visiting;
use crate::ledger::Acknowledged;
use crate::report::Row;
use crate::world::{INTERVAL, Setup, World};
use fastrand::Rng;
use lambda_simulator::EnvironmentId;
use std::sync::Arc;
use std::time::Duration;

/// Extent of the scenario.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Environments at a time.
    pub environments: usize,
    /// Times that half of them are killed.
    pub rounds: u32,
}

/// Figures of the killed environments.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    killed: u32,
    /// Visits acknowledged by them and not flushed.
    unflushed: u64,
    /// The most that one of them took along.
    most: u64,
    /// Of those of one environment, the longest time from the first one's answer to the last one's sending.
    longest: Duration,
}

/// Runs it.
///
/// # Panics
/// If an environment is gone before it is killed.
pub async fn run(size: Size) -> Vec<Row> {
    let world = Arc::new(World::start(&Setup::default()));
    let mut rng = Rng::with_seed(1);
    let mut found = Found::default();
    for round in 0..size.rounds {
        let clients = keep_visiting(&world, size.environments, u64::from(round));
        tokio::time::sleep(INTERVAL + Duration::from_millis(rng.u64(..300))).await;
        // None has an event when it is killed, so every visit has its answer.
        clients.stop().await;
        world.settle().await;
        let mut idle = world.idle();
        rng.shuffle(&mut idle);
        for environment in idle.iter().take(idle.len() / 2) {
            world.lambda.crash(*environment).await.expect("it lives");
            found.add(&world, *environment);
        }
    }
    world.come_to_rest().await;
    rows(size, &world, found)
}

impl Found {
    fn add(&mut self, world: &World, environment: EnvironmentId) {
        let visits = world.ledger.visits_of(environment);
        let flushed = usize::try_from(world.logged(environment, "flushed", "visits")).expect("a small number");
        let lost: &[Acknowledged] = visits.get(flushed..).unwrap_or_default();
        self.killed += 1;
        self.unflushed += lost.len() as u64;
        self.most = self.most.max(lost.len() as u64);
        if let (Some(first), Some(last)) = (lost.first(), lost.last()) {
            self.longest = self.longest.max(last.sent.saturating_duration_since(first.answered));
        }
    }
}

fn rows(size: Size, world: &World, found: Found) -> Vec<Row> {
    let verdict = world.verdict();
    let Found { killed, unflushed, most, longest } = found;
    let name = format!("{killed} environments killed (SIGKILL), {} at a time", size.environments);
    let (acknowledged, counted) = (verdict.acknowledged, verdict.counted);
    vec![
        Row::told(&name, "acknowledged / counted", format!("{acknowledged} / {counted}")),
        Row::claimed(
            &name,
            "lost / not flushed by the killed",
            format!("{} / {unflushed}", verdict.lost),
            verdict.lost == unflushed,
        ),
        Row::claimed(&name, "counted twice", verdict.doubled, verdict.doubled == 0),
        Row::claimed(&name, "not on their day, or skipped", verdict.undated, verdict.undated == 0),
        Row::claimed(
            &name,
            "most that one took along / over what time",
            format!("{most} visits / {longest:.0?} of an interval of {INTERVAL:?}"),
            longest <= INTERVAL,
        ),
    ]
}
