//! The Invoke API over HTTP.

use crate::bench::{Bench, PROBE};
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

/// One call with this invocation type; an empty type sends no header.
fn call(bench: &Bench, function: &str, kind: &str, payload: &str) -> Response<Body> {
    let agent: Agent = Agent::config_builder().http_status_as_error(false).build().into();
    let url = format!("{}/2015-03-31/functions/{function}/invocations", bench.simulator.invoke_endpoint());
    let request = agent.post(url);
    let request = if kind.is_empty() { request } else { request.header("X-Amz-Invocation-Type", kind) };
    request.send(payload).unwrap()
}

fn header<'a>(answer: &'a Response<Body>, name: &str) -> &'a str {
    answer.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

fn body(mut answer: Response<Body>) -> Value {
    answer.body_mut().read_to_string().unwrap().parse().unwrap()
}

#[test]
fn an_invocation_is_answered_by_name_and_by_arn() {
    let bench = Bench::with_variables(&[]);
    for name in ["probe", "arn%3Aaws%3Alambda%3Aeu-central-1%3A123456789012%3Afunction%3Aprobe%3A%24LATEST"] {
        let answer = call(&bench, name, "", "{}");
        assert_eq!((answer.status().as_u16(), header(&answer, "x-amz-function-error")), (200, ""));
        assert_eq!(header(&answer, "x-amz-executed-version"), "$LATEST");
        assert!(body(answer)["count"].is_u64());
    }
}

#[test]
fn an_error_of_the_function_is_marked_in_a_header() {
    let bench = Bench::with_variables(&[]);
    let answer = call(&bench, PROBE, "RequestResponse", r#"{"fail":"no"}"#);
    assert_eq!((answer.status().as_u16(), header(&answer, "x-amz-function-error")), (200, "Unhandled"));
    assert_eq!(body(answer)["errorMessage"], "no");
}

#[test]
fn refusals_have_the_status_and_type_that_the_sdk_expects() {
    let bench = Bench::new(|config| config.concurrency_limit = Some(0));
    let refusals = [
        (call(&bench, "other", "", "{}"), 404, "ResourceNotFoundException"),
        (call(&bench, PROBE, "", "{}"), 429, "TooManyRequestsException"),
        (call(&bench, PROBE, "DryRun", "{}"), 400, "InvalidParameterValueException"),
    ];
    for (answer, status, kind) in refusals {
        assert_eq!((answer.status().as_u16(), header(&answer, "x-amzn-errortype")), (status, kind));
        assert_eq!(body(answer)["Type"], "User");
    }
}
