//! Any event: a run or a clear error. `PROPTEST_CASES` runs more of them (`make fuzz`).

use super::*;
use proptest::prelude::*;
use test_support::hostile;

const SAMPLES: &[&str] = &[SCHEDULE, "{}", r#"{"flush":{"hold_until":0}}"#, "[]"];

#[test]
fn any_event_is_run_or_refused_with_what_is_accepted() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(world());
    proptest!(|(event in hostile::events(SAMPLES))| {
        // What is no JSON is answered by the runtime, and never seen by the handler.
        let Ok(event) = serde_json::from_str(&event) else { return Ok(()) };
        if let Err(error) = runtime.block_on(world.handler.handle(&event, 0)) {
            prop_assert!(error.to_string().contains("takes the event of an EventBridge schedule, or {}"), "{}", error);
        }
    });
}
