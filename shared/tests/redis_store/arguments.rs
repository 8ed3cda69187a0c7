//! The scripts' own checks: whatever their arguments, all of a call is applied or nothing.

use crate::helpers::contents;
use redis::{Commands, Connection};
use test_support::RedisServer;

const SCRIPT: &str =
    concat!(include_str!("../../src/store/redis/arguments.lua"), include_str!("../../src/store/redis/apply.lua"));
pub(crate) const WRITER: &str = "0123456789abcdef0123456789abcdef";
const RING: &str = "0123456789abcdef";

/// Keys and arguments of a script call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) keys: Vec<String>,
    pub(crate) arguments: Vec<String>,
}

/// Two batches: number 1 with two pages, number 2 with one.
pub(crate) fn valid() -> Call {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Call {
        keys: words(&["applied", "writers", "sets", "shard", "page a", "page b", "page c"]),
        arguments: words(&[
            "1",
            WRITER,
            "1",
            "604800000",
            "1209600000",
            "1",
            "2",
            RING, // the head, with the number of batches before the ring
            "1",
            "0",
            "2",
            "10",
            "1",
            "20",
            "1", // the first batch: two runs of one page
            "2",
            "0",
            "1",
            "30",
            "1", // the second
        ]),
    }
}

pub(crate) fn evaluate(redis: &mut Connection, call: &Call) -> Result<redis::Value, redis::RedisError> {
    redis::cmd("EVAL").arg(SCRIPT).arg(call.keys.len()).arg(&call.keys).arg(&call.arguments).query(redis)
}

/// That the call is refused for its arguments and leaves nothing behind.
fn refused(redis: &mut Connection, call: &Call) {
    let answer = evaluate(redis, call);
    let left = contents(redis);
    assert!(left.is_empty(), "{call:?} was answered with {answer:?} and left {:?}", left.keys());
    assert!(answer.as_ref().is_err_and(|error| error.code() == Some("INVALID")), "{call:?}: {answer:?}");
}

fn with(position: usize, text: &str) -> Call {
    let mut call = valid();
    text.clone_into(&mut call.arguments[position]);
    call
}

#[test]
fn the_unchanged_call_is_applied() {
    let server = RedisServer::start();
    evaluate(&mut server.connect(), &valid()).unwrap();
    assert_eq!(server.connect().hget("applied", "visits"), Ok(60));
}

#[test]
fn no_argument_takes_garbage() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let garbage =
        ["01", "00", "", " ", "x", "-1", "+1", "1.5", "1e3", "0x1", "nan", "inf", "1 ", " 1", "1\n", "1\0", "١"];
    let huge = ["1000000000000000", "9223372036854775807", "18446744073709551616", &"9".repeat(400)];
    // All but the flag for the sweep's list, of which every other text means no.
    for position in (0..valid().arguments.len()).filter(|position| *position != 5) {
        // Without a ring is a way to say that the present one would not place the pages here.
        let is_ring = |text: &str| text.is_empty() || text.len() == 16;
        for text in garbage.into_iter().chain(huge).filter(|text| position != 7 || !is_ring(text)) {
            refused(&mut redis, &with(position, text));
        }
    }
}

#[test]
fn a_run_gives_each_of_its_pages_the_increment() {
    let server = RedisServer::start();
    let mut call = valid();
    call.arguments.splice(10..15, ["1", "10", "2"].map(str::to_owned));
    evaluate(&mut server.connect(), &call).unwrap();
    let totals = ["page a", "page b", "page c"].map(|page| server.connect().hget(page, "total"));
    assert_eq!(totals, [Ok(10), Ok(10), Ok(30)]);
    assert_eq!(server.connect().hget("applied", "visits"), Ok(50));
}

#[test]
fn neither_a_sequence_nor_a_base_nor_an_increment_nor_a_run_is_0() {
    let server = RedisServer::start();
    for position in [2, 8, 11, 12, 14, 15, 18, 19] {
        refused(&mut server.connect(), &with(position, "0"));
    }
}

#[test]
fn a_number_of_batches_or_increments_that_does_not_fit_is_refused() {
    let server = RedisServer::start();
    for position in [6, 10, 12, 19] {
        for number in ["0", "3", "999999999999999"].into_iter().chain((position < 11).then_some("1")) {
            refused(&mut server.connect(), &with(position, number));
        }
    }
}

#[test]
fn a_call_cut_short_is_refused() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    for length in 0..valid().arguments.len() {
        let mut call = valid();
        call.arguments.truncate(length);
        refused(&mut redis, &call);
    }
}

#[test]
fn a_call_with_too_few_or_too_many_keys_is_refused() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    for length in 0..valid().keys.len() {
        let mut call = valid();
        call.keys.truncate(length);
        refused(&mut redis, &call);
    }
    let mut call = valid();
    call.keys.push("page d".to_owned());
    refused(&mut redis, &call);
}

/// Also where there is no batch, and so no page whose key could be missing.
#[test]
fn a_question_with_too_few_keys_is_refused() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    for length in 0..4 {
        let mut call = with(2, "5");
        "0".clone_into(&mut call.arguments[6]);
        call.arguments.truncate(8);
        call.keys.truncate(length);
        refused(&mut redis, &call);
    }
}

/// The set of a writer with very many gaps can still be cleaned up: Lua passes at most some 8,000 values at once.
#[test]
fn a_set_with_ten_thousand_gaps_is_dropped_by_the_base() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    for sequence in 1..=10_000 {
        let _: i64 = redis.hset("applied", 2 * sequence, 1).unwrap();
    }
    let mut call = with(2, "30001");
    call.arguments[8] = "30001".to_owned();
    call.arguments[15] = "30002".to_owned();
    evaluate(&mut redis, &call).unwrap();
    assert_eq!((redis.hget("applied", "floor"), redis.hlen("applied")), (Ok(30_002), Ok(2)));
}
