//! Any event, through the same conversion as in production: no panic, and no 5xx from input alone.
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
    let Ok(request) = visits_core::http::request_of(event) else { return };
    let direct = visits_core::http::direct_event(&request).is_some();
    let answer = match world().handler.handle(&request).await {
        Ok(answer) => answer,
        Err(error) => {
            assert!(direct && error.to_string().contains("answers HTTP requests only"), "{error}");
            return;
        }
    };
    let body: serde_json::Value = serde_json::from_slice(answer.body()).expect("every body is JSON");
    match answer.status().as_u16() {
        200 if direct => assert_eq!(body["statusCode"], 501),
        200 => {
            assert_eq!((body["count"].as_u64(), body["served_via"].is_string()), (Some(0), true), "{body}");
            let cached = answer.headers()["cache-control"].to_str().unwrap();
            assert!(cached.strip_prefix("max-age=").unwrap().parse::<u64>().unwrap() <= 5);
        }
        status => {
            assert!([400, 404, 405].contains(&status), "{status}");
            assert_eq!((&body["status"], direct), (&serde_json::json!(status), false));
        }
    }
}

proptest! {
    #[test]
    fn any_event_gets_a_right_answer(event in hostile::events(SAMPLES)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(send(&event));
    }
}
