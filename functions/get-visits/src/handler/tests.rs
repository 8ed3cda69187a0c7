use super::*;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use visits_core::batch::{Batch, Increment, Sequence, WriterId};
use visits_core::clock::ManualClock;
use visits_core::store::{Apply, Ledger, WriterStatus};
use visits_core::tests::{
    Call, Fault, FrontEnd, SCHEDULE, Shards, any_event_gets_a_right_answer, body, outcome, page, response,
};

const PATHS: [&str; 3] = ["/visits/home", "/visits?page=home", "/badge/home"];
const TOKEN: &str = "s3cret-s3cret-s3cret-s3cret";

struct World {
    handler: Handler,
    store: Shards,
    time: ManualClock,
    _token: NamedTempFile,
}

fn world() -> World {
    world_of(&[])
}

fn world_of(settings: &[(&str, &str)]) -> World {
    let token = NamedTempFile::new().unwrap();
    std::fs::write(&token, TOKEN).unwrap();
    let place = format!("file:{}", token.path().display());
    let settings: Vec<_> = settings.iter().map(|&(name, value)| (name, value.replace("TOKEN", &place))).collect();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (store, time) = (Shards::with(2, &settings), ManualClock::new());
    let cache = CountCache::new(Arc::clone(store.store()), store.ring(), time.clock(), store.config());
    World { handler: Handler::new(Arc::new(cache), store.config()).unwrap(), store, time, _token: token }
}

/// A world whose counts are the owner's.
fn private() -> World {
    world_of(&[("VISITS_PUBLIC", "off"), ("VISITS_OWNER_TOKEN", "TOKEN")])
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.header(name).unwrap()
}

impl World {
    fn owner(&self, page: &str) -> usize {
        self.store.ring().owner(page)
    }

    fn set_down(&self) {
        (0..2).for_each(|shard| self.store.set_down(shard, Some(Fault::Unreachable)));
    }

    async fn ask(&self, call: Call) -> Response {
        response(self.handler.handle(call.event()).await.unwrap())
    }

    async fn get(&self, target: &str) -> Response {
        self.ask(Call::new("GET", target)).await
    }

    async fn check(&self, call: Call, status: u16, kind: &str) -> Response {
        let (shown, answer) = (call.0["headers"].to_string() + &call.0["rawPath"].to_string(), self.ask(call).await);
        assert_eq!(outcome(&answer), (status, kind.to_owned()), "{shown}");
        answer
    }

    /// `visits` visits of a page, `bots` of them by bots.
    async fn visit(&self, id: &str, visits: u64, bots: u64) {
        let (page, owner) = (page(id), self.owner(id));
        let increment = Increment { bots, ..Increment::from((page, visits)) };
        let batch = Batch::seal(Sequence::FIRST, vec![increment], self.time.clock().now());
        let call = Apply {
            writer: WriterId::random().unwrap(),
            base: Sequence::FIRST,
            batches: vec![(Arc::new(batch), Duration::ZERO)],
            status: WriterStatus::Active,
            ring: None,
        };
        self.store.store().apply(owner, &call).await.unwrap();
    }
}

#[tokio::test]
async fn a_count_comes_from_its_shard_and_then_from_memory() {
    let world = world();
    let name = &world.store.names()[world.owner("home")];
    for front_end in FrontEnd::ALL {
        world.time.advance(Duration::from_secs(5));
        for (via, cached) in [(name.as_str(), "max-age=5"), ("in_memory", "max-age=2")] {
            let answer = world.ask(Call(front_end.event("GET", "/visits/home"))).await;
            assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, "application/json"));
            assert_eq!(answer.body(), format!(r#"{{"count":0,"served_via":"{via}"}}"#), "{front_end:?}");
            assert_eq!(header(&answer, "cache-control"), cached, "{front_end:?}");
            world.time.advance(Duration::from_millis(2_001));
        }
    }
}

#[tokio::test]
async fn a_shard_that_is_down_gives_the_old_count_as_stale_and_without_one_a_503() {
    let world = world();
    world.get("/visits/home").await;
    world.time.advance(Duration::from_mins(1));
    world.set_down();
    let stale = world.get("/visits/home").await;
    assert_eq!(body(&stale), json!({"count": 0, "served_via": "in_memory", "stale": true}));
    assert_eq!(header(&stale, "cache-control"), "max-age=0");
    let answer = world.check(Call::new("GET", "/visits/other"), 503, "count-unavailable").await;
    assert_eq!(header(&answer, "retry-after"), "1");
}

