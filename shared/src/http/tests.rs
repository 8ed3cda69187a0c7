//! Requests made of AWS's own sample events: which page each is about, or which problem it gets.

use super::{Event, Found, Request, Route, Routes};
use proptest::prelude::{prop_assert_eq, proptest};
use serde_json::{Value, json};

pub(crate) const HTTP_API: &str = include_str!("../../tests/fixtures/aws/example-apigw-v2-request-no-authorizer.json");
pub(crate) const FUNCTION_URL: &str = include_str!("../../tests/fixtures/aws/lambda_function_url_request.json");
const WITH_STAGE: &str = include_str!("../../tests/fixtures/aws/apigw_v2_proxy_request_with_stage_in_path.json");
const OTHER_HTTP_APIS: [&str; 4] = [
    include_str!("../../tests/fixtures/aws/example-apigw-v2-request-iam.json"),
    include_str!("../../tests/fixtures/aws/example-apigw-v2-request-jwt-authorizer.json"),
    include_str!("../../tests/fixtures/aws/example-apigw-v2-request-lambda-authorizer.json"),
    include_str!("../../tests/fixtures/aws/example-apigw-v2-request-multi-value-parameters.json"),
];

/// A sample event for another method and path.
pub(crate) fn event(sample: &str, method: &str, path: &str) -> Value {
    let mut event: Value = serde_json::from_str(sample).unwrap();
    event["rawPath"] = json!(path);
    event["requestContext"]["http"]["method"] = json!(method);
    event["requestContext"]["http"]["path"] = json!(path);
    event
}

fn request(event: &Value) -> Request {
    match serde_json::from_str(&event.to_string()).unwrap() {
        Event::Http(request) => *request,
        other => panic!("{other:?} is no request"),
    }
}

const RECORD: Routes<&str> = Routes {
    routes: &[
        Route::new("POST", "/visit/{page_id}", "visit"),
        Route::new("POST", "/many", "many"),
        Route::new("PUT", "/visit/{page_id}", "set"),
    ],
    cors: true,
};
const READ: Routes<&str> = Routes { routes: &[Route::new("GET", "/visits/{page_id}", "read")], cors: false };

/// The page, or the status of the problem.
fn answer(routes: &Routes<&str>, event: &Value) -> Result<String, u16> {
    let request = request(event);
    let page = match routes.find(&request) {
        Ok(Found::Route("many", _)) => return Ok("(many)".to_owned()),
        Ok(Found::Route(_, target)) => target.page(),
        Ok(Found::Preflight(text) | Found::Index(text)) => return Ok(text),
        Err(problem) => Err(problem),
    };
    page.map(|page| page.to_string()).map_err(|problem| problem.status().as_u16())
}

/// Runs rows of a path and what `POST` on it gives.
fn check(sample: &str, change: impl Fn(&mut Value), rows: &[(&str, Result<&str, u16>)]) {
    for (path, expected) in rows {
        let mut event = event(sample, "POST", path);
        change(&mut event);
        assert_eq!(answer(&RECORD, &event), expected.map(str::to_owned), "{path:?}");
    }
}

const DECODED: [(&str, Result<&str, u16>); 21] = [
    ("/visit/home", Ok("home")),
    ("/visit/a/b", Ok("a/b")),
    ("/visit/a/", Ok("a/")),
    ("/visit//", Ok("/")),
    ("/visit/café", Ok("café")),
    ("/visit/a b", Ok("a b")),
    ("/visit/a+b", Ok("a+b")),
    ("/visit/%", Ok("%")),
    ("/visit/%25", Ok("%25")),
    ("/visit/%zz", Ok("%zz")),
    ("/visit/a?b#c", Ok("a?b#c")),
    ("/visit/a/../b", Ok("a/../b")),
    ("/visit/visit/x", Ok("visit/x")),
    ("/visit/", Err(400)),
    ("/visit/a\u{0}", Err(400)),
    ("/visit/a\u{85}", Err(400)),
    ("/visit", Err(404)),
    ("/visits/home", Err(404)),
    ("/", Err(404)),
    ("", Err(404)),
    ("//visit/home", Err(404)),
];

const ENCODED: [(&str, Result<&str, u16>); 16] = [
    ("/visit/home", Ok("home")),
    ("/visit/a/b", Ok("a/b")),
    ("/visit/a%2Fb", Ok("a/b")),
    ("/visit/caf%C3%A9", Ok("café")),
    ("/visit/a%20b", Ok("a b")),
    ("/visit/a+b", Ok("a+b")),
    ("/visit/%25", Ok("%")),
    ("/visit/%2525", Ok("%25")),
    ("/visit/a/%2E%2E/b", Ok("a/../b")),
    ("/visit/", Err(400)),
    ("/visit/%", Err(400)),
    ("/visit/%zz", Err(400)),
    ("/visit/%E9", Err(400)),
    ("/visit/%00", Err(400)),
    ("/visit%2Fhome", Err(404)),
    ("/%76isit/home", Err(404)),
];

#[test]
fn an_http_api_hands_the_path_over_decoded() {
    check(HTTP_API, |_| {}, &DECODED);
    for sample in OTHER_HTTP_APIS {
        check(sample, |_| {}, &DECODED);
    }
    let own_domain = |event: &mut Value| event["requestContext"]["domainName"] = json!("visits.example.org");
    check(HTTP_API, own_domain, &DECODED);
}

