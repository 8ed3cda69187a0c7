use super::*;
use crate::CertificateAuthority;
use redis::Commands;
use std::time::Instant;

#[test]
fn a_server_keeps_port_and_data_over_a_stop_a_crash_and_a_restart() {
    let mut server = RedisServer::builder().append_only(true).start();
    let url = server.url();
    let _: () = server.connect().set("key", 1).unwrap();
    server.restart();
    assert_eq!(server.connect().incr("key", 1), Ok(2));
    server.kill();
    assert!(server.try_connect().is_err());
    server.restart();
    assert_eq!((server.connect().get("key"), server.url()), (Ok(2), url));
    assert!(fs::metadata(server.append_only_file()).unwrap().len() > 0);
}

#[test]
fn servers_run_side_by_side() {
    let servers = [RedisServer::start(), RedisServer::start()];
    for (number, server) in servers.iter().enumerate() {
        let _: () = server.connect().set("number", number).unwrap();
    }
    assert_eq!(servers.map(|server| server.connect().get("number")), [Ok(0), Ok(1)]);
}

#[test]
fn options_are_passed_on() {
    let server = RedisServer::builder().option("maxmemory", "7mb").start();
    let setting: (String, String) =
        redis::cmd("CONFIG").arg("GET").arg("maxmemory").query(&mut server.connect()).unwrap();
    assert_eq!(setting.1, (7 << 20).to_string());
}

#[test]
fn a_server_with_tls_answers_its_test_and_keeps_its_port_over_a_crash() {
    let certificate = CertificateAuthority::new().expired_certificate(&["elsewhere.example"]);
    let mut server = RedisServer::builder().tls(certificate).start();
    assert_eq!(server.url(), format!("rediss://127.0.0.1:{}", server.port()));
    server.kill();
    server.restart();
    assert_eq!(server.connect().incr("key", 1), Ok(1));
}

#[test]
fn a_frozen_server_answers_once_it_is_thawed() {
    let mut server = RedisServer::start();
    let mut redis = server.connect();
    redis.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    server.freeze();
    assert!(redis.get::<_, Option<u64>>("key").is_err());
    server.thaw();
    assert_eq!(server.connect().get("key"), Ok(None::<u64>));
}

#[test]
fn a_replica_has_the_data_and_takes_writes_once_it_is_promoted() {
    let primary = RedisServer::start();
    let _: () = primary.connect().set("key", 1).unwrap();
    let replica = primary.start_replica();
    assert_eq!(replica.connect().get("key"), Ok(1));
    assert!(replica.connect().incr::<_, _, u64>("key", 1).is_err());
    replica.promote();
    assert_eq!(replica.connect().incr("key", 1), Ok(2));
    assert_eq!(primary.connect().get("key"), Ok(1));
}

#[test]
fn a_server_ends_with_its_handle() {
    let server = RedisServer::start();
    let (url, data) = (server.url(), server.data().to_owned());
    let started = Instant::now();
    drop(server);
    assert!(Client::open(url).unwrap().get_connection().is_err());
    assert!(!data.exists());
    assert!(started.elapsed() < PATIENCE);
}
