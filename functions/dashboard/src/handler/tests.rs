mod openapi;

use super::*;
use redis::Commands;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tempfile::NamedTempFile;
use visits_core::clock::ManualClock;
use visits_core::statistics::ChangeError;
use visits_core::tests::{Call, Fault, Shards, any_event_gets_a_right_answer, body, outcome, response};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

struct World {
    handler: Handler,
    shards: Shards,
    time: ManualClock,
    token: NamedTempFile,
}

fn world() -> World {
    with_settings(&[])
}

fn with_settings(settings: &[(&str, &str)]) -> World {
    let token = NamedTempFile::new().unwrap();
    std::fs::write(&token, TOKEN).unwrap();
    let place = format!("file:{}", token.path().display());
    let settings = [settings, &[("VISITS_OWNER_TOKEN", place.as_str())]].concat();
    let (shards, time) = (Shards::with(2, &settings), ManualClock::new());
    // No page moves.
    for shard in 0..2 {
        let _: u64 =
            shards.connect().hset(shards.key(shard, "shard"), "ring", shards.ring().fingerprint().to_string()).unwrap();
    }
    let figures = Figures::new(Arc::clone(shards.store()), shards.ring(), time.clock(), shards.config());
    World { handler: Handler::new(figures, Owner::new(shards.config()).unwrap()), shards, time, token }
}

/// A request of the owner.
fn owner(method: &str, target: &str) -> Call {
    Call::new(method, target).header("authorization", &format!("Bearer {TOKEN}"))
}

fn with_cookie(method: &str, target: &str, cookie: &str) -> Call {
    Call::new(method, target).header("cookie", cookie)
}

impl World {
    async fn answer(&self, call: &Call) -> Response {
        response(self.handler.handle(call.event()).await.unwrap())
    }

    async fn check(&self, call: Call, status: u16, kind: &str) -> Response {
        let (answer, shown) =
            (self.answer(&call).await, format!("{} {}", call.0["requestContext"]["http"], call.0["body"]));
        assert_eq!(outcome(&answer), (status, kind.to_owned()), "{shown}");
        answer
    }
}

fn is_owners(action: Action) -> bool {
    use Action::{Delete, History, Set, Summary, Top};
    matches!(action, History | Top | Summary | Set | Delete)
}

#[tokio::test]
async fn anybody_gets_the_page_and_what_it_loads_and_is_led_to_it() {
    let world = world();
    for (path, stage, media_type) in [
        ("/dashboard", "$default", "text/html; charset=utf-8"),
        ("/dashboard/app.js", "$default", "text/javascript; charset=utf-8"),
        ("/dashboard/app.css", "$default", "text/css; charset=utf-8"),
        ("/prod/dashboard/app.css", "prod", "text/css; charset=utf-8"),
        ("/counter.js", "$default", "text/javascript; charset=utf-8"),
        ("/openapi.json", "$default", "application/json"),
    ] {
        let response = world.check(Call::new("GET", path).context("/stage", stage), 200, "").await;
        assert_eq!(response.header("content-type"), Some(media_type), "{path}");
        assert!(!response.body().is_empty(), "{path}");
    }
    // Beside the page, so that a stage in front of it is in front of them.
    let page = world.answer(&Call::new("GET", "/dashboard")).await;
    for file in ["app.js", "app.css"] {
        let loads: Vec<_> = page.body().split('"').filter(|text| text.contains(file)).collect();
        assert_eq!(loads, [format!("dashboard/{file}")]);
    }
    for (path, stage, location) in
        [("/", "$default", "dashboard"), ("/prod/", "prod", "dashboard"), ("/dashboard/", "$default", "../dashboard")]
    {
        let response = world.check(Call::new("GET", path).context("/stage", stage), 308, "").await;
        assert_eq!(response.header("location"), Some(location), "{path}");
    }
    // The demo is for the local run only.
    for (path, part) in [("/dashboard/demo", "src=\"../counter.js\""), ("/dashboard/demo.js", "../visits/home")] {
        world.check(Call::new("GET", path).header("host", "localhost"), 404, "unknown-route").await;
        let answer = world.check(Call::new("GET", path).context("/domainName", "localhost"), 200, "").await;
        assert!(answer.body().contains(part), "{path}");
    }
}

