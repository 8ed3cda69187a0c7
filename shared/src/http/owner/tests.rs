use super::{Owner, SESSION, Shown, Token, bearer};
use crate::clock::ManualClock;
use crate::config::Config;
use crate::http::{Request, Response};
use proptest::prelude::{prop_assert, proptest};
use std::time::Duration;
use tempfile::NamedTempFile;

const TOKEN: &str = "correct-horse-battery-staple";

struct World {
    owner: Owner,
    file: NamedTempFile,
    time: ManualClock,
}

fn world() -> World {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let place = format!("file:{}", file.path().display());
    let config = Config::from_vars(|name| (name == "VISITS_OWNER_TOKEN").then(|| place.clone().into())).unwrap();
    let time = ManualClock::new();
    let owner = Owner { clock: time.clock(), ..Owner::new(&config).unwrap() };
    World { owner, file, time }
}

fn with(name: &'static str, values: &[String]) -> Request {
    let mut request = Request::default();
    for value in values {
        request.headers.append(name, value.parse().unwrap());
    }
    request
}

fn with_token(token: &str) -> Request {
    with("authorization", &[format!("Bearer {token}")])
}

fn with_session(session: &str) -> Request {
    with_sessions(&[session])
}

fn with_sessions(sessions: &[&str]) -> Request {
    let cookies: Vec<_> = sessions.iter().map(|session| format!("__Host-visits_session={session}")).collect();
    with("cookie", &cookies)
}

impl World {
    /// The value of a cookie that opens a session now.
    async fn session(&self) -> String {
        let cookie = self.owner.open_session(TOKEN).await.unwrap();
        let (value, rest) = cookie.strip_prefix("__Host-visits_session=").unwrap().split_once("; ").unwrap();
        assert_eq!(rest, "HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=43200");
        value.to_owned()
    }

    async fn status(&self, request: &Request) -> u16 {
        self.owner.authorize(request).await.map_or_else(|problem| problem.status().as_u16(), |_| 200)
    }
}

#[tokio::test]
async fn who_knows_the_token_is_the_owner_and_nobody_else() {
    let world = world();
    assert_eq!(world.owner.authorize(&with_token(TOKEN)).await, Ok(Shown::Token));
    for wrong in ["", "x", &TOKEN[1..], &TOKEN[..27], &format!("{TOKEN}x"), &TOKEN.to_uppercase(), &TOKEN.repeat(1000)]
    {
        let problem = world.owner.authorize(&with_token(wrong)).await.unwrap_err();
        assert_eq!(problem.status(), 401, "{wrong}");
        assert_eq!(Response::from(problem).header("www-authenticate"), Some("Bearer"));
        assert!(world.owner.open_session(wrong).await.is_err(), "{wrong}");
    }
    assert_eq!(world.status(&Request::default()).await, 401);
}

#[test]
fn the_header_is_read_as_rfc_6750_has_it() {
    for (header, token) in [
        ("Bearer a", Some("a")),
        ("bearer  a b ", Some("a b")),
        ("BEARER a", Some("a")),
        ("Basic a", None),
        ("Bearer", None),
        ("", None),
        ("a", None),
        ("Bearera b", None),
    ] {
        assert_eq!(bearer(header), token, "{header}");
    }
}

#[tokio::test]
async fn a_session_lasts_for_twelve_hours() {
    let world = world();
    let session = world.session().await;
    assert_eq!(SESSION.as_secs(), 12 * 3_600);
    assert_eq!(world.owner.authorize(&with_session(&session)).await, Ok(Shown::Session));
    world.time.advance(Duration::from_secs(12 * 3_600 - 1));
    assert_eq!(world.status(&with_session(&session)).await, 200);
    world.time.advance(Duration::from_secs(1));
    assert_eq!(world.status(&with_session(&session)).await, 401);
    assert!(
        Owner::closed_session().starts_with("__Host-visits_session=; ")
            && Owner::closed_session().ends_with("Max-Age=0")
    );
}

#[tokio::test]
async fn a_session_that_was_changed_is_none() {
    let world = world();
    let session = world.session().await;
    let (end, mac) = session.split_once('.').unwrap();
    let later = end.parse::<u64>().unwrap() + 1;
    for wrong in [
        format!("{later}.{mac}"),
        format!("0{end}.{mac}x"),
        format!("{end}.{}", &mac[1..]),
        format!("{end}.{mac}A"),
        format!("{end}.{mac}="),
        format!("{end}."),
        end.to_owned(),
        format!("-1.{mac}"),
        format!("{}.{mac}", u64::MAX),
        String::new(),
        ".".to_owned(),
    ] {
        assert_eq!(world.status(&with_session(&wrong)).await, 401, "{wrong}");
    }
}

