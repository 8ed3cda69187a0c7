mod fuzz;
mod openapi;

use super::*;
use redis::Commands;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tempfile::NamedTempFile;
use visits_core::clock::ManualClock;
use visits_core::statistics::ChangeError;
use visits_core::tests::{Fault, FrontEnd, Shards};

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

/// A request as an HTTP API hands it over.
struct Call(Value);

impl Call {
    fn new(method: &str, target: &str) -> Self {
        Self(FrontEnd::HttpApi.event(method, target))
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.0["headers"][name] = json!(value);
        self
    }

    fn owner(self) -> Self {
        self.header("authorization", &format!("Bearer {TOKEN}"))
    }

    fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    fn body(mut self, body: &str) -> Self {
        self.0["body"] = json!(body);
        self.0["isBase64Encoded"] = json!(false);
        self
    }

    fn cookie(mut self, cookie: &str) -> Self {
        self.0["cookies"] = json!([cookie]);
        self
    }

    fn event(&self) -> Event {
        serde_json::from_str(&self.0.to_string()).unwrap()
    }
}

impl World {
    async fn answer(&self, call: &Call) -> Response {
        let reply = self.handler.handle(call.event()).await.unwrap();
        let Reply::Http(response) = reply else { panic!("{reply:?} is for nobody with a browser") };
        response
    }

    /// Status and, of a problem, its kind.
    async fn outcome(&self, call: Call) -> (u16, String) {
        let response = self.answer(&call).await;
        let kind = if response.status() >= http::StatusCode::BAD_REQUEST {
            body(&response)["type"].clone()
        } else {
            json!("")
        };
        (response.status().as_u16(), kind.as_str().unwrap().trim_start_matches("urn:visits:problem:").to_owned())
    }

    async fn check(&self, call: Call, status: u16, kind: &str) {
        let shown = format!("{} {}", call.0["requestContext"]["http"]["method"], call.0["rawPath"]);
        assert_eq!(self.outcome(call).await, (status, kind.to_owned()), "{shown}");
    }
}

fn is_owners(action: Action) -> bool {
    use Action::{Delete, History, Set, Summary, Top};
    matches!(action, History | Top | Summary | Set | Delete)
}

fn body(response: &Response) -> Value {
    serde_json::from_str(response.body()).unwrap()
}

