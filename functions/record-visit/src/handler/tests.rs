use super::*;
use serde_json::{Value, json};
use visits_core::clock::ManualClock;
use visits_core::day::Day;
use visits_core::flusher::Limits;
use visits_core::store::redis::statistics::Days;
use visits_core::tests::{
    Call, Fault, FrontEnd, SCHEDULE, Shards, any_event_gets_a_right_answer, body, outcome, page, response,
};

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const GOOGLEBOT: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
const DIRECT: (&str, &str) = ("VISITS_DURABILITY", "direct");
const WINDOW: (&str, &str) = ("VISITS_REPEAT_WINDOW", "30s");

struct World {
    handler: Handler,
    store: Shards,
    time: ManualClock,
}

fn world_of(settings: &[(&str, &str)], pages: usize) -> World {
    let (store, time) = (Shards::with(2, settings), ManualClock::new());
    let config = store.config();
    let limits = Limits { pages, ..Limits::from(config) };
    let flusher = Arc::new(Flusher::new(Arc::clone(store.store()), config.ring(), time.clock(), limits));
    World { handler: Handler::new(flusher, config, time.clock()), store, time }
}

fn world() -> World {
    world_of(&[], 10_000)
}

/// A browser's request from an address.
fn from(address: &str, method: &str, target: &str) -> Call {
    let call = Call::new(method, target).header("user-agent", BROWSER).context("/http/sourceIp", address);
    call.body(r#"["home","other"]"#)
}

fn call(method: &str, target: &str) -> Call {
    from("192.0.2.1", method, target)
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.header(name).unwrap()
}

impl World {
    async fn ask(&self, call: Call) -> Response {
        response(self.handler.handle(call.event(), 0).await.unwrap())
    }

    async fn check(&self, call: Call, status: u16, kind: &str) -> Response {
        let (shown, answer) = (call.0["headers"].to_string() + &call.0["rawPath"].to_string(), self.ask(call).await);
        assert_eq!(outcome(&answer), (status, kind.to_owned()), "{shown}");
        answer
    }

    async fn visit(&self, page: &str) -> Response {
        self.ask(call("POST", &format!("/visit/{page}"))).await
    }

    async fn send(&self, event: &str) -> Result<Reply, Error> {
        self.handler.handle(serde_json::from_str(event).unwrap(), 0).await
    }

    fn set_down(&self, fault: Option<Fault>) {
        (0..2).for_each(|shard| self.store.set_down(shard, fault));
    }

    fn counted(&self, id: &str) -> u64 {
        self.store.sum(&page(id))
    }

    /// The sums of the site's days.
    async fn today(&self) -> Days {
        // A shutdown would give the day's secret up after half a second, and visitors with it.
        self.handler.flusher.sweep(Duration::from_secs(20)).await;
        visits_core::tests::fold(self.store.store(), &self.store.ring(), &self.time.clock()).await;
        let day = Day::of(self.time.clock().now());
        let mut sum = Days::default();
        for shard in 0..2 {
            let site = self.store.store().days(shard, None, day, day).await.unwrap();
            sum.total += site.total;
            sum.bots += site.bots;
            sum.refused.origin += site.refused.origin;
            sum.refused.page += site.refused.page;
            sum.refused.repeat += site.refused.repeat;
            sum.days = [sum.days, site.days].concat();
        }
        sum
    }
}

fn visitors(site: &Days) -> u64 {
    site.days.iter().map(|day| day.visitors).sum()
}

#[tokio::test]
async fn a_visit_is_acknowledged_from_memory() {
    let world = world();
    let answer = world.visit("home").await;
    assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, "application/json"));
    assert_eq!(answer.body(), r#"{"status":"success","message":"Visit recorded for page home"}"#);
    assert_eq!(world.store.calls(0) + world.store.calls(1), 0);
}