#[tokio::test]
async fn a_new_token_is_in_force_within_a_minute_and_ends_all_sessions() {
    let world = world();
    let session = world.session().await;
    std::fs::write(&world.file, "another-one-of-the-owner").unwrap();
    world.time.advance(Duration::from_mins(1));
    assert_eq!(world.status(&with_token("another-one-of-the-owner")).await, 200);
    assert_eq!((world.status(&with_token(TOKEN)).await, world.status(&with_session(&session)).await), (401, 401));
}

#[tokio::test]
async fn any_of_several_sessions_that_is_open_counts_and_a_wrong_one_spoils_none() {
    let world = world();
    let session = world.session().await;
    for sessions in [&["1.x", &session][..], &[&session, "1.x"], &["", &session, "9.y"]] {
        assert_eq!(world.owner.authorize(&with_sessions(sessions)).await, Ok(Shown::Session), "{sessions:?}");
    }
    assert_eq!(world.status(&with_sessions(&["1.x", "2.y"])).await, 401);
}

/// Contents that are no token, with what is said of them.
const WRONG_TOKENS: [(&str, &str); 9] = [
    ("", "the file is empty"),
    ("\n", "the file is empty"),
    ("x", "shorter than 20 bytes"),
    ("0123456789012345678", "shorter than 20 bytes"),
    (" 0123456789abcdef0123456789", "no visible ASCII"),
    ("0123456789abcdef 0123456789", "no visible ASCII"),
    ("0123456789abcdef\t0123456789", "no visible ASCII"),
    ("0123456789abcdef\n0123456789", "no visible ASCII"),
    ("0123456789abcdef0123456789é", "no visible ASCII"),
];

#[tokio::test]
async fn a_token_that_is_replaced_by_none_is_a_503_until_it_is_one_again() {
    let world = world();
    for (wrong, _) in WRONG_TOKENS {
        std::fs::write(&world.file, wrong).unwrap();
        world.time.advance(Duration::from_mins(1));
        for request in
            [with_token(&wrong.replace('\n', "")), with_token(TOKEN), with_session("1.x"), Request::default()]
        {
            let problem = world.owner.authorize(&request).await.unwrap_err();
            let answer = Response::from(problem);
            assert_eq!((answer.status().as_u16(), answer.header("retry-after")), (503, Some("5")), "{wrong:?}");
            assert!(answer.body().contains("owner-token-unavailable"), "{wrong:?}");
        }
        assert!(world.owner.open_session(wrong).await.is_err(), "{wrong:?}");
        std::fs::write(&world.file, TOKEN).unwrap();
        world.time.advance(Duration::from_secs(5));
        assert_eq!(world.status(&with_token(TOKEN)).await, 200);
    }
}

fn start(place: &str) -> Result<Owner, String> {
    let config = Config::from_vars(|name| (name == "VISITS_OWNER_TOKEN").then(|| place.into())).unwrap();
    Owner::new(&config)
}

#[test]
fn a_file_without_a_token_stops_the_start_and_the_message_says_what_to_do() {
    let file = NamedTempFile::new().unwrap();
    let place = format!("file:{}", file.path().display());
    for (wrong, said) in WRONG_TOKENS {
        std::fs::write(&file, wrong).unwrap();
        let message = start(&place).unwrap_err();
        assert!(message.starts_with("VISITS_OWNER_TOKEN: ") && message.contains(said), "{wrong:?}: {message}");
        assert!(message.contains(&file.path().display().to_string()), "{message}");
        assert!(message.contains("openssl rand -base64 32") || said == "the file is empty", "{message}");
        assert!(!message.contains("0123456789"), "{message}");
    }
    let missing = start("file:/no/such/file").unwrap_err();
    assert!(missing.contains("/no/such/file: the file cannot be read"), "{missing}");
    // As openssl and the template's GenerateSecretString make them, and the shortest.
    for right in [
        "3q2+7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs=",
        "aZ09aZ09aZ09aZ09aZ09aZ09aZ09aZ09aZ09aZ09",
        "01234567890123456789\n",
    ] {
        std::fs::write(&file, right).unwrap();
        assert!(start(&place).is_ok(), "{right}");
    }
}

#[tokio::test]
async fn the_token_shows_nowhere() {
    let world = world();
    world.owner.authorize(&with_token(TOKEN)).await.unwrap();
    let shown = format!("{:?} {:?}", world.owner, Token::new(TOKEN));
    assert!(!shown.contains("horse") && shown.contains("***"), "{shown}");
}

proptest! {
    #[test]
    fn no_made_up_session_is_one(session in r"\PC{0,60}|[0-9]{1,20}\.[A-Za-z0-9_-]{43}") {
        let world = world();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        prop_assert!(runtime.block_on(world.owner.authorize(&with_session(&session))).is_err());
    }
}
