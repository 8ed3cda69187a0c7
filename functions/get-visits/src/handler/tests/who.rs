//! Who may read counts.

use super::*;

const PATHS: [&str; 3] = ["/visits/home", "/visits", "/badge/home"];

fn by(path: &str, headers: &Value) -> Event {
    let mut event: Value = serde_json::from_str(HTTP_API).unwrap();
    event["rawPath"] = json!(path);
    event["rawQueryString"] = json!("page=home");
    event["requestContext"]["http"] = json!({"method": "GET"});
    event["headers"] = headers.clone();
    serde_json::from_str(&event.to_string()).unwrap()
}

impl World {
    async fn ask_by(&self, path: &str, headers: &Value) -> Response {
        let Reply::Http(response) = self.handler.handle(by(path, headers)).await.unwrap() else { panic!() };
        response
    }
}

#[tokio::test]
async fn where_counts_are_not_public_the_owner_reads_them_alone() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "s3cret-s3cret-s3cret-s3cret\n").unwrap();
    let place = format!("file:{}", file.path().display());
    let world = world_of(&[("VISITS_PUBLIC", "off"), ("VISITS_OWNER_TOKEN", &place)]);
    for path in PATHS {
        let answer = world.ask_by(path, &json!({"authorization": "Bearer s3cret-s3cret-s3cret-s3cret"})).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(header(&answer, "cache-control").starts_with("private, max-age="), "{path}");
        for headers in [
            json!({}),
            json!({"authorization": "Bearer s3cret"}),
            json!({"authorization": "s3cret-s3cret-s3cret-s3cret"}),
            json!({"authorization": 7, "cookie": "__Host-visits_session=9999999999.AAAA"}),
        ] {
            let refused = world.ask_by(path, &headers).await;
            if path == "/badge/home" {
                assert!(
                    refused.status() == 200 && refused.body().contains("<title>visits: private</title>"),
                    "{headers}"
                );
                assert_eq!(header(&refused, "cache-control"), "private, max-age=10");
                continue;
            }
            assert_eq!((refused.status().as_u16(), header(&refused, "www-authenticate")), (401, "Bearer"), "{headers}");
            assert_eq!(header(&refused, "access-control-allow-origin"), "*");
        }
    }
}

#[tokio::test]
async fn without_a_token_counts_that_are_not_public_are_nobodys() {
    let world = world_of(&[("VISITS_PUBLIC", "off")]);
    for path in ["/visits/home", "/visits"] {
        let answer = world.ask_by(path, &json!({"authorization": "Bearer x"})).await;
        assert_eq!(body(&answer)["type"], "urn:visits:problem:owner-token-missing", "{path}");
    }
    let badge = world.ask_by("/badge/home", &json!({"authorization": "Bearer x"})).await;
    assert!(badge.body().contains("<title>visits: private</title>"), "{}", badge.body());
}

#[tokio::test]
async fn listed_origins_may_read_from_a_script() {
    let world = world_of(&[("VISITS_ORIGINS", "https://a.test")]);
    for (origin, allowed) in [("https://a.test", Some("https://a.test")), ("https://b.test", None)] {
        for path in PATHS {
            let answer = world.ask_by(path, &json!({"origin": origin})).await;
            assert_eq!((answer.status().as_u16(), answer.header("access-control-allow-origin")), (200, allowed));
            assert_eq!(header(&answer, "vary"), "Origin");
        }
    }
}

#[tokio::test]
async fn a_preflight_is_answered_for_each_route() {
    let world = world();
    for path in PATHS {
        let answer = world.get(HTTP_API, "OPTIONS", path).await;
        let methods = header(&answer, "access-control-allow-methods");
        assert_eq!((answer.status().as_u16(), methods), (204, "GET, HEAD"), "{path}");
    }
    assert_eq!(world.get(HTTP_API, "OPTIONS", "/").await.status(), 404);
}

#[tokio::test]
async fn a_script_may_send_the_token_only_where_counts_are_the_owners() {
    let asked = json!({"access-control-request-headers": "authorization,traceparent"});
    for (public, allowed) in [("on", "traceparent"), ("off", "authorization, traceparent")] {
        let world = world_of(&[("VISITS_PUBLIC", public)]);
        for path in PATHS {
            let mut event: Value = serde_json::from_str(HTTP_API).unwrap();
            event["rawPath"] = json!(path);
            event["requestContext"]["http"] = json!({"method": "OPTIONS"});
            event["headers"] = asked.clone();
            let event = serde_json::from_str(&event.to_string()).unwrap();
            let Reply::Http(answer) = world.handler.handle(event).await.unwrap() else { panic!() };
            assert_eq!(header(&answer, "access-control-allow-headers"), allowed, "{path}");
        }
    }
}

#[tokio::test]
async fn the_owner_asks_for_a_hundred_pages_where_counts_are_not_public() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "s3cret-s3cret-s3cret-s3cret\n").unwrap();
    let place = format!("file:{}", file.path().display());
    let world = world_of(&[("VISITS_PUBLIC", "off"), ("VISITS_OWNER_TOKEN", &place)]);
    for (pages, status) in [(100, 200), (101, 400)] {
        let mut event: Value = serde_json::from_str(HTTP_API).unwrap();
        event["rawPath"] = json!("/visits");
        event["rawQueryString"] = json!("page=home&".repeat(pages));
        event["requestContext"]["http"] = json!({"method": "GET"});
        event["headers"] = json!({"authorization": "Bearer s3cret-s3cret-s3cret-s3cret"});
        let event = serde_json::from_str(&event.to_string()).unwrap();
        let Reply::Http(answer) = world.handler.handle(event).await.unwrap() else { panic!() };
        assert_eq!(answer.status(), status, "{pages} pages");
    }
}
