//! Any event, read as in production: no panic, and no 5xx from input alone.
//! `PROPTEST_CASES` runs more of them (`make fuzz`).

use super::*;
use proptest::prelude::*;
use test_support::hostile;

const SAMPLES: &[&str] = &[
    include_str!("../../../../../shared/tests/fixtures/aws/example-apigw-v2-request-no-authorizer.json"),
    include_str!("../../../../../shared/tests/fixtures/aws/lambda_function_url_request.json"),
    include_str!("../../../../../shared/tests/fixtures/aws/example-apigw-request.json"),
    include_str!("../../../../../shared/tests/fixtures/aws/example-alb-lambda-target-request-headers-only.json"),
    r#"{"rawPath":"/top","rawQueryString":"days=7&limit=20&search=a","headers":{"authorization":"Bearer 0123456789abcdef0123456789abcdef"},"requestContext":{"http":{"method":"GET"}}}"#,
    r#"{"rawPath":"/history/home","rawQueryString":"days=7","headers":{"authorization":"Bearer 0123456789abcdef0123456789abcdef"},"requestContext":{"http":{"method":"GET"}}}"#,
    r#"{"rawPath":"/visits/home","headers":{"authorization":"Bearer 0123456789abcdef0123456789abcdef","idempotency-key":"k"},"body":"{\"count\":7}","requestContext":{"http":{"method":"PUT"}}}"#,
    r#"{"rawPath":"/session","body":"{\"token\":\"0123456789abcdef0123456789abcdef\"}","requestContext":{"http":{"method":"POST"}}}"#,
    r#"{"rawPath":"/counter.js","headers":{"accept-encoding":"gzip","if-none-match":"\"a\""},"requestContext":{"http":{"method":"GET"}}}"#,
];

async fn send(world: &World, event: &str) {
    // What is no JSON is answered by the runtime, and never seen by the handler.
    let Ok(event) = serde_json::from_str::<Event>(event) else { return };
    let direct = matches!(event, Event::Direct(_));
    let answer = match world.handler.handle(event).await {
        Ok(Reply::Http(answer)) => answer,
        Ok(Reply::Direct(value)) => panic!("{value} is for nobody with a browser"),
        Err(error) => return assert!(direct && error.to_string().contains("answers HTTP requests only"), "{error}"),
    };
    assert!(!direct);
    let status = answer.status().as_u16();
    if status >= 400 {
        assert!([400, 401, 403, 404, 405, 413].contains(&status), "{status}");
        let head = answer.header("content-length").is_some() && answer.body().is_empty();
        assert!(head || body(&answer)["status"] == status);
    } else {
        assert!([200, 204, 304, 308].contains(&status), "{status}");
    }
}

#[test]
fn any_event_gets_a_right_answer() {
    let (world, runtime) = (world(), tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
    proptest!(|(event in hostile::events(SAMPLES))| runtime.block_on(send(&world, &event)));
}
