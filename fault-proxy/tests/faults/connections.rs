//! Faults that strike connections.

use crate::{PATIENCE, SILENCE, Setup, get, incr, incr_in_vain};
use fault_proxy::Fault;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use test_support::wait_for;

/// An `INCR` that needs no set-up connection.
const INCR: &[u8] = b"*2\r\n$4\r\nINCR\r\n$5\r\ncount\r\n";

/// A connection without a client.
fn bare(setup: &Setup) -> TcpStream {
    let stream = TcpStream::connect(setup.proxy.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn is_silent(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    let error = stream.read(&mut [0; 9]).map_err(|error| error.kind());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    matches!(error, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

fn is_closed(stream: &mut TcpStream) -> bool {
    stream.read(&mut [0; 9]).unwrap() == 0
}

#[test]
fn a_refusing_proxy_keeps_its_port() {
    let setup = Setup::new();
    let address = setup.proxy.address();
    for _ in 0..10 {
        setup.proxy.set(Fault::Refuse);
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        setup.proxy.set(Fault::None);
        assert_eq!(setup.proxy.address(), address);
        incr(&mut setup.connect()).unwrap();
    }
}

#[test]
fn a_refusing_proxy_resets_open_connections() {
    let setup = Setup::new();
    let mut stream = bare(&setup);
    // Also if it refuses for no longer than a moment.
    setup.proxy.set(Fault::Refuse);
    setup.proxy.set(Fault::None);
    assert_eq!(stream.read(&mut [0; 9]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_muted_command_never_arrives() {
    let setup = Setup::new();
    let (open, mut left) = (setup.connect(), bare(&setup));
    setup.proxy.set(Fault::Mute);
    incr_in_vain(open);
    let mut new = bare(&setup);
    new.write_all(INCR).unwrap();
    left.write_all(INCR).unwrap();
    assert!(is_silent(&mut new) && is_silent(&mut left));
    setup.proxy.set(Fault::None);
    assert!(is_closed(&mut new) && is_closed(&mut left));
    assert_eq!(incr(&mut setup.connect()).unwrap(), 1);
    assert_eq!(setup.proxy.counters().faults_of(Fault::Mute), 3);
}

#[test]
fn a_late_command_arrives_when_the_fault_ends() {
    let setup = Setup::new();
    let (open, mut waits) = (setup.connect(), bare(&setup));
    setup.proxy.set(Fault::MuteLate);
    incr_in_vain(open);
    let mut new = bare(&setup);
    new.write_all(INCR).unwrap();
    waits.write_all(INCR).unwrap();
    assert!(is_silent(&mut new) && is_silent(&mut waits));
    assert_eq!(setup.count(), 0);
    setup.proxy.set(Fault::None);
    // A connection is closed when its delivery is over, and gets no answer before.
    assert!(is_closed(&mut new) && is_closed(&mut waits));
    assert!(wait_for(PATIENCE, || setup.proxy.counters().delivered_late() == 3));
    assert_eq!(setup.count(), 3);
}

#[test]
fn what_was_sent_just_before_the_fault_ends_is_late_too() {
    let setup = Setup::new();
    for round in 1..=50 {
        setup.proxy.set(Fault::MuteLate);
        let mut stream = bare(&setup);
        stream.write_all(INCR).unwrap();
        setup.proxy.set(Fault::None);
        assert!(is_closed(&mut stream));
        assert_eq!(setup.count(), round);
    }
}

#[test]
fn what_is_delayed_when_a_mute_begins_is_late_too() {
    let setup = Setup::new();
    let mut stream = bare(&setup);
    setup.proxy.set(Fault::Delay(PATIENCE));
    let (half, other_half) = INCR.split_at(INCR.len() / 2);
    stream.write_all(&[INCR, INCR, half].concat()).unwrap();
    assert!(wait_for(PATIENCE, || setup.proxy.counters().faults_of(Fault::Delay(PATIENCE)) == 2));
    setup.proxy.set(Fault::MuteLate);
    // The second half of a command comes during the silence.
    stream.write_all(other_half).unwrap();
    setup.proxy.set(Fault::None);
    assert!(is_closed(&mut stream));
    assert_eq!(setup.count(), 3);
}

#[test]
fn a_half_open_connection_is_silent_and_a_new_one_works() {
    let setup = Setup::new();
    let (open, mut silent) = (setup.connect(), bare(&setup));
    setup.proxy.set(Fault::HalfOpen);
    incr_in_vain(open);
    let mut new = setup.connect();
    assert_eq!(incr(&mut new).unwrap(), 1);
    setup.proxy.set(Fault::None);
    silent.write_all(INCR).unwrap();
    assert!(is_silent(&mut silent));
    assert_eq!(get(&mut new), 1);
}

#[test]
fn without_a_server_connections_are_closed() {
    let mut setup = Setup::new();
    let mut redis = setup.connect();
    setup.server.stop();
    assert!(incr(&mut redis).is_err());
    assert!(is_closed(&mut bare(&setup)));
    setup.server.restart();
    assert_eq!(incr(&mut setup.connect()).unwrap(), 1);
}

#[test]
fn a_dropped_proxy_closes_its_port_and_its_connections() {
    let setup = Setup::new();
    let (address, mut redis) = (setup.proxy.address(), setup.connect());
    drop(setup.proxy);
    assert!(incr(&mut redis).is_err());
    assert!(TcpListener::bind(address).is_ok());
}