#[tokio::test]
async fn each_request_has_its_answer_which_scripts_and_pages_of_others_may_use() {
    let (world, private) = (world(), private());
    for (method, path, status, kind, methods) in [
        ("POST", "/visits/home", 405, "method-not-allowed", "GET, HEAD, OPTIONS"),
        ("POST", "/visits", 405, "method-not-allowed", "GET, HEAD, OPTIONS"),
        ("PUT", "/badge/home", 405, "method-not-allowed", "GET, HEAD, OPTIONS"),
        ("GET", "/visit/home", 404, "unknown-route", ""),
        ("GET", "/badge", 404, "unknown-route", ""),
        ("OPTIONS", "/", 404, "unknown-route", ""),
        ("GET", "/visits/", 400, "invalid-page-id", ""),
        ("GET", "/visits", 400, "invalid-query", ""),
        ("GET", "/", 200, "", ""),
        ("GET", "/visits/home", 200, "", ""),
        ("GET", "/badge/home", 200, "", ""),
        ("OPTIONS", "/visits/home", 204, "", "GET, HEAD"),
        ("OPTIONS", "/visits", 204, "", "GET, HEAD"),
        ("OPTIONS", "/badge/home", 204, "", "GET, HEAD"),
    ] {
        let call = Call::new(method, path).header("access-control-request-headers", "authorization,traceparent");
        let answer = world.check(call.clone(), status, kind).await;
        let told = answer.header("allow").or_else(|| answer.header("access-control-allow-methods"));
        assert_eq!(told.unwrap_or_default(), methods, "{method} {path}");
        let headers = ["access-control-allow-origin", "cross-origin-resource-policy", "x-content-type-options"];
        assert_eq!(headers.map(|name| header(&answer, name)), ["*", "cross-origin", "nosniff"], "{method} {path}");
        // A script may send the token only where counts are the owner's.
        let allowed = ["traceparent", "authorization, traceparent"].map(|names| (status == 204).then_some(names));
        let private = private.ask(call).await;
        let told = [answer, private].map(|answer| answer.header("access-control-allow-headers").map(str::to_owned));
        assert_eq!(told.each_ref().map(Option::as_deref), allowed, "{method} {path}");
    }
}

#[tokio::test]
async fn head_is_answered_like_get_without_a_body() {
    let world = world();
    for path in ["/visits/home", "/badge/home", "/visits/", "/visits", "/"] {
        world.get(path).await;
        let (get, head) = (world.get(path).await, world.ask(Call::new("HEAD", path)).await);
        assert_eq!((head.status(), head.body()), (get.status(), ""), "{path}");
        assert_eq!(header(&head, "content-length"), get.body().len().to_string(), "{path}");
        for name in ["content-type", "cache-control", "access-control-allow-origin"] {
            assert_eq!(header(&head, name), header(&get, name), "{path}");
        }
    }
}

#[tokio::test]
async fn events_of_other_shapes_get_a_clear_error_and_cost_nothing() {
    let world = world();
    for event in ["[]", "null", "{}", "7", "\"GET\"", SCHEDULE, r#"{"flush":{}}"#] {
        let error = world.handler.handle(serde_json::from_str(event).unwrap()).await.unwrap_err().to_string();
        assert!(error.starts_with("get-visits answers HTTP requests only"), "{event}: {error}");
    }
    assert_eq!(world.get("/visits/home").await.status(), 200);
}

#[tokio::test]
async fn several_counts_come_in_the_order_asked() {
    let world = world();
    world.visit("a/b", 3, 0).await;
    let answer = world.get("/visits?page=home&page=a%2Fb&page=caf%C3%A9+x&page=home&x=y").await;
    let pages = body(&answer)["visits"].clone();
    let told: Vec<_> = pages.as_array().unwrap().iter().map(|page| json!([page["page"], page["count"]])).collect();
    assert_eq!(json!(told), json!([["home", 0], ["a/b", 3], ["café x", 0], ["home", 0]]));
    assert!(pages.as_array().unwrap().iter().all(|page| page["served_via"].as_str().unwrap().len() == 1));
    assert_eq!(header(&answer, "cache-control"), "max-age=5");
    world.time.advance(Duration::from_secs(2));
    let again = world.get("/visits?page=home&page=other").await;
    assert_eq!(body(&again)["visits"][0], json!({"page": "home", "count": 0, "served_via": "in_memory"}));
    assert_eq!(header(&again, "cache-control"), "max-age=3", "as long as the oldest of them");
}