#[tokio::test]
async fn each_request_has_its_answer_which_scripts_and_pages_of_others_may_use_and_a_wrong_one_counts_nothing() {
    let world = world();
    for (method, path, status, kind, methods) in [
        ("GET", "/visit/home", 405, "method-not-allowed", "POST, OPTIONS"),
        ("HEAD", "/visits", 405, "", "POST, OPTIONS"),
        ("POST", "/pixel/home", 405, "method-not-allowed", "GET, HEAD, OPTIONS"),
        ("GET", "/pixel/", 400, "invalid-page-id", ""),
        ("GET", "/pixel", 404, "unknown-route", ""),
        ("POST", "/visits/home", 404, "unknown-route", ""),
        ("POST", "/", 404, "unknown-route", ""),
        ("OPTIONS", "/", 404, "unknown-route", ""),
        ("POST", "/visit/", 400, "invalid-page-id", ""),
        ("POST", "/visit/a%07", 400, "invalid-page-id", ""),
        ("GET", "/", 200, "", ""),
        ("OPTIONS", "/visit/home", 204, "", "POST"),
        ("OPTIONS", "/visits", 204, "", "POST"),
        ("OPTIONS", "/pixel/home", 204, "", "GET, HEAD"),
    ] {
        let asked = "authorization,baggage,content-type,traceparent";
        let answer =
            world.check(call(method, path).header("access-control-request-headers", asked), status, kind).await;
        let told = answer.header("allow").or_else(|| answer.header("access-control-allow-methods"));
        assert_eq!(told.unwrap_or_default(), methods, "{method} {path}");
        let headers = ["access-control-allow-origin", "cross-origin-resource-policy", "x-content-type-options"];
        assert_eq!(headers.map(|name| header(&answer, name)), ["*", "cross-origin", "nosniff"], "{method} {path}");
        if status == 204 {
            assert_eq!(header(&answer, "access-control-allow-headers"), "baggage, content-type, traceparent", "{path}");
        }
        if status == 200 {
            let routes = "POST /visit/{page_id}\nPOST /visits\nGET /pixel/{page_id}\n";
            assert!(answer.body().contains(routes), "{}", answer.body());
        }
    }
    assert_eq!(world.handler.flusher.shutdown().await.visits, 0);
}

