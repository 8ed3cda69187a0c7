//! What passes.

use crate::{Setup, get, incr};
use fault_proxy::Fault;
use std::fmt::Write;
use std::io::{Read, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Instant;
use test_support::RedisServer;

/// Sends `bytes` while it reads, and returns all answers.
fn exchange(setup: &Setup, bytes: &[u8]) -> Vec<u8> {
    let stream = TcpStream::connect(setup.proxy.address()).unwrap();
    let mut answers = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            (&stream).write_all(bytes).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        });
        (&stream).read_to_end(&mut answers).unwrap();
    });
    answers
}

#[test]
fn pipelined_commands_keep_their_order() {
    let setup = Setup::new();
    let commands: Vec<_> = (0..10_000).map(|n| format!("*2\r\n$4\r\nECHO\r\n$4\r\n{n:04}\r\n")).collect();
    // The server hangs up on QUIT, and so does the proxy.
    let quit = "*1\r\n$4\r\nQUIT\r\n".to_owned();
    let answers = exchange(&setup, [commands.concat(), quit].concat().as_bytes());
    let mut expected = String::new();
    (0..10_000).for_each(|n| write!(expected, "$4\r\n{n:04}\r\n").unwrap());
    assert_eq!(String::from_utf8(answers).unwrap(), expected + "+OK\r\n");
    assert_eq!(setup.proxy.counters().forwarded(), 10_001);
}

#[test]
fn connections_made_after_a_redirection_lead_to_the_other_server_and_open_ones_stay() {
    let (setup, other) = (Setup::new(), RedisServer::start());
    let mut open = setup.connect();
    setup.proxy.redirect(([127, 0, 0, 1], other.port()).into());
    assert_eq!(incr(&mut setup.connect()), Ok(1));
    assert_eq!([incr(&mut open), incr(&mut open)], [Ok(1), Ok(2)]);
    assert_eq!((setup.count(), get(&mut other.connect())), (2, 1));
}

#[test]
fn big_payloads_pass_unchanged() {
    let setup = Setup::new();
    let mut redis = setup.connect();
    let payload: Vec<u8> = (0..=255).cycle().take(8 << 20).collect();
    redis::cmd("SET").arg("big").arg(&payload).exec(&mut redis).unwrap();
    assert!(redis::cmd("GET").arg("big").query::<Vec<u8>>(&mut redis).unwrap() == payload);
}

#[test]
fn inline_commands_pass_as_they_are() {
    let setup = Setup::new();
    setup.proxy.only(&[]);
    setup.proxy.set(Fault::CutBeforeApply);
    assert_eq!(exchange(&setup, b"PING\r\nINCR count\r\nQUIT\r\n"), b"+PONG\r\n:1\r\n+OK\r\n");
}

#[test]
fn the_third_version_of_the_protocol_passes() {
    let setup = Setup::new();
    let url = format!("{}/?protocol=resp3", setup.proxy.url());
    let mut redis = redis::Client::open(url).unwrap().get_connection().unwrap();
    redis::cmd("HSET").arg("hash").arg("a").arg(1).exec(&mut redis).unwrap();
    assert!(matches!(redis::cmd("HGETALL").arg("hash").query(&mut redis), Ok(redis::Value::Map(_))));
    setup.proxy.fail_next(1, Fault::CutAfterApply);
    assert!(incr(&mut redis).is_err());
    assert_eq!(setup.count(), 1);
}

#[test]
fn many_connections_at_once_lose_nothing() {
    let setup = Setup::new();
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut redis = setup.connect();
                for _ in 0..500 {
                    incr(&mut redis).unwrap();
                }
            });
        }
    });
    println!("4000 commands on 8 connections took {:?}", started.elapsed());
    assert_eq!(setup.count(), 4_000);
    assert_eq!(setup.proxy.counters().connections(), 8);
}
