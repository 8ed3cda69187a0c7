//! `GET /visits` and `GET /badge/{page_id}`.

use super::*;
use visits_core::batch::{Batch, Increment, Sequence, WriterId};
use visits_core::store::{Apply, Ledger, WriterStatus};
use visits_core::tests::page;

impl World {
    async fn ask(&self, path: &str, query: &str) -> Response {
        self.get("GET", &format!("{path}?{query}")).await
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
async fn several_counts_come_in_the_order_asked() {
    let world = world();
    world.visit("a/b", 3, 0).await;
    let answer = world.ask("/visits", "page=home&page=a%2Fb&page=caf%C3%A9+x&page=home&x=y").await;
    let pages = body(&answer)["visits"].clone();
    let told: Vec<_> = pages.as_array().unwrap().iter().map(|page| (&page["page"], &page["count"])).collect();
    assert_eq!(
        told,
        [
            (&json!("home"), &json!(0)),
            (&json!("a/b"), &json!(3)),
            (&json!("café x"), &json!(0)),
            (&json!("home"), &json!(0)),
        ]
    );
    assert!(pages.as_array().unwrap().iter().all(|page| page["served_via"].as_str().unwrap().len() == 1));
    assert_eq!(header(&answer, "cache-control"), "max-age=5");
    world.time.advance(Duration::from_secs(2));
    let again = world.ask("/visits", "page=home&page=other").await;
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
    let answer = world.ask("/visits", &format!("page={down}&page={up}")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(body(&answer)["visits"][0], json!({"page": down, "count": null}));
    assert_eq!(body(&answer)["visits"][1]["count"], 0);
    assert_eq!(header(&answer, "cache-control"), "max-age=0", "it may be back in a moment");
    let answer = world.ask("/visits", &format!("page={down}&page={down}")).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (503, "1"));
}

#[tokio::test]
async fn a_wrong_list_of_pages_is_told() {
    let world = world();
    let many = "page=a&".repeat(21);
    for (query, kind, told) in [
        ("", "invalid-query", "0 pages are asked for; 1 to 20 parameters page={page_id} are accepted"),
        ("pages=a", "invalid-query", "0 pages"),
        (&many, "invalid-query", "1 to 20 where anybody may read, 1 to 100 with VISITS_PUBLIC=off"),
        ("page=%zz", "invalid-query", "%25"),
        ("page=%E9", "invalid-query", "UTF-8"),
        ("page=a&page=", "invalid-page-id", "page number 2: the page id is empty"),
        ("page=%00", "invalid-page-id", "U+0000"),
    ] {
        let answer = world.ask("/visits", query).await;
        assert_eq!(
            (answer.status().as_u16(), &body(&answer)["type"]),
            (400, &json!(format!("urn:visits:problem:{kind}")))
        );
        assert!(body(&answer)["detail"].as_str().unwrap().contains(told), "{query}");
    }
    assert_eq!(world.ask("/visits", &"page=a&".repeat(20)).await.status(), 200);
}

#[tokio::test]
async fn a_badge_shows_the_count_and_is_kept_for_a_minute() {
    let world = world();
    world.visit("home", 1_234, 0).await;
    let answer = world.ask("/badge/home", "label=hits&color=4c1&style=flat-square&offset=1").await;
    assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, "image/svg+xml"));
    assert!(answer.body().contains("<title>hits: 1,235</title>"), "{}", answer.body());
    assert_eq!(header(&answer, "cache-control"), "max-age=60");
    assert!(header(&answer, "content-security-policy").starts_with("default-src 'none'"));
    assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
    world.store.set_down(0, Some(Fault::Unreachable));
    world.store.set_down(1, Some(Fault::Unreachable));
    world.time.advance(Duration::from_secs(10));
    assert_eq!(header(&world.ask("/badge/home", "").await, "cache-control"), "max-age=0", "it is old");
}

#[tokio::test]
async fn a_stranger_reads_twenty_pages_at_most_with_a_request() {
    let world = world();
    let query = |pages: usize| (0..pages).map(|n| format!("page=made-up-{n}")).collect::<Vec<_>>().join("&");
    assert_eq!(world.ask("/visits", &query(21)).await.status(), 400);
    assert_eq!(world.store.calls(0) + world.store.calls(1), 0);
    assert_eq!(body(&world.ask("/visits", &query(20)).await)["visits"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn a_badge_that_cannot_show_a_count_is_an_image_that_says_why() {
    let world = world();
    world.store.set_down(0, Some(Fault::Unreachable));
    world.store.set_down(1, Some(Fault::Unreachable));
    let long = format!("/badge/{}", "x".repeat(513));
    for (path, query, says) in [
        ("/badge/home", "", "visits: unavailable"),
        ("/badge/home", "label=hits&style=flat-square", "hits: unavailable"),
        ("/badge/home", "color=nocolor&label=hits", "visits: invalid"),
        ("/badge/home", "label=%zz", "visits: invalid"),
        ("/badge/", "label=hits", "hits: invalid"),
        (&long, "", "visits: invalid"),
    ] {
        let answer = world.ask(path, query).await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "content-type")),
            (200, "image/svg+xml"),
            "{path} {query}"
        );
        assert!(answer.body().contains(&format!("<title>{says}</title>")), "{path} {query}: {}", answer.body());
        assert!(answer.body().contains("fill=\"#9f9f9f\""), "in grey");
        assert_eq!(header(&answer, "cache-control"), "max-age=10", "it may be right in a moment");
    }
}

#[tokio::test]
async fn a_count_is_of_people_only_where_the_settings_say_so() {
    for (settings, count) in [(vec![], 10), (vec![("VISITS_COUNT", "people")], 7)] {
        let world = world_of(&settings);
        world.visit("home", 10, 3).await;
        let single = world.get("GET", "/visits/home").await;
        assert_eq!(body(&single)["count"], count);
        world.time.advance(Duration::from_mins(1));
        assert_eq!(body(&world.ask("/visits", "page=home").await)["visits"][0]["count"], count);
        assert!(world.ask("/badge/home", "").await.body().contains(&format!(">{count}</text>")));
    }
}
