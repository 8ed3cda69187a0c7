//! Logins with a password from the URL or a file: who gets in, and what is told of who does not.

use crate::helpers::{
    acl, apply, calls_of, clients, close_all_but_ours, page, store, store_on, store_with, total, unreachable, visit,
};
use crate::logs::Logs;
use crate::tls::{trusted_server, trusting};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use test_support::RedisServer;
use visits_core::clock::ManualClock;
use visits_core::config::Config;
use visits_core::flusher::{Flusher, Limits};
use visits_core::store::redis::RedisStore;
use visits_core::store::{Store, StoreError};

/// What no message and no log line may show.
const SECRET: &str = "s3cret-pa55";

/// A file with a password, in a folder of its own.
struct PasswordFile(TempDir);

impl PasswordFile {
    fn new(password: &str) -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        file.write(password);
        file
    }

    fn write(&self, password: &str) {
        fs::write(self.path(), format!("{password}\n")).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("password")
    }

    /// One shard on `server`, to which `user` logs in with this file.
    fn endpoints(&self, server: &RedisServer, user: &str) -> String {
        format!("a={};password-file={}", with_user(server, user), self.path().display())
    }
}

fn with_user(server: &RedisServer, user: &str) -> String {
    server.url().replace("//", &format!("//{user}@"))
}

/// Lets `app` in with `password` only, to the counter's keys and without dangerous commands.
fn let_in(server: &RedisServer, password: &str) {
    acl(&mut server.connect(), &format!("SETUSER app reset on >{password} ~visits:* +@all -@dangerous"));
}

#[tokio::test]
async fn a_user_with_no_more_rights_than_its_keys_logs_in_over_tls_with_a_password_from_a_file() {
    let (authority, server) = trusted_server();
    let_in(&server, SECRET);
    let file = PasswordFile::new(SECRET);
    let store = trusting(&authority, &file.endpoints(&server, "app"));
    assert_eq!(apply(&store, &visit()).await.unwrap().set.visits, 1);
    assert_eq!(total(&store, "home").await, 1);
    assert_eq!(store.writers(0).await.unwrap().len(), 1);
    assert_eq!(store.tidy(0).await, Ok(0));
}

#[tokio::test]
async fn without_a_user_the_password_is_the_default_users() {
    let server = RedisServer::start();
    let file = PasswordFile::new(SECRET);
    let store = store(&file.endpoints(&server, "").replace("//@", "//"));
    let mut redis = server.connect();
    acl(&mut redis, &format!("SETUSER default resetpass >{SECRET}"));
    assert_eq!(total(&store, "home").await, 0);
}

#[tokio::test]
async fn a_password_rotated_in_its_file_is_used_at_the_next_connection() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let_in(&server, "first");
    let file = PasswordFile::new("first");
    let store = store(&file.endpoints(&server, "app"));
    for (number, password) in (1..).zip(["first", "second", "third"]) {
        let_in(&server, password);
        file.write(password);
        close_all_but_ours(&mut redis);
        assert_eq!(total(&store, "home").await, 0, "{password}");
        assert_eq!((calls_of(&mut redis, "auth"), clients(&mut redis)), (number, 1));
    }
}

#[tokio::test]
async fn shards_of_one_server_and_file_share_a_connection() {
    let server = RedisServer::start();
    let_in(&server, SECRET);
    let file = PasswordFile::new(SECRET);
    let one = file.endpoints(&server, "app");
    let store = store(&format!("{one},{}", one.replace("a=", "b=")));
    for shard in 0..2 {
        assert_eq!(store.total(shard, &page("home")).await, Ok(0));
    }
    assert_eq!(clients(&mut server.connect()), 1);
}

