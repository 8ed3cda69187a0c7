//! Which environment an event goes to.

use crate::bench::{Bench, PROBE, answer, nothing, open, until};
use lambda_simulator::{Choice, EnvironmentId, EnvironmentState, InvokeError};
use serde_json::json;

/// Two environments, the second of which became idle after the first.
async fn two_idle(bench: &Bench) -> [EnvironmentId; 2] {
    let gates = [bench.file("first"), bench.file("second")];
    let mut pending = Vec::new();
    for (number, gate) in (1..).zip(&gates) {
        pending.push(bench.simulator.invoke(PROBE, json!({ "wait_for": gate }).to_string()));
        bench.wait_for_deliveries(number);
    }
    let mut environments = Vec::new();
    for (invocation, gate) in pending.into_iter().zip(&gates) {
        open(gate);
        let environment = invocation.await.unwrap().environment;
        until("it is idle", || bench.state(environment) == EnvironmentState::Idle);
        environments.push(environment);
    }
    environments.try_into().unwrap()
}

#[tokio::test]
async fn events_at_the_same_time_go_to_different_environments_and_a_later_one_to_an_idle_one() {
    let bench = Bench::with_variables(&[]);
    let [first, second] = two_idle(&bench).await;
    assert_ne!(first, second);
    let later = bench.invoke(nothing()).await;
    assert_eq!((later.environment, &answer(&later)["count"]), (second, &json!(2)));
    let invocations: Vec<_> = bench.simulator.environments().iter().map(|one| one.invocations).collect();
    assert_eq!(invocations, [1, 2]);
}

#[tokio::test]
async fn the_least_recently_used_environment_is_chosen_if_told() {
    let bench = Bench::new(|config| config.choice = Choice::LeastRecentlyUsed);
    let [first, _] = two_idle(&bench).await;
    assert_eq!(bench.invoke(nothing()).await.environment, first);
}

#[tokio::test]
async fn the_choice_can_be_changed() {
    let bench = Bench::new(|_| {});
    let [first, second] = two_idle(&bench).await;
    bench.simulator.set_choice(PROBE, Choice::LeastRecentlyUsed).unwrap();
    assert_eq!(bench.invoke(nothing()).await.environment, first);
    until("it is idle", || bench.state(first) == EnvironmentState::Idle);
    assert_eq!(bench.invoke(nothing()).await.environment, second);
    assert!(matches!(bench.simulator.set_choice("other", Choice::Random), Err(InvokeError::NotFound(_))));
}

#[tokio::test]
async fn a_random_choice_follows_its_seed() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let bench = Bench::new(|config| (config.choice, config.seed) = (Choice::Random, 7));
        let [first, second] = two_idle(&bench).await;
        let mut chosen = Vec::new();
        for _ in 0..12 {
            chosen.push(bench.invoke_and_settle(nothing()).await.environment == first);
        }
        assert!(chosen.contains(&true) && chosen.contains(&false), "{first} or {second} is never chosen");
        runs.push(chosen);
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn an_invocation_beyond_the_concurrency_limit_is_throttled() {
    let bench = Bench::new(|config| config.concurrency_limit = Some(1));
    let gate = bench.file("gate");
    let first = bench.simulator.invoke(PROBE, json!({ "wait_for": gate }).to_string());
    bench.wait_for_deliveries(1);
    assert_eq!(bench.simulator.invoke(PROBE, "{}").await.unwrap_err(), InvokeError::Throttled);
    open(&gate);
    assert!(first.await.is_ok());
    bench.settle().await;
    assert!(bench.simulator.invoke(PROBE, "{}").await.is_ok());
}