#[test]
fn function_urls_and_the_emulator_hand_the_path_over_encoded() {
    check(FUNCTION_URL, |_| {}, &ENCODED);
    check(HTTP_API, |event| event["requestContext"]["domainName"] = json!("localhost"), &ENCODED);
}

#[test]
fn no_header_decides_how_the_path_is_read() {
    let posing_as = |host: &'static str| {
        move |event: &mut Value| {
            event["headers"]["host"] = json!(host);
            event["headers"]["user-agent"] = json!("cargo-lambda");
        }
    };
    check(HTTP_API, posing_as("abc.lambda-url.eu-west-2.on.aws"), &DECODED);
    check(HTTP_API, posing_as("localhost"), &DECODED);
    check(FUNCTION_URL, posing_as("visits.example.org"), &ENCODED);
}

#[test]
fn a_stage_in_front_of_the_route_is_left_out() {
    check(
        WITH_STAGE,
        |_| {},
        &[
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
        ],
    );
    let called_like_the_route = |event: &mut Value| event["requestContext"]["stage"] = json!("visit");
    check(WITH_STAGE, called_like_the_route, &[("/visit/visit/home", Ok("home")), ("/visit/home", Ok("home"))]);
    let default = |event: &mut Value| event["requestContext"]["stage"] = json!("$default");
    check(WITH_STAGE, default, &[("/$default/visit/home", Err(404))]);
}

#[test]
fn each_route_has_its_method_and_an_unknown_path_is_told_first() {
    let table = [
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
        (&RECORD, "GET", "/", Ok("POST /visit/{page_id}\nPOST /many\nPUT /visit/{page_id}")),
        (&RECORD, "GET", "//", Err(404)),
    ];
    for (route, method, path, expected) in table {
        let expected = expected.map(str::to_owned);
        assert_eq!(answer(route, &event(HTTP_API, method, path)), expected, "{method} {path}");
    }
}

#[test]
fn the_samples_themselves_are_on_no_route() {
    for sample in OTHER_HTTP_APIS.into_iter().chain([HTTP_API, FUNCTION_URL, WITH_STAGE]) {
        let event: Value = serde_json::from_str(sample).unwrap();
        let index = event["rawPath"] == "/" && event["requestContext"]["http"]["method"] == "GET";
        let expected = if index { Ok("GET /visits/{page_id}".to_owned()) } else { Err(404) };
        assert_eq!(answer(&READ, &event), expected, "{}", event["rawPath"]);
    }
}

/// Each of these made `lambda_http` 1.3.2 panic, or refuse the event, when it built a request of it.
#[test]
fn no_part_of_an_event_that_we_do_not_read_costs_a_visit() {
    let home = |change: &dyn Fn(&mut Value)| {
        let mut event = event(HTTP_API, "POST", "/visit/home");
        change(&mut event);
        assert_eq!(answer(&RECORD, &event), Ok("home".to_owned()), "{event}");
    };
    for (name, value) in [
        ("host", "a b"),
        ("host", "h:99999"),
        ("host", "a\"b"),
        ("host", "xn--"),
        ("x-forwarded-proto", ""),
        ("x-forwarded-proto", "https,http"),
        ("x-a", "\u{7f}"),
        ("x-a", "a\nb"),
        ("x a", ""),
    ] {
        home(&|event| event["headers"][name] = json!(value));
    }
    for domain in ["", " ", "{", "a b", "xn--", "h:99999", "a\"b", "http://h"] {
        home(&|event| event["requestContext"]["domainName"] = json!(domain));
    }
    for stage in ["", "a b", "//", "..", "?#", &"é".repeat(70_000)] {
        home(&|event| event["requestContext"]["stage"] = json!(stage));
    }
    for query in ["\"", "a b", "%zz"] {
        home(&|event| event["rawQueryString"] = json!(query));
    }
    home(&|event| event["headers"] = (0..40_000).map(|n| (n.to_string(), json!("x"))).collect());
    home(&|event| event["body"] = json!(7));
}

#[test]
fn a_path_that_is_no_routes_is_unknown() {
    for path in [":x", "@[", " x", "*", "http://h/visit/home"] {
        assert_eq!(answer(&RECORD, &event(HTTP_API, "POST", path)), Err(404), "{path}");
    }
    let mut without_path = event(HTTP_API, "POST", "");
    without_path["rawPath"] = Value::Null;
    assert_eq!(answer(&RECORD, &without_path), Err(404));
    let long = format!("/visit/{}", "é".repeat(40_000));
    assert_eq!(answer(&RECORD, &event(HTTP_API, "POST", &long)), Err(400));
}

proptest! {
    #[test]
    fn any_path_is_read_as_it_was_sent(path in r"(?s)/.{0,40}", host in r"[ -~é]{0,12}", query in r"[ -~é]{0,12}") {
        let mut event = event(HTTP_API, "POST", &path);
        event["headers"]["host"] = json!(host);
        event["rawQueryString"] = json!(query);
        prop_assert_eq!(request(&event).path, path);
    }
}