#[tokio::test]
async fn anybody_gets_the_page_and_what_it_loads() {
    let world = world();
    for (path, media_type) in [
        ("/dashboard", "text/html; charset=utf-8"),
        ("/dashboard/app.js", "text/javascript; charset=utf-8"),
        ("/dashboard/app.css", "text/css; charset=utf-8"),
        ("/counter.js", "text/javascript; charset=utf-8"),
        ("/openapi.json", "application/json"),
    ] {
        let response = world.answer(&Call::new("GET", path)).await;
        assert_eq!((response.status().as_u16(), response.header("content-type")), (200, Some(media_type)), "{path}");
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(!response.body().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn behind_a_stage_everything_is_found_and_the_page_loads_what_stands_beside_it() {
    let world = world();
    for route in ROUTES.routes {
        let path = route.path.replace("{page_id}", "home");
        let mut call = Call::new("OPTIONS", &format!("/prod{path}"));
        call.0["requestContext"]["stage"] = json!("prod");
        world.check(call, 405, "method-not-allowed").await;
    }
    let page = world.answer(&Call::new("GET", "/dashboard")).await;
    for file in ["app.js", "app.css"] {
        let loads: Vec<_> = page.body().split('"').filter(|text| text.contains(file)).collect();
        assert_eq!(loads, [format!("dashboard/{file}")], "beside the page");
    }
}

#[tokio::test]
async fn a_slash_behind_the_page_leads_to_it() {
    let response = world().answer(&Call::new("GET", "/dashboard/")).await;
    assert_eq!((response.status().as_u16(), response.header("location")), (308, Some("../dashboard")));
}

#[tokio::test]
async fn the_bare_address_leads_to_the_page() {
    let world = world();
    for (path, stage) in [("/", "$default"), ("/prod/", "prod")] {
        let mut call = Call::new("GET", path);
        call.0["requestContext"]["stage"] = json!(stage);
        let response = world.answer(&call).await;
        assert_eq!((response.status().as_u16(), response.header("location")), (308, Some("dashboard")), "{path}");
    }
}

#[tokio::test]
async fn head_is_answered_wherever_get_is_without_a_body() {
    let world = world();
    for route in ROUTES.routes.iter().filter(|route| route.method == "GET") {
        let path = route.path.replace("{page_id}", "home");
        let call = |method: &str| {
            let mut call = Call::new(method, &path).owner();
            call.0["requestContext"]["domainName"] = json!("localhost");
            call
        };
        let (get, head) = (world.answer(&call("GET")).await, world.answer(&call("HEAD")).await);
        assert_eq!((head.status(), head.body()), (get.status(), ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert_eq!(head.header("content-length"), Some(get.body().len().to_string().as_str()), "{path}");
    }
    let refused = world.answer(&Call::new("POST", "/dashboard")).await;
    assert_eq!(refused.header("allow"), Some("GET, HEAD"));
    let refused = world.answer(&Call::new("PUT", "/session")).await;
    assert_eq!(refused.header("allow"), Some("GET, POST, DELETE, HEAD"));
}

#[tokio::test]
async fn no_answer_is_taken_for_something_else() {
    let world = world();
    for (method, path) in
        [("GET", "/top"), ("GET", "/nowhere"), ("PUT", "/top"), ("OPTIONS", "/"), ("DELETE", "/session")]
    {
        let response = world.answer(&Call::new(method, path)).await;
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{method} {path}");
    }
}

#[tokio::test]
async fn who_asks_whether_they_are_the_owner_is_told() {
    let world = world();
    let ask = || Call::new("GET", "/session");
    let not_yet = world.answer(&ask()).await;
    assert_eq!((not_yet.status().as_u16(), not_yet.header("cache-control")), (200, Some("no-store")));
    assert_eq!(body(&not_yet), json!({"signed_in": false, "token_configured": true, "history_days": 400}));
    let wrong = world.answer(&ask().cookie("__Host-visits_session=1.x")).await;
    assert_eq!(body(&wrong), json!({"signed_in": false, "token_configured": true, "history_days": 400}));
    let owner = world.answer(&ask().owner()).await;
    assert_eq!(body(&owner), json!({"signed_in": true, "token_configured": true, "history_days": 400}));
    let nobody = with_settings(&[("VISITS_OWNER_TOKEN", "off")]).answer(&ask().owner()).await;
    assert_eq!(body(&nobody), json!({"signed_in": false, "token_configured": false, "history_days": 400}));
    let weak = with_settings(&[]);
    std::fs::write(&weak.token, "x").unwrap();
    weak.check(ask(), 503, "owner-token-unavailable").await;
}

#[tokio::test]
async fn the_demo_is_for_the_local_run_only() {
    let world = world();
    for (path, part) in [("/dashboard/demo", "src=\"../counter.js\""), ("/dashboard/demo.js", "../visits/home")] {
        world.check(Call::new("GET", path), 404, "unknown-route").await;
        world.check(Call::new("GET", path).header("host", "localhost"), 404, "unknown-route").await;
        let mut call = Call::new("GET", path);
        call.0["requestContext"]["domainName"] = json!("localhost");
        let answer = world.answer(&call).await;
        assert!(answer.status() == 200 && answer.body().contains(part));
    }
}

#[tokio::test]
async fn nobody_but_the_owner_is_told_anything_or_changes_anything() {
    let world = world();
    for route in ROUTES.routes.iter().filter(|route| is_owners(route.action)) {
        let call = || Call::new(route.method, &route.path.replace("{page_id}", "home"));
        world.check(call(), 401, "unauthorized").await;
        world.check(call().header("authorization", "Bearer x"), 401, "unauthorized").await;
        world.check(call().cookie("__Host-visits_session=1.x"), 401, "unauthorized").await;
        // Before anything else that is wrong is looked at.
        let wrong = route.path.replace("{page_id}", "");
        world.check(Call::new(route.method, &format!("{wrong}?days=x")), 401, "unauthorized").await;
        let nobody = with_settings(&[("VISITS_OWNER_TOKEN", "off")]);
        nobody.check(call().owner(), 403, "owner-token-missing").await;
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
    let opened = world.answer(&login(&json!({ "token": TOKEN }).to_string())).await;
    assert_eq!((opened.status().as_u16(), opened.body()), (204, ""));
    let (cookie, rest) = opened.header("set-cookie").unwrap().split_once("; ").unwrap();
    assert_eq!(rest, "HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=43200");
    world.check(Call::new("GET", "/summary").cookie(cookie), 200, "").await;
    let forget = || Call::new("DELETE", "/visits/home").cookie(cookie).key("k");
    world.check(forget(), 403, "forged-request").await;
    for forged in ["", "XMLHttpRequest"] {
        world.check(forget().header("x-requested-with", forged), 403, "forged-request").await;
    }
    world.check(forget().header("x-requested-with", "visits"), 200, "").await;
    let closed = world.answer(&Call::new("DELETE", "/session")).await;
    assert!(closed.status() == 204 && closed.header("set-cookie").unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn what_is_wrong_is_told_and_changes_nothing() {
    let world = world();
    let table = [
        ("GET", "/history/", 400, "invalid-page-id"),
        ("GET", "/history/%2500", 200, ""),
        ("GET", "/history/a%01", 400, "invalid-page-id"),
        ("GET", "/history/home?days=0", 400, "invalid-query"),
        ("GET", "/history/home?days=401", 400, "invalid-query"),
        ("GET", "/top?limit=0", 400, "invalid-query"),
        ("GET", "/top?search=%F", 400, "invalid-query"),
        ("GET", "/summary?days=%FF", 400, "invalid-query"),
        ("DELETE", "/visits/home", 400, "invalid-idempotency-key"),
        ("DELETE", "/visits/", 400, "invalid-page-id"),
        ("GET", "/visits/home", 405, "method-not-allowed"),
        ("POST", "/dashboard", 405, "method-not-allowed"),
        ("GET", "/dashboard/x", 404, "unknown-route"),
    ];
    for (method, target, status, kind) in table {
        world.check(Call::new(method, target).owner(), status, kind).await;
    }
    let put = |body: &str| Call::new("PUT", "/visits/home").owner().key("k").body(body);
    for wrong in ["", "{}", "7", r#"{"count":-1}"#, r#"{"count":1.5}"#, r#"{"count":"7"}"#, r#"{"count":1,"count":2}"#]
    {
        world.check(put(wrong), 400, "invalid-body").await;
    }
    world.check(put(r#"{"count":1000000000000000}"#), 400, "invalid-body").await;
    world.check(put(r#"{"count":7,"days":1}"#), 400, "invalid-body").await;
    world.check(put(&format!("{}7", " ".repeat(64 * 1024))), 413, "body-too-large").await;
    world.check(put(r#"{"count":7}"#).key("a b"), 400, "invalid-idempotency-key").await;
}

#[tokio::test]
async fn without_history_there_are_no_figures_and_a_shorter_one_is_the_bound() {
    let off = with_settings(&[("VISITS_HISTORY_DAYS", "0")]);
    for target in ["/history/home", "/top", "/summary"] {
        off.check(Call::new("GET", target).owner(), 404, "history-off").await;
    }
    let short = with_settings(&[("VISITS_HISTORY_DAYS", "10")]);
    let summary = body(&short.answer(&Call::new("GET", "/summary").owner()).await);
    assert_eq!((summary["days"].as_array().unwrap().len(), &summary["history_days"]), (10, &json!(10)));
    short.check(Call::new("GET", "/summary?days=11").owner(), 400, "invalid-query").await;
    let long = with_settings(&[("VISITS_HISTORY_DAYS", "400")]);
    long.check(Call::new("GET", "/summary?days=400").owner(), 200, "").await;
    long.check(Call::new("GET", "/summary?days=401").owner(), 400, "invalid-query").await;
}

#[tokio::test]
async fn figures_are_for_nobodys_cache() {
    let world = world();
    for target in ["/history/home", "/top", "/summary", "/history/home?days=x"] {
        let response = world.answer(&Call::new("GET", target).owner()).await;
        assert_eq!(response.header("cache-control"), Some("no-store"), "{target}");
        assert_eq!(response.header("access-control-allow-origin"), None, "{target}");
    }
}

#[tokio::test]
async fn a_count_that_is_set_is_there_once_for_each_key() {
    let world = world();
    let put = |count: u64, key: &str| {
        Call::new("PUT", "/visits/<b>").owner().key(key).body(&json!({ "count": count }).to_string())
    };
    let first = world.answer(&put(7, "one")).await;
    assert_eq!(body(&first), json!({"page": "<b>", "count": 7, "previous": 0, "repeated": false}));
    let again = world.answer(&put(7, "one")).await;
    assert_eq!(body(&again), json!({"page": "<b>", "count": 7, "previous": 0, "repeated": true}));
    world.check(put(8, "one"), 422, "idempotency-key-reused").await;
    let history = body(&world.answer(&Call::new("GET", "/history/<b>?days=1").owner()).await);
    assert_eq!(history["visits"], 7);
    let forgotten = world.answer(&Call::new("DELETE", "/visits/<b>").owner().key("two")).await;
    assert_eq!(body(&forgotten), json!({"page": "<b>", "count": 0, "previous": 7, "repeated": false}));
}

#[tokio::test]
async fn a_shard_that_is_down_is_told_of() {
    let world = world();
    for shard in [0, 1] {
        world.shards.set_down(shard, Some(Fault::Unreachable));
    }
    world.check(Call::new("GET", "/history/home").owner(), 503, "statistics-unavailable").await;
    world.check(Call::new("GET", "/top").owner(), 503, "statistics-unavailable").await;
    world.check(Call::new("DELETE", "/visits/home").owner().key("k"), 503, "not-changed").await;
    let summary = body(&world.answer(&Call::new("GET", "/summary").owner()).await);
    assert_eq!((&summary["complete"], &summary["shards"][0]["status"]), (&json!(false), &json!("down")));
    let response = world.answer(&Call::new("GET", "/top").owner()).await;
    assert_eq!(response.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_change_that_cannot_be_made_now_says_whether_it_may_have_been() {
    let table = [
        (ChangeError::Moving, "pages-moving", "60"),
        (ChangeError::Unavailable, "not-changed", "1"),
        (ChangeError::Unknown, "change-not-confirmed", "1"),
    ];
    for (error, kind, retry_after) in table {
        let response = problems::not_changed(error).into_response();
        assert_eq!((response.status().as_u16(), response.header("retry-after")), (503, Some(retry_after)));
        assert_eq!(body(&response)["type"], format!("urn:visits:problem:{kind}"));
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
        world.check(Call::new("GET", "/summary").owner(), 200, "").await;
        calls.push(world.shards.calls(0));
    }
    assert!(calls[0] > 0 && calls[2] == calls[0], "{calls:?}");
    world.time.advance(Duration::from_secs(5));
    world.check(Call::new("GET", "/summary").owner(), 200, "").await;
    assert_eq!(world.shards.calls(0), 2 * calls[0]);
}
