//! Visits that come while SIGTERM is dealt with: they are refused or counted, and none that was
//! acknowledged is lost. Only where an environment has several events at once can one come then.

use crate::client::keep_visiting;
use crate::report::Row;
use crate::world::{INTERVAL, RECORD, Setup, World};
use lambda_simulator::{EnvironmentState, Mode};
use rustix::process::{Pid, Signal, kill_process};
use std::sync::Arc;
use std::time::Duration;

/// Extent of the scenario.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Environments that get SIGTERM, one after the other.
    pub environments: u32,
}

/// Clients, and events at once in one environment.
const CLIENTS: usize = 16;

/// Longest wait for the process to end: Lambda's bound is 500 ms; whether it holds is another scenario.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs it.
///
/// # Panics
/// If a process does not end.
pub async fn run(size: Size) -> Vec<Row> {
    let mode = Mode::ManagedInstances { max_concurrency: CLIENTS };
    let world = Arc::new(World::start(&Setup { mode, ..Setup::default() }));
    let clients = keep_visiting(&world, CLIENTS, 1);
    for _ in 0..size.environments {
        tokio::time::sleep(INTERVAL).await;
        terminate_all(&world).await;
    }
    clients.stop().await;
    world.come_to_rest().await;
    let verdict = world.verdict();
    let name = format!("visits during SIGTERM, {} environments with {CLIENTS} visits at once", size.environments);
    let (acknowledged, counted) = (verdict.acknowledged, verdict.counted);
    vec![
        Row::told(&name, "acknowledged / counted", format!("{acknowledged} / {counted}")),
        Row::told(
            &name,
            "refused / without an answer",
            format!("{} / {}", world.ledger.refused(), world.ledger.unknown()),
        ),
        Row::claimed(
            &name,
            "lost / counted twice / not on their day",
            format!("{} / {} / {}", verdict.lost, verdict.doubled, verdict.undated),
            verdict.is_exact(),
        ),
    ]
}

/// Sends SIGTERM to every environment that lives, as Lambda does when it replaces an instance, and waits until they
/// have ended.
async fn terminate_all(world: &World) {
    let mut environments = world.lambda.environments();
    environments.retain(|one| one.function == RECORD && !matches!(one.state, EnvironmentState::Dead(_)));
    for environment in &environments {
        let pid = environment.process_id.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It fails only for one that has ended.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
    let dead = |id| world.lambda.environment(id).is_none_or(|one| matches!(one.state, EnvironmentState::Dead(_)));
    let ended = async {
        while !environments.iter().all(|one| dead(one.id)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("a process ends after SIGTERM");
}