#[tokio::test]
async fn head_is_answered_wherever_get_is_without_a_body() {
    let world = world();
    for route in ROUTES.routes.iter().filter(|route| route.method == "GET") {
        let path = route.path.replace("{page_id}", "home");
        let call = |method| owner(method, &path).context("/domainName", "localhost");
        let (get, head) = (world.answer(&call("GET")).await, world.answer(&call("HEAD")).await);
        assert_eq!((head.status(), head.body()), (get.status(), ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert_eq!(head.header("content-length"), Some(get.body().len().to_string().as_str()), "{path}");
    }
}

#[tokio::test]
async fn who_asks_whether_they_are_the_owner_is_told() {
    let (world, none) = (world(), with_settings(&[("VISITS_OWNER_TOKEN", "off")]));
    for (world, call, signed_in, token_configured) in [
        (&world, Call::new("GET", "/session"), false, true),
        (&world, with_cookie("GET", "/session", "__Host-visits_session=1.x"), false, true),
        (&world, owner("GET", "/session"), true, true),
        (&none, owner("GET", "/session"), false, false),
    ] {
        let answer = world.check(call, 200, "").await;
        let told = json!({"signed_in": signed_in, "token_configured": token_configured, "history_days": 400});
        assert_eq!((body(&answer), answer.header("cache-control")), (told, Some("no-store")));
    }
    std::fs::write(&world.token, "x").unwrap();
    world.check(Call::new("GET", "/session"), 503, "owner-token-unavailable").await;
}

#[tokio::test]
async fn nobody_but_the_owner_is_told_anything_or_changes_anything() {
    let (world, none) = (world(), with_settings(&[("VISITS_OWNER_TOKEN", "off")]));
    for route in ROUTES.routes.iter().filter(|route| is_owners(route.action)) {
        let path = route.path.replace("{page_id}", "home");
        // Before anything else that is wrong is looked at.
        let wrong = route.path.replace("{page_id}", "") + "?days=x";
        for call in [
            Call::new(route.method, &path),
            Call::new(route.method, &path).header("authorization", "Bearer x"),
            with_cookie(route.method, &path, "__Host-visits_session=1.x"),
            Call::new(route.method, &wrong),
        ] {
            world.check(call, 401, "unauthorized").await;
        }
        none.check(owner(route.method, &path), 403, "owner-token-missing").await;
    }
    assert_eq!((world.shards.calls(0), world.shards.calls(1)), (0, 0));
}

#[tokio::test]
async fn a_session_opens_with_the_token_reads_and_changes_only_for_the_page_itself() {
    let world = world();
    let login = |body: &str| Call::new("POST", "/session").body(body);
    world.check(login(r#"{"token":"x"}"#), 401, "unauthorized").await;
    for wrong in ["", "{}", "[]", "null", r#"{"token":1}"#, r#"{"token":"x","more":1}"#, TOKEN] {
        world.check(login(wrong), 400, "invalid-body").await;
    }
    world.check(login(&"x".repeat(64 * 1024 + 1)), 413, "body-too-large").await;
    let opened = world.check(login(&json!({ "token": TOKEN }).to_string()), 204, "").await;
    let (cookie, rest) = opened.header("set-cookie").unwrap().split_once("; ").unwrap();
    assert_eq!(rest, "HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=43200");
    world.check(with_cookie("GET", "/summary", cookie), 200, "").await;
    let forget = || with_cookie("DELETE", "/visits/home", cookie).header("idempotency-key", "k");
    world.check(forget(), 403, "forged-request").await;
    for forged in ["", "XMLHttpRequest"] {
        world.check(forget().header("x-requested-with", forged), 403, "forged-request").await;
    }
    world.check(forget().header("x-requested-with", "visits"), 200, "").await;
    let closed = world.check(Call::new("DELETE", "/session"), 204, "").await;
    assert!(closed.header("set-cookie").unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn what_is_wrong_is_told_and_changes_nothing_and_no_answer_is_cached_or_for_other_origins() {
    let world = world();
    let long = format!("/top?search={}", "x".repeat(101));
    let bounds = |name: &str, value: &str, most| format!("{name}={value}: a whole number from 1 to {most} is accepted");
    for (method, target, status, kind, told) in [
        ("GET", "/history/", 400, "invalid-page-id", "empty"),
        ("GET", "/history/%2500", 200, "", ""),
        ("GET", "/history/a%01", 400, "invalid-page-id", "control"),
        ("GET", "/history/home?days=0", 400, "invalid-query", &bounds("days", "0", 400)),
        ("GET", "/history/home?days=401", 400, "invalid-query", &bounds("days", "401", 400)),
        ("GET", "/top?days=", 400, "invalid-query", &bounds("days", "", 400)),
        ("GET", "/top?days=7.0", 400, "invalid-query", &bounds("days", "7.0", 400)),
        ("GET", "/top?limit=0", 400, "invalid-query", &bounds("limit", "0", 100)),
        ("GET", "/top?limit=101", 400, "invalid-query", &bounds("limit", "101", 100)),
        ("GET", "/top?search=%F", 400, "invalid-query", "%25"),
        ("GET", &long, 400, "invalid-query", "search has 101 characters: a text of at most 100 is accepted"),
        ("GET", "/summary?days=%FF", 400, "invalid-query", "UTF-8"),
        ("DELETE", "/visits/home", 400, "invalid-idempotency-key", "1 to 128 visible ASCII"),
        ("DELETE", "/visits/", 400, "invalid-page-id", "empty"),
        ("GET", "/visits/home", 405, "method-not-allowed", "PUT, DELETE"),
        ("OPTIONS", "/", 405, "method-not-allowed", "GET, HEAD"),
        ("PUT", "/session", 405, "method-not-allowed", "GET, POST, DELETE, HEAD"),
        ("GET", "/dashboard/x", 404, "unknown-route", "GET /dashboard"),
        ("GET", "/history/home", 200, "", ""),
        ("GET", "/top", 200, "", ""),
        ("GET", "/summary", 200, "", ""),
    ] {
        let answer = world.check(owner(method, target), status, kind).await;
        let headers = ["cache-control", "access-control-allow-origin"].map(|name| answer.header(name));
        assert_eq!(headers, [Some("no-store"), None], "{target}");
        let detail = body(&answer)["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(told), "{target}: {detail}");
        assert!(status != 405 || answer.header("allow") == Some(told), "{target}");
    }
    let put = |body: &str| owner("PUT", "/visits/home").header("idempotency-key", "k").body(body);
    let texts = ["", "{}", "7", r#"{"count":7,"days":1}"#, r#"{"count":1,"count":2}"#, r#"{"count":"7"}"#];
    let counts = ["-1", "1.5", "1000000000000000", "1e300", "-7.0", "18446744073709551616"];
    let counts = counts.map(|count| format!(r#"{{"count":{count}}}"#));
    for wrong in texts.into_iter().chain(counts.iter().map(String::as_str)) {
        world.check(put(wrong), 400, "invalid-body").await;
    }
    world.check(put(&format!("{}7", " ".repeat(64 * 1024))), 413, "body-too-large").await;
    for wrong in ["", "a b", "é"] {
        world.check(put(r#"{"count":7}"#).header("idempotency-key", wrong), 400, "invalid-idempotency-key").await;
    }
    // However JSON writes a whole number.
    for (n, (count, read)) in
        [("-0", 0), ("7.0", 7), ("7e2", 700), ("999999999999999", 999_999_999_999_999_u64)].into_iter().enumerate()
    {
        let put = put(&format!(r#"{{"count":{count}}}"#)).header("idempotency-key", &n.to_string());
        assert_eq!(body(&world.check(put, 200, "").await)["count"], read, "{count}");
    }
}

#[tokio::test]
async fn without_history_there_are_no_figures_and_a_shorter_one_is_the_bound() {
    let off = with_settings(&[("VISITS_HISTORY_DAYS", "0")]);
    for target in ["/history/home", "/top", "/summary"] {
        off.check(owner("GET", target), 404, "history-off").await;
    }
    for (kept, days) in [("10", 10), ("400", 30)] {
        let world = with_settings(&[("VISITS_HISTORY_DAYS", kept)]);
        let summary = body(&world.answer(&owner("GET", "/summary")).await);
        assert_eq!(summary["history_days"].to_string(), kept);
        assert_eq!(summary["days"].as_array().unwrap().len(), days, "{kept}");
        world.check(owner("GET", &format!("/summary?days={kept}")), 200, "").await;
        world.check(owner("GET", &format!("/summary?days={kept}1")), 400, "invalid-query").await;
    }
}

#[tokio::test]
async fn a_count_that_is_set_is_there_once_for_each_key() {
    let world = world();
    let put = |count: u64, key: &str| {
        owner("PUT", "/visits/<b>").header("idempotency-key", key).body(&json!({ "count": count }).to_string())
    };
    for repeated in [false, true] {
        let answer = world.answer(&put(7, "one")).await;
        assert_eq!(body(&answer), json!({"page": "<b>", "count": 7, "previous": 0, "repeated": repeated}));
    }
    world.check(put(8, "one"), 422, "idempotency-key-reused").await;
    assert_eq!(body(&world.answer(&owner("GET", "/history/<b>?days=1")).await)["visits"], 7);
    let forgotten = world.answer(&owner("DELETE", "/visits/<b>").header("idempotency-key", "two")).await;
    assert_eq!(body(&forgotten), json!({"page": "<b>", "count": 0, "previous": 7, "repeated": false}));
}

#[tokio::test]
async fn a_shard_that_is_down_is_told_of() {
    let world = world();
    for shard in [0, 1] {
        world.shards.set_down(shard, Some(Fault::Unreachable));
    }
    world.check(owner("GET", "/history/home"), 503, "statistics-unavailable").await;
    let top = world.check(owner("GET", "/top"), 503, "statistics-unavailable").await;
    assert_eq!(top.header("retry-after"), Some("1"));
    world.check(owner("DELETE", "/visits/home").header("idempotency-key", "k"), 503, "not-changed").await;
    let summary = body(&world.answer(&owner("GET", "/summary")).await);
    assert_eq!((&summary["complete"], &summary["shards"][0]["status"]), (&json!(false), &json!("down")));
}

#[tokio::test]
async fn a_change_that_cannot_be_made_now_says_whether_it_may_have_been() {
    for (error, kind, retry_after) in [
        (ChangeError::Moving, "pages-moving", "60"),
        (ChangeError::Unavailable, "not-changed", "1"),
        (ChangeError::Unknown, "change-not-confirmed", "1"),
    ] {
        let response = Response::from(problems::not_changed(error));
        assert_eq!((outcome(&response), response.header("retry-after")), ((503, kind.to_owned()), Some(retry_after)));
    }
}

#[tokio::test]
async fn events_of_other_shapes_get_a_clear_error_and_cost_nothing() {
    let world = world();
    for event in ["[]", "null", "{}", "7", "\"GET\"", r#"{"flush":{}}"#] {
        let error = world.handler.handle(serde_json::from_str(event).unwrap()).await.unwrap_err().to_string();
        assert!(error.starts_with("dashboard answers HTTP requests only"), "{event}: {error}");
    }
    assert_eq!(world.shards.calls(0) + world.shards.calls(1), 0);
}

#[tokio::test]
async fn refreshing_dashboards_cost_one_question_a_shard() {
    let world = world();
    let mut calls = Vec::new();
    for _ in 0..3 {
        world.check(owner("GET", "/summary"), 200, "").await;
        calls.push(world.shards.calls(0));
    }
    assert!(calls[0] > 0 && calls[2] == calls[0], "{calls:?}");
    world.time.advance(Duration::from_secs(5));
    world.check(owner("GET", "/summary"), 200, "").await;
    assert_eq!(world.shards.calls(0), 2 * calls[0]);
}

#[test]
fn any_event_is_answered_as_a_request_or_refused() {
    let (world, bearer) = (world(), format!(r#""authorization":"Bearer {TOKEN}""#));
    let samples = [
        format!(r#"{{"rawPath":"/top","rawQueryString":"days=7&limit=20&search=a","headers":{{{bearer}}},"requestContext":{{"http":{{"method":"GET"}}}}}}"#),
        format!(r#"{{"rawPath":"/history/home","rawQueryString":"days=7","headers":{{{bearer}}},"requestContext":{{"http":{{"method":"GET"}}}}}}"#),
        format!(r#"{{"rawPath":"/visits/home","headers":{{{bearer},"idempotency-key":"k"}},"body":"{{\"count\":7}}","requestContext":{{"http":{{"method":"PUT"}}}}}}"#),
        format!(r#"{{"rawPath":"/session","body":"{{\"token\":\"{TOKEN}\"}}","requestContext":{{"http":{{"method":"POST"}}}}}}"#),
        r#"{"rawPath":"/counter.js","headers":{"accept-encoding":"gzip","if-none-match":"\"a\""},"requestContext":{"http":{"method":"GET"}}}"#.to_owned(),
    ];
    let samples = samples.each_ref().map(String::as_str);
    any_event_gets_a_right_answer(&samples, "answers HTTP requests only", async |event| {
        world.handler.handle(event).await
    });
}