#[tokio::test]
async fn a_page_whose_shard_is_down_is_null_and_all_of_them_are_a_503() {
    let world = world();
    let page_of = |shard| (0..1_000).map(|n| n.to_string()).find(|page| world.owner(page) == shard).unwrap();
    let (down, up) = (page_of(0), page_of(1));
    world.store.settle(&world.store.ring()).await;
    world.store.set_down(0, Some(Fault::Unreachable));
    let answer = world.get(&format!("/visits?page={down}&page={up}")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(body(&answer)["visits"][0], json!({"page": down, "count": null}));
    assert_eq!(body(&answer)["visits"][1]["count"], 0);
    assert_eq!(header(&answer, "cache-control"), "max-age=0", "it may be back in a moment");
    let all_down = Call::new("GET", &format!("/visits?page={down}&page={down}"));
    let answer = world.check(all_down, 503, "count-unavailable").await;
    assert_eq!(header(&answer, "retry-after"), "1");
}

#[tokio::test]
async fn a_wrong_list_of_pages_is_told_and_a_stranger_reads_twenty_the_owner_a_hundred() {
    let (world, private) = (world(), private());
    let bounds = "1 to 20 where anybody may read, 1 to 100 with VISITS_PUBLIC=off";
    let pages = |number| "page=a&".repeat(number);
    for (query, kind, told) in [
        ("", "invalid-query", "0 pages are asked for; 1 to 20 parameters page={page_id} are accepted"),
        ("pages=a", "invalid-query", "0 pages"),
        (&pages(21), "invalid-query", bounds),
        ("page=%zz", "invalid-query", "%25"),
        ("page=%E9", "invalid-query", "UTF-8"),
        ("page=a&page=", "invalid-page-id", "page number 2: the page id is empty"),
        ("page=%00", "invalid-page-id", "U+0000"),
    ] {
        let answer = world.check(Call::new("GET", &format!("/visits?{query}")), 400, kind).await;
        assert!(body(&answer)["detail"].as_str().unwrap().contains(told), "{query}");
    }
    assert_eq!(world.store.calls(0) + world.store.calls(1), 0);
    for (world, number, status) in [(&world, 20, 200), (&private, 100, 200), (&private, 101, 400)] {
        let call = Call::new("GET", &format!("/visits?{}", pages(number)));
        let answer = world.ask(call.header("authorization", &format!("Bearer {TOKEN}"))).await;
        assert_eq!(answer.status(), status, "{number} pages");
    }
}

#[tokio::test]
async fn a_badge_shows_the_count_and_is_kept_for_a_minute() {
    let world = world();
    world.visit("home", 1_234, 0).await;
    let answer = world.get("/badge/home?label=hits&color=4c1&style=flat-square&offset=1").await;
    assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, "image/svg+xml"));
    assert!(answer.body().contains("<title>hits: 1,235</title>"), "{}", answer.body());
    assert_eq!(header(&answer, "cache-control"), "max-age=60");
    let policy = header(&answer, "content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && policy.ends_with("; sandbox"), "{policy}");
    world.set_down();
    world.time.advance(Duration::from_secs(10));
    assert_eq!(header(&world.get("/badge/home").await, "cache-control"), "max-age=0", "it is old");
}

#[tokio::test]
async fn a_badge_that_cannot_show_a_count_is_an_image_that_says_why() {
    let world = world();
    world.set_down();
    let long = format!("/badge/{}", "x".repeat(513));
    for (target, says) in [
        ("/badge/home", "visits: unavailable"),
        ("/badge/home?label=hits&style=flat-square", "hits: unavailable"),
        ("/badge/home?color=nocolor&label=hits", "visits: invalid"),
        ("/badge/home?label=%zz", "visits: invalid"),
        ("/badge/?label=hits", "hits: invalid"),
        (&long, "visits: invalid"),
    ] {
        let answer = world.get(target).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, "image/svg+xml"), "{target}");
        assert!(answer.body().contains(&format!("<title>{says}</title>")), "{target}: {}", answer.body());
        assert!(answer.body().contains("fill=\"#9f9f9f\""), "in grey");
        assert_eq!(header(&answer, "cache-control"), "max-age=10", "it may be right in a moment");
    }
}

