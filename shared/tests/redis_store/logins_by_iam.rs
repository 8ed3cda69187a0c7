//! IAM logins, at a Redis whose user has for its password the very token that is to be sent.
//!
//! The tokens were made by a program of their own (HMAC as AWS describes it, in Python), not by the code under test.

use crate::fake_aws::{KEY, variable};
use crate::helpers::{apply, calls_of, client_ids, close_all_but_ours, total, unreachable, visit};
use crate::logins::World;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use test_support::wait_for;
use visits_core::credentials::Aws;
use visits_core::store::redis::RedisStore;

/// Returns the token of user `app` for `site-cache` in eu-west-1, so many hours after the start of [`ManualClock`].
pub(crate) fn token(hours: u64) -> String {
    let (time, signature) = match hours {
        0 => ("20231114T221320Z", "4381b4400ccd3d8efa8be7f7c278c72244b60014b3e1201feefdb8b2a3bd1a14"),
        11 => ("20231115T091320Z", "21428f7c743f4a9625e96321185a677a7e3c0f561e4c811f12aab931e70c3781"),
        22 => ("20231115T201320Z", "7f8dd9b83ff4cbc712a88d8c7d2b57e1a5d3dce54dfb6892b0ddf98745777a3f"),
        34 => ("20231116T081320Z", "ac5a3c6f8bb9a77b479b6d340262dc6917caef4bad06d197516c43e99155d173"),
        _ => panic!("no token was made for it"),
    };
    let day = &time[..8];
    format!(
        "site-cache/?Action=connect&User=app&X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=AKIDEXAMPLE%2F{day}%2Feu-west-1%2Felasticache%2Faws4_request&X-Amz-Date={time}\
         &X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
    )
}

/// A token as at the start, for a serverless cache and with the session token of a role.
const SERVERLESS: &str = "site-cache/?Action=connect&ResourceType=ServerlessCache&User=app\
    &X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20231114%2Feu-west-1%2Felasticache%2Faws4_request\
    &X-Amz-Date=20231114T221320Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
    &X-Amz-Signature=ba321c18f3623bcf9d0dbdf11897f12f0ac1089f18a7d6fdfba827217f41f3e0\
    &X-Amz-Security-Token=session%2Ftoken%2B%3D";

const HOUR: Duration = Duration::from_hours(1);

/// Returns a store that logs in by a token, with these variables of AWS.
fn store_by_token(
    world: &World,
    option: &str,
    variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
) -> RedisStore {
    let config = world.config(&world.endpoint("app", option));
    RedisStore::with_aws(&config, Aws::of(world.time.clock(), variable)).unwrap()
}

/// Returns the one connection of the store, and how often it logged in.
fn open_connection(world: &World) -> (Vec<u64>, usize) {
    let mut redis = world.server.connect();
    assert!(wait_for(Duration::from_secs(10), || client_ids(&mut redis).len() == 1), "one is open");
    (client_ids(&mut redis), calls_of(&mut redis, "auth"))
}

/// Returns a store with a connection, opened at the clock's start, and the server's number of it.
async fn connected(world: &World) -> (RedisStore, Vec<u64>) {
    // The name as an operator may write it: the token has it in lower case.
    let store = store_by_token(world, ";iam=Site-Cache", variable);
    apply(&store, &visit()).await.unwrap();
    let (connection, logins) = open_connection(world);
    assert_eq!((connection.len(), logins), (1, 1));
    (store, connection)
}

#[tokio::test]
async fn from_its_eleventh_hour_on_a_connection_is_replaced_by_one_with_a_new_token() {
    let world = World::new(&token(0));
    let (store, connection) = connected(&world).await;
    world.let_in(&token(11));
    world.time.advance(10 * HOUR + Duration::from_secs(3599));
    assert_eq!(total(&store, "home").await, 1);
    assert_eq!(open_connection(&world), (connection.clone(), 1), "before, nothing is sent");
    world.time.advance(Duration::from_secs(1));
    assert_eq!(total(&store, "home").await, 1);
    assert_eq!(total(&store, "home").await, 1);
    let (another, logins) = open_connection(&world);
    assert!(another != connection && logins == 2, "once: {logins}");
}

#[tokio::test]
async fn an_environment_that_was_frozen_logs_in_again_when_it_thaws() {
    let world = World::new(&token(0));
    let (store, mut connection) = connected(&world).await;
    for (hours, frozen, logins) in [(11, 11, 2), (22, 11, 3), (34, 12, 4)] {
        world.let_in(&token(hours));
        world.time.freeze(frozen * HOUR);
        assert_eq!(total(&store, "home").await, 1);
        let (another, made) = open_connection(&world);
        assert!(another != connection && made == logins, "time runs from the last login: {made}");
        connection = another;
    }
}

#[tokio::test]
async fn while_there_are_no_credentials_a_login_serves_until_it_is_over() {
    let world = World::new(&token(0));
    let on = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&on);
    let switched = move |name: &str| switch.load(Ordering::Relaxed).then(|| variable(name))?;
    let store = store_by_token(&world, ";iam=site-cache", switched);
    apply(&store, &visit()).await.unwrap();
    on.store(false, Ordering::Relaxed);
    world.time.advance(11 * HOUR);
    assert_eq!(total(&store, "home").await, 1);
    world.time.advance(HOUR);
    // As ElastiCache does when the login is 12 hours old.
    close_all_but_ours(&mut world.server.connect());
    let reason = unreachable(&store).await;
    assert!(reason.starts_with("no token for an IAM login: ") && reason.contains("AWS_REGION"), "{reason}");
}

#[tokio::test]
async fn a_serverless_cache_is_told_in_the_token_and_so_is_the_session_of_a_role() {
    let world = World::new(SERVERLESS);
    let role =
        |name: &str| (name == "AWS_SESSION_TOKEN").then(|| "session/token+=".to_owned()).or_else(|| variable(name));
    apply(&store_by_token(&world, ";iam-serverless=site-cache", role), &visit()).await.unwrap();
}

#[tokio::test]
async fn a_renewal_that_is_refused_is_told_and_made_again_at_the_next_call() {
    let world = World::new(&token(0));
    let (store, _) = connected(&world).await;
    // As if the role had lost the right: the renewal fails, and so does the connection after it.
    world.time.advance(11 * HOUR);
    let reason = unreachable(&store).await;
    assert!(reason.contains("user app (WRONGPASS"), "{reason}");
    world.let_in(&token(11));
    assert_eq!(total(&store, "home").await, 1);
}

#[tokio::test]
async fn without_region_or_credentials_the_error_says_so() {
    let world = World::new(&token(0));
    let with = |given: &'static [&str]| move |name: &str| variable(name).filter(|_| given.contains(&name));
    let reason =
        unreachable(&store_by_token(&world, ";iam=site-cache", with(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])))
            .await;
    assert_eq!(reason, "no token for an IAM login: the region is unknown: set AWS_REGION");
    for given in [&["AWS_REGION"][..], &["AWS_REGION", "AWS_ACCESS_KEY_ID"], &["AWS_REGION", "AWS_SECRET_ACCESS_KEY"]] {
        let reason = unreachable(&store_by_token(&world, ";iam=site-cache", with(given))).await;
        assert!(
            reason.starts_with("no token for an IAM login: there are no AWS credentials: AWS_ACCESS_KEY_ID"),
            "{reason}"
        );
        assert!(!reason.contains(KEY), "{reason}");
    }
}
