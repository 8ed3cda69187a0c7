//! The site owner's rules, seen from outside.

use super::*;
use visits_core::day::Day;
use visits_core::store::statistics::Days;

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const GOOGLEBOT: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

/// A request of a browser at this address, with these headers besides.
fn browser(method: &str, path: &str, address: &str, headers: &[(&str, &str)]) -> Event {
    let mut call = FrontEnd::HttpApi.event(method, path);
    call["requestContext"]["http"]["sourceIp"] = json!(address);
    call["headers"]["user-agent"] = json!(BROWSER);
    for (name, value) in headers {
        call["headers"][name] = json!(value);
    }
    call["body"] = json!(r#"["home","other"]"#);
    event(&call)
}

impl World {
    async fn visit(&self, page: &str, address: &str, headers: &[(&str, &str)]) -> Response {
        self.call("POST", &format!("/visit/{page}"), address, headers).await
    }

    async fn call(&self, method: &str, path: &str, address: &str, headers: &[(&str, &str)]) -> Response {
        response(self.handle(browser(method, path, address, headers)).await.unwrap())
    }

    /// What the site has counted today, by all shards.
    pub(super) async fn today(&self) -> Days {
        self.handler.flusher.shutdown().await;
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
async fn the_pixel_is_a_gif_that_counts_and_nobody_caches() {
    let world = world();
    let answer = world.call("GET", "/pixel/a/café", "192.0.2.1", &[]).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, "image/gif"));
    assert_eq!(header(&answer, "cache-control"), "no-store");
    assert_eq!(answer.body(), "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==");
    let wire: Value = serde_json::to_value(Reply::Http(answer)).unwrap();
    assert_eq!(wire["isBase64Encoded"], true);
    world.handler.flusher.shutdown().await;
    assert_eq!(world.counted("a/café"), 1);
}

#[tokio::test]
async fn an_image_that_is_not_shown_is_no_visit() {
    let world = world_of(&[("VISITS_PAGES", "home")], 10_000);
    for (method, headers) in [
        ("HEAD", vec![]),
        ("GET", vec![("sec-purpose", "prefetch")]),
        ("GET", vec![("sec-purpose", "prefetch;prerender")]),
        ("GET", vec![("purpose", "prefetch")]),
        ("GET", vec![("x-moz", "prefetch")]),
    ] {
        let answer = world.call(method, "/pixel/home", "192.0.2.1", &headers).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, "image/gif"), "{headers:?}");
        assert_eq!(header(&answer, "cache-control"), "no-store", "the page that is shown asks again");
        for (path, status) in [("/pixel/other", 403), ("/pixel/", 400)] {
            assert_eq!(world.call(method, path, "192.0.2.1", &headers).await.status(), status, "as for GET");
        }
    }
    let head = world.call("HEAD", "/pixel/home", "192.0.2.1", &[]).await;
    assert_eq!((head.body(), header(&head, "content-length")), ("", "43"));
    world.call("GET", "/pixel/home", "192.0.2.1", &[]).await;
    let today = world.today().await;
    assert_eq!((today.total, today.refused.page), (1, 0));
}

#[tokio::test]
async fn pages_with_tracing_libraries_may_count_and_other_pages_may_show_the_pixel() {
    let world = world();
    let asked = [("access-control-request-headers", "authorization,baggage,content-type,traceparent")];
    for path in ["/visit/home", "/visits", "/pixel/home"] {
        let preflight = world.call("OPTIONS", path, "192.0.2.1", &asked).await;
        assert_eq!(header(&preflight, "access-control-allow-headers"), "baggage, content-type, traceparent", "{path}");
        assert_eq!(header(&preflight, "x-content-type-options"), "nosniff");
    }
    for (method, path) in [("POST", "/visit/home"), ("POST", "/visits"), ("GET", "/pixel/home"), ("GET", "/pixel/")] {
        let answer = world.call(method, path, "192.0.2.1", &[]).await;
        assert_eq!(header(&answer, "cross-origin-resource-policy"), "cross-origin", "{path}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{path}");
    }
}

#[tokio::test]
async fn visitors_are_told_by_address_and_agent_and_by_no_header_that_names_an_address() {
    let world = world();
    for (address, headers) in [
        ("192.0.2.1", vec![]),
        ("192.0.2.1", vec![("x-forwarded-for", "203.0.113.1")]),
        ("192.0.2.1", vec![("forwarded", "for=203.0.113.2"), ("x-real-ip", "203.0.113.3")]),
        ("192.0.2.2", vec![]),
        ("192.0.2.2", vec![("dnt", "1"), ("user-agent", "Mozilla/5.0 Firefox/9")]),
        ("192.0.2.3", vec![("user-agent", GOOGLEBOT)]),
    ] {
        world.visit("home", address, &headers).await;
    }
    let today = world.today().await;
    assert_eq!((today.total, today.bots, visitors(&today)), (6, 1, 2));
}

