//! A password from AWS Secrets Manager, played by a server on this machine.

use crate::aws_variables::aws_with;
use crate::fake_aws::FakeAws;
use crate::helpers::{acl, apply, close_all_but_ours, page, store, total, unreachable, visit};
use std::env;
use std::process::Command;
use std::time::Duration;
use test_support::{Logs, RedisServer, ReservedPort};
use visits_core::clock::ManualClock;
use visits_core::config::Config;
#[cfg(feature = "aws-sdk")]
use visits_core::credentials::Aws;
use visits_core::store::redis::RedisStore;

const SECRET: &str = "s3cret-pa55";

struct World {
    server: RedisServer,
    aws: FakeAws,
    time: ManualClock,
}

impl World {
    /// A Redis that lets `app` in with [`SECRET`], and a Secrets Manager that holds `secret`.
    fn new(secret: &str) -> Self {
        let world = Self { server: RedisServer::start(), aws: FakeAws::start(), time: ManualClock::new() };
        world.let_in(SECRET);
        world.aws.hold(secret);
        world
    }

    fn let_in(&self, password: &str) {
        acl(&mut self.server.connect(), &format!("SETUSER app reset on >{password} ~* +@all"));
    }

    /// One shard whose password is the secret `name`.
    fn endpoint(&self, name: &str) -> String {
        format!("a={};password-secret={name}", self.server.url().replace("//", "//app@"))
    }

    fn store(&self, endpoints: &str) -> RedisStore {
        let config = Config::from_vars(|name| (name == "REDIS_ENDPOINTS").then(|| endpoints.into())).unwrap();
        RedisStore::with_aws(&config, self.aws.caller(&self.time)).unwrap()
    }
}

