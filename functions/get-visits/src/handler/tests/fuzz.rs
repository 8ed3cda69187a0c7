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
    include_str!("../../../../../shared/tests/fixtures/aws/example-eventbridge-schedule.json"),
    r#"{"rawPath":"/visits/home","requestContext":{"http":{"method":"GET","path":"/visits/home"}}}"#,
];

async fn send(event: &str) {
    // What is no JSON is answered by the runtime, and never seen by the handler.
    let Ok(event) = serde_json::from_str::<Event>(event) else { return };
    let direct = matches!(event, Event::Direct(_));
    let answer = match world().handler.handle(event).await {
        Ok(Reply::Http(answer)) => answer,
        Ok(Reply::Direct(value)) => return assert_eq!(value["statusCode"], 501),
        Err(error) => return assert!(direct && error.to_string().contains("answers HTTP requests only"), "{error}"),
    };
    assert!(!direct);
    let body: serde_json::Value = serde_json::from_str(answer.body()).expect("every body is JSON");
    if answer.status() == 200 {
        assert_eq!((body["count"].as_u64(), body["served_via"].is_string()), (Some(0), true), "{body}");
        let cached = answer.header("cache-control").and_then(|value| value.strip_prefix("max-age="));
        assert!(cached.unwrap().parse::<u64>().unwrap() <= 5);
    } else {
        assert!([400, 404, 405].contains(&answer.status().as_u16()), "{}", answer.status());
        assert_eq!(body["status"], answer.status().as_u16());
    }
}

proptest! {
    #[test]
    fn any_event_gets_a_right_answer(event in hostile::events(SAMPLES)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(send(&event));
    }
}
