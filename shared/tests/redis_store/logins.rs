//! Logins with a password of each source: of the URL, a file or a secret of AWS Secrets Manager, or a token. Who gets in, and
//! what is told of who does not.

use crate::fake_aws::{FakeAws, KEY, aws_with};
use crate::helpers::{
    acl, apply, batch, call, calls_of, clients, close_all_but_ours, page, store, store_on, store_with, total,
    unreachable, visit,
};
use crate::logins_by_iam::token;
use crate::tls::trusted_server;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, thread};
use test_support::{CertificateAuthority, Logs, RedisServer, ReservedPort};
use visits_core::clock::ManualClock;
use visits_core::config::Config;
#[cfg(feature = "aws-sdk")]
use visits_core::credentials::Aws;
use visits_core::flusher::{Flusher, Limits};
use visits_core::store::StoreError;
use visits_core::store::redis::RedisStore;

/// A password that no message and no log line may show.
const SECRET: &str = "s3cret-pa55";

/// Another one, which the server refuses.
const WRONG: &str = "wr0ng-pa55";

/// A Redis with TLS that lets `app` in, and the sources of its password.
pub(crate) struct World {
    authority: CertificateAuthority,
    pub(crate) server: RedisServer,
    aws: FakeAws,
    pub(crate) time: ManualClock,
}

impl World {
    /// The server lets `app` in with this password.
    pub(crate) fn new(password: &str) -> Self {
        let (authority, server) = trusted_server();
        let world = Self { authority, server, aws: FakeAws::start(), time: ManualClock::new() };
        world.let_in(password);
        world
    }

    /// Lets `app` in with this password only, to the counter's keys and without dangerous commands. Connections that are
    /// open stay.
    pub(crate) fn let_in(&self, password: &str) {
        let rules = format!("SETUSER app reset on >{password} ~visits:* +@all -@dangerous");
        acl(&mut self.server.connect(), &rules);
    }

    fn file(&self) -> PathBuf {
        self.server.data().join("password")
    }

    /// Puts a password into the file and the secret.
    fn put(&self, password: &str) {
        fs::write(self.file(), format!("{password}\n")).unwrap();
        self.aws.hold(password);
    }

    /// Returns the endpoint of shard `a` for a user, as `app:password`, with an option, as `;iam=cache`.
    pub(crate) fn endpoint(&self, user: &str, option: &str) -> String {
        format!("a={}{option}", self.server.url().replace("//", &format!("//{user}@")))
    }

    /// Returns the endpoint with the password from the file.
    fn by_file(&self) -> String {
        self.endpoint("app", &format!(";password-file={}", self.file().display()))
    }

    /// Returns the endpoint with the password from a secret.
    fn by_secret(&self, name: &str) -> String {
        self.endpoint("app", &format!(";password-secret={name}"))
    }

    pub(crate) fn config(&self, endpoints: &str) -> Config {
        let ca = self.server.data().join("ca.pem");
        fs::write(&ca, self.authority.pem()).unwrap();
        let config = Config::from_vars(|name| match name {
            "REDIS_ENDPOINTS" => Some(endpoints.into()),
            "REDIS_CA_FILE" => Some(ca.clone().into()),
            _ => None,
        });
        config.unwrap()
    }

    fn store(&self, endpoints: &str) -> RedisStore {
        RedisStore::with_aws(&self.config(endpoints), self.aws.caller(&self.time)).unwrap()
    }
}

#[tokio::test]
async fn with_a_password_of_each_source_a_user_with_no_more_rights_than_its_keys_logs_in() {
    let (world, logs) = (World::new(SECRET), Logs::capture());
    world.put(SECRET);
    let url = world.endpoint(&format!("app:{}", SECRET.replace('-', "%2D")), "");
    let iam = world.endpoint("app", ";iam=site-cache");
    for (number, (endpoint, password)) in
        (1..).zip([(url, SECRET), (world.by_file(), SECRET), (world.by_secret("site/redis"), SECRET), (iam, &token(0))])
    {
        world.let_in(password);
        let store = world.store(&endpoint);
        let applied = apply(&store, &call(&[batch(number, &[("home", 1)])])).await;
        assert_eq!(applied.unwrap().set.visits, number, "{endpoint}");
        assert_eq!(total(&store, "home").await, number, "{endpoint}");
        assert_eq!((store.writers(0).await.unwrap().len(), store.tidy(0).await), (1, Ok(0)), "{endpoint}");
    }
    assert!(!logs.text().contains(SECRET), "{}", logs.text());
}

