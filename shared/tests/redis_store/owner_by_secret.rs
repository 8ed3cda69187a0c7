//! The owner's token from AWS Secrets Manager, as a login's password would come from there.

use crate::fake_aws::{FakeAws, aws_with};
use futures_util::future::join_all;
use std::time::Duration;
use test_support::Logs;
use tokio::net::TcpListener;
use tokio::time::Instant;
use visits_core::clock::ManualClock;
use visits_core::config::Config;
use visits_core::credentials::Aws;
use visits_core::http::{Owner, Request};

const TOKEN: &str = "s3cret-s3cret-s3cret-s3cret";

fn owner(aws: &Aws, place: &str) -> Owner {
    let config = Config::from_vars(|name| (name == "VISITS_OWNER_TOKEN").then(|| place.into())).unwrap();
    Owner::with_aws(&config, aws).unwrap()
}

/// Returns the status that a caller with this token gets; 200 is the owner's.
async fn status(owner: &Owner, token: &str) -> u16 {
    let mut request = Request::default();
    request.headers.insert("authorization", format!("Bearer {}", token.trim_end()).parse().unwrap());
    let answer = owner.authorize(&request).await;
    answer.map_or_else(|problem| problem.status().as_u16(), |_| 200)
}

#[tokio::test]
async fn a_secret_is_asked_for_once_a_minute_however_many_guess() {
    let (aws, time) = (FakeAws::start(), ManualClock::new());
    aws.hold(&format!(r#"{{"token":"{TOKEN}"}}"#));
    let owner = owner(&aws.caller(&time), "secret:site/owner#token");
    assert!(aws.asked().is_empty(), "not before it is needed");
    for _ in 0..10 {
        assert_eq!((status(&owner, TOKEN).await, status(&owner, "guess").await), (200, 401));
    }
    assert_eq!(aws.asked().len(), 1);
    aws.hold(r#"{"token":"rotated-rotated-rotated"}"#);
    time.advance(Duration::from_mins(1));
    assert_eq!((status(&owner, TOKEN).await, status(&owner, "rotated-rotated-rotated").await), (401, 200));
    assert_eq!(aws.asked().len(), 2);
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_a_503_and_asked_for_again_after_a_pause() {
    let (aws, time) = (FakeAws::start(), ManualClock::new());
    aws.answer(400, r#"{"__type":"AccessDeniedException","Message":"no"}"#);
    let owner = owner(&aws.caller(&time), "secret:site/owner");
    for _ in 0..10 {
        assert_eq!(status(&owner, TOKEN).await, 503);
    }
    assert_eq!(aws.asked().len(), 1);
    aws.hold(TOKEN);
    time.advance(Duration::from_secs(5));
    assert_eq!(status(&owner, TOKEN).await, 200);
}

#[tokio::test]
async fn a_secret_that_is_too_weak_lets_nobody_in_and_the_log_says_what_to_do() {
    let (aws, time, logs) = (FakeAws::start(), ManualClock::new(), Logs::capture());
    let owner = owner(&aws.caller(&time), "secret:site/owner");
    for weak in ["x", "s3cret-s3cret-s3cre", "s3cret s3cret s3cret s3cret", "s3cret-s3cret-s3cret\n"] {
        aws.hold(weak);
        time.advance(Duration::from_mins(1));
        assert_eq!((status(&owner, weak.trim_end()).await, status(&owner, "guess").await), (503, 503), "{weak:?}");
    }
    let text = logs.text();
    for said in
        ["the owner's token cannot be used", "shorter than 20 bytes", "no visible ASCII", "openssl rand -base64 32"]
    {
        assert!(text.contains(said), "{text}");
    }
    assert!(!text.contains("s3cret"), "{text}");
    aws.hold(TOKEN);
    time.advance(Duration::from_mins(1));
    assert_eq!(status(&owner, TOKEN).await, 200);
}

#[tokio::test]
async fn those_who_ask_at_once_wait_for_one_call() {
    let (aws, time) = (FakeAws::start(), ManualClock::new());
    aws.hold(TOKEN);
    let owner = owner(&aws.caller(&time), "secret:site/owner");
    let all = join_all((0..20).map(|_| status(&owner, TOKEN))).await;
    assert_eq!((all, aws.asked().len()), (vec![200; 20], 1));
}

#[tokio::test(start_paused = true)]
async fn a_mute_secrets_manager_is_waited_for_three_seconds() {
    let logs = Logs::capture();
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", mute.local_addr().unwrap());
    let aws = aws_with(&ManualClock::new(), "AWS_ENDPOINT_URL", &url);
    let (owner, begin) = (owner(&aws, "secret:site/owner"), Instant::now());
    assert_eq!(status(&owner, TOKEN).await, 503);
    assert_eq!(begin.elapsed().as_secs(), 3);
    assert!(logs.text().contains("the secret site/owner: no answer within 3s"), "{}", logs.text());
}
