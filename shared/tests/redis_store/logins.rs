//! Logins with user and password of the URL: who gets in, and what is told of who does not.

use crate::helpers::{acl, apply, store, store_on, store_with, total, unreachable, visit};
use crate::logins_by_file::PasswordFile;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use test_support::{Logs, RedisServer};
use visits_core::store::StoreError;

/// What no message and no log line may show.
pub(crate) const SECRET: &str = "s3cret-pa55";

pub(crate) fn with_user(server: &RedisServer, user: &str) -> String {
    server.url().replace("//", &format!("//{user}@"))
}

/// Lets `app` in with `password` only, to the counter's keys and without dangerous commands.
pub(crate) fn let_in(server: &RedisServer, password: &str) {
    acl(&mut server.connect(), &format!("SETUSER app reset on >{password} ~visits:* +@all -@dangerous"));
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
