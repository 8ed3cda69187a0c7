mod reply {
    use super::super::{Reply, Response};
    use crate::http::{Problem, Request};
    use serde_json::json;

    #[test]
    fn no_answer_is_taken_for_something_else() {
        let problem = Problem::invalid_query("x").into();
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
        let problem = Response::from(Problem::invalid_query("x"));
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
    use http::StatusCode;
    use serde_json::{Value, json};
    use std::time::Duration;

    #[test]
    fn every_problem_is_problem_json_that_nobody_caches_and_repeats_a_text_as_a_text() {
        let wait = |millis| Problem::unavailable("buffer-full", "x", Duration::from_millis(millis));
        for (problem, status, kind, title, detail, retry_after) in [
            (Problem::new("a-kind", StatusCode::IM_A_TEAPOT, "\"},<"), 418, "a-kind", "A kind", "\"},<", None),
            (Problem::invalid_page_id("x"), 400, "invalid-page-id", "Invalid page id", "x", None),
            (Problem::invalid_query("x"), 400, "invalid-query", "Invalid query", "x", None),
            (
                Problem::invalid_body("EOF", "JSON is accepted"),
                400,
                "invalid-body",
                "Invalid body",
                "the body cannot be read: EOF; JSON is accepted",
                None,
            ),
            (wait(0), 503, "buffer-full", "Buffer full", "x", Some("1")),
            (wait(1_500), 503, "buffer-full", "Buffer full", "x", Some("2")),
            (wait(5_000), 503, "buffer-full", "Buffer full", "x", Some("5")),
        ] {
            let response = Response::from(problem);
            let headers = ["content-type", "cache-control", "retry-after"].map(|name| response.header(name));
            assert_eq!(headers, [Some("application/problem+json"), Some("no-store"), retry_after], "{kind}");
            let body: Value = serde_json::from_str(response.body()).unwrap();
            let r#type = format!("urn:visits:problem:{kind}");
            assert_eq!(body, json!({"type": r#type, "title": title, "status": status, "detail": detail}), "{kind}");
            assert_eq!(response.status(), status, "{kind}");
        }
    }
}
