//! Who may read counts.

use super::*;

const PATHS: [&str; 3] = ["/visits/home", "/visits?page=home", "/badge/home"];
const TOKEN: (&str, &str) = ("authorization", "Bearer s3cret-s3cret-s3cret-s3cret");

#[tokio::test]
async fn where_counts_are_not_public_the_owner_reads_them_alone() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "s3cret-s3cret-s3cret-s3cret\n").unwrap();
    let place = format!("file:{}", file.path().display());
    let world = world_of(&[("VISITS_PUBLIC", "off"), ("VISITS_OWNER_TOKEN", &place)]);
    for path in PATHS {
        let answer = world.get_with("GET", path, &[TOKEN]).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(header(&answer, "cache-control").starts_with("private, max-age="), "{path}");
        for headers in [
            &[][..],
            &[("authorization", "Bearer s3cret")],
            &[("authorization", "s3cret-s3cret-s3cret-s3cret")],
            &[("cookie", "__Host-visits_session=9999999999.AAAA")],
        ] {
            let refused = world.get_with("GET", path, headers).await;
            if path == "/badge/home" {
                assert!(
                    refused.status() == 200 && refused.body().contains("<title>visits: private</title>"),
                    "{headers:?}"
                );
                assert_eq!(header(&refused, "cache-control"), "private, max-age=10");
                continue;
            }
            assert_eq!(
                (refused.status().as_u16(), header(&refused, "www-authenticate")),
                (401, "Bearer"),
                "{headers:?}"
            );
            assert_eq!(header(&refused, "access-control-allow-origin"), "*");
        }
    }
}

#[tokio::test]
async fn without_a_token_counts_that_are_not_public_are_nobodys() {
    let world = world_of(&[("VISITS_PUBLIC", "off")]);
    for path in ["/visits/home", "/visits"] {
        let answer = world.get_with("GET", path, &[("authorization", "Bearer x")]).await;
        assert_eq!(body(&answer)["type"], "urn:visits:problem:owner-token-missing", "{path}");
    }
    let badge = world.get_with("GET", "/badge/home", &[("authorization", "Bearer x")]).await;
    assert!(badge.body().contains("<title>visits: private</title>"), "{}", badge.body());
}

#[tokio::test]
async fn listed_origins_may_read_from_a_script() {
    let world = world_of(&[("VISITS_ORIGINS", "https://a.test")]);
    for (origin, allowed) in [("https://a.test", Some("https://a.test")), ("https://b.test", None)] {
        for path in PATHS {
            let answer = world.get_with("GET", path, &[("origin", origin)]).await;
            assert_eq!((answer.status().as_u16(), answer.header("access-control-allow-origin")), (200, allowed));
            assert_eq!(header(&answer, "vary"), "Origin");
        }
    }
}

#[tokio::test]
async fn a_preflight_is_answered_for_each_route() {
    let world = world();
    for path in PATHS {
        let answer = world.get("OPTIONS", path).await;
        let methods = header(&answer, "access-control-allow-methods");
        assert_eq!((answer.status().as_u16(), methods), (204, "GET, HEAD"), "{path}");
    }
    assert_eq!(world.get("OPTIONS", "/").await.status(), 404);
}

#[tokio::test]
async fn a_script_may_send_the_token_only_where_counts_are_the_owners() {
    let asked = [("access-control-request-headers", "authorization,traceparent")];
    for (public, allowed) in [("on", "traceparent"), ("off", "authorization, traceparent")] {
        let world = world_of(&[("VISITS_PUBLIC", public)]);
        for path in PATHS {
            let answer = world.get_with("OPTIONS", path, &asked).await;
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
        let answer = world.get_with("GET", &format!("/visits?{}", "page=home&".repeat(pages)), &[TOKEN]).await;
        assert_eq!(answer.status(), status, "{pages} pages");
    }
}
