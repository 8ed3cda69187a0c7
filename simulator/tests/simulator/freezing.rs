//! When an environment stands still, and for how long it thinks it did.

use crate::bench::{Bench, answer, nothing, open, until};
use lambda_simulator::{EnvironmentId, EnvironmentState};
use serde_json::json;
use std::fs;
use std::time::Duration;

/// A freeze that cannot be mistaken for a slow machine's pause.
const LONG: Duration = Duration::from_millis(60);

/// The number in a file; 0 as long as nothing was written to it, as when a freeze came before.
fn number(path: &str) -> u64 {
    fs::read_to_string(path).unwrap().parse().unwrap_or_default()
}

fn wait_until_frozen_for(bench: &Bench, id: EnvironmentId, time: Duration) {
    until("the environment is frozen", || bench.info(id).frozen_for >= time);
}

#[tokio::test]
async fn a_frozen_environment_stands_still_until_the_next_event() {
    let folder = tempfile::tempdir().unwrap();
    let ticks = folder.path().join("ticks").to_string_lossy().into_owned();
    let bench = Bench::with_variables(&[("PROBE_TICKS", &ticks)]);
    let id = bench.invoke_and_settle(nothing()).await.environment;
    let before = bench.info(id).frozen_for;
    wait_until_frozen_for(&bench, id, before + LONG);
    let frozen_at = number(&ticks);
    wait_until_frozen_for(&bench, id, before + 3 * LONG);
    assert_eq!(number(&ticks), frozen_at);

    let gate = bench.file("gate");
    let invocation = bench.simulator.invoke("probe", json!({ "wait_for": gate }).to_string());
    until("the thread counts again", || number(&ticks) > frozen_at);
    open(&gate);
    assert_eq!(invocation.await.unwrap().environment, id);
}

#[tokio::test]
async fn an_environment_freezes_after_its_start_before_any_event() {
    let bench = Bench::with_variables(&[("PROBE_EXTENSION", "quiet")]);
    let id = bench.simulator.prewarm("probe").await.unwrap();
    bench.settle().await;
    assert_eq!(bench.state(id), EnvironmentState::Idle);
    wait_until_frozen_for(&bench, id, LONG);
    let invocation = bench.invoke(nothing()).await;
    assert_eq!(invocation.environment, id);
}

#[tokio::test]
async fn work_after_the_response_delays_no_client_and_holds_the_environment() {
    let bench = Bench::with_variables(&[]);
    let gate = bench.file("gate");
    let first = bench.invoke(json!({ "then_wait_for": gate })).await;
    assert_eq!(bench.state(first.environment), EnvironmentState::Busy);
    let second = bench.invoke(nothing()).await;
    assert_ne!(second.environment, first.environment);
    open(&gate);
    bench.settle().await;
    assert_eq!(bench.state(first.environment), EnvironmentState::Idle);
}

#[tokio::test]
async fn the_frozen_clock_adds_up_and_the_process_knows_where_it_is() {
    let bench = Bench::with_variables(&[("PROBE_CLOCK", "minus:{frozen_clock}")]);
    let first = bench.invoke_and_settle(json!({ "variable": "PROBE_CLOCK" })).await;
    let value = answer(&first)["variable"].as_str().unwrap().to_owned();
    let path = value.strip_prefix("minus:").unwrap();
    let (id, mut last) = (first.environment, Duration::from_nanos(number(path)));
    for _ in 0..2 {
        wait_until_frozen_for(&bench, id, last + LONG);
        let gate = bench.file("never-waits");
        open(&gate);
        bench.invoke(json!({ "wait_for": gate })).await;
        let total = Duration::from_nanos(number(path));
        assert!(total >= last + LONG && total <= bench.info(id).frozen_for);
        assert_eq!(fs::read_to_string(path).unwrap().len(), 20);
        last = total;
    }
}
