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
    r#"{"rawPath":"/visits","rawQueryString":"page=home&page=a%2Fb","requestContext":{"http":{"method":"GET"}},
        "headers":{"authorization":"Bearer x","cookie":"__Host-visits_session=1.x","origin":"https://a.test"},"cookies":["a=b"]}"#,
    r#"{"rawPath":"/badge/home","rawQueryString":"label=a&color=4c1&style=flat&offset=0","requestContext":{"http":{"method":"GET"}}}"#,
];

async fn send(event: &str) {
    // What is no JSON is answered by the runtime, and never seen by the handler.
    let Ok(event) = serde_json::from_str::<Event>(event) else { return };
    let direct = matches!(event, Event::Direct(_));
    let answer = match world().handler.handle(event).await {
        Ok(Reply::Http(answer)) => answer,
        Ok(Reply::Direct(value)) => panic!("{value} is for nobody with a browser"),
        Err(error) => return assert!(direct && error.to_string().contains("answers HTTP requests only"), "{error}"),
    };
    assert!(!direct);
    let kept = answer.header("cache-control").and_then(|value| value.strip_prefix("max-age=")?.parse::<u64>().ok());
    match (answer.status().as_u16(), answer.header("content-type")) {
        (200, Some("image/svg+xml")) => return assert!([Some(60), Some(10)].contains(&kept)),
        (200, Some("text/plain; charset=utf-8")) | (204, None) => return,
        // Of HEAD.
        _ if answer.header("content-length").is_some() => return assert_eq!(answer.body(), ""),
        _ => {}
    }
    let body: serde_json::Value = serde_json::from_str(answer.body()).expect("every other body is JSON");
    if answer.status() == 200 {
        assert!(kept.unwrap() <= 5);
        let pages = body["visits"].as_array().cloned().unwrap_or_else(|| vec![body]);
        for page in pages {
            assert_eq!((page["count"].as_u64(), page["served_via"].is_string()), (Some(0), true), "{page}");
        }
    } else {
        assert!([400, 404, 405].contains(&answer.status().as_u16()), "{}", answer.status());
        assert_eq!(body["status"], answer.status().as_u16());
    }
}

proptest! {
    #[test]
    fn any_event_gets_a_right_answer(event in hostile::events(SAMPLES)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(send(&event));
    }
}
