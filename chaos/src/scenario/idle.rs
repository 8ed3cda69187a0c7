//! Idle environments that hold visits: how soon the sweep has them pushed, how many it reaches, and what an idle
//! site costs afterwards.
//!
//! The sweep cannot choose whom it invokes: Lambda gives each invocation to an idle environment of its choice.
//! A round of as many invocations as may run at once reaches as many different ones, since each holds its
//! answer; the next round may meet the same again. If the choice is random all are met in time; if it is the one
//! used last, a round meets those of the round before.

use crate::report::Row;
use crate::world::{RECORD, Setup, World};
use lambda_simulator::Choice;
use std::ops::Range;
use std::time::Duration;

/// How much of it.
#[derive(Clone, Debug)]
pub struct Size {
    /// Numbers of idle environments.
    pub environments: Vec<usize>,
    /// Runs of the schedule on the idle site that stand for an hour.
    pub runs_an_hour: u32,
}

/// Time until an environment counts as idle: long enough here to prepare fifty of them.
const INTERVAL: Duration = Duration::from_secs(3);

/// By how much the starts of invocations differ.
const SKEWS: [Range<Duration>; 2] =
    [Duration::ZERO..Duration::from_millis(50), Duration::ZERO..Duration::from_millis(300)];

/// Runs it for each number of environments, each choice and some skews.
pub async fn run(size: Size) -> Vec<Row> {
    let mut rows = Vec::new();
    for &environments in &size.environments {
        for (choice, named) in [(Choice::Random, "at random"), (Choice::MostRecentlyUsed, "used last")] {
            for concurrency in [5, 20] {
                if environments == 1 && concurrency > 5 {
                    continue;
                }
                for skew in SKEWS {
                    let name = format!(
                        "{environments} idle environments, chosen {named}, {concurrency} at once, starts within {:?}",
                        skew.end
                    );
                    rows.extend(run_once(&name, &size, environments, choice, concurrency, skew).await);
                }
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
    skew: Range<Duration>,
) -> Vec<Row> {
    let env = vec![
        ("VISITS_FLUSH_INTERVAL", format!("{}ms", INTERVAL.as_millis())),
        ("VISITS_SWEEP_CONCURRENCY", concurrency.to_string()),
    ];
    let world = World::start(&Setup { choice: Choice::LeastRecentlyUsed, env, ..Setup::default() });
    hold_visits(&world, environments).await;
    world.lambda.set_choice(RECORD, choice).expect("it is deployed");
    world.lambda.set_start_skew(RECORD, skew).expect("it is deployed");
    tokio::time::sleep(INTERVAL).await;

    let first = world.scheduled_flush().await.expect("the schedule runs");
    let reached = environments - holding(&world);
    let rounds = first["rounds"].as_u64().unwrap_or_default();
    let mut halves = [0, 0];
    let mut runs = (reached == environments).then_some(1);
    for run in 2..=size.runs_an_hour {
        let before = invocations(&world);
        let _ = world.scheduled_flush().await;
        halves[usize::from(run > size.runs_an_hour / 2)] += invocations(&world) - before;
        runs = runs.or_else(|| (holding(&world) == 0).then_some(run));
    }
    let left = holding(&world);
    world.come_to_rest().await;
    let verdict = world.ledger.compare(&world.servers.counted());
    let until = runs.map_or(format!("{left} left after {}", size.runs_an_hour), |runs| runs.to_string());
    let pushed = format!("{reached} of {environments} in {rounds} rounds; runs until all: {until}");
    vec![
        match environments {
            1 => Row::claimed(name, "pushed by the first run", pushed, reached == 1),
            _ => Row::told(name, "pushed by the first run", pushed),
        },
        Row::claimed(
            name,
            "invocations for the sweep in the next hour: first half / second half",
            format!("{} / {}", halves[0], halves[1]),
            runs.is_none() || halves[1] == 0,
        ),
        Row::claimed(
            name,
            "lost / counted twice",
            format!("{} / {}", verdict.lost, verdict.doubled),
            verdict.is_exact(),
        ),
    ]
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
    world.lambda.counts(RECORD).map_or(0, |counts| counts.invocations)
}