#[tokio::test]
async fn a_full_buffer_is_a_503_that_says_when_to_try_again_and_a_list_is_taken_whole_or_not_at_all() {
    let world = world_of(&[], 2);
    let list = |pages: &str| call("POST", "/visits").body(pages);
    world.check(list(r#"["a","b","c"]"#), 503, "buffer-full").await;
    world.check(list(r#"["a","b"]"#), 200, "").await;
    let answer = world.check(call("POST", "/visit/c"), 503, "buffer-full").await;
    let headers = ["retry-after", "access-control-expose-headers"].map(|name| header(&answer, name));
    assert_eq!(headers, ["1", "Retry-After"]);
    assert_eq!(world.visit("a").await.status(), 200, "a known page has its place");
    world.handler.flusher.shutdown().await;
    assert_eq!((world.counted("a"), world.counted("b"), world.counted("c")), (2, 1, 0));
    for path in ["/visit/a", "/visits"] {
        world.check(call("POST", path), 503, "shutting-down").await;
    }
}

#[tokio::test]
async fn direct_visits_are_counted_when_they_are_acknowledged() {
    let world = world_of(&[DIRECT], 10_000);
    let pages: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(world.visit("0").await.status(), 200);
    assert_eq!(world.counted("0"), 1);
    assert_eq!(body(&world.ask(call("POST", "/visits").body(&json!(pages).to_string())).await)["recorded"], 20);
    assert!(pages.iter().all(|page| world.counted(page) == 1 + u64::from(page == "0")));
}

#[tokio::test]
async fn a_direct_visit_without_an_answer_may_still_be_counted_and_says_so() {
    let world = world_of(&[DIRECT], 10_000);
    let owner = world.store.ring().owner("home");
    world.store.set_down(1 - owner, Some(Fault::Unreachable));
    world.store.fail_next(owner, [Some(Fault::AnswerLost)]);
    // A bot's, which needs no secret of the day.
    let visit = || Call::new("POST", "/visit/home");
    let answer = world.check(visit(), 503, "not-confirmed").await;
    assert!(answer.body().contains("may still be counted"), "{}", answer.body());
    // While the shard pauses.
    let refused = world.check(visit(), 503, "store-unavailable").await;
    let text = answer.body().to_owned() + refused.body();
    assert!(!text.contains("cannot be reached") && !text.contains("planned"), "an internal error: {text}");
    world.time.advance(Duration::from_secs(1));
    world.handler.flusher.shutdown().await;
    assert_eq!(world.counted("home"), 1);
}

#[tokio::test]
async fn a_direct_visit_is_answered_in_time_also_when_no_shard_is() {
    let world = world_of(&[DIRECT, ("REDIS_TIMEOUT", "100ms")], 10_000);
    world.set_down(Some(Fault::Mute));
    let started = std::time::Instant::now();
    world.check(call("POST", "/visit/home"), 503, "not-confirmed").await;
    assert!(started.elapsed() <= crate::lifecycle::LONGEST_FLUSH, "the function's timeout would take the buffer");
    world.set_down(None);
    world.handler.flusher.shutdown().await;
    assert_eq!(world.counted("home"), 1, "it is kept");
}

#[tokio::test]
async fn an_order_to_flush_is_obeyed_and_reported() {
    let world = world();
    world.visit("home").await;
    let Reply::Direct(report) = world.send(r#"{"flush":{"hold_until":0}}"#).await.unwrap() else { panic!("no report") };
    assert_eq!((&report["visits"], &report["visits_held"]), (&json!(1), &json!(0)));
    assert_eq!((report["writer"].as_str().unwrap().len(), world.counted("home")), (32, 1));
}

#[tokio::test(start_paused = true)]
async fn an_order_to_flush_holds_its_answer() {
    let world = world();
    let (started, now) = (tokio::time::Instant::now(), world.time.clock().now().epoch_millis());
    world.send(&json!({"flush": {"hold_until": now + 700}}).to_string()).await.unwrap();
    assert_eq!(started.elapsed().as_millis() / 10, 70);
    world.send(&json!({"flush": {"hold_until": u64::MAX}}).to_string()).await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(2_750), "at most two seconds, whatever it says");
}

#[tokio::test]
async fn no_http_request_can_order_a_flush() {
    let world = world();
    world.visit("home").await;
    for front_end in FrontEnd::ALL {
        let mut order = front_end.event("POST", "/events");
        order["body"] = json!(r#"{"flush":{"hold_until":0}}"#);
        for (member, value, status) in [
            ("flush", json!(null), 404),
            ("flush", json!({"hold_until": 0}), 404),
            ("requestContext", json!(7), 400),
            ("body", json!(7), 400),
        ] {
            order[member] = value;
            let answer = response(world.send(&order.to_string()).await.unwrap());
            assert_eq!(answer.status(), status, "{front_end:?} {member}");
        }
    }
    assert_eq!(world.counted("home"), 0);
}

#[tokio::test]
async fn events_of_other_shapes_get_a_clear_error_and_cost_nothing() {
    let world = world();
    world.visit("home").await;
    let more = r#"{"flush":{},"x":1}"#;
    for event in ["[]", "null", "{}", "7", "\"POST\"", SCHEDULE, r#"{"flush":[]}"#, more] {
        let error = world.send(event).await.unwrap_err().to_string();
        assert!(error.starts_with("not a flush event") && error.ends_with("is accepted"), "{event}: {error}");
    }
    assert_eq!(world.handler.flusher.shutdown().await.visits, 1);
}

#[tokio::test]
async fn each_listed_page_is_one_visit_and_its_id_is_taken_as_it_is() {
    let world = world();
    for list in [r#"["home","a/b","home"]"#, r#"{"x":[1],"pages":["home","a/b","home"]}"#] {
        let answer =
            world.ask(call("POST", "/visits").header("content-type", "text/plain;charset=UTF-8").body(list)).await;
        assert_eq!(answer.body(), r#"{"status":"success","recorded":3,"repeated":0}"#);
        assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, "application/json"));
    }
    let list = call("POST", "/visits").body(r#"["100%25","a+b","caf\u00e9","<script>"]"#);
    assert_eq!(body(&world.ask(list).await)["recorded"], 4);
    world.handler.flusher.shutdown().await;
    assert_eq!((world.counted("home"), world.counted("a/b")), (4, 2));
    assert!(["100%25", "a+b", "café", "<script>"].iter().all(|page| world.counted(page) == 1));
}

#[tokio::test]
async fn a_body_that_is_no_list_of_pages_counts_nothing_and_says_what_is_accepted() {
    let world = world();
    let many = json!((0..101).map(|n| n.to_string()).collect::<Vec<_>>()).to_string();
    let accepted = "1 to 100 page ids is accepted";
    let texts = ["", "x", "[]", "{}", "7", "null", "\"home\"", "[7]", "[null]", "[[\"home\"]]", r#"["home",7]"#];
    let objects = [
        r#"{"pages":[]}"#,
        r#"{"pages":"home"}"#,
        r#"{"pages":{"0":"home"}}"#,
        r#"{"pages":["home"],"pages":["home"]}"#,
        r#"{"Pages":["home"]}"#,
    ];
    let broken = [r#"["home"] x"#, r#"["home""#, "[\"\u{0}\"]", r#"["\ud800"]"#, &many];
    let bodies = texts.into_iter().chain(objects).chain(broken).map(|wrong| (wrong, 400, "invalid-body", accepted));
    let long = [70_000, 5_000_000].map(|bytes| json!(["home", "a".repeat(bytes)]).to_string());
    for (wrong, status, kind, told) in bodies.chain([
        (r#"["home",""]"#, 400, "invalid-page-id", "pages[1]: the page id is empty"),
        (r#"["a\u0007"]"#, 400, "invalid-page-id", "pages[0]: the page id has the control"),
        (&long[0], 413, "body-too-large", "at most 65536 bytes are accepted"),
        (&long[1], 413, "body-too-large", "at most 65536 bytes are accepted"),
    ]) {
        let answer = world.check(call("POST", "/visits").body(wrong), status, kind).await;
        assert!(answer.body().contains(told), "{}: {}", &wrong[..wrong.len().min(80)], answer.body());
    }
    let largest = json!(vec!["a".repeat(512); 100]).to_string();
    assert_eq!(body(&world.ask(call("POST", "/visits").body(&largest)).await)["recorded"], 100);
    assert_eq!(world.handler.flusher.shutdown().await.visits, 100);
}

#[tokio::test]
async fn the_pixel_is_a_gif_that_counts_only_where_it_is_shown_and_nobody_caches() {
    let world = world_of(&[("VISITS_PAGES", "home")], 10_000);
    let gif = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==";
    for (method, ahead, text) in [
        ("GET", ("accept", "image/*"), gif),
        ("HEAD", ("accept", "image/*"), ""),
        ("GET", ("sec-purpose", "prefetch;prerender"), gif),
        ("GET", ("purpose", "prefetch"), gif),
    ] {
        let answer = world.check(call(method, "/pixel/home").headers(&[ahead]), 200, "").await;
        let headers = ["content-type", "cache-control"].map(|name| header(&answer, name));
        assert_eq!((headers, answer.body()), (["image/gif", "no-store"], text), "{ahead:?}");
        assert_eq!(answer.header("content-length"), (method == "HEAD").then_some("43"));
        if ahead.0 != "accept" || method == "HEAD" {
            for (path, status) in [("/pixel/other", 403), ("/pixel/", 400)] {
                let answer = world.ask(call(method, path).headers(&[ahead])).await;
                assert_eq!(answer.status().as_u16(), status, "{path}, as for GET");
            }
        } else {
            assert_eq!(serde_json::to_value(Reply::Http(answer)).unwrap()["isBase64Encoded"], true);
        }
    }
    let today = world.today().await;
    assert_eq!((today.total, today.refused.page), (1, 0));
}

#[tokio::test]
async fn visitors_are_told_by_agent_and_by_an_address_that_no_client_can_forge() {
    const SECRET: &str = "0123456789abcdefghij";
    let proxy = ("VISITS_CLIENT_ADDRESS", "CloudFront-Viewer-Address;secret=0123456789abcdefghij");
    let viewer = |secret, address| vec![("x-visits-proxy", secret), ("cloudfront-viewer-address", address)];
    let (source, behind_a_proxy) = (world(), world_of(&[proxy], 10_000));
    for (world, address, headers) in [
        (&source, "192.0.2.1", vec![]),
        (&source, "192.0.2.1", vec![("x-forwarded-for", "203.0.113.1")]),
        (&source, "192.0.2.1", vec![("forwarded", "for=203.0.113.2"), ("x-real-ip", "203.0.113.3")]),
        (&source, "192.0.2.1", viewer(SECRET, "198.51.100.10:1")),
        (&source, "192.0.2.2", vec![]),
        (&source, "192.0.2.2", vec![("dnt", "1"), ("user-agent", "Mozilla/5.0 Firefox/9")]),
        (&source, "192.0.2.3", vec![("user-agent", GOOGLEBOT)]),
        (&behind_a_proxy, "192.0.2.1", viewer(SECRET, "198.51.100.10:1")),
        (&behind_a_proxy, "192.0.2.1", viewer(SECRET, "198.51.100.10:2")),
        (&behind_a_proxy, "192.0.2.1", viewer(SECRET, "2001:db8::1:443")),
        (&behind_a_proxy, "192.0.2.1", viewer("0123456789abcdefghik", "203.0.113.1:1")),
        (&behind_a_proxy, "192.0.2.1", viewer("", "203.0.113.2:1")),
    ] {
        world.ask(from(address, "POST", "/visit/home").headers(&headers)).await;
    }
    let (source, behind_a_proxy) = (source.today().await, behind_a_proxy.today().await);
    assert_eq!((source.total, source.bots, visitors(&source)), (7, 1, 2));
    let told = (behind_a_proxy.total, visitors(&behind_a_proxy));
    assert_eq!(told, (5, 3), "two that the proxy has named, and those who forge are one");
}

#[tokio::test]
async fn only_listed_origins_and_pages_are_counted_and_the_others_are_counted_as_refused() {
    let world = world_of(&[("VISITS_ORIGINS", "https://a.test"), ("VISITS_PAGES", "home,other,blog/*")], 10_000);
    let ours = vec![("origin", "https://a.test")];
    for (headers, status) in [
        (ours.clone(), 200),
        (vec![("referer", "https://a.test/x")], 200),
        (vec![("origin", "https://evil.test"), ("referer", "https://a.test/")], 403),
        (vec![("origin", "null")], 403),
        (vec![("host", "a.test"), ("x-forwarded-host", "a.test")], 403),
    ] {
        for (method, path) in [("POST", "/visit/home"), ("GET", "/pixel/home"), ("POST", "/visits")] {
            let kind = if status == 403 { "origin-not-allowed" } else { "" };
            let answer = world.check(call(method, path).headers(&headers), status, kind).await;
            assert_eq!(header(&answer, "vary"), "Origin");
        }
    }
    for (method, path, pages, status) in [
        ("POST", "/visit/blog/a", "", 200),
        ("POST", "/visit/blog", "", 403),
        ("GET", "/pixel/<script>", "", 403),
        ("POST", "/visits", r#"["home","blog"]"#, 403),
    ] {
        let kind = if status == 403 { "page-not-allowed" } else { "" };
        world.check(call(method, path).headers(&ours).body(pages), status, kind).await;
    }
    let today = world.today().await;
    assert_eq!((today.total, today.refused.origin, today.refused.page), (9, 9, 3));
}

#[tokio::test]
async fn a_reload_within_the_window_is_no_further_visit() {
    let world = world_of(&[WINDOW], 10_000);
    assert_eq!(body(&world.visit("home").await)["status"], "success");
    for reload in [("accept", "*/*"), ("dnt", "1"), ("cookie", "x=y")] {
        let answer = world.check(call("POST", "/visit/home").headers(&[reload]), 200, "").await;
        assert_eq!(body(&answer)["status"], "repeated");
    }
    assert_eq!(world.ask(call("GET", "/pixel/home")).await.status(), 200);
    for (recorded, repeated) in [(1, 1), (0, 2)] {
        let several = body(&world.ask(call("POST", "/visits")).await);
        assert_eq!(several, json!({"status": "success", "recorded": recorded, "repeated": repeated}));
    }
    assert_eq!(body(&world.ask(from("192.0.2.2", "POST", "/visit/home")).await)["status"], "success");
    world.time.advance(Duration::from_secs(30));
    assert_eq!(body(&world.visit("home").await)["status"], "success");
    let today = world.today().await;
    assert_eq!((today.total, today.refused.repeat), (4, 7));
}

#[tokio::test]
async fn only_a_visit_that_may_have_been_counted_is_repeated() {
    let full = world_of(&[WINDOW], 1);
    full.check(call("POST", "/visit/home"), 200, "").await;
    for _ in 0..2 {
        full.check(call("POST", "/visit/other"), 503, "buffer-full").await;
        full.check(from("192.0.2.3", "POST", "/visits"), 503, "buffer-full").await;
    }
    let unsure = world_of(&[WINDOW, DIRECT], 10_000);
    let owner = unsure.store.ring().owner("home");
    unsure.store.set_down(1 - owner, Some(Fault::Unreachable));
    unsure.store.set_down(owner, Some(Fault::AnswerLost));
    unsure.check(call("POST", "/visit/home"), 503, "not-confirmed").await;
    assert_eq!(body(&unsure.visit("home").await)["status"], "repeated");
}

/// The visits that an answer acknowledges, and their page where it names it.
fn acknowledged(reply: &Reply) -> (u64, Option<String>) {
    let Reply::Http(answer) = reply else { return (0, None) };
    let of_head = answer.header("content-length").is_some();
    match answer.header("content-type") {
        Some("image/gif") if !of_head => (1, None),
        Some("application/json") if !of_head => {
            let body: Value = body(answer);
            let page = body["message"].as_str().and_then(|message| message.strip_prefix("Visit recorded for page "));
            (body["recorded"].as_u64().unwrap_or(1), page.map(str::to_owned))
        }
        _ => (0, None),
    }
}

#[test]
fn any_event_gets_a_right_answer_and_a_visit_counts_exactly_when_it_says_so() {
    let samples = [
        r#"{"flush":{"hold_until":0}}"#,
        r#"{"rawPath":"/visit/home","requestContext":{"http":{"method":"POST","path":"/visit/home"}}}"#,
        r#"{"rawPath":"/pixel/home","requestContext":{"http":{"method":"GET","sourceIp":"192.0.2.1"}},"cookies":["a=b"]}"#,
        r#"{"rawPath":"/visits","requestContext":{"http":{"method":"POST","sourceIp":"192.0.2.1"}},
            "headers":{"user-agent":"Mozilla/5.0","origin":"https://a.test","referer":"https://a.test/","dnt":"1","sec-gpc":"1"},
            "body":"[\"home\",\"a/b\"]","isBase64Encoded":false}"#,
    ];
    any_event_gets_a_right_answer(&samples, "is accepted", async |event| {
        let world = world();
        world.visit("before").await;
        let reply = world.handler.handle(event, 0).await;
        let (visits, page) = reply.as_ref().map_or((0, None), acknowledged);
        assert_eq!(world.today().await.total, 1 + visits, "each visit counts exactly when its client is told so");
        let twice = u64::from(page.as_deref() == Some("before"));
        assert!(page.is_none_or(|page| world.counted(&page) == 1 + twice));
        assert!(world.counted("before") > twice, "what was there stays");
        reply
    });
}
