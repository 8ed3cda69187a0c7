//! Requests of every front end: which page each is about, what is known of its caller, how it is answered, and that no
//! event costs more than its own request.

use super::{Cors, DirectEvent, Event, Problem, Reply, Request, Response, Route, Routes};
use crate::config::Config;
use crate::http::event::MAX_BODY;
use crate::tests::{FrontEnd, SCHEDULE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::{prop_assert_eq, proptest};
use serde_json::{Value, json};

const WITH_STAGE: &str = include_str!("../../tests/fixtures/aws/apigw_v2_proxy_request_with_stage_in_path.json");

const OTHER_SAMPLES: [&str; 6] = [
    WITH_STAGE,
    include_str!("../../tests/fixtures/aws/example-apigw-sam-http-request.json"),
    include_str!("../../tests/fixtures/aws/example-apigw-v2-request-iam.json"),
    include_str!("../../tests/fixtures/aws/example-apigw-v2-request-jwt-authorizer.json"),
    include_str!("../../tests/fixtures/aws/example-apigw-v2-request-lambda-authorizer.json"),
    include_str!("../../tests/fixtures/aws/example-apigw-v2-request-multi-value-parameters.json"),
];

const RECORD: Routes<&str> = Routes {
    routes: &[
        Route::new("POST", "/visit/{page_id}", "visit"),
        Route::new("POST", "/many", "many"),
        Route::new("PUT", "/visit/{page_id}", "set"),
    ],
};
const READ: Routes<&str> = Routes { routes: &[Route::new("GET", "/visits/{page_id}", "read")] };

fn read(text: &str) -> Event {
    serde_json::from_str(text).unwrap()
}

fn request(event: &Value) -> Request {
    request_of(&event.to_string())
}

fn request_of(event: &str) -> Request {
    match read(event) {
        Event::Http(request) => *request,
        other @ Event::Direct(_) => panic!("{other:?} is no request"),
    }
}

/// The page, the methods of a preflight, the routes, or the status of the problem. Only what records is for scripts of other origins.
fn answer(routes: &Routes<&str>, event: &Value) -> Result<String, u16> {
    answer_to(routes, &request(event))
}

fn answer_to(routes: &Routes<&str>, request: &Request) -> Result<String, u16> {
    let cors = (routes.routes[0].action == "visit").then(|| Cors::new("*".parse().unwrap(), false));
    let problem = match routes.find(request, cors.as_ref()) {
        Ok(("many", _)) => return Ok("(many)".to_owned()),
        Ok((_, target)) => match target.page() {
            Ok(page) => return Ok(page.to_string()),
            Err(problem) => problem.into(),
        },
        Err(response) => response,
    };
    match problem.status().as_u16() {
        200 => Ok(problem.body().to_owned()),
        204 => Ok(problem.header("access-control-allow-methods").unwrap().to_owned()),
        status => Err(status),
    }
}

const INDEX: &str = "This is a visit counter. It answers:\n\n";

#[test]
fn every_front_end_names_the_same_page_by_a_path_that_is_decoded_once() {
    for (path, page) in [
        ("/visit/home", Ok("home")),
        ("/visit/a/b", Ok("a/b")),
        ("/visit/a%2Fb", Ok("a/b")),
        ("/visit/a/", Ok("a/")),
        ("/visit//", Ok("/")),
        ("/visit/caf%C3%A9", Ok("café")),
        ("/visit/a%20b", Ok("a b")),
        ("/visit/a+b", Ok("a+b")),
        ("/visit/%25", Ok("%")),
        ("/visit/%2525", Ok("%25")),
        ("/visit/%25zz", Ok("%zz")),
        ("/visit/a%3Fb%23c", Ok("a?b#c")),
        ("/visit/a/%2E%2E/b", Ok("a/../b")),
        ("/visit/visit/x", Ok("visit/x")),
        ("/visit/", Err(400)),
        ("/visit/a%00", Err(400)),
        ("/visit/a%C2%85", Err(400)),
        ("/visit", Err(404)),
        ("/visits/home", Err(404)),
        ("/", Err(404)),
        ("", Err(404)),
        ("//visit/home", Err(404)),
    ] {
        for front_end in FrontEnd::ALL {
            let event = front_end.event("POST", path);
            assert_eq!(answer(&RECORD, &event), page.map(str::to_owned), "{front_end:?} {path}");
        }
    }
}

#[test]
fn a_path_that_is_still_encoded_is_wrong_where_it_does_not_decode() {
    for (path, status) in
        [("/visit/%", 400), ("/visit/%zz", 400), ("/visit/%E9", 400), ("/visit%2Fhome", 404), ("/%76isit/home", 404)]
    {
        let mut local = FrontEnd::HttpApi.event("POST", "/");
        (local["rawPath"], local["requestContext"]["domainName"]) = (json!(path), json!("localhost"));
        let as_sent = [FrontEnd::FunctionUrl, FrontEnd::RestApi, FrontEnd::LoadBalancer];
        for event in as_sent.map(|front_end| front_end.event("POST", path)).into_iter().chain([local]) {
            assert_eq!(answer(&RECORD, &event), Err(status), "{path} in {event}");
        }
    }
}

#[test]
fn only_the_domain_that_aws_reports_decides_how_a_path_is_read() {
    let table = [
        ("abc.lambda-url.eu-west-2.on.aws", true),
        ("ABC.Lambda-URL.eu-west-2.on.aws.", true),
        ("abc.lambda-url.cn-north-1.on.amazonwebservices.com.cn", true),
        ("localhost", true),
        ("abc.execute-api.eu-west-2.amazonaws.com", false),
        ("visits.example.org", false),
        ("", false),
        (".lambda-url.eu-west-2.on.aws", false),
        ("abc.lambda-url..on.aws", false),
        ("abc.lambda-url.on.aws", false),
        ("abc.lambda-url.eu-west-2.on.aws.example.org", false),
        ("abc.lambda-url.eu-west-2.example.org", false),
        ("abc.notlambda-url.eu-west-2.on.aws", false),
        ("a.b.lambda-url.eu-west-2.on.aws", false),
    ];
    for (domain, is_encoded) in table {
        let mut event = FrontEnd::HttpApi.event("POST", "/visit/%2525");
        event["requestContext"]["domainName"] = json!(domain);
        event["headers"] = json!({"host": table[0].0, "user-agent": "cargo-lambda"});
        let read = request(&event);
        assert_eq!((read.path_is_encoded, read.is_local), (is_encoded, domain == "localhost"), "{domain}");
        assert_eq!(answer(&RECORD, &event), Ok(if is_encoded { "%" } else { "%25" }.to_owned()), "{domain}");
    }
}

#[test]
fn a_stage_in_front_of_the_route_is_left_out() {
    let check = |sample: &str, stage: &str, rows: &[(&str, Result<&str, u16>)]| {
        for (path, expected) in rows {
            let mut event: Value = serde_json::from_str(sample).unwrap();
            event["requestContext"]["stage"] = json!(stage);
            if event["rawPath"].is_string() {
                event["rawPath"] = json!(path);
                event["requestContext"]["http"]["method"] = json!("POST");
            } else {
                event["path"] = json!(path);
                event["httpMethod"] = json!("POST");
            }
            assert_eq!(answer(&RECORD, &event), expected.map(str::to_owned), "{stage} {path}");
        }
    };
    let rows = [
        ("/Prod/visit/home", Ok("home")),
        ("/Prod/visit/Prod/visit/a%20b", Ok("Prod/visit/a%20b")),
        ("/visit/home", Ok("home")),
        ("/visit/Prod/x", Ok("Prod/x")),
        ("/Prod/visit/", Err(400)),
        ("/Prod/visit", Err(404)),
        ("/Prodvisit/home", Err(404)),
        ("/prod/visit/home", Err(404)),
        ("/Prod/Prod/visit/home", Err(404)),
        ("/other/visit/home", Err(404)),
        ("/Prod/many", Ok("(many)")),
        ("/Prod/Prod/many", Err(404)),
    ];
    for sample in [WITH_STAGE, FrontEnd::HttpApiVersion1.sample()] {
        check(sample, "Prod", &rows);
        check(sample, "visit", &[("/visit/visit/home", Ok("home")), ("/visit/home", Ok("home"))]);
        check(sample, "$default", &[("/$default/visit/home", Err(404))]);
    }
    // A REST API leaves its stage out itself.
    let rows = [("/visit/visit/home", Ok("visit/home")), ("/visit/home", Ok("home"))];
    check(FrontEnd::RestApi.sample(), "visit", &rows);
}

#[test]
fn each_route_has_its_method_and_an_unknown_path_is_told_first() {
    for (route, method, path, expected) in [
        (&RECORD, "POST", "/visit/home", Ok("home")),
        (&READ, "GET", "/visits/home", Ok("home")),
        (&RECORD, "GET", "/visit/home", Err(405)),
        (&RECORD, "PURGE", "/visit/", Err(405)),
        (&READ, "POST", "/visits/home", Err(405)),
        (&READ, "HEAD", "/visits/home", Ok("home")),
        (&RECORD, "HEAD", "/visit/home", Err(405)),
        (&RECORD, "GET", "/visits/home", Err(404)),
        (&READ, "POST", "/visit/home", Err(404)),
        (&READ, "GET", "/favicon.ico", Err(404)),
        (&READ, "OPTIONS", "/visits/home", Err(405)),
        (&RECORD, "POST", "/many", Ok("(many)")),
        (&RECORD, "PUT", "/visit/home", Ok("home")),
        (&RECORD, "POST", "/many/", Err(404)),
        (&RECORD, "GET", "/many", Err(405)),
        (&RECORD, "OPTIONS", "/visit/a/b", Ok("POST, PUT")),
        (&RECORD, "OPTIONS", "/many", Ok("POST")),
        (&RECORD, "OPTIONS", "/", Err(404)),
        (&RECORD, "GET", "/", Ok(&*format!("{INDEX}POST /visit/{{page_id}}\nPOST /many\nPUT /visit/{{page_id}}\n"))),
        (&RECORD, "GET", "//", Err(404)),
    ] {
        for front_end in FrontEnd::ALL {
            let answer = answer(route, &front_end.event(method, path));
            assert_eq!(answer, expected.map(str::to_owned), "{front_end:?} {method} {path}");
        }
    }
}

#[test]
fn the_samples_themselves_are_read_and_on_no_route() {
    for sample in OTHER_SAMPLES.into_iter().chain(FrontEnd::ALL.map(FrontEnd::sample)) {
        let event: Value = serde_json::from_str(sample).unwrap();
        let read = request(&event);
        assert!(!read.malformed && !read.headers.is_empty() && read.address.is_some(), "{sample}");
        let index = read.path == "/" && read.method == "GET";
        let expected = if index { Ok(format!("{INDEX}GET /visits/{{page_id}}\n")) } else { Err(404) };
        assert_eq!(answer(&READ, &event), expected, "{sample}");
    }
}

#[test]
fn a_query_is_decoded_once_and_keeps_all_values_where_the_front_end_does() {
    use super::Query;
    for front_end in FrontEnd::ALL {
        let event = front_end.event("GET", "/visits?page=a%2Fb&days=7&page=a+b&page=a%2Bb&page=%2525&page=caf%C3%A9");
        let query = Query::parse(&request(&event).query).unwrap();
        let pages: Vec<_> = query.all("page").collect();
        let expected: &[&str] = match front_end {
            // It hands over the last value alone.
            FrontEnd::LoadBalancer => &["café"],
            _ => &["a/b", "a b", "a+b", "%25", "café"],
        };
        assert_eq!((pages.as_slice(), query.get("days")), (expected, Some("7")), "{front_end:?}");
    }
}

#[test]
fn headers_have_any_case_and_the_address_is_the_front_ends_word() {
    for (front_end, address) in FrontEnd::ALL.into_iter().zip([
        "192.0.2.99",
        "127.0.0.1",
        "65.78.31.245",
        "192.168.196.186",
        "192.0.2.9",
        "192.0.2.9",
    ]) {
        let mut event = front_end.event("GET", "/");
        if front_end == FrontEnd::HttpApi {
            event["requestContext"]["http"]["sourceIp"] = json!(address);
        }
        front_end.add_header(&mut event, "User-Agent", "a");
        front_end.add_header(&mut event, "origin", "é");
        front_end.add_header(&mut event, "X-Forwarded-For", "203.0.113.7, 192.0.2.9");
        front_end.add_header(&mut event, "forwarded", "for=203.0.113.7");
        let read = request(&event);
        let headers = ["user-agent", "origin", "referer"].map(|name| read.header(name));
        assert_eq!(headers, [Some("a"), Some("é"), None], "{front_end:?}");
        assert_eq!(read.address.as_deref(), Some(address), "{front_end:?}");
    }
    for (forwarded, address) in [
        ("192.0.2.9:54321", "192.0.2.9"),
        ("203.0.113.7, [2001:db8::1]:443", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("203.0.113.7,", ""),
        ("x", "x"),
    ] {
        let mut event = FrontEnd::LoadBalancer.event("GET", "/");
        event["headers"]["x-forwarded-for"] = json!(forwarded);
        assert_eq!(request(&event).address.as_deref(), Some(address));
    }
    assert_eq!(request(&FrontEnd::LoadBalancer.event("GET", "/")).address, None);
}

#[test]
fn the_client_behind_a_proxy_has_the_address_that_only_the_proxy_can_tell() {
    const SECRET: &str = "a-secret-of-the-proxy";
    let proxy = |header: &str| {
        let place = format!("{header};secret={SECRET}");
        let config = Config::from_vars(|name| (name == "VISITS_CLIENT_ADDRESS").then(|| place.clone().into()));
        config.unwrap().client_address
    };
    let (viewer, real_ip) = (proxy("CloudFront-Viewer-Address"), proxy("X-Real-IP"));
    for front_end in FrontEnd::ALL {
        let with = |headers: &[(&str, &str)]| {
            let mut event = front_end.event("GET", "/");
            front_end.add_header(&mut event, "x-forwarded-for", "192.0.2.9");
            for (name, value) in headers {
                front_end.add_header(&mut event, name, value);
            }
            request(&event)
        };
        let source = with(&[]).address.unwrap();
        for (proxy, value, address) in [
            (&viewer, "198.51.100.10:46532", "198.51.100.10"),
            (&viewer, "2001:db8::1:46532", "2001:db8::1"),
            (&viewer, "2001:0DB8:0:0:0:0:0:1:443", "2001:db8::1"),
            (&viewer, "[2001:db8::1]:443", &source),
            (&viewer, "198.51.100.10", &source),
            (&real_ip, " 198.51.100.10 ", "198.51.100.10"),
            (&real_ip, "198.51.100.10:80", "198.51.100.10"),
            (&real_ip, "2001:db8::1:443", "2001:db8::1:443"),
            (&real_ip, "[2001:db8::1]:443", "2001:db8::1"),
            (&real_ip, "203.0.113.7, 198.51.100.10", &source),
            (&real_ip, "unknown", &source),
            (&real_ip, "", &source),
            (&None, "198.51.100.10", &source),
        ] {
            let name = if *proxy == viewer { "CloudFront-Viewer-Address" } else { "x-real-ip" };
            let read = with(&[("X-Visits-Proxy", SECRET), (name, value)]);
            assert_eq!(read.client_address(proxy.as_ref()), address, "{front_end:?} {value}");
            for given in [&[][..], &[("x-visits-proxy", "")], &[("x-visits-proxy", "a-secret-of-the-proxyx")]] {
                let read = with(&[given, &[(name, value)]].concat());
                assert_eq!(read.client_address(proxy.as_ref()), source, "{front_end:?} {value} with {given:?}");
            }
        }
        assert_eq!(with(&[("x-visits-proxy", SECRET)]).client_address(viewer.as_ref()), source, "{front_end:?}");
        if front_end.has_multi_value() {
            let twice = with(&[("x-visits-proxy", SECRET), ("x-real-ip", "198.51.100.10"), ("x-real-ip", "::1")]);
            assert_eq!(twice.client_address(real_ip.as_ref()), source, "{front_end:?}");
        }
    }
}

fn with_headers(headers: &[(&'static str, &str)]) -> Request {
    let mut event = FrontEnd::RestApi.event("GET", "/");
    for (name, value) in headers {
        FrontEnd::RestApi.add_header(&mut event, name, value);
    }
    request(&event)
}

#[test]
fn who_asks_not_to_be_followed_and_what_is_loaded_ahead_is_told() {
    for (name, value, asks) in
        [("dnt", "1", true), ("sec-gpc", "1", true), ("dnt", "0", false), ("dnt", "", false), ("sec-gpc", "11", false)]
    {
        assert_eq!(with_headers(&[(name, value)]).do_not_track(), asks, "{name}: {value}");
    }
    assert!(with_headers(&[("dnt", "1"), ("sec-gpc", "0")]).do_not_track());
    for (name, value, ahead) in [
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
        assert_eq!(with_headers(&[(name, value)]).is_speculative(), ahead, "{name}: {value}");
    }
    assert!(with_headers(&[("sec-purpose", "prefetch"), ("x-moz", "other")]).is_speculative());
}

#[test]
fn of_all_cookies_each_session_is_read_wherever_it_is() {
    let (first, second) = ("__Host-visits_session=1.x", "__Host-visits_session=2.y");
    let others = "x__Host-visits_session=1; __Host-visits_sessionx=2; __Host-visits_session; visits_session=3; \
                  __host-visits_session=4";
    for front_end in FrontEnd::ALL {
        let sessions = |cookies: &[&str]| {
            let mut event = front_end.event("GET", "/");
            for cookie in cookies {
                if front_end.is_version2() {
                    event["cookies"].as_array_mut().unwrap().push(json!(cookie));
                } else {
                    front_end.add_header(&mut event, "Cookie", cookie);
                }
            }
            request(&event).sessions().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(sessions(&[&format!("a=b; {first}; c=d")]), ["1.x"], "{front_end:?}");
        assert_eq!(sessions(&[&format!("{first};{second}")]), ["1.x", "2.y"], "{front_end:?}");
        assert_eq!(sessions(&[others]), Vec::<String>::new(), "{front_end:?}");
        if front_end != FrontEnd::LoadBalancer {
            assert_eq!(sessions(&["a=b", first, second]), ["1.x", "2.y"], "{front_end:?}");
        }
    }
    let mut event = FrontEnd::HttpApi.event("GET", "/");
    (event["headers"]["cookie"], event["cookies"]) = (json!(first), json!([second]));
    assert_eq!(request(&event).sessions().collect::<Vec<_>>(), ["1.x", "2.y"]);
}

#[test]
fn a_body_is_read_whether_or_not_its_front_end_takes_it_for_text() {
    for front_end in FrontEnd::ALL {
        let body = |body: Value, is_base64: bool| -> Result<Value, Problem> {
            let mut event = front_end.event("POST", "/many");
            (event["body"], event["isBase64Encoded"]) = (body, json!(is_base64));
            request(&event).body.json("any JSON is accepted")
        };
        assert_eq!(body(json!("[\"é\"]"), false), Ok(json!(["é"])));
        assert_eq!(body(json!(BASE64.encode("[\"é\"]")), true), Ok(json!(["é"])));
        for (wrong, is_base64) in [
            (json!(null), false),
            (json!(""), false),
            (json!("x"), false),
            (json!("[]"), true),
            (json!("é"), true),
            (json!(BASE64.encode(b"[\"\xff\"]")), true),
        ] {
            let problem = body(wrong.clone(), is_base64).unwrap_err();
            let (status, text) = (problem.status(), Response::from(problem).body().to_owned());
            assert_eq!(status, 400, "{wrong}");
            assert!(text.contains("the body cannot be read: ") && text.contains("any JSON is accepted"), "{text}");
        }
        let text = |bytes: usize| format!("\"{}\"", "a".repeat(bytes - 2));
        for (bytes, status) in [(MAX_BODY, 200), (MAX_BODY + 1, 413), (MAX_BODY * 20, 413)] {
            for (text, is_base64) in [(text(bytes), false), (BASE64.encode(text(bytes)), true)] {
                let read = body(json!(text), is_base64).map_or_else(|problem| problem.status().as_u16(), |_| 200);
                assert_eq!(read, status, "{bytes}");
            }
        }
    }
}

#[test]
fn json_of_no_front_end_is_a_direct_event_and_an_order_is_its_only_member_or_told_from_one() {
    for text in ["[]", "null", "{}", "7", "-7", "1.5", "\"text\"", "true", "[{}]", "[{\"flush\":{}}]", SCHEDULE] {
        assert!(matches!(read(text), Event::Direct(DirectEvent { flush: None, .. })), "{text}");
    }
    let direct = |text| match read(text) {
        Event::Direct(event) => event,
        other @ Event::Http(_) => panic!("{other:?}"),
    };
    let order = direct(r#"{"flush":{"hold_until":1}}"#);
    assert_eq!(order, DirectEvent { flush: Some(json!({"hold_until": 1})), nothing_else: true });
    assert!(!direct(r#"{"flush":{},"x":1}"#).nothing_else);
}

/// Members that are replaced by a value, by JSON pointer; `None` takes the member away.
fn hostile(front_end: FrontEnd) -> Vec<(&'static str, Option<Value>)> {
    let (path, method, query) = if front_end.is_version2() {
        ("/rawPath", "/requestContext/http/method", "/rawQueryString")
    } else {
        ("/path", "/httpMethod", "/queryStringParameters")
    };
    let headers = if front_end.has_multi_value() { "/multiValueHeaders" } else { "/headers" };
    let header = |name: &str, value: &str| {
        Some(if front_end.has_multi_value() { json!({name: [value]}) } else { json!({name: value}) })
    };
    let mut events: Vec<_> = [
        (headers, header("host", "a b")),
        (headers, header("host", "h:99999")),
        (headers, header("host", "a\"b<c>")),
        (headers, header("host", "xn--")),
        (headers, header("x-forwarded-proto", "https,http")),
        (headers, header("x-forwarded-for", ",,\u{e9}")),
        (headers, header("x-a", "\u{7f}")),
        (headers, header("x-a", "a\nb")),
        (headers, header("x a", "")),
        (headers, header("", "")),
        (headers, Some((0..40_000).map(|n| (n.to_string(), json!("x"))).collect())),
        (headers, Some(json!(null))),
        (headers, Some(json!([["x"]]))),
        (headers, Some(json!({"x": {"y": 1}}))),
        (headers, Some(json!({"x": []}))),
        (path, None),
        (path, Some(json!(null))),
        (path, Some(json!(7))),
        (path, Some(json!("*"))),
        (path, Some(json!("http://h/visit/home"))),
        (path, Some(json!(format!("/visit/{}", "é".repeat(40_000))))),
        (method, None),
        (method, Some(json!("G ET"))),
        (method, Some(json!([]))),
        ("/requestContext", None),
        ("/requestContext", Some(json!("x"))),
        ("/requestContext", Some(json!({}))),
        ("/requestContext/http", Some(json!(null))),
        ("/requestContext/stage", Some(json!("//".repeat(40_000)))),
        ("/requestContext/domainName", Some(json!("http://{\"<>}"))),
        ("/requestContext/identity", Some(json!([1]))),
        ("/body", Some(json!({"a": 7}))),
        ("/isBase64Encoded", Some(json!("true"))),
        ("/cookies", Some(json!([null, 7, "\n"]))),
    ]
    .into();
    events.extend(["\"<>", "a b", "%zz", "%FF", "a=%00"].map(|text| {
        let value = if front_end.is_version2() { json!(text) } else { json!({text: text}) };
        (query, Some(value))
    }));
    events.extend([json!({"a": []}), json!({"a": null}), json!(null), json!(7)].map(|value| (query, Some(value))));
    events
}

#[test]
fn a_hostile_event_is_answered_as_a_request_and_never_taken_for_an_order() {
    for front_end in FrontEnd::ALL {
        for (member, value) in hostile(front_end) {
            let mut event = front_end.event("POST", "/visit/home");
            event["flush"] = json!({});
            let (parent, name) = member.rsplit_once('/').unwrap();
            let parent = event.pointer_mut(parent).and_then(Value::as_object_mut);
            match (parent, value) {
                (Some(parent), Some(value)) => drop(parent.insert(name.to_owned(), value)),
                (Some(parent), None) => drop(parent.remove(name)),
                (None, _) => {}
            }
            let answer = answer(&RECORD, &event);
            let right = answer.as_deref() == Ok("home") || matches!(answer, Err(400 | 404 | 405));
            assert!(right, "{front_end:?} {member}: {answer:?}");
        }
        let event = front_end.event("POST", "/visit/home").to_string();
        let twice = event.replacen('{', r#"{"requestContext":{},"body":"x","#, 1);
        let deep = event.replacen('{', &format!(r#"{{"x":{}{},"#, "[".repeat(500), "]".repeat(500)), 1);
        assert_eq!(answer_to(&RECORD, &request_of(&twice)), Err(400), "{front_end:?}: a member twice");
        assert_eq!(
            answer_to(&RECORD, &request_of(&deep)),
            Ok("home".to_owned()),
            "{front_end:?}: a member that means nothing"
        );
    }
    for event in
        [r#"{"requestContext":{},"flush":{}}"#, r#"{"httpMethod":1,"flush":{}}"#, r#"{"rawPath":1,"flush":{}}"#]
    {
        assert_eq!(answer_to(&RECORD, &request_of(event)), Err(400), "{event}");
    }
}

#[test]
fn no_log_shows_address_or_token() {
    for front_end in FrontEnd::ALL {
        let mut event = front_end.event("POST", "/session");
        front_end.add_header(&mut event, "authorization", "Bearer s3cret");
        front_end.add_header(&mut event, "x-forwarded-for", "192.0.2.99");
        event["body"] = json!(r#"{"token":"s3cret"}"#);
        let shown = format!("{:?}", read(&event.to_string()));
        assert!(shown.contains("/session") && !shown.contains("s3cret") && !shown.contains("192.0.2.99"), "{shown}");
    }
}

#[test]
fn an_answer_has_the_shape_that_its_front_end_takes() {
    let response = Response::binary("image/gif", "no-store", b"\xffGIF").with("set-cookie", "a=b; Path=/");
    let with_cookie = |headers: bool| {
        let mut all =
            json!({"cache-control": "no-store", "content-type": "image/gif", "x-content-type-options": "nosniff"});
        if headers {
            all["set-cookie"] = json!("a=b; Path=/");
        }
        all
    };
    let lists: Value =
        with_cookie(true).as_object().unwrap().iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
    for front_end in FrontEnd::ALL {
        let mut expected = json!({"statusCode": 200, "body": "/0dJRg==", "isBase64Encoded": true});
        match front_end {
            FrontEnd::HttpApi | FrontEnd::FunctionUrl => {
                (expected["headers"], expected["cookies"]) = (with_cookie(false), json!(["a=b; Path=/"]));
            }
            FrontEnd::LoadBalancer => expected["headers"] = with_cookie(true),
            _ => expected["multiValueHeaders"] = lists.clone(),
        }
        if matches!(front_end, FrontEnd::LoadBalancer | FrontEnd::LoadBalancerMultiValue) {
            expected["statusDescription"] = json!("200 OK");
        }
        let reply = Reply::to(&request(&front_end.event("GET", "/pixel/a")), response.clone());
        assert_eq!(serde_json::to_value(reply).unwrap(), expected, "{front_end:?}");
        // A request that cannot be read is answered in that shape, too.
        let mut event = front_end.event("GET", "/pixel/a");
        event["body"] = json!(7);
        let reply = serde_json::to_value(Reply::to(&request(&event), response.clone())).unwrap();
        assert_eq!(reply, expected, "{front_end:?}");
    }
}

proptest! {
    #[test]
    fn any_path_is_read_as_it_was_sent(path in r"(?s)/.{0,40}", host in r"[ -~é]{0,12}", query in r"[ -~é]{0,12}") {
        let mut event = FrontEnd::HttpApi.event("POST", "/");
        event["rawPath"] = json!(path);
        event["headers"]["host"] = json!(host);
        event["rawQueryString"] = json!(query);
        prop_assert_eq!(request(&event).path, path);
    }
}
