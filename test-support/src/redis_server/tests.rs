use super::*;
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
fn a_server_ends_with_its_handle() {
    let server = RedisServer::start();
    let (url, data) = (server.url(), server.data().to_owned());
    let started = Instant::now();
    drop(server);
    assert!(Client::open(url).unwrap().get_connection().is_err());
    assert!(!data.exists());
    assert!(started.elapsed() < PATIENCE);
}