#[tokio::test]
async fn a_file_without_a_password_is_told_and_read_again_at_the_next_call() {
    let server = RedisServer::start();
    let_in(&server, SECRET);
    let file = PasswordFile::new("");
    let store = store(&file.endpoints(&server, "app"));
    let told = |reason: &str| format!("the password file {}: {reason}", file.path().display());
    assert_eq!(unreachable(&store).await, told("the file is empty"));
    file.write(&SECRET.repeat(1000));
    assert_eq!(unreachable(&store).await, told("the file is longer than 4096 bytes"));
    fs::write(file.path(), [0xff, 0xfe]).unwrap();
    assert_eq!(unreachable(&store).await, told("the file is not text"));
    fs::remove_file(file.path()).unwrap();
    assert_eq!(unreachable(&store).await, told("the file cannot be read: No such file or directory (os error 2)"));
    file.write(SECRET);
    assert_eq!(total(&store, "home").await, 0);
}

#[tokio::test]
async fn a_refused_login_names_the_user_and_where_its_password_is_from() {
    let logs = Logs::capture();
    let server = RedisServer::start();
    let_in(&server, "right");
    let file = PasswordFile::new(SECRET);
    let refused = "the server refuses the login of user app (WRONGPASS: invalid username-password pair); check ";
    let reason = unreachable(&store(&file.endpoints(&server, "app"))).await;
    assert_eq!(reason, format!("{refused}the user in REDIS_ENDPOINTS and what is in its ;password-file"));
    let reason = unreachable(&store(&format!("a={}", with_user(&server, &format!("app:{SECRET}"))))).await;
    assert_eq!(reason, format!("{refused}user and password in REDIS_ENDPOINTS"));
    let reason = unreachable(&store(&format!("a={}", with_user(&server, &format!("ghost:{SECRET}"))))).await;
    assert!(reason.contains("user ghost (WRONGPASS"), "{reason}");
    assert!(!logs.text().contains(SECRET), "{}", logs.text());
}

#[tokio::test]
async fn a_password_for_a_server_that_has_none_is_told() {
    let server = RedisServer::start();
    let reason = unreachable(&store(&format!("a={}", with_user(&server, &format!(":{SECRET}"))))).await;
    assert!(reason.contains("user default (ERR: AUTH <password> called without any password"), "{reason}");
}

#[tokio::test]
async fn a_server_without_room_for_another_client_is_not_called_a_wrong_password() {
    let server = RedisServer::builder().option("maxclients", "1").start();
    let _only = server.connect();
    let reason = unreachable(&store(&format!("a={}", with_user(&server, "app:pw")))).await;
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
    let server = RedisServer::start();
    let_in(&server, SECRET);
    let at = |database: u32| store(&format!("a={}/{database}", with_user(&server, &format!("app:{SECRET}"))));
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

#[tokio::test]
async fn visits_recorded_while_the_password_is_wrong_count_once_it_is_right() {
    let logs = Logs::capture();
    let server = RedisServer::start();
    let_in(&server, SECRET);
    let file = PasswordFile::new("wr0ng-pa55");
    let endpoints = file.endpoints(&server, "app");
    let config = Config::from_vars(|name| (name == "REDIS_ENDPOINTS").then(|| endpoints.clone().into())).unwrap();
    let (store, time) = (Arc::new(RedisStore::new(&config).unwrap()), ManualClock::new());
    let flusher = Flusher::new(Arc::clone(&store), config.ring(), time.clock(), Limits::from(&config));
    for _ in 0..3 {
        flusher.record(page("home")).unwrap();
        let report = flusher.flush_if_due(Duration::from_secs(5)).await.unwrap();
        assert_eq!((report.failed, report.visits), (1, 0));
        time.advance(Duration::from_mins(1));
    }
    file.write(SECRET);
    for _ in 0..2 {
        flusher.record(page("home")).unwrap();
        flusher.flush_if_due(Duration::from_secs(5)).await.unwrap();
        time.advance(Duration::from_mins(1));
    }
    assert_eq!(total(&store, "home").await, 5);
    let logged = logs.text();
    assert_eq!(logged.matches("what is in its ;password-file").count(), 3, "{logged}");
    assert!(!logged.contains(SECRET) && !logged.contains("wr0ng-pa55"), "{logged}");
}
