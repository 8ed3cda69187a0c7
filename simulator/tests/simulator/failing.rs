//! Functions that fail, as a client and a test see them.

use crate::bench::{Bench, PROBE, answer, error, nothing, until};
use lambda_simulator::{Ending, EnvironmentState, FunctionConfig, InvokeError};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn an_error_of_the_function_is_its_answer() {
    let bench = Bench::with_variables(&[]);
    let failed = bench.invoke(json!({ "fail": "no such page" })).await;
    assert_eq!(error(&failed)["errorMessage"], "no such page");
    bench.settle().await;
    assert_eq!(answer(&bench.invoke(nothing()).await)["count"], 2);
}

#[tokio::test]
async fn a_crash_fails_its_invocation() {
    let bench = Bench::with_variables(&[]);
    let pending = bench.simulator.invoke(PROBE, json!({ "wait_for": bench.file("never") }).to_string());
    bench.wait_for_deliveries(1);
    let id = bench.simulator.environments()[0].id;
    assert_eq!(bench.simulator.crash(id).await, Some(Ending::Crashed));
    let failed = pending.await.unwrap();
    let message = format!("RequestId: {} Error: Runtime exited with error: signal: 9 (SIGKILL)", failed.request_id);
    assert_eq!(error(&failed), json!({ "errorType": "Runtime.ExitError", "errorMessage": message }));
}

#[tokio::test]
async fn a_frozen_environment_can_crash() {
    let bench = Bench::with_variables(&[("PROBE_EXTENSION", "quiet")]);
    let id = bench.invoke_and_settle(nothing()).await.environment;
    assert_eq!(bench.simulator.crash(id).await, Some(Ending::Crashed));
    assert_ne!(bench.invoke(nothing()).await.environment, id);
}

#[tokio::test]
async fn a_process_that_exits_fails_its_invocation() {
    let bench = Bench::with_variables(&[]);
    let failed = bench.invoke(json!({ "exit": 3 })).await;
    let reason = error(&failed)["errorMessage"].as_str().unwrap().to_owned();
    assert!(reason.ends_with("Runtime exited with error: exit status: 3"), "{reason}");
    let EnvironmentState::Dead(Ending::Exited(status)) = bench.state(failed.environment) else { panic!("it lives") };
    assert_eq!(status.code(), Some(3));
}

#[tokio::test]
async fn a_process_that_exits_at_its_start_fails_the_invocation_that_waits() {
    let bench = Bench::with_variables(&[("PROBE_EXIT_AT_START", "1")]);
    assert_eq!(error(&bench.invoke(nothing()).await)["errorType"], "Runtime.ExitError");
}

#[tokio::test]
async fn a_start_that_takes_too_long_is_ended() {
    let never = [("PROBE_NEVER_READY".to_owned(), "1".to_owned())];
    let bench = Bench::new(|config| (config.env, config.init_limit) = (never.into(), Duration::from_millis(50)));
    let failed = bench.invoke(nothing()).await;
    assert_eq!(error(&failed)["errorType"], "Sandbox.Timedout");
    assert_eq!(bench.state(failed.environment), EnvironmentState::Dead(Ending::TimedOut));
}

#[tokio::test]
async fn a_program_that_cannot_run_fails_the_invocation() {
    let bench = Bench::with_variables(&[]);
    let file = tempfile::NamedTempFile::new().unwrap();
    bench.simulator.deploy(FunctionConfig::new("text", file.path())).unwrap();
    let failed = bench.simulator.invoke("text", "").await.unwrap();
    assert_eq!(error(&failed)["errorType"], "Runtime.InvalidEntrypoint");
    assert_eq!(bench.state(failed.environment), EnvironmentState::Dead(Ending::NotStarted));
}

#[tokio::test]
async fn an_invocation_that_takes_too_long_is_ended_with_its_environment() {
    let bench = Bench::new(|config| config.timeout = Duration::from_millis(250));
    let failed = bench.invoke(json!({ "wait_for": bench.file("never") })).await;
    let message = format!("RequestId: {} Error: Task timed out after 0.25 seconds", failed.request_id);
    assert_eq!(error(&failed), json!({ "errorType": "Sandbox.Timedout", "errorMessage": message }));
    let ended = EnvironmentState::Dead(Ending::TimedOut);
    until("it is killed", || bench.state(failed.environment) == ended);
}

#[tokio::test]
async fn work_after_the_response_counts_towards_the_timeout() {
    // Long enough for the answer on a busy machine, since it must come before the end.
    let bench = Bench::new(|config| config.timeout = Duration::from_secs(2));
    let answered = bench.invoke(json!({ "then_wait_for": bench.file("never") })).await;
    assert_eq!(answered.function_error, None);
    let ended = EnvironmentState::Dead(Ending::TimedOut);
    until("it is killed", || bench.state(answered.environment) == ended);
}

#[tokio::test]
async fn an_unknown_function_is_not_found() {
    let bench = Bench::with_variables(&[]);
    let unknown = bench.simulator.invoke("other", "{}").await.unwrap_err();
    assert_eq!(unknown, InvokeError::NotFound("other".into()));
}