#[tokio::test]
async fn a_count_is_of_people_only_where_the_settings_say_so() {
    for (settings, count) in [(vec![], 10), (vec![("VISITS_COUNT", "people")], 7)] {
        let world = world_of(&settings);
        world.visit("home", 10, 3).await;
        assert_eq!(body(&world.get("/visits/home").await)["count"], count);
        world.time.advance(Duration::from_mins(1));
        assert_eq!(body(&world.get("/visits?page=home").await)["visits"][0]["count"], count);
        assert!(world.get("/badge/home").await.body().contains(&format!(">{count}</text>")));
    }
}

#[tokio::test]
async fn where_counts_are_not_public_the_owner_reads_them_alone_and_without_a_token_nobody_does() {
    let bearer = format!("Bearer {TOKEN}");
    let (owned, nobodys) = (private(), world_of(&[("VISITS_PUBLIC", "off")]));
    for path in PATHS {
        let answer = owned.check(Call::new("GET", path).header("authorization", &bearer), 200, "").await;
        assert!(header(&answer, "cache-control").starts_with("private, max-age="), "{path}");
        let session = ("cookie", "__Host-visits_session=9999999999.AAAA");
        for (world, headers, status, kind) in [
            (&owned, vec![], 401, "unauthorized"),
            (&owned, vec![("authorization", "Bearer s3cret")], 401, "unauthorized"),
            (&owned, vec![("authorization", TOKEN)], 401, "unauthorized"),
            (&owned, vec![session], 401, "unauthorized"),
            (&nobodys, vec![("authorization", &*bearer)], 403, "owner-token-missing"),
        ] {
            let call = Call::new("GET", path).headers(&headers);
            if path == "/badge/home" {
                let refused = world.check(call, 200, "").await;
                assert!(refused.body().contains("<title>visits: private</title>"), "{headers:?}");
                assert_eq!(header(&refused, "cache-control"), "private, max-age=10");
                continue;
            }
            let refused = world.check(call, status, kind).await;
            assert_eq!(refused.header("www-authenticate"), (status == 401).then_some("Bearer"), "{headers:?}");
            assert_eq!(header(&refused, "access-control-allow-origin"), "*");
        }
    }
}

#[tokio::test]
async fn listed_origins_may_read_from_a_script() {
    let world = world_of(&[("VISITS_ORIGINS", "https://a.test")]);
    for (origin, allowed) in [("https://a.test", Some("https://a.test")), ("https://b.test", None)] {
        for path in PATHS {
            let answer = world.check(Call::new("GET", path).header("origin", origin), 200, "").await;
            assert_eq!(answer.header("access-control-allow-origin"), allowed, "{path}");
            assert_eq!(header(&answer, "vary"), "Origin");
        }
    }
}

#[test]
fn any_event_gets_a_right_answer_that_is_kept_no_longer_than_it_is_true() {
    let samples = [
        r#"{"rawPath":"/visits/home","requestContext":{"http":{"method":"GET","path":"/visits/home"}}}"#,
        r#"{"rawPath":"/visits","rawQueryString":"page=home&page=a%2Fb","requestContext":{"http":{"method":"GET"}},
            "headers":{"authorization":"Bearer x","cookie":"__Host-visits_session=1.x","origin":"https://a.test"},"cookies":["a=b"]}"#,
        r#"{"rawPath":"/badge/home","rawQueryString":"label=a&color=4c1&style=flat&offset=0","requestContext":{"http":{"method":"GET"}}}"#,
    ];
    any_event_gets_a_right_answer(&samples, "answers HTTP requests only", async |event| {
        let reply = world().handler.handle(event).await;
        let Ok(Reply::Http(answer)) = &reply else { return reply };
        let kept = answer.header("cache-control").and_then(|value| value.strip_prefix("max-age=")?.parse::<u64>().ok());
        if answer.header("content-type") == Some("image/svg+xml") {
            assert!([Some(60), Some(10)].contains(&kept));
        } else if answer.header("content-type") == Some("application/json") && !answer.body().is_empty() {
            let body: Value = body(answer);
            assert!(kept.unwrap() <= 5, "{body}");
            for page in body["visits"].as_array().cloned().unwrap_or_else(|| vec![body]) {
                assert_eq!((page["count"].as_u64(), page["served_via"].is_string()), (Some(0), true), "{page}");
            }
        }
        reply
    });
}
