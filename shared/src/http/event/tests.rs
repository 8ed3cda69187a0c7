mod event {
    use super::super::{DirectEvent, Event};
    use crate::http::tests::{FUNCTION_URL, HTTP_API, event};
    use serde_json::{Value, json};

    const SCHEDULE: &str = include_str!("../../../tests/fixtures/aws/example-eventbridge-schedule.json");
    const OTHER_PROXIES: [&str; 3] = [
        include_str!("../../../tests/fixtures/aws/example-apigw-request.json"),
        include_str!("../../../tests/fixtures/aws/example-alb-lambda-target-request-headers-only.json"),
        include_str!("../../../tests/fixtures/aws/example-alb-lambda-target-request-multivalue-headers.json"),
    ];

    fn read(text: &str) -> Event {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn whatever_json_is_no_http_request_is_a_direct_event() {
        for text in ["[]", "null", "{}", "7", "-7", "1.5", "\"text\"", "true", "[{}]", "[{\"flush\":{}}]", SCHEDULE] {
            assert!(matches!(read(text), Event::Direct(DirectEvent { flush: None, .. })), "{text}");
        }
    }

    #[test]
    fn an_order_is_the_only_member_or_told_from_one() {
        let direct = |text| match read(text) {
            Event::Direct(event) => event,
            other => panic!("{other:?}"),
        };
        let order = direct(r#"{"flush":{"hold_until":1}}"#);
        assert_eq!(order, DirectEvent { flush: Some(json!({"hold_until": 1})), nothing_else: true });
        for with_more in [r#"{"flush":{},"x":1}"#, r#"{"rawPath":1,"flush":{}}"#, r#"{"requestContext":{},"flush":{}}"#]
        {
            assert!(!direct(with_more).nothing_else, "{with_more}");
        }
    }

    #[test]
    fn an_http_request_is_never_a_direct_event() {
        for sample in [HTTP_API, FUNCTION_URL] {
            let mut event = event(sample, "POST", "/events");
            event["body"] = json!(r#"{"flush":{"hold_until":1}}"#);
            event["flush"] = json!({"hold_until": 1});
            assert!(matches!(read(&event.to_string()), Event::Http(_)));
            event["requestContext"]["http"] = json!({});
            event["rawPath"] = Value::Null;
            assert!(matches!(read(&event.to_string()), Event::Http(request) if request.path.is_empty()));
        }
    }

    #[test]
    fn requests_of_other_proxies_are_told_from_orders() {
        for sample in OTHER_PROXIES {
            assert!(matches!(read(sample), Event::Foreign), "{sample}");
            let mut event: Value = serde_json::from_str(sample).unwrap();
            event["flush"] = json!({});
            assert!(matches!(read(&event.to_string()), Event::Foreign), "{sample}");
        }
        // Payload version 1.0 of an HTTP API, in short.
        let first =
            json!({"version": "1.0", "path": "/visit/a", "httpMethod": "POST", "requestContext": {"stage": "s"}});
        assert!(matches!(read(&first.to_string()), Event::Foreign));
        let neither = json!({"httpMethod": 1, "path": "/", "requestContext": {"elb": 1, "http": null}});
        assert!(matches!(read(&neither.to_string()), Event::Direct(_)));
    }

    #[test]
    fn no_log_shows_address_or_token() {
        let mut event = event(HTTP_API, "POST", "/session");
        event["requestContext"]["http"]["sourceIp"] = json!("192.0.2.99");
        event["headers"] = json!({"authorization": "Bearer s3cret", "cookie": "__Host-visits_session=s3cret"});
        event["body"] = json!(r#"{"token":"s3cret"}"#);
        let shown = format!("{:?}", read(&event.to_string()));
        assert!(shown.contains("/session") && !shown.contains("s3cret") && !shown.contains("192.0.2.99"), "{shown}");
    }

    #[test]
    fn members_of_another_type_are_as_good_as_missing() {
        for odd in [json!(null), json!(1), json!(-1), json!(1.5), json!([["x"]]), json!({"a": {}}), json!(true)] {
            let mut event = event(HTTP_API, "POST", "/visit/home");
            event["rawPath"] = odd.clone();
            event["requestContext"]["stage"] = odd.clone();
            event["requestContext"]["domainName"] = odd.clone();
            event["requestContext"]["http"]["method"] = odd.clone();
            event["requestContext"]["http"]["sourceIp"] = odd.clone();
            for member in ["rawQueryString", "cookies", "headers", "body", "isBase64Encoded"] {
                event[member] = odd.clone();
            }
            assert!(
                matches!(read(&event.to_string()), Event::Http(request) if *request == super::super::Request::default())
            );
        }
    }
}

mod headers {
    use crate::http::{Event, Headers, Request};
    use serde_json::{Value, json};

    fn read(headers: &Value, cookies: &Value) -> Headers {
        let event =
            json!({"headers": headers, "cookies": cookies, "requestContext": {"http": {"sourceIp": "192.0.2.1"}}});
        match serde_json::from_str(&event.to_string()).unwrap() {
            Event::Http(request) => {
                let Request { headers, address, .. } = *request;
                assert_eq!(address.as_deref(), Some("192.0.2.1"), "whatever the headers say");
                headers
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_header_is_read_by_its_name_and_others_are_left_alone() {
        let headers = json!({
            "user-agent": "a", "origin": "b", "referer": "c", "authorization": "d", "idempotency-key": "e",
            "x-requested-with": "f", "x-forwarded-for": "203.0.113.7", "forwarded": "for=203.0.113.7", "accept": "*/*",
        });
        let text = |text: &str| Some(text.to_owned());
        let expected = Headers {
            user_agent: text("a"),
            origin: text("b"),
            referer: text("c"),
            authorization: text("d"),
            idempotency_key: text("e"),
            requested_with: text("f"),
            ..Headers::default()
        };
        assert_eq!(read(&headers, &json!(null)), expected);
    }

    #[test]
    fn who_asks_not_to_be_followed_says_1() {
        for (name, value, asks) in [
            ("dnt", "1", true),
            ("sec-gpc", "1", true),
            ("dnt", "0", false),
            ("dnt", "", false),
            ("sec-gpc", "11", false),
        ] {
            assert_eq!(read(&json!({name: value}), &json!([])).do_not_track, asks, "{name}: {value}");
        }
        assert!(read(&json!({"dnt": "1", "sec-gpc": "0"}), &json!([])).do_not_track);
    }

    #[test]
    fn a_page_that_is_loaded_ahead_is_told_by_each_name_that_browsers_have_for_it() {
        for (name, value, speculative) in [
            // Chromium 148 sends these for a prefetched file, and for all that a prerendered page loads.
            ("sec-purpose", "prefetch", true),
            ("sec-purpose", "prefetch;prerender", true),
            ("sec-purpose", "prefetch; anonymous-client-ip", true),
            ("purpose", "prefetch", true),
            ("x-moz", "Prefetch", true),
            ("x-purpose", "preview", true),
            ("sec-purpose", "", false),
            ("sec-purpose", "prefetched", false),
            ("purpose", "none", false),
        ] {
            assert_eq!(read(&json!({name: value}), &json!([])).speculative, speculative, "{name}: {value}");
        }
        assert!(read(&json!({"sec-purpose": "prefetch", "x-moz": "other"}), &json!([])).speculative);
    }

    #[test]
    fn of_all_cookies_each_session_is_kept_wherever_it_is() {
        let (first, second) = ("__Host-visits_session=1.x", "__Host-visits_session=2.y");
        let both: &[&str] = &["1.x", "2.y"];
        let table = [
            (json!({}), json!(["a=b", first, second]), both),
            (json!({"cookie": format!("a=b; {first}; c=d")}), json!(null), &["1.x"]),
            (json!({"cookie": format!("{first};{second}")}), json!([]), both),
            (json!({"cookie": first}), json!([second]), both),
            (
                json!({"cookie": "x__Host-visits_session=1; __Host-visits_sessionx=2; __Host-visits_session; visits_session=3"}),
                json!([7, null, [], "a", "__host-visits_session=4"]),
                &[],
            ),
            (json!({"cookie": 7}), json!(first), &[]),
            (json!([]), json!({}), &[]),
        ];
        for (headers, cookies, sessions) in table {
            assert_eq!(read(&headers, &cookies).sessions, sessions, "{headers} {cookies}");
        }
    }
}

mod body {
    use super::super::{BASE64, MOST_BODY};
    use crate::http::{Event, Problem};
    use base64::Engine as _;
    use serde_json::{Value, json};

    fn read(body: &Value, base64: &Value) -> Result<Value, Problem> {
        let event = json!({"body": body, "isBase64Encoded": base64, "requestContext": {"http": {}}});
        match serde_json::from_str(&event.to_string()).unwrap() {
            Event::Http(request) => request.body.json("any JSON is accepted"),
            other => panic!("{other:?}"),
        }
    }

    fn status(body: &Value, base64: &Value) -> u16 {
        read(body, base64).unwrap_err().status().as_u16()
    }

    #[test]
    fn a_body_is_read_whether_or_not_its_source_takes_it_for_text() {
        for no in [json!(false), json!(null), json!("true"), json!(1), json!({}), json!([true])] {
            assert_eq!(read(&json!("[\"é\"]"), &no), Ok(json!(["é"])), "{no}");
        }
        assert_eq!(read(&json!(BASE64.encode("[\"é\"]")), &json!(true)), Ok(json!(["é"])));
    }

    #[test]
    fn a_body_that_is_no_json_is_told_with_what_is_accepted() {
        for (body, base64) in [
            (json!(null), false),
            (json!(""), false),
            (json!("x"), false),
            (json!(7), false),
            (json!([]), false),
            (json!("[]"), true),
            (json!("é"), true),
            (json!(BASE64.encode(b"[\"\xff\"]")), true),
        ] {
            assert_eq!(status(&body, &json!(base64)), 400, "{body}");
            let text = read(&body, &json!(base64)).unwrap_err().body();
            assert!(text.contains("the body cannot be read: ") && text.contains("any JSON is accepted"), "{text}");
        }
    }

    #[test]
    fn a_body_has_64_kib_at_most_however_it_comes() {
        let text = |bytes: usize| format!("\"{}\"", "a".repeat(bytes - 2));
        assert!(read(&json!(text(MOST_BODY)), &json!(false)).is_ok());
        assert!(read(&json!(BASE64.encode(text(MOST_BODY))), &json!(true)).is_ok());
        for bytes in [MOST_BODY + 1, MOST_BODY * 2, MOST_BODY * 20] {
            assert_eq!(status(&json!(text(bytes)), &json!(false)), 413, "{bytes}");
            assert_eq!(status(&json!(BASE64.encode(text(bytes))), &json!(true)), 413, "{bytes}");
        }
    }
}
