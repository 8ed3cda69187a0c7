//! Events that are no request of ours: direct invocations, and requests of other kinds of HTTP proxies.

use super::problem::Problem;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt};
use serde_json::{Value, json};

/// The JSON text of an event that did not convert into a request: a direct invocation such as the sweep's, or a
/// [`foreign_http_event`], which is to be ruled out first. What converts is never one, whatever its path,
/// headers or body.
pub fn direct_event(request: &Request) -> Option<&str> {
    match (request.request_context_ref()?, request.body()) {
        (RequestContext::PassThrough, Body::Text(event)) => Some(event),
        _ => None,
    }
}

/// Whether a direct event is in truth an HTTP request that did not convert: of a REST API or an HTTP API with
/// payload version 1.0, of a load balancer, or of version 2.0 with a part that HTTP does not allow.
///
/// What it holds is the client's: nothing in it may be taken for an order such as the sweep's.
pub fn foreign_http_event(event: &Value) -> bool {
    let context = &event["requestContext"];
    let rest = event["httpMethod"].is_string() && event["path"].is_string();
    rest || context["elb"].is_object() || context["http"].is_object()
}

/// The answer to a [`foreign_http_event`]: such proxies show it to the client as a 501 problem.
pub fn unsupported_event_response() -> Value {
    let problem = Problem::unsupported_event();
    let status = problem.status();
    json!({
        "statusCode": status.as_u16(),
        // Load balancers want the reason, too.
        "statusDescription": status.to_string(),
        "headers": { "content-type": "application/problem+json", "cache-control": "no-store" },
        "isBase64Encoded": false,
        "body": problem.body(),
    })
}

#[cfg(test)]
mod tests {
    use super::{direct_event, foreign_http_event, unsupported_event_response};
    use crate::http::tests::{FUNCTION_URL, HTTP_API, event};
    use crate::http::{Route, page_of};
    use lambda_http::request::from_str;
    use serde_json::{Value, json};

    const SCHEDULE: &str = include_str!("../../tests/fixtures/aws/example-eventbridge-schedule.json");
    const OTHER_PROXIES: [&str; 3] = [
        include_str!("../../tests/fixtures/aws/example-apigw-request.json"),
        include_str!("../../tests/fixtures/aws/example-alb-lambda-target-request-headers-only.json"),
        include_str!("../../tests/fixtures/aws/example-alb-lambda-target-request-multivalue-headers.json"),
    ];

    fn direct(text: &str) -> Option<Value> {
        direct_event(&from_str(text).unwrap()).map(|event| serde_json::from_str(event).unwrap())
    }

    #[test]
    fn whatever_json_is_no_http_request_is_a_direct_event() {
        for text in ["[]", "null", "{}", "7", "\"text\"", "true", "[{}]", r#"{"flush":{"hold_until":1}}"#, SCHEDULE] {
            assert_eq!(direct(text), Some(serde_json::from_str(text).unwrap()), "{text}");
            assert!(!foreign_http_event(&direct(text).unwrap()), "{text}");
            assert_eq!(page_of(&Route::RECORD, &from_str(text).unwrap()).unwrap_err().status(), 404, "{text}");
        }
    }

    #[test]
    fn an_http_request_is_never_a_direct_event() {
        for sample in [HTTP_API, FUNCTION_URL] {
            let mut event = event(sample, "POST", "/events");
            assert_eq!(direct(&event.to_string()), None);
            event["body"] = json!(r#"{"flush":{"hold_until":1}}"#);
            event["headers"]["content-type"] = json!("application/json");
            assert_eq!(direct(&event.to_string()), None);
        }
    }

    #[test]
    fn requests_of_other_proxies_are_told_from_orders() {
        for sample in OTHER_PROXIES {
            assert!(foreign_http_event(&direct(sample).unwrap()));
        }
        // Payload version 1.0 of an HTTP API, in short.
        let first =
            json!({"version": "1.0", "path": "/visit/a", "httpMethod": "POST", "requestContext": {"stage": "s"}});
        assert!(foreign_http_event(&direct(&first.to_string()).unwrap()));
        assert!(!foreign_http_event(
            &json!({"httpMethod": 1, "path": "/", "requestContext": {"elb": 1, "http": null}})
        ));
    }

    #[test]
    fn a_request_that_does_not_convert_is_still_known_as_the_clients() {
        let with_header = |name: &str, value: &str| {
            let mut event = event(HTTP_API, "POST", "/visit/home");
            event["headers"][name] = json!(value);
            event
        };
        let bad_method = event(HTTP_API, "G ET", "/visit/home");
        for event in [with_header("x-a", "\u{7f}"), with_header("x-a", "a\nb"), with_header("x a", ""), bad_method] {
            assert!(foreign_http_event(&direct(&event.to_string()).unwrap()), "{event}");
        }
    }

    #[test]
    fn other_proxies_get_an_answer_that_they_show_as_a_problem() {
        let response = unsupported_event_response();
        assert_eq!((&response["statusCode"], &response["isBase64Encoded"]), (&json!(501), &json!(false)));
        assert_eq!(response["headers"]["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&problem["status"], &problem["type"]),
            (&json!(501), &json!("urn:visits:problem:unsupported-event"))
        );
        assert!(problem["detail"].as_str().unwrap().contains("payload version 2.0"));
    }
}
