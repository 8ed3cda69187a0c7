//! Any event, read as in production: no panic, no 5xx from input alone, and a visit
//! counts exactly when its client is told so. `PROPTEST_CASES` runs more of them (`make fuzz`).

use super::*;
use proptest::prelude::*;
use test_support::hostile;

const SAMPLES: &[&str] = &[
    include_str!("../../../../../shared/tests/fixtures/aws/example-apigw-v2-request-no-authorizer.json"),
    include_str!("../../../../../shared/tests/fixtures/aws/lambda_function_url_request.json"),
    include_str!("../../../../../shared/tests/fixtures/aws/example-apigw-request.json"),
    include_str!("../../../../../shared/tests/fixtures/aws/example-alb-lambda-target-request-headers-only.json"),
    SCHEDULE,
    r#"{"flush":{"hold_until":0}}"#,
    r#"{"rawPath":"/visit/home","requestContext":{"http":{"method":"POST","path":"/visit/home"}}}"#,
    r#"{"rawPath":"/pixel/home","requestContext":{"http":{"method":"GET","sourceIp":"192.0.2.1"}},"cookies":["a=b"]}"#,
    r#"{"rawPath":"/visits","requestContext":{"http":{"method":"POST","sourceIp":"192.0.2.1"}},
        "headers":{"user-agent":"Mozilla/5.0","origin":"https://a.test","referer":"https://a.test/","dnt":"1","sec-gpc":"1"},
        "body":"[\"home\",\"a/b\"]","isBase64Encoded":false}"#,
];

/// What an answer says.
#[derive(Default)]
struct Told {
    visits: u64,
    /// The page that they are of, where the answer names it.
    page: Option<String>,
}

fn told(reply: Reply) -> Told {
    let answer = match reply {
        Reply::Http(answer) => answer,
        // The sweep's report.
        Reply::Direct(value) => {
            assert!(value["calls"].is_u64(), "{value}");
            return Told::default();
        }
    };
    match (answer.status().as_u16(), answer.header("content-type")) {
        // Of HEAD.
        _ if answer.header("content-length").is_some() => {
            assert_eq!(answer.body(), "");
            return Told::default();
        }
        (200, Some("image/gif")) => return Told { visits: 1, page: None },
        (200, Some("text/plain; charset=utf-8")) | (204, None) => return Told::default(),
        _ => {}
    }
    let body: Value = serde_json::from_str(answer.body()).expect("every other body is JSON");
    if answer.status() == 200 {
        if let Some(visits) = body["recorded"].as_u64() {
            return Told { visits, page: None };
        }
        let message = body["message"].as_str().expect("a message");
        let page = message.strip_prefix("Visit recorded for page ").expect("that message").to_owned();
        return Told { visits: 1, page: Some(page) };
    }
    assert!([400, 404, 405, 413].contains(&answer.status().as_u16()), "{}", answer.status());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(body["status"], answer.status().as_u16());
    Told::default()
}

async fn send(event: &str) {
    let world = world();
    world.post("/visit/before").await;
    // What is no JSON is answered by the runtime, and never seen by the handler.
    let Ok(event) = serde_json::from_str::<Event>(event) else { return };
    let direct = matches!(event, Event::Direct(_));
    let told = match world.handle(event).await {
        Ok(reply) => told(reply),
        Err(error) => {
            assert!(direct && error.to_string().contains("is accepted"), "{error}");
            Told::default()
        }
    };
    assert_eq!(world.today().await.total, 1 + told.visits, "each visit counts exactly when its client is told so");
    let twice = u64::from(told.page.as_deref() == Some("before"));
    if let Some(page) = &told.page {
        assert_eq!(world.counted(page), 1 + twice);
    }
    assert!(world.counted("before") > twice, "what was there stays");
}

proptest! {
    #[test]
    fn any_event_gets_a_right_answer_and_a_visit_counts_exactly_when_it_says_so(event in hostile::events(SAMPLES)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(send(&event));
    }
}
