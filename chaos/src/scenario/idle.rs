//! Idle environments that hold visits: how soon the sweep has them pushed, how many it reaches, and what an idle
//! site costs afterwards.
//!
//! The sweep cannot choose whom it invokes: Lambda gives each invocation to an idle environment of its choice.
//! A round of as many invocations as may run at once reaches as many different ones, since each holds its
//! answer; the next round may meet the same again. If the choice is random all are met in time; if it is the one
//! used last, a round meets those of the round before.

use crate::report::Row;
use crate::world::{RECORD, SCHEDULE, Setup, World};
use lambda_simulator::Choice;
use std::time::Duration;

/// Extent of the scenario.
#[derive(Clone, Debug)]
pub struct Size {
    /// Numbers of idle environments.
    pub environments: Vec<usize>,
    /// Most runs of the schedule until all is pushed.
    pub runs: u32,
    /// Further runs on the site that is idle then: an hour has 60. Half of them must take longer than the interval here.
    pub runs_idle: u32,
}

/// Time until an environment counts as idle: long enough here to prepare fifty of them.
const INTERVAL: Duration = Duration::from_secs(3);

/// Runs it for each number of environments, each choice and some skews.
pub async fn run(size: Size) -> Vec<Row> {
    let mut rows = Vec::new();
    for &environments in &size.environments {
        for (choice, named) in [(Choice::Random, "at random"), (Choice::MostRecentlyUsed, "used last")] {
            for (concurrency, skew) in [(5, 50), (5, 300), (20, 50)] {
                let name = format!(
                    "{environments} idle environments, chosen {named}, {concurrency} at once, starts within {skew} ms"
                );
                rows.extend(run_once(&name, &size, environments, choice, concurrency, skew).await);
            }
            if environments == 1 {
                break;
            }
        }
    }
    rows
}

async fn run_once(
    name: &str,
    size: &Size,
    environments: usize,
    choice: Choice,
    concurrency: usize,
    skew: u64,
) -> Vec<Row> {
    let env = vec![
        ("VISITS_FLUSH_INTERVAL", format!("{}ms", INTERVAL.as_millis())),
        ("VISITS_SWEEP_CONCURRENCY", concurrency.to_string()),
    ];
    let world = World::start(&Setup { choice: Choice::LeastRecentlyUsed, env, ..Setup::default() });
    hold_visits(&world, environments).await;
    world.lambda.set_choice(RECORD, choice).expect("it is deployed");
    world.lambda.set_start_skew(RECORD, Duration::ZERO..Duration::from_millis(skew)).expect("it is deployed");
    tokio::time::sleep(INTERVAL).await;

    let first = world.scheduled_flush().await.expect("the schedule runs");
    let reached = environments - holding(&world);
    let rounds = first["rounds"].as_u64().unwrap_or_default();
    let mut runs = 1;
    while holding(&world) > 0 && runs < size.runs {
        let _ = world.scheduled_flush().await;
        runs += 1;
    }
    let left = holding(&world);
    let pushed = format!("{reached} of {environments} in {rounds} rounds; {left} left after {runs} runs");
    let mut rows = vec![match environments {
        1 => Row::claimed(name, "pushed by the first run", pushed, reached == 1),
        _ => Row::told(name, "pushed by the first run", pushed),
    }];
    if left == 0 {
        rows.push(idle_hour(name, size, &world).await);
    }
    world.come_to_rest().await;
    let verdict = world.verdict();
    let found = format!("{} / {} / {}", verdict.lost, verdict.doubled, verdict.undated);
    rows.push(Row::claimed(name, "lost / counted twice / not on their day", found, verdict.is_exact()));
    rows
}

/// Counts the invocations of an idle site once all is pushed: some to confirm it, then none.
async fn idle_hour(name: &str, size: &Size, world: &World) -> Row {
    let mut halves = [0, 0];
    for run in 0..size.runs_idle {
        let before = invocations(world);
        let _ = world.scheduled_flush().await;
        halves[usize::from(run >= size.runs_idle / 2)] += invocations(world) - before;
        tokio::time::sleep(SCHEDULE).await;
    }
    let found = format!("{} / {}", halves[0], halves[1]);
    Row::claimed(name, "invocations for the sweep in the hour after it: first half / second", found, halves[1] == 0)
}

/// So many environments, each with one visit flushed and one that it holds.
async fn hold_visits(world: &World, environments: usize) {
    for _ in 0..environments {
        world.lambda.prewarm(RECORD).await.expect("it is deployed");
    }
    world.settle().await;
    for visit in 0..environments * 2 {
        world.visit(&format!("page-{visit}")).await;
        world.settle().await;
    }
    assert_eq!(holding(world), environments, "each holds a visit");
}

/// Environments that hold a visit.
fn holding(world: &World) -> usize {
    let holds = |&&environment: &&_| {
        let flushed = world.logged(environment, "flushed", "visits");
        (world.ledger.visits_of(environment).len() as u64) > flushed
    };
    world.idle().iter().filter(holds).count()
}

fn invocations(world: &World) -> u64 {
    let environments = world.lambda.environments().into_iter().filter(|environment| environment.function == RECORD);
    environments.map(|environment| environment.invocations).sum()
}