#[tokio::test]
async fn a_secret_is_fetched_at_the_first_connection_and_once() {
    let world = World::new(SECRET);
    let one = world.endpoint("site/redis");
    let store = world.store(&format!(
        "{one},{}/1;password-secret=site/redis",
        world.server.url().replace("redis://", "b=redis://app@")
    ));
    assert!(world.aws.asked().is_empty());
    for _ in 0..3 {
        for shard in 0..2 {
            assert_eq!(store.total(shard, &page("home")).await, Ok(0));
        }
        close_all_but_ours(&mut world.server.connect());
    }
    let asked = world.aws.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let request = asked[0].to_ascii_lowercase();
    assert!(request.contains("x-amz-target: secretsmanager.getsecretvalue"), "{request}");
    assert!(request.ends_with(r#"{"secretid":"site/redis"}"#), "{request}");
}

#[tokio::test]
async fn a_member_of_a_json_secret_is_the_password() {
    let world = World::new(&format!(r#"{{"username":"app","password":"{SECRET}"}}"#));
    assert_eq!(total(&world.store(&world.endpoint("site/redis#password")), "home").await, 0);
    let reason = unreachable(&world.store(&world.endpoint("site/redis#port"))).await;
    assert_eq!(reason, "the secret site/redis: its JSON has no text at port");
    let reason = unreachable(&world.store(&world.endpoint("site/redis"))).await;
    assert!(reason.contains("WRONGPASS") && reason.contains("name the member: #key"), "{reason}");
}

#[tokio::test]
async fn a_rotated_secret_is_fetched_again_when_the_server_refuses_the_old_one() {
    let world = World::new(SECRET);
    let store = world.store(&world.endpoint("site/redis"));
    apply(&store, &visit()).await.unwrap();
    world.let_in("rotated");
    world.aws.hold("rotated");
    close_all_but_ours(&mut world.server.connect());
    world.time.advance(Duration::from_mins(1));
    assert_eq!(total(&store, "home").await, 1, "in one call");
    assert_eq!(world.aws.asked().len(), 2);
}

#[tokio::test]
async fn while_a_secret_is_wrong_it_is_asked_for_every_few_seconds_only() {
    let logs = Logs::capture();
    let world = World::new("wr0ng-pa55");
    let store = world.store(&world.endpoint("site/redis"));
    for _ in 0..10 {
        let reason = unreachable(&store).await;
        assert!(reason.contains("user app (WRONGPASS") && reason.contains(";password-secret"), "{reason}");
    }
    assert_eq!(world.aws.asked().len(), 1);
    world.aws.hold(SECRET);
    world.time.freeze(Duration::from_secs(5));
    assert_eq!(total(&store, "home").await, 0);
    assert_eq!(world.aws.asked().len(), 2);
    assert!(!logs.text().contains(SECRET) && !logs.text().contains("wr0ng-pa55"));
}

#[tokio::test]
async fn a_secret_that_is_not_told_says_why_and_nothing_of_the_answer() {
    let logs = Logs::capture();
    let world = World::new(SECRET);
    let store = world.store(&world.endpoint("site/redis"));
    let denied = r#"{"__type":"AccessDeniedException","Message":"User x may not read it"}"#;
    let garbled = format!(r#"{{"SecretString":["{SECRET}"]}}"#);
    for (status, answer, told) in [
        (400, denied, "AccessDeniedException: User x may not read it"),
        (200, r#"{"Name":"site/redis","SecretBinary":"c2VjcmV0"}"#, "it is binary, text is wanted"),
        (200, r#"{"SecretString":""}"#, "the password is empty"),
        (200, &garbled, "the answer is not Secrets Manager's"),
    ] {
        world.aws.answer(status, answer);
        assert_eq!(unreachable(&store).await, format!("the secret site/redis: {told}"));
        world.time.advance(Duration::from_secs(5));
    }
    assert!(!logs.text().contains(SECRET), "{}", logs.text());
}

#[tokio::test]
async fn without_secrets_manager_the_server_is_not_logged_in_to_and_the_cause_is_told() {
    let world = World::new(SECRET);
    let nobody = ReservedPort::new();
    let aws = aws_with(&world.time, "AWS_ENDPOINT_URL", &format!("http://{}", nobody.address()));
    let endpoints = world.endpoint("site/redis");
    let config = Config::from_vars(|name| (name == "REDIS_ENDPOINTS").then(|| endpoints.clone().into())).unwrap();
    let store = RedisStore::with_aws(&config, aws).unwrap();
    let reason = unreachable(&store).await;
    assert!(reason.starts_with("the secret site/redis: ") && reason.contains("Connection refused"), "{reason}");
}

#[tokio::test]
async fn a_server_that_is_down_costs_no_call_to_secrets_manager() {
    let mut world = World::new(SECRET);
    let store = world.store(&world.endpoint("site/redis"));
    world.server.stop();
    unreachable(&store).await;
    assert!(world.aws.asked().is_empty());
}

/// In the process that the test below starts: the endpoints to use.
const ENDPOINTS: &str = "LOGIN_TEST_ENDPOINTS";

/// Logs in to a shard with the environment's own variables, which are these; what Secrets Manager was asked then.
fn asked_by_a_process(test: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let world = World::new(SECRET);
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", &format!("logins_by_secret::{test}")]).env_clear();
    child.env(ENDPOINTS, world.endpoint("site/redis")).env("AWS_ENDPOINT_URL_SECRETS_MANAGER", world.aws.url());
    let output = child.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    world.aws.asked()
}

#[tokio::test]
async fn the_environment_says_where_secrets_manager_is_and_who_asks() {
    if let Ok(endpoints) = env::var(ENDPOINTS) {
        assert_eq!(total(&store(&endpoints), "home").await, 0);
        return;
    }
    let variables = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDLAMBDA"),
        ("AWS_SECRET_ACCESS_KEY", "k"),
        ("AWS_SESSION_TOKEN", "of-a-role"),
    ];
    let asked = asked_by_a_process("the_environment_says_where_secrets_manager_is_and_who_asks", &variables);
    assert!(asked.len() == 1 && asked[0].contains("Credential=AKIDLAMBDA/"), "{asked:?}");
    assert!(asked[0].contains("/eu-west-1/secretsmanager/"), "{asked:?}");
    assert!(asked[0].contains("x-amz-security-token: of-a-role\r\n"), "{asked:?}");
}

#[cfg(feature = "aws-sdk")]
#[tokio::test]
async fn a_container_says_who_asks() {
    if let Ok(endpoints) = env::var(ENDPOINTS) {
        let config = Config::from_vars(|name| (name == "REDIS_ENDPOINTS").then(|| endpoints.clone().into())).unwrap();
        let store = RedisStore::with_aws(&config, Aws::with_sdk(config.clock())).unwrap();
        assert_eq!(total(&store, "home").await, 0);
        return;
    }
    let credentials = FakeAws::start();
    let keys =
        r#"{"AccessKeyId":"AKIDCONTAINER","SecretAccessKey":"k","Token":"t","Expiration":"2100-01-01T00:00:00Z"}"#;
    credentials.answer(200, keys);
    let url = credentials.url();
    let variables = [("AWS_REGION", "eu-west-1"), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str())];
    let asked = asked_by_a_process("a_container_says_who_asks", &variables);
    assert!(asked.len() == 1 && asked[0].contains("Credential=AKIDCONTAINER/"), "{asked:?}");
}
