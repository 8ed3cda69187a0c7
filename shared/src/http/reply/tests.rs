mod reply {
    use super::super::{Reply, Response};
    use crate::http::{Problem, Request};
    use serde_json::json;

    #[test]
    fn no_answer_is_taken_for_something_else() {
        let problem = Problem::shutting_down().into_response();
        let image = Response::svg(String::new(), "no-store");
        assert!(image.header("content-security-policy").unwrap().ends_with("; sandbox"));
        for response in [problem, image, Response::no_content(), Response::json(&1, ""), Response::binary("", "", b"")]
        {
            let sniffs = response.headers.iter().filter(|(name, _)| *name == "x-content-type-options");
            assert_eq!(sniffs.map(|(_, value)| value.as_ref()).collect::<Vec<_>>(), ["nosniff"]);
        }
    }

    #[test]
    fn head_is_answered_with_the_headers_of_get_and_the_length_of_its_body() {
        let answer = |method: &str, response: &Response| {
            let request = Request { method: method.parse().unwrap(), ..Request::default() };
            let Reply::Http(response) = Reply::to(&request, response.clone()) else { panic!("it is for a client") };
            response
        };
        let text = Response::json(&json!({"a": "é"}), "no-store");
        let bytes = |length: usize| Response::binary("image/gif", "no-store", &vec![0xff; length]);
        let problem = Problem::invalid_query("x").into_response();
        let of_problem = problem.body().len();
        for (get, length) in [(text, 10), (bytes(1), 1), (bytes(2), 2), (bytes(3), 3), (problem, of_problem)] {
            assert_eq!(answer("GET", &get), get);
            let head = answer("HEAD", &get);
            assert_eq!(head.header("content-length"), Some(length.to_string().as_str()));
            assert_eq!((head.status(), head.body(), head.is_base64), (get.status(), "", false));
            assert_eq!(head.headers[..head.headers.len() - 1], get.headers);
        }
        let empty = Response::no_content();
        assert_eq!(answer("HEAD", &empty), empty, "a 204 and a 304 have no length");
    }

    #[test]
    fn a_direct_answer_is_written_as_it_is() {
        assert_eq!(serde_json::to_string(&Reply::Direct(json!({"visits": 3}))).unwrap(), r#"{"visits":3}"#);
    }
}

mod problem {
    use super::super::{Problem, Response};
    use crate::page::{PageId, PageIdError};
    use serde_json::{Value, json};
    use std::time::Duration;

    fn body(response: &Response) -> Value {
        serde_json::from_str(response.body()).unwrap()
    }

    #[test]
    fn every_problem_is_problem_json_that_nobody_caches() {
        let wait = Duration::from_millis(1_500);
        let table = [
            (Problem::malformed_request(), 400, "malformed-request", None),
            (Problem::invalid_page_id(&PageIdError::Empty), 400, "invalid-page-id", None),
            (Problem::invalid_body(&"EOF", "JSON is accepted"), 400, "invalid-body", None),
            (Problem::invalid_query("x"), 400, "invalid-query", None),
            (Problem::invalid_idempotency_key("x"), 400, "invalid-idempotency-key", None),
            (Problem::unauthorized("x"), 401, "unauthorized", None),
            (Problem::origin_not_allowed(None), 403, "origin-not-allowed", None),
            (Problem::page_not_allowed(&PageId::from_decoded("a").unwrap()), 403, "page-not-allowed", None),
            (Problem::forged_request(), 403, "forged-request", None),
            (Problem::owner_token_missing(), 403, "owner-token-missing", None),
            (Problem::unknown_route("GET /"), 404, "unknown-route", None),
            (Problem::method_not_allowed("/", "GET".to_owned()), 405, "method-not-allowed", None),
            (Problem::body_too_large(), 413, "body-too-large", None),
            (Problem::owner_token_unavailable(wait), 503, "owner-token-unavailable", Some("2")),
            (Problem::buffer_full(wait), 503, "buffer-full", Some("2")),
            (Problem::shutting_down(), 503, "shutting-down", Some("1")),
            (Problem::not_confirmed(Duration::ZERO), 503, "not-confirmed", Some("1")),
            (Problem::count_unavailable(Duration::from_secs(5)), 503, "count-unavailable", Some("5")),
        ];
        for (problem, status, kind, retry_after) in table {
            let response = problem.into_response();
            assert_eq!(response.status(), status, "{kind}");
            assert_eq!(response.header("content-type"), Some("application/problem+json"), "{kind}");
            assert_eq!(response.header("cache-control"), Some("no-store"), "{kind}");
            assert_eq!(response.header("retry-after"), retry_after, "{kind}");
            let body = body(&response);
            assert_eq!((&body["status"], body.as_object().unwrap().len()), (&json!(status), 4), "{kind}");
            assert_eq!(body["type"], format!("urn:visits:problem:{kind}"));
            assert!(
                ["title", "detail"].iter().all(|name| body[name].as_str().is_some_and(|text| !text.is_empty())),
                "{body}"
            );
        }
    }

    #[test]
    fn a_problem_says_what_is_answered_instead() {
        let response = Problem::method_not_allowed("/visit/{page_id}", "POST, OPTIONS".to_owned()).into_response();
        assert_eq!(response.header("allow"), Some("POST, OPTIONS"));
        assert_eq!(Problem::unauthorized("x").into_response().header("www-authenticate"), Some("Bearer"));
        let table = [
            (Problem::method_not_allowed("/a", "GET".to_owned()), "/a is answered for these methods only: GET"),
            (Problem::unknown_route("GET /visits/{page_id}"), "this function answers GET /visits/{page_id}"),
            (Problem::not_confirmed(Duration::ZERO), "may still be counted"),
            (Problem::body_too_large(), "at most 65536 bytes"),
            (Problem::origin_not_allowed(None), "from requests without an origin"),
            (Problem::origin_not_allowed(Some("https://a.test")), "from the origin https://a.test"),
            (Problem::owner_token_missing(), "VISITS_OWNER_TOKEN"),
            (Problem::forged_request(), "X-Requested-With: visits"),
        ];
        for (problem, told) in table {
            let detail = body(&problem.into_response())["detail"].clone();
            assert!(detail.as_str().unwrap().contains(told), "{detail}");
        }
    }

    #[test]
    fn what_a_client_sent_is_repeated_as_json_text_only() {
        let page = PageId::from_decoded("\"},<script>").unwrap();
        let detail = body(&Problem::page_not_allowed(&page).into_response())["detail"].clone();
        assert!(detail.as_str().unwrap().starts_with("the page \"},<script> is not counted here"), "{detail}");
    }
}
