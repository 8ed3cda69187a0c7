//! Input of a function, and the settings of its deployment.

use crate::bench::{Bench, PROBE, answer, nothing};
use lambda_simulator::{FunctionConfig, http_api_event};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Variables that a function has of the environment of the test, if they are set there.
const INHERITED: [&str; 2] = ["HOME", "PATH"];

async fn variable(bench: &Bench, name: &str) -> Value {
    answer(&bench.invoke_and_settle(json!({ "variable": name })).await)["variable"].clone()
}

#[tokio::test]
async fn a_function_sees_its_own_variables_and_lambdas_but_not_the_developers() {
    let bench = Bench::with_variables(&[("VISITS_NAMESPACE", "mine"), ("AWS_REGION", "us-east-1")]);
    assert_eq!(variable(&bench, "AWS_LAMBDA_FUNCTION_NAME").await, PROBE);
    assert_eq!(variable(&bench, "AWS_LAMBDA_INITIALIZATION_TYPE").await, "on-demand");
    assert_eq!(variable(&bench, "AWS_LAMBDA_MAX_CONCURRENCY").await, Value::Null);
    assert_eq!(variable(&bench, "VISITS_NAMESPACE").await, "mine");
    assert_eq!(variable(&bench, "AWS_REGION").await, "us-east-1");
    let names = answer(&bench.invoke(nothing()).await)["variables"].clone();
    let others: BTreeSet<_> = names.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let others: Vec<_> =
        others.into_iter().filter(|name| !name.starts_with("AWS_") && !INHERITED.contains(name)).collect();
    // The runtime itself sets the trace id.
    assert_eq!(others, ["LANG", "TZ", "VISITS_NAMESPACE", "_HANDLER", "_X_AMZN_TRACE_ID"]);
}

#[tokio::test]
async fn an_event_comes_with_its_id_deadline_and_arn() {
    let bench = Bench::new(|config| config.timeout = Duration::from_secs(100));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let invocation = bench.invoke(nothing()).await;
    let seen = answer(&invocation);
    assert_eq!(seen["request_id"], invocation.request_id);
    assert_eq!(seen["arn"], "arn:aws:lambda:eu-central-1:123456789012:function:probe");
    let left = u128::from(seen["deadline"].as_u64().unwrap()) - now;
    assert!((100_000..160_000).contains(&left), "{left}");
}

#[tokio::test]
async fn output_can_be_searched() {
    let bench = Bench::with_variables(&[]);
    let id = bench.invoke(nothing()).await.environment;
    assert!(bench.simulator.output(id).contains("the probe starts"));
}

#[tokio::test]
async fn starts_are_skewed_as_told() {
    let skew = Duration::from_millis(80);
    let bench = Bench::new(|config| config.start_skew = skew..skew * 2);
    let began = Instant::now();
    bench.invoke(nothing()).await;
    assert!(began.elapsed() >= skew);
}

#[tokio::test]
async fn a_program_must_exist() {
    let bench = Bench::with_variables(&[]);
    assert!(bench.simulator.deploy(FunctionConfig::new("other", "no/such/program")).is_err());
}

#[test]
fn an_http_event_holds_the_decoded_path() {
    let event = http_api_event("POST", "/visit/a b");
    assert_eq!((&event["version"], &event["rawPath"]), (&json!("2.0"), &json!("/visit/a b")));
    assert_eq!(event["requestContext"]["http"]["method"], "POST");
}