#[tokio::test]
async fn a_refused_login_names_the_user_and_what_to_check_of_its_source_and_shows_no_password() {
    let (world, logs) = (World::new(SECRET), Logs::capture());
    world.put(WRONG);
    let iam = world.endpoint("app", ";iam=site-cache");
    for (endpoint, user, hint) in [
        (world.endpoint(&format!("app:{WRONG}"), ""), "app", "user and password in REDIS_ENDPOINTS"),
        (world.endpoint(&format!("ghost:{WRONG}"), ""), "ghost", "user and password in REDIS_ENDPOINTS"),
        (world.by_file(), "app", "the user in REDIS_ENDPOINTS and what is in its ;password-file"),
        (
            world.by_secret("site/redis"),
            "app",
            "the user in REDIS_ENDPOINTS and what is in its ;password-secret (of JSON, name the member: #key)",
        ),
        (
            iam,
            "app",
            "that the function's role allows elasticache:Connect on cache and user, that the user's name is its id and its \
             authentication IAM, and the name of the cache",
        ),
    ] {
        let reason = unreachable(&world.store(&endpoint)).await;
        let refused =
            format!("the server refuses the login of user {user} (WRONGPASS: invalid username-password pair)");
        assert_eq!(reason, format!("{refused}; check {hint}"));
    }
    let (logged, token) = (logs.text(), token(0));
    for secret in [WRONG, KEY, &token[token.len() - 64..]] {
        assert!(!logged.contains(secret), "{logged}");
    }
}

#[tokio::test]
async fn a_password_rotated_in_its_file_or_secret_is_used_at_the_next_connection() {
    let world = World::new("first");
    let mut redis = world.server.connect();
    for (endpoint, logins_for_a_rotation) in [(world.by_file(), 1), (world.by_secret("site/redis"), 2)] {
        let store = world.store(&endpoint);
        for (number, password) in (1..).zip(["first", "second", "third"]) {
            world.let_in(password);
            world.put(password);
            close_all_but_ours(&mut redis);
            world.time.advance(Duration::from_mins(1));
            let before = calls_of(&mut redis, "auth");
            assert_eq!(total(&store, "home").await, 0, "in one call: {endpoint} {password}");
            // What a secret was is known until the server refuses it.
            let logins = if number == 1 { 1 } else { logins_for_a_rotation };
            assert_eq!((calls_of(&mut redis, "auth") - before, clients(&mut redis)), (logins, 1), "{endpoint}");
        }
    }
    assert_eq!(world.aws.asked().len(), 3);
}

