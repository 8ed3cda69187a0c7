//! Each fault in front of a real server: what the client sees, and what the server has done.

use fault_proxy::{Fault, FaultProxy};
use redis::{Connection, RedisResult};
use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use test_support::{RedisServer, wait_for};

/// Longest wait for something that happens.
const PATIENCE: Duration = Duration::from_secs(10);

/// Wait of a client for an answer that does not come.
const SILENCE: Duration = Duration::from_millis(30);

/// An `INCR` that needs no set-up connection.
const INCR: &[u8] = b"*2\r\n$4\r\nINCR\r\n$5\r\ncount\r\n";

/// A server and a proxy that strikes `INCR` only.
struct Setup {
    server: RedisServer,
    proxy: FaultProxy,
}

impl Setup {
    fn new() -> Self {
        let server = RedisServer::start();
        let proxy = FaultProxy::start(([127, 0, 0, 1], server.port()).into());
        proxy.only(&["INCR"]);
        Self { server, proxy }
    }

    /// Connects through the proxy, and sets the connection up.
    fn connect(&self) -> Connection {
        let redis = redis::Client::open(self.proxy.url()).unwrap().get_connection_with_timeout(PATIENCE).unwrap();
        redis.set_read_timeout(Some(PATIENCE)).unwrap();
        redis
    }