#[tokio::test]
async fn only_listed_origins_may_count_and_the_others_are_counted_as_refused() {
    let world = world_of(&[("VISITS_ORIGINS", "https://a.test")], 10_000);
    for (headers, status) in [
        (vec![("origin", "https://a.test")], 200),
        (vec![("referer", "https://a.test/x")], 200),
        (vec![("origin", "https://evil.test"), ("referer", "https://a.test/")], 403),
        (vec![("referer", "https://a.test.evil.test/")], 403),
        (vec![("origin", "null")], 403),
        (vec![("host", "a.test"), ("x-forwarded-host", "a.test")], 403),
    ] {
        for (method, path) in [("POST", "/visit/home"), ("GET", "/pixel/home"), ("POST", "/visits")] {
            let answer = world.call(method, path, "192.0.2.1", &headers).await;
            assert_eq!(answer.status().as_u16(), status, "{path} {headers:?}");
            assert_eq!(header(&answer, "vary"), "Origin");
            if status == 403 {
                assert_eq!(body(&answer)["type"], "urn:visits:problem:origin-not-allowed");
            }
        }
    }
    let today = world.today().await;
    assert_eq!((today.total, today.refused.origin), (8, 12));
}

#[tokio::test]
async fn only_allowed_pages_are_counted_and_a_list_as_a_whole() {
    let world = world_of(&[("VISITS_PAGES", "home,blog/*")], 10_000);
    for (method, path, status) in [
        ("POST", "/visit/home", 200),
        ("POST", "/visit/blog/a", 200),
        ("POST", "/visit/blog", 403),
        ("GET", "/pixel/<script>", 403),
        ("POST", "/visits", 403),
    ] {
        let answer = world.call(method, path, "192.0.2.1", &[]).await;
        assert_eq!(answer.status().as_u16(), status, "{path}");
        if status == 403 {
            assert_eq!(body(&answer)["type"], "urn:visits:problem:page-not-allowed");
        }
    }
    let today = world.today().await;
    assert_eq!((today.total, today.refused.page), (2, 3));
}

#[tokio::test]
async fn a_reload_within_the_window_is_no_further_visit() {
    let world = world_of(&[("VISITS_REPEAT_WINDOW", "30s")], 10_000);
    assert_eq!(body(&world.visit("home", "192.0.2.1", &[]).await)["status"], "success");
    for headers in [vec![], vec![("dnt", "1")], vec![("cookie", "x=y")]] {
        let answer = world.visit("home", "192.0.2.1", &headers).await;
        assert_eq!((answer.status().as_u16(), &body(&answer)["status"]), (200, &json!("repeated")));
    }
    assert_eq!(world.call("GET", "/pixel/home", "192.0.2.1", &[]).await.status(), 200);
    let several = world.call("POST", "/visits", "192.0.2.1", &[]).await;
    assert_eq!(body(&several), json!({"status": "success", "recorded": 1, "repeated": 1}));
    let several = world.call("POST", "/visits", "192.0.2.1", &[]).await;
    assert_eq!(body(&several), json!({"status": "success", "recorded": 0, "repeated": 2}));
    assert_eq!(body(&world.visit("home", "192.0.2.2", &[]).await)["status"], "success");
    world.time.advance(Duration::from_secs(30));
    assert_eq!(body(&world.visit("home", "192.0.2.1", &[]).await)["status"], "success");
    let today = world.today().await;
    assert_eq!((today.total, today.refused.repeat), (4, 7));
}

#[tokio::test]
async fn who_was_not_counted_may_try_again_at_once() {
    let world = world_of(&[("VISITS_REPEAT_WINDOW", "30s")], 1);
    assert_eq!(world.visit("home", "192.0.2.1", &[]).await.status(), 200);
    for _ in 0..2 {
        assert_eq!(world.visit("other", "192.0.2.1", &[]).await.status(), 503);
        assert_eq!(world.call("POST", "/visits", "192.0.2.3", &[]).await.status(), 503);
    }
}

#[tokio::test]
async fn who_may_have_been_counted_is_not_counted_again() {
    let world = world_of(&[("VISITS_REPEAT_WINDOW", "30s"), ("VISITS_DURABILITY", "direct")], 10_000);
    let owner = world.store.ring().owner("home");
    world.store.set_down(1 - owner, Some(Fault::Unreachable));
    world.store.set_down(owner, Some(Fault::AnswerLost));
    assert_eq!(body(&world.visit("home", "192.0.2.1", &[]).await)["type"], "urn:visits:problem:not-confirmed");
    assert_eq!(body(&world.visit("home", "192.0.2.1", &[]).await)["status"], "repeated");
}

#[tokio::test]
async fn a_preflight_is_answered_for_each_route() {
    let world = world();
    for (path, methods) in [("/visit/home", "POST"), ("/visits", "POST"), ("/pixel/home", "GET, HEAD")] {
        let answer = world.call("OPTIONS", path, "192.0.2.1", &[("origin", "https://a.test")]).await;
        assert_eq!((answer.status().as_u16(), answer.body()), (204, ""), "{path}");
        assert_eq!(header(&answer, "access-control-allow-methods"), methods);
        assert_eq!(header(&answer, "access-control-allow-origin"), "*");
    }
    assert_eq!(world.call("OPTIONS", "/", "192.0.2.1", &[]).await.status(), 404);
    assert_eq!(world.today().await.total, 0);
}
