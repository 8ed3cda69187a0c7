//! `POST /visits`: all of a body's pages or none.

use super::*;

fn listed(body: &Value, base64: bool) -> Event {
    let mut list = FrontEnd::HttpApi.event("POST", "/visits");
    list["headers"]["user-agent"] = json!("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0");
    list["headers"]["content-type"] = json!("text/plain;charset=UTF-8");
    (list["body"], list["isBase64Encoded"]) = (body.clone(), json!(base64));
    event(&list)
}

impl World {
    async fn post_all(&self, body: &str) -> Response {
        response(self.handle(listed(&json!(body), false)).await.unwrap())
    }
}

#[tokio::test]
async fn each_listed_page_is_one_visit() {
    let world = world();
    for body in
        [r#"["home","a/b","home"]"#, r#"{"x":[1],"pages":["home","a/b","home"]}"#, " [ \"home\", \"a/b\",\"home\" ] "]
    {
        let answer = world.post_all(body).await;
        assert_eq!(answer.body(), r#"{"status":"success","recorded":3,"repeated":0}"#);
        assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, "application/json"));
    }
    let base64 = response(world.handle(listed(&json!("WyJob21lIl0="), true)).await.unwrap());
    assert_eq!(body(&base64)["recorded"], 1);
    world.handler.flusher.shutdown().await;
    assert_eq!((world.counted("home"), world.counted("a/b")), (7, 3));
}

#[tokio::test]
async fn page_ids_in_a_body_are_taken_as_they_are() {
    let world = world();
    assert_eq!(world.post_all(r#"["100%25","a+b","caf\u00e9","<script>"]"#).await.status(), 200);
    world.handler.flusher.shutdown().await;
    assert!(["100%25", "a+b", "café", "<script>"].iter().all(|page| world.counted(page) == 1));
}

#[tokio::test]
async fn a_body_that_is_no_list_of_pages_counts_nothing_and_says_what_is_accepted() {
    let world = world();
    let many = json!((0..101).map(|n| n.to_string()).collect::<Vec<_>>()).to_string();
    for wrong in [
        "",
        "x",
        "[]",
        "{}",
        "7",
        "null",
        "\"home\"",
        "[7]",
        "[null]",
        "[[\"home\"]]",
        r#"["home",7]"#,
        r#"{"pages":[]}"#,
        r#"{"pages":"home"}"#,
        r#"{"pages":{"0":"home"}}"#,
        r#"{"pages":["home"],"pages":["home"]}"#,
        r#"{"Pages":["home"]}"#,
        r#"["home"] x"#,
        r#"["home""#,
        "[\"\u{0}\"]",
        r#"["\ud800"]"#,
        &many,
    ] {
        let answer = world.post_all(wrong).await;
        assert_eq!(
            (answer.status().as_u16(), &body(&answer)["type"]),
            (400, &json!("urn:visits:problem:invalid-body")),
            "{wrong}"
        );
        let detail = body(&answer)["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("1 to 100 page ids is accepted"), "{wrong}: {detail}");
    }
    for (wrong, told) in [
        (r#"["home",""]"#, "pages[1]: the page id is empty"),
        (r#"["a\u0007"]"#, "pages[0]: the page id has the control"),
    ] {
        let answer = world.post_all(wrong).await;
        assert_eq!(
            (answer.status().as_u16(), &body(&answer)["type"]),
            (400, &json!("urn:visits:problem:invalid-page-id"))
        );
        assert!(body(&answer)["detail"].as_str().unwrap().starts_with(told));
    }
    assert_eq!(world.handler.flusher.shutdown().await.visits, 0);
}

#[tokio::test]
async fn a_huge_body_is_a_413_and_counts_nothing() {
    let world = world();
    for bytes in [70_000, 5_000_000] {
        let answer = world.post_all(&json!(["home", "a".repeat(bytes)]).to_string()).await;
        assert_eq!(
            (answer.status().as_u16(), &body(&answer)["type"]),
            (413, &json!("urn:visits:problem:body-too-large"))
        );
    }
    let largest = json!(vec!["a".repeat(512); 100]).to_string();
    assert_eq!(body(&world.post_all(&largest).await)["recorded"], 100);
    assert_eq!(world.handler.flusher.shutdown().await.visits, 100);
}

#[tokio::test]
async fn without_room_for_all_none_is_counted() {
    let world = world_with(Durability::Buffered, 2);
    let answer = world.post_all(r#"["a","b","c"]"#).await;
    assert_eq!((answer.status().as_u16(), &body(&answer)["type"]), (503, &json!("urn:visits:problem:buffer-full")));
    assert_eq!(header(&answer, "access-control-expose-headers"), "Retry-After");
    assert_eq!(world.post_all(r#"["a","b"]"#).await.status(), 200);
    world.handler.flusher.shutdown().await;
    assert_eq!((world.counted("a"), world.counted("c")), (1, 0));
}

#[tokio::test]
async fn direct_visits_are_counted_when_they_are_acknowledged() {
    let world = world_with(Durability::Direct, 10_000);
    let pages: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(body(&world.post_all(&json!(pages).to_string()).await)["recorded"], 20);
    assert!(pages.iter().all(|page| world.counted(page) == 1));
}

#[tokio::test]
async fn an_ending_environment_refuses_all() {
    let world = world();
    world.handler.flusher.shutdown().await;
    let answer = world.post_all(r#"["a"]"#).await;
    assert_eq!((answer.status().as_u16(), &body(&answer)["type"]), (503, &json!("urn:visits:problem:shutting-down")));
}