    /// Connects through the proxy without a client.
    fn bare(&self) -> TcpStream {
        let stream = TcpStream::connect(self.proxy.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Asks for the count behind the proxy's back.
    fn count(&self) -> i64 {
        get(&mut self.server.connect())
    }

    /// Sends `bytes` while it reads, and returns all answers.
    fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let (stream, mut answers) = (self.bare(), Vec::new());
        thread::scope(|scope| {
            scope.spawn(|| {
                (&stream).write_all(bytes).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            });
            (&stream).read_to_end(&mut answers).unwrap();
        });
        answers
    }
}

fn incr(redis: &mut Connection) -> RedisResult<i64> {
    redis::cmd("INCR").arg("count").query(redis)
}

fn get(redis: &mut Connection) -> i64 {
    redis::cmd("GET").arg("count").query::<Option<i64>>(redis).unwrap().unwrap_or_default()
}

/// Sends an `INCR` that gets no answer, and leaves.
fn incr_in_vain(mut redis: Connection) {
    redis.set_read_timeout(Some(SILENCE)).unwrap();
    assert!(incr(&mut redis).unwrap_err().is_timeout());
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
fn commands_before_a_cut_are_answered_and_those_behind_it_never_arrive() {
    for (fault, applied) in [(Fault::CutAfterApply, 2), (Fault::CutBeforeApply, 1)] {
        let setup = Setup::new();
        let mut stream = setup.bare();
        // The first one passes, and the standing fault strikes the second.
        setup.proxy.fail_next(1, Fault::None);
        setup.proxy.set(fault);
        stream.write_all(&[INCR, INCR, b"*3\r\n$3\r\nSET\r\n$6\r\nbehind\r\n$1\r\n1\r\n"].concat()).unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        assert_eq!(answers, ":1\r\n", "{fault:?}");
        assert_eq!(setup.count(), applied, "{fault:?}");
        assert!(!redis::cmd("EXISTS").arg("behind").query::<bool>(&mut setup.server.connect()).unwrap(), "{fault:?}");
    }
}

#[test]
fn a_standing_cut_strikes_every_command_of_its_names_and_no_other() {
    let setup = Setup::new();
    setup.proxy.set(Fault::CutAfterApply);
    for done in 1..=3 {
        let mut redis = setup.connect();
        assert_eq!(get(&mut redis), done - 1);
        assert!(incr(&mut redis).unwrap_err().is_connection_dropped());
        assert_eq!(setup.count(), done);
    }
    assert_eq!(setup.proxy.faults_of(Fault::CutAfterApply), 3);
    setup.proxy.heal();
    assert_eq!(incr(&mut setup.connect()).unwrap(), 4);
}

#[test]
fn a_delayed_command_takes_that_long_and_a_pipeline_no_longer() {
    const DELAY: Duration = Duration::from_millis(40);
    let setup = Setup::new();
    let mut redis = setup.connect();
    setup.proxy.set(Fault::Delay(DELAY));
    let mut pipe = redis::pipe();
    for _ in 0..100 {
        pipe.cmd("INCR").arg("count");
    }
    let started = Instant::now();
    let answers: Vec<i64> = pipe.query(&mut redis).unwrap();
    // One delay for each would take 4 s.
    assert!((DELAY..50 * DELAY).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert_eq!(answers, (1..=100).collect::<Vec<_>>());
}

#[test]
fn a_delayed_command_arrives_also_when_its_client_has_left() {
    let setup = Setup::new();
    let redis = setup.connect();
    setup.proxy.fail_next(1, Fault::Delay(Duration::from_millis(400)));
    incr_in_vain(redis);
    assert!(wait_for(PATIENCE, || setup.count() == 1));
}

#[test]
fn a_single_command_is_late_until_the_next_set() {
    let setup = Setup::new();
    let redis = setup.connect();
    setup.proxy.fail_next(1, Fault::MuteLate);
    incr_in_vain(redis);
    assert_eq!(incr(&mut setup.connect()).unwrap(), 1);
    setup.proxy.set(Fault::None);
    assert!(wait_for(PATIENCE, || setup.proxy.delivered_late() == 1));
    assert_eq!(setup.count(), 2);
}

#[test]
fn a_single_command_is_refused_muted_or_lost_on_its_connection_only() {
    let setup = Setup::new();
    setup.proxy.fail_next(1, Fault::Refuse);
    assert!(incr(&mut setup.connect()).is_err());
    for fault in [Fault::Mute, Fault::HalfOpen] {
        setup.proxy.fail_next(1, fault);
        incr_in_vain(setup.connect());
    }
    setup.proxy.heal();
    assert_eq!(incr(&mut setup.connect()).unwrap(), 1);
    assert_eq!(setup.proxy.faults(), 3);
}

#[test]
fn a_refusing_proxy_keeps_its_port_and_resets_open_connections() {
    let setup = Setup::new();
    let address = setup.proxy.address();
    for _ in 0..10 {
        let mut open = setup.bare();
        setup.proxy.set(Fault::Refuse);
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        setup.proxy.set(Fault::None);
        assert_eq!(open.read(&mut [0; 9]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(setup.proxy.address(), address);
        incr(&mut setup.connect()).unwrap();
    }
    // Also if it refuses for no longer than a moment.
    let mut open = setup.bare();
    setup.proxy.set(Fault::Refuse);
    setup.proxy.set(Fault::None);
    assert_eq!(open.read(&mut [0; 9]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_muted_command_never_arrives_and_a_late_one_when_the_fault_ends() {
    for (fault, applied) in [(Fault::Mute, 0), (Fault::MuteLate, 3)] {
        let setup = Setup::new();
        let (open, mut waits) = (setup.connect(), setup.bare());
        setup.proxy.set(fault);
        incr_in_vain(open);
        let mut new = setup.bare();
        new.write_all(INCR).unwrap();
        waits.write_all(INCR).unwrap();
        assert!(is_silent(&mut new) && is_silent(&mut waits), "{fault:?}");
        assert_eq!(setup.count(), 0, "{fault:?}");
        setup.proxy.set(Fault::None);
        // A connection is closed when its delivery is over, and gets no answer before.
        assert!(is_closed(&mut new) && is_closed(&mut waits), "{fault:?}");
        assert!(wait_for(PATIENCE, || setup.proxy.delivered_late() == applied), "{fault:?}");
        assert_eq!(incr(&mut setup.connect()), Ok(i64::try_from(applied).unwrap() + 1), "{fault:?}");
        assert_eq!(setup.proxy.faults_of(fault), 3);
    }
}

#[test]
fn what_was_sent_just_before_the_fault_ends_is_late_too() {
    let setup = Setup::new();
    for round in 1..=50 {
        setup.proxy.set(Fault::MuteLate);
        let mut stream = setup.bare();
        stream.write_all(INCR).unwrap();
        setup.proxy.set(Fault::None);
        assert!(is_closed(&mut stream));
        assert_eq!(setup.count(), round);
    }
}

#[test]
fn what_is_delayed_when_a_mute_begins_is_late_too() {
    let setup = Setup::new();
    let mut stream = setup.bare();
    setup.proxy.set(Fault::Delay(PATIENCE));
    let (half, other_half) = INCR.split_at(INCR.len() / 2);
    stream.write_all(&[INCR, INCR, half].concat()).unwrap();
    assert!(wait_for(PATIENCE, || setup.proxy.faults_of(Fault::Delay(PATIENCE)) == 2));
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
    let (open, mut silent) = (setup.connect(), setup.bare());
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
    assert!(is_closed(&mut setup.bare()));
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

/// Runs one client under random faults that connects again after each error. Returns whether each of its increments
/// was answered, the number of faults, and the count after all.
fn run(seed: u64) -> (Vec<bool>, u64, i64) {
    let setup = Setup::new();
    let rates = [
        (0.05, Fault::Refuse),
        (0.05, Fault::Mute),
        (0.05, Fault::MuteLate),
        (0.05, Fault::Delay(Duration::from_millis(2))),
        (0.05, Fault::CutAfterApply),
        (0.05, Fault::CutBeforeApply),
        (0.005, Fault::HalfOpen),
    ];
    setup.proxy.plan(seed, &rates, Duration::from_millis(1));
    let connect = || {
        let redis = setup.connect();
        // Only a half open connection makes the client wait for so long.
        redis.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        redis
    };
    let mut redis = connect();
    let attempt = |_| {
        let answered = incr(&mut redis).is_ok();
        if !answered {
            redis = connect();
        }
        answered
    };
    let answered: Vec<bool> = (0..150).map(attempt).collect();
    let late = setup.proxy.faults_of(Fault::MuteLate);
    assert!(wait_for(PATIENCE, || setup.proxy.delivered_late() == late));
    let applied = answered.iter().filter(|answered| **answered).count() as u64;
    let applied = applied + setup.proxy.faults_of(Fault::CutAfterApply) + late;
    assert_eq!(u64::try_from(setup.count()).unwrap(), applied);
    (answered, setup.proxy.faults(), setup.count())
}

#[test]
fn a_random_run_repeats_with_its_seed() {
    let (first, again) = (run(1), run(1));
    assert_eq!(first, again);
    assert!(first.1 > 20, "{} faults", first.1);
}

#[test]
fn pipelined_commands_keep_their_order() {
    let setup = Setup::new();
    let commands: Vec<_> = (0..10_000).map(|n| format!("*2\r\n$4\r\nECHO\r\n$4\r\n{n:04}\r\n")).collect();
    // The server hangs up on QUIT, and so does the proxy.
    let answers = setup.exchange((commands.concat() + "*1\r\n$4\r\nQUIT\r\n").as_bytes());
    let mut expected = String::new();
    (0..10_000).for_each(|n| write!(expected, "$4\r\n{n:04}\r\n").unwrap());
    assert_eq!(String::from_utf8(answers).unwrap(), expected + "+OK\r\n");
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
fn big_payloads_pass_unchanged_also_on_many_connections_at_once() {
    let setup = Setup::new();
    let payload: Vec<u8> = (0..=255).cycle().take(2 << 20).collect();
    thread::scope(|scope| {
        for client in 0..8 {
            let (setup, payload) = (&setup, &payload);
            scope.spawn(move || {
                let mut redis = setup.connect();
                redis::cmd("SET").arg(client).arg(payload).exec(&mut redis).unwrap();
                assert!(redis::cmd("GET").arg(client).query::<Vec<u8>>(&mut redis).unwrap() == *payload);
                (1..=100).for_each(|_| assert!(incr(&mut redis).is_ok()));
            });
        }
    });
    assert_eq!(setup.count(), 8 * 100);
}

#[test]
fn inline_commands_pass_as_they_are() {
    let setup = Setup::new();
    setup.proxy.only(&[]);
    setup.proxy.set(Fault::CutBeforeApply);
    assert_eq!(setup.exchange(b"PING\r\nINCR count\r\nQUIT\r\n"), b"+PONG\r\n:1\r\n+OK\r\n");
}

#[test]
fn a_replica_follows_through_the_proxy() {
    let (setup, replica) = (Setup::new(), RedisServer::start());
    assert_eq!(incr(&mut setup.connect()), Ok(1));
    replica.follow(&setup.server, setup.proxy.address().port());
    assert_eq!(incr(&mut setup.connect()), Ok(2));
    assert!(wait_for(PATIENCE, || get(&mut replica.connect()) == 2));
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
