//! Logins with a password from a file.

use crate::helpers::{acl, apply, calls_of, clients, close_all_but_ours, page, store, total, unreachable, visit};
use crate::logins::{SECRET, let_in, with_user};
use crate::tls::{trusted_server, trusting};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use test_support::{Logs, RedisServer};
use visits_core::clock::ManualClock;
use visits_core::config::Config;
use visits_core::flusher::{Flusher, Limits};
use visits_core::store::redis::RedisStore;

/// A file with a password, in a folder of its own.
pub(crate) struct PasswordFile(TempDir);

impl PasswordFile {
    pub(crate) fn new(password: &str) -> Self {
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
    pub(crate) fn endpoints(&self, server: &RedisServer, user: &str) -> String {
        format!("a={};password-file={}", with_user(server, user), self.path().display())
    }
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
