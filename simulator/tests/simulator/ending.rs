//! Environments are taken away, and nothing stays behind.

use crate::bench::{Bench, PROBE, nothing, open, until};
use lambda_simulator::{Ending, EnvironmentState};
use rustix::process::{Pid, test_kill_process};
use serde_json::json;
use std::time::{Duration, Instant};

const ASKED: &str = "the probe was asked to end";

#[tokio::test]
async fn an_environment_with_an_extension_may_end_by_itself() {
    let bench = Bench::with_variables(&[("PROBE_EXTENSION", "quiet")]);
    let id = bench.invoke_and_settle(nothing()).await.environment;
    let ending = bench.simulator.reap(id).await.unwrap();
    // Slower than it may be, on a machine that has no time for it, it is killed: that is no failure of the simulator.
    assert!(matches!(ending, Ending::ShutDown { status, .. } if status.success()) || ending == Ending::ShutDownTooSlow);
    assert_eq!(bench.state(id), EnvironmentState::Dead(ending));
    if ending != Ending::ShutDownTooSlow {
        assert!(bench.simulator.output(id).contains(ASKED));
    }
    assert_eq!(bench.simulator.reap(id).await, None);
}

#[tokio::test]
async fn an_environment_that_does_not_end_by_itself_has_half_a_second() {
    let bench = Bench::with_variables(&[("PROBE_EXTENSION", "stubborn")]);
    let id = bench.invoke_and_settle(nothing()).await.environment;
    let started = Instant::now();
    assert_eq!(bench.simulator.reap(id).await, Some(Ending::ShutDownTooSlow));
    assert!(started.elapsed() >= Duration::from_millis(500));
}

#[tokio::test]
async fn an_environment_without_an_extension_is_killed_at_once() {
    let bench = Bench::with_variables(&[]);
    let id = bench.invoke_and_settle(nothing()).await.environment;
    assert_eq!(bench.simulator.reap(id).await, Some(Ending::Reaped));
    assert!(!bench.simulator.output(id).contains(ASKED));
    let next = bench.invoke(nothing()).await;
    assert_ne!(next.environment, id);
}

#[tokio::test]
async fn only_idle_environments_are_reaped() {
    let bench = Bench::with_variables(&[("PROBE_EXTENSION", "quiet")]);
    let gate = bench.file("gate");
    let busy = bench.invoke(json!({ "then_wait_for": gate })).await.environment;
    let idle = bench.invoke(nothing()).await.environment;
    until("it is idle", || bench.state(idle) == EnvironmentState::Idle);
    assert_eq!(bench.simulator.reap(busy).await, None);
    let reaped: Vec<_> = bench.simulator.reap_all().await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(reaped, [idle]);
    open(&gate);
    bench.settle().await;
    assert_eq!(bench.simulator.reap_all().await.len(), 1);
}

#[tokio::test]
async fn nothing_is_left_when_the_simulator_is_dropped() {
    let bench = Bench::with_variables(&[]);
    let gate = bench.file("never");
    let pending = [0, 1].map(|_| bench.simulator.invoke(PROBE, json!({ "wait_for": gate }).to_string()));
    bench.wait_for_deliveries(2);
    let frozen = bench.invoke(nothing()).await.environment;
    until("one is frozen", || bench.state(frozen) == EnvironmentState::Idle);
    let environments = bench.simulator.environments();
    assert_eq!(environments.len(), 3);
    let processes = environments.iter().map(|environment| environment.process_id.unwrap());
    let processes: Vec<_> = processes.map(|id| Pid::from_raw(i32::try_from(id).unwrap()).unwrap()).collect();
    assert!(processes.iter().all(|process| test_kill_process(*process).is_ok()));
    drop(bench);
    assert!(processes.iter().all(|process| test_kill_process(*process).is_err()));
    for invocation in pending {
        assert_eq!(invocation.await.unwrap_err(), lambda_simulator::InvokeError::Stopped);
    }
}
