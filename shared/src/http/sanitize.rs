//! Takes out of an event what makes `lambda_http` 1.3 panic while it builds the request, and what no function here
//! reads. Some of it is the visitor's: a `Host` that is no host, a `"` or a space in the query. The runtime
//! would survive the panic, but the visitor would get a 502 and the visit would not be counted.

use lambda_http::LambdaEvent;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::http::header::{HOST, HeaderValue};
use lambda_http::request::LambdaRequest;

/// Longest path in bytes that is passed on. Ten times the longest page id when encoded; `lambda_http` panics
/// on a URI of 64 KiB, and AWS's front ends take 10 KiB.
const MAX_PATH_BYTES: usize = 16 * 1024;

/// Longest name of a stage in bytes that AWS takes. It comes in front of the path in the URI.
const MAX_STAGE_BYTES: usize = 128;

/// The event without client-made parts that break the conversion into a request. Goes in front of
/// `lambda_http::Adapter`, for example with `tower::ServiceExt::map_request`.
///
/// A path that cannot be a route's is dropped, and so answered with 404.
pub(super) fn sanitized(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV2(request) = &mut event.payload {
        sanitize(request);
    }
    event
}

fn sanitize(request: &mut ApiGatewayV2httpRequest) {
    // The URI, which nobody reads, is built from this one and not from the domain that the event reports.
    request.headers.insert(HOST, HeaderValue::from_static("localhost"));
    request.headers.remove("x-forwarded-proto");
    request.raw_query_string = None;
    request.body = None;
    request.is_base64_encoded = false;
    request.raw_path.take_if(|path| !path.starts_with('/') || path.len() > MAX_PATH_BYTES);
    request.request_context.stage.take_if(|stage| stage.len() > MAX_STAGE_BYTES);
}

#[cfg(test)]
mod tests {
    use super::sanitized;
    use crate::http::tests::{FUNCTION_URL, HTTP_API, event};
    use crate::http::{Route, page_of};
    use lambda_http::{Context, LambdaEvent, Request, RequestExt};
    use proptest::prelude::{prop_assert_eq, proptest};
    use serde_json::{Value, json};

    fn request(event: &Value) -> Request {
        let payload = serde_json::from_str(&event.to_string()).unwrap();
        sanitized(LambdaEvent::new(payload, Context::default())).payload.into()
    }

    fn answer(event: &Value) -> Result<String, u16> {
        let page = page_of(&Route::RECORD, &request(event));
        page.map(|page| page.to_string()).map_err(|problem| problem.status().as_u16())
    }

    /// Each of these makes `lambda_http` 1.3.2 panic when it converts the event.
    #[test]
    fn parts_that_make_the_conversion_panic_cost_no_visit() {
        let headers = [
            ("host", "a b"),
            ("host", "h:99999"),
            ("host", "a\"b"),
            ("host", "[::1"),
            ("host", "a%zz"),
            ("host", "xn--"),
            ("x-forwarded-proto", ""),
            ("x-forwarded-proto", "https,http"),
        ];
        for (name, value) in headers {
            let mut event = event(HTTP_API, "POST", "/visit/home");
            event["headers"][name] = json!(value);
            assert_eq!(answer(&event), Ok("home".to_owned()), "{name}: {value}");
        }
        for query in ["a=b c", "a=<>\"`{}|^\\[]#", "a=\0", &"a".repeat(70_000)] {
            let mut event = event(FUNCTION_URL, "POST", "/visit/home");
            event["rawQueryString"] = json!(query);
            assert_eq!(answer(&event), Ok("home".to_owned()), "{query}");
        }
        let mut event = event(HTTP_API, "POST", "/visit/home");
        event["body"] = json!("%%%");
        event["isBase64Encoded"] = json!(true);
        assert_eq!(answer(&event), Ok("home".to_owned()));
    }

    /// Found by fuzzing; these are the event source's, so only a made-up event holds them.
    #[test]
    fn a_domain_or_stage_that_makes_the_conversion_panic_costs_no_visit() {
        for domain in ["", "{", "a b", "xn--", "h:99999", "a\"b", "http://h"] {
            let mut event = event(HTTP_API, "POST", "/visit/home");
            event["requestContext"]["domainName"] = json!(domain);
            assert_eq!(answer(&event), Ok("home".to_owned()), "{domain}");
        }
        for stage in ["", "a b", "//", "..", "?#", &"é".repeat(70_000)] {
            let mut event = event(HTTP_API, "POST", "/visit/home");
            event["requestContext"]["stage"] = json!(stage);
            assert_eq!(answer(&event), Ok("home".to_owned()), "{stage:.20}");
        }
    }

    #[test]
    fn a_path_that_makes_the_conversion_panic_is_unknown() {
        for path in [":x", "@[", " x", "*", "http://h/visit/home", &format!("/visit/{}", "é".repeat(40_000))] {
            assert_eq!(answer(&event(HTTP_API, "POST", path)), Err(404), "{path:.20}");
        }
        let mut without_path = event(HTTP_API, "POST", "");
        without_path["rawPath"] = Value::Null;
        assert_eq!(answer(&without_path), Err(404));
    }

    #[test]
    fn an_event_that_is_no_request_is_left_alone() {
        let payload = serde_json::from_str("[1]").unwrap();
        let request: Request = sanitized(LambdaEvent::new(payload, Context::default())).payload.into();
        assert_eq!(crate::http::direct_event(&request), Some("[1]"));
    }

    proptest! {
        #[test]
        fn any_path_and_header_convert(path in r"(?s)/.{0,40}", host in r"[ -~é]{0,12}", query in r"[ -~é]{0,12}") {
            let mut event = event(HTTP_API, "POST", &path);
            event["headers"]["host"] = json!(host);
            event["rawQueryString"] = json!(query);
            let request = request(&event);
            prop_assert_eq!(request.raw_http_path(), path);
        }
    }
}
