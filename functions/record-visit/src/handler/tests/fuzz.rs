//! Any event, read as in production: no panic, no 5xx from input alone, and a visit
//! counts exactly when its client is told so. `PROPTEST_CASES` runs more of them (`make fuzz`).

use super::*;
use proptest::prelude::*;
use test_support::hostile;

const SAMPLES: &[&str] = &[
    HTTP_API,
    HTTP_API,
    FUNCTION_URL,
    REST_API,
    LOAD_BALANCER,
    SCHEDULE,
    r#"{"flush":{"hold_until":0}}"#,
    r#"{"rawPath":"/visit/home","requestContext":{"http":{"method":"POST","path":"/visit/home"}}}"#,
];

/// What the answer says about a visit: the page's name, if it was counted.
fn counted(reply: Reply) -> Option<String> {
    let answer = match reply {
        Reply::Http(answer) => answer,
        // The sweep's report, or what a foreign proxy shows.
        Reply::Direct(value) => {
            assert!(value["calls"].is_u64() || value["statusCode"] == 501, "{value}");
            return None;
        }
    };
    let body: Value = serde_json::from_str(answer.body()).expect("every body is JSON");
    if answer.status() == 200 {
        let message = body["message"].as_str().expect("a message");
        return Some(message.strip_prefix("Visit recorded for page ").expect("that message").to_owned());
    }
    assert!([400, 404, 405].contains(&answer.status().as_u16()), "{}", answer.status());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(body["status"], answer.status().as_u16());
    None
}

async fn send(event: &str) {
    let world = world();
    world.post("/visit/before").await;
    // What is no JSON is answered by the runtime, and never seen by the handler.
    let Ok(event) = serde_json::from_str::<Event>(event) else { return };
    let direct = matches!(event, Event::Direct(_));
    let page = match world.handle(event).await {
        Ok(reply) => counted(reply),
        Err(error) => {
            assert!(direct && error.to_string().contains("is accepted"), "{error}");
            None
        }
    };
    world.handler.flusher.shutdown().await;
    let twice = u64::from(page.as_deref() == Some("before"));
    assert_eq!(world.counted("before"), 1 + twice, "what was there stays");
    if let Some(page) = page {
        assert_eq!(world.counted(&page), 1 + twice);
    }
}

proptest! {
    #[test]
    fn any_event_gets_a_right_answer_and_a_visit_counts_exactly_when_it_says_so(event in hostile::events(SAMPLES)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(send(&event));
    }
}