#[tokio::test]
async fn a_password_that_cannot_be_had_is_told_and_asked_for_again() {
    let (world, logs) = (World::new(SECRET), Logs::capture());
    let store = world.store(&world.by_file());
    let file = world.file().display().to_string();
    for (content, reason) in
        [(Some(""), "the file is empty"), (None, "the file cannot be read: No such file or directory (os error 2)")]
    {
        let _ = fs::remove_file(&file);
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        assert_eq!(unreachable(&store).await, format!("the password file {file}: {reason}"));
    }
    world.put(SECRET);
    assert_eq!(total(&store, "home").await, 0);

    let store = world.store(&world.by_secret("site/redis"));
    for (status, answer, reason) in [
        (
            400,
            r#"{"__type":"AccessDeniedException","Message":"User x may not"}"#,
            "AccessDeniedException: User x may not",
        ),
        (200, r#"{"SecretString":""}"#, "the password is empty"),
        (200, r#"{"SecretString":["s3cret-pa55"]}"#, "the answer is not Secrets Manager's"),
    ] {
        world.aws.answer(status, answer);
        assert_eq!(unreachable(&store).await, format!("the secret site/redis: {reason}"));
        world.time.advance(Duration::from_secs(5));
    }
    world.put(SECRET);
    assert_eq!(total(&store, "home").await, 0);
    assert!(!logs.text().contains(SECRET), "{}", logs.text());
}

#[tokio::test]
async fn without_a_user_the_password_is_the_default_users() {
    let world = World::new(SECRET);
    world.put(SECRET);
    let store = world.store(&world.by_file().replace("//app@", "//"));
    acl(&mut world.server.connect(), &format!("SETUSER default resetpass >{SECRET}"));
    assert_eq!(total(&store, "home").await, 0);
}

#[tokio::test]
async fn visits_recorded_while_the_password_is_wrong_count_once_it_is_right() {
    let (world, logs) = (World::new(SECRET), Logs::capture());
    world.put(WRONG);
    let config = world.config(&world.by_file());
    let store = Arc::new(RedisStore::new(&config).unwrap());
    let flusher = Flusher::new(Arc::clone(&store), config.ring(), world.time.clock(), Limits::from(&config));
    for visits in 1..=5 {
        if visits == 4 {
            world.put(SECRET);
        }
        flusher.record(page("home")).unwrap();
        let report = flusher.flush_if_due(Duration::from_secs(5)).await.unwrap();
        assert_eq!(report.failed, u64::from(visits < 4), "{report:?}");
        world.time.advance(Duration::from_mins(1));
    }
    assert_eq!(total(&store, "home").await, 5);
    let logged = logs.text();
    assert_eq!(logged.matches("what is in its ;password-file").count(), 3, "{logged}");
    assert!(!logged.contains(SECRET) && !logged.contains(WRONG), "{logged}");
}

#[tokio::test]
async fn a_secret_is_fetched_at_the_first_connection_and_once_for_all_shards() {
    let world = World::new(SECRET);
    world.put(SECRET);
    let one = world.by_secret("site/redis");
    let store = world.store(&format!("{one},{}", one.replacen("a=", "b=", 1)));
    let mut redis = world.server.connect();
    assert!(world.aws.asked().is_empty());
    for _ in 0..3 {
        for shard in 0..2 {
            assert_eq!(store.total(shard, &page("home")).await, Ok(0));
        }
        assert_eq!(clients(&mut redis), 1);
        close_all_but_ours(&mut redis);
    }
    let asked = world.aws.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let request = asked[0].to_ascii_lowercase();
    assert!(request.contains("x-amz-target: secretsmanager.getsecretvalue"), "{request}");
    assert!(request.ends_with(r#"{"secretid":"site/redis"}"#), "{request}");
}

#[tokio::test]
async fn a_member_of_a_json_secret_is_the_password() {
    let world = World::new(SECRET);
    world.aws.hold(&format!(r#"{{"username":"app","password":"{SECRET}"}}"#));
    assert_eq!(total(&world.store(&world.by_secret("site/redis#password")), "home").await, 0);
    let reason = unreachable(&world.store(&world.by_secret("site/redis#port"))).await;
    assert_eq!(reason, "the secret site/redis: its JSON has no text at port");
}

#[tokio::test]
async fn while_a_secret_is_wrong_it_is_asked_for_every_few_seconds_only() {
    let world = World::new(SECRET);
    world.put(WRONG);
    let store = world.store(&world.by_secret("site/redis"));
    for _ in 0..10 {
        unreachable(&store).await;
    }
    assert_eq!(world.aws.asked().len(), 1);
    world.put(SECRET);
    world.time.freeze(Duration::from_secs(5));
    assert_eq!(total(&store, "home").await, 0);
    assert_eq!(world.aws.asked().len(), 2);
}

#[tokio::test]
async fn without_secrets_manager_the_server_is_not_logged_in_to_and_the_cause_is_told() {
    let (world, port) = (World::new(SECRET), ReservedPort::new());
    let aws = aws_with(&world.time, "AWS_ENDPOINT_URL", &format!("http://{}", port.address()));
    let store = RedisStore::with_aws(&world.config(&world.by_secret("site/redis")), aws).unwrap();
    let reason = unreachable(&store).await;
    assert!(reason.starts_with("the secret site/redis: ") && reason.contains("Connection refused"), "{reason}");
}

#[tokio::test]
async fn a_server_that_is_down_costs_no_call_to_secrets_manager() {
    let mut world = World::new(SECRET);
    let store = world.store(&world.by_secret("site/redis"));
    world.server.stop();
    unreachable(&store).await;
    assert!(world.aws.asked().is_empty());
}

/// The variable of the process that the test below starts: the endpoints to use.
const ENDPOINTS: &str = "LOGIN_TEST_ENDPOINTS";

/// Runs `test` in a process with these variables only, which logs in to a shard. Returns the requests to Secrets Manager.
fn asked_by_a_process(test: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let (server, aws) = (RedisServer::start(), FakeAws::start());
    acl(&mut server.connect(), &format!("SETUSER app reset on >{SECRET} ~* +@all"));
    aws.hold(SECRET);
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", &format!("logins::{test}")]).env_clear();
    let endpoint = format!("a={};password-secret=site/redis", server.url().replace("//", "//app@"));
    child.env(ENDPOINTS, endpoint).env("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.url());
    let output = child.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    aws.asked()
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

#[tokio::test]
async fn what_a_server_answers_to_a_login_is_told_in_its_own_words() {
    let at =
        |server: &RedisServer, user: &str| store(&format!("a={}", server.url().replace("//", &format!("//{user}@"))));
    let reason = unreachable(&at(&RedisServer::start(), &format!(":{SECRET}"))).await;
    assert!(reason.contains("user default (ERR: AUTH <password> called without any password"), "{reason}");
    // A server without room for another client is not called a wrong password.
    let server = RedisServer::builder().option("maxclients", "1").start();
    let _only = server.connect();
    let reason = unreachable(&at(&server, "app:pw")).await;
    assert!(reason.contains("max number of clients reached"), "{reason}");
}

#[tokio::test]
async fn a_server_that_wants_a_login_is_told_and_connected_to_anew() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    acl(&mut redis, &format!("SETUSER default resetpass >{SECRET}"));
    let store = store_on(&server);
    let Err(StoreError::Refused { reason, .. }) = apply(&store, &visit()).await else { panic!("nobody logged in") };
    assert!(reason.contains("NOAUTH") && reason.contains("give user and password"), "{reason}");
    acl(&mut redis, "SETUSER default nopass");
    apply(&store, &visit()).await.unwrap();
    assert_eq!(total(&store, "home").await, 1);
}

#[tokio::test]
async fn a_database_is_chosen_after_the_login() {
    let world = World::new(SECRET);
    let at = |database: u32| world.store(&world.endpoint(&format!("app:{SECRET}"), &format!("/{database}")));
    apply(&at(3), &visit()).await.unwrap();
    assert_eq!(total(&at(0), "home").await, 0);
    assert_eq!(total(&at(3), "home").await, 1);
    let reason = unreachable(&at(99)).await;
    assert!(reason.contains("the database 99 (ERR: DB index is out of range)"), "{reason}");
}

#[tokio::test]
async fn what_a_server_repeats_of_a_command_it_does_not_know_is_not_told() {
    let logs = Logs::capture();
    let repeating = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = repeating.local_addr().unwrap();
    let answering = thread::spawn(move || {
        let (mut client, _) = repeating.accept().unwrap();
        let _ = client.read(&mut [0; 512]).unwrap();
        let answer = format!("-ERR unknown command 'AUTH', with args beginning with: 'app' '{SECRET}' \r\n");
        client.write_all(answer.as_bytes()).unwrap();
    });
    let reason = unreachable(&store(&format!("a=redis://app:{SECRET}@{address}"))).await;
    answering.join().unwrap();
    assert!(reason.contains("refuses the login of user app (ERR);"), "{reason}");
    assert!(!logs.text().contains(SECRET), "{}", logs.text());
}

#[tokio::test]
async fn a_host_that_nobody_knows_is_told() {
    for scheme in ["redis", "rediss"] {
        // Of a domain that never exists.
        let endpoints = format!("a={scheme}://app:{SECRET}@no-such-host.invalid");
        let reason =
            unreachable(&store_with(&[("REDIS_ENDPOINTS", &endpoints), ("REDIS_CONNECT_TIMEOUT", "4s")])).await;
        assert!(reason.ends_with("; is the host in REDIS_ENDPOINTS right?"), "{reason}");
    }
}
