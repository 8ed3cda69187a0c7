//! Several events in one environment, which never freezes.

use crate::bench::{Bench, PROBE, answer, error, nothing, open, until};
use lambda_simulator::{EnvironmentState, Mode};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

const CONCURRENCY: usize = 4;

fn bench() -> Bench {
    Bench::new(|config| config.mode = Mode::ManagedInstances { max_concurrency: CONCURRENCY })
}

#[tokio::test]
async fn one_environment_serves_many_events_at_once_and_a_full_one_is_joined_by_another() {
    let bench = bench();
    let gate = bench.file("gate");
    let event = json!({ "wait_for": gate, "variable": "AWS_LAMBDA_MAX_CONCURRENCY" }).to_string();
    let pending: Vec<_> = (0..=CONCURRENCY).map(|_| bench.simulator.invoke(PROBE, event.clone())).collect();
    bench.wait_for_deliveries(CONCURRENCY as u64 + 1);
    let mut invocations = Vec::new();
    open(&gate);
    for invocation in pending {
        invocations.push(invocation.await.unwrap());
    }
    let environments: BTreeSet<_> = invocations.iter().map(|invocation| invocation.environment).collect();
    assert_eq!(environments.len(), 2);
    let mut delivered: Vec<_> = environments.iter().map(|id| bench.info(*id).invocations).collect();
    delivered.sort_unstable();
    assert_eq!(delivered, [1, CONCURRENCY as u64]);
    assert_eq!(answer(&invocations[0])["variable"], "4");
}

#[tokio::test]
async fn an_idle_managed_instance_runs_on() {
    let folder = tempfile::tempdir().unwrap();
    let ticks = folder.path().join("ticks").to_string_lossy().into_owned();
    let bench = Bench::new(|config| {
        config.mode = Mode::ManagedInstances { max_concurrency: CONCURRENCY };
        config.env = vec![("PROBE_TICKS".into(), ticks.clone())];
    });
    let id = bench.invoke_and_settle(nothing()).await.environment;
    let count = || fs::read_to_string(&ticks).unwrap().parse::<u64>().unwrap_or_default();
    let idle_at = count();
    until("the thread counts on", || count() > idle_at + 20);
    assert_eq!(bench.state(id), EnvironmentState::Idle);
    assert_eq!(bench.info(id).frozen_for, Duration::ZERO);
}

#[tokio::test]
async fn a_timeout_leaves_a_managed_instance_alone() {
    let bench = Bench::new(|config| {
        config.mode = Mode::ManagedInstances { max_concurrency: 2 };
        // Long enough for the second answer on a busy machine.
        config.timeout = Duration::from_secs(2);
    });
    let gate = bench.file("gate");
    let failed = bench.invoke(json!({ "wait_for": gate })).await;
    assert_eq!(error(&failed)["errorType"], "Sandbox.Timedout");
    open(&gate);
    bench.settle().await;
    let next = bench.invoke(nothing()).await;
    assert_eq!((next.environment, answer(&next)["count"].as_u64()), (failed.environment, Some(2)));
}
