//! The scripts' own checks: whatever their arguments, all of a call is applied or nothing.

use crate::helpers::contents;
use redis::{Commands, Connection};
use test_support::RedisServer;

const SCRIPT: &str =
    concat!(include_str!("../../src/store/redis/prelude.lua"), include_str!("../../src/store/redis/apply.lua"));
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
    let words = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    let keys = words("applied,writers,sets,shard,journal,page a,page b,page c");
    // Format, writer, base, oldest age, how long to keep the set, listing, ring, cap, most bytes of the journal.
    let mut arguments = words(&format!("3,{WRITER},1,604800000,1209600000,1,{RING},0,1000000"));
    // The first batch: sequence, age, bytes, two runs of one page each: visits, bots, pages.
    arguments.extend(words("1,0,first,2,10,0,1,20,5,1"));
    // The second, with one run.
    arguments.extend(words("2,0,second,1,30,3,1"));
    Call { keys, arguments }
}

/// Of these arguments, some texts that are no number are good: the ring, and a batch's bytes.
const TEXTS: [usize; 3] = [6, 11, 21];

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
    for position in (0..valid().arguments.len()).filter(|position| !TEXTS.contains(position)) {
        for text in garbage.into_iter().chain(huge) {
            refused(&mut redis, &with(position, text));
        }
    }
    // An empty ring says that there is none.
    for text in garbage.into_iter().chain(huge).filter(|text| !text.is_empty() && text.len() != 16) {
        refused(&mut redis, &with(6, text));
    }
}

#[test]
fn bots_are_not_more_than_visits() {
    let server = RedisServer::start();
    for (position, text) in [(14, "11"), (17, "21"), (24, "31")] {
        refused(&mut server.connect(), &with(position, text));
    }
}

/// The fields of the journal's entries, in their order.
fn journal(redis: &mut Connection) -> Vec<Vec<String>> {
    let entries: Vec<(String, Vec<String>)> =
        redis::cmd("XRANGE").arg("journal").arg("-").arg("+").query(redis).unwrap();
    entries.into_iter().map(|(_, fields)| fields).collect()
}

#[test]
fn a_batch_adds_to_totals_and_its_bytes_to_the_journal() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    for _ in 0..2 {
        evaluate(&mut redis, &valid()).unwrap();
    }
    let counts = ["page a", "page b", "page c"].map(|page| redis.hmget(page, &["total", "bots"]));
    assert_eq!(counts, [Ok((Some(10), None)), Ok((Some(20), Some(5))), Ok((Some(30), Some(3)))]);
    assert_eq!(journal(&mut redis), [["b", "first"], ["b", "second"]]);
    assert_eq!(redis.hget("shard", "journal"), Ok(2 * 32 + "first".len() + "second".len()));
}

#[test]
fn a_full_journal_leaves_entries_out_and_counts_their_visits() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    evaluate(&mut redis, &with(8, "37")).unwrap();
    assert_eq!((journal(&mut redis), redis.hget("shard", "skipped")), (vec![vec!["b".into(), "first".into()]], Ok(30)));
    assert_eq!((redis.hget("page c", "total"), redis.hget("applied", "visits")), (Ok(30), Ok(60)));
    let server = RedisServer::start();
    let mut redis = server.connect();
    evaluate(&mut redis, &with(8, "0")).unwrap();
    assert_eq!(
        (redis.exists("journal"), redis.exists("shard"), redis.hget("page c", "total")),
        (Ok(false), Ok(false), Ok(30))
    );
}

#[test]
fn keys_of_another_type_cost_what_belongs_there_and_nothing_else() {
    for spoilt in ["journal", "shard", "page a", "page c"] {
        let server = RedisServer::start();
        let mut redis = server.connect();
        let _: i64 = redis.rpush(spoilt, "a list").unwrap();
        let redis::Value::Array(answer) = evaluate(&mut redis, &valid()).unwrap() else { panic!("no array") };
        let lost = match spoilt {
            "page a" => 10,
            "page c" => 30,
            _ => 0,
        };
        let counted: u64 =
            ["page a", "page b", "page c"].map(|page| redis.hget(page, "total").unwrap_or(0_u64)).iter().sum();
        assert_eq!(
            (counted, redis.hget("applied", "rejected")),
            (60 - lost, Ok((lost > 0).then_some(lost))),
            "{spoilt}"
        );
        let named = matches!(&answer[3], redis::Value::Array(pages) if pages.len() == 1);
        assert_eq!(named, lost > 0, "{spoilt}: {:?}", answer[3]);
        let (first, second) = (vec!["b", "first"], vec!["b", "second"]);
        match spoilt {
            "journal" => assert_eq!(redis.hget("shard", "skipped"), Ok(60)),
            "page a" => assert_eq!(journal(&mut redis), [[first, vec!["x", "0"]].concat(), second]),
            "page c" => assert_eq!(journal(&mut redis), [first, [second, vec!["x", "0"]].concat()]),
            _ => assert_eq!(journal(&mut redis), [first, second]),
        }
    }
}

#[test]
fn new_pages_over_the_days_limit_are_refused_and_known_ones_counted() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let mut call = with(7, "2");
    let redis::Value::Array(answer) = evaluate(&mut redis, &call).unwrap() else { panic!("no array") };
    // Refusals are a sum, and no page is named for them.
    assert_eq!(
        (&answer[3], &answer[6].as_sequence().unwrap()[0]),
        (&redis::Value::Array(Vec::new()), &redis::Value::Int(30))
    );
    assert_eq!((redis.hget("page b", "total"), redis.exists("page c")), (Ok(20), Ok(false)));
    assert_eq!((redis.hget("applied", "visits"), redis.hget("applied", "rejected")), (Ok(60), Ok(30)));
    assert_eq!(journal(&mut redis)[1], ["b", "second", "n", "0"]);
    // The day's limit holds for the next call, too.
    let next = |call: &mut Call, number: u64| {
        for (argument, value) in [(9, number), (19, number + 1), (2, number)] {
            call.arguments[argument] = value.to_string();
        }
    };
    next(&mut call, 3);
    evaluate(&mut redis, &call).unwrap();
    assert_eq!((redis.hget("page b", "total"), redis.exists("page c")), (Ok(40), Ok(false)));
    // Another day of the server's begins anew.
    let _: i64 = redis.hset("shard", "new_pages", "1 2").unwrap();
    next(&mut call, 5);
    evaluate(&mut redis, &call).unwrap();
    assert_eq!((redis.hget("page b", "total"), redis.hget("page c", "total")), (Ok(60), Ok(30)));
    let today = redis::cmd("TIME").query::<(u64, u64)>(&mut redis).unwrap().0 / 86_400;
    assert_eq!(redis.hget("shard", "new_pages"), Ok(format!("{today} 1")));
}

#[test]
fn a_run_gives_each_of_its_pages_the_increment() {
    let server = RedisServer::start();
    let mut call = valid();
    call.arguments.splice(12..19, ["1", "10", "0", "2"].map(str::to_owned));
    evaluate(&mut server.connect(), &call).unwrap();
    let totals = ["page a", "page b", "page c"].map(|page| server.connect().hget(page, "total"));
    assert_eq!(totals, [Ok(10), Ok(10), Ok(30)]);
    assert_eq!(server.connect().hget("applied", "visits"), Ok(50));
}

#[test]
fn neither_a_sequence_nor_a_base_nor_an_increment_nor_a_run_is_0() {
    let server = RedisServer::start();
    for position in [2, 9, 13, 15, 16, 18, 19, 23, 25] {
        refused(&mut server.connect(), &with(position, "0"));
    }
}

#[test]
fn a_number_of_runs_or_pages_that_does_not_fit_is_refused() {
    let server = RedisServer::start();
    for position in [12, 15, 18, 22, 25] {
        for number in ["0", "3", "999999999999999"].into_iter().chain((position == 12).then_some("1")) {
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
    for length in 0..5 {
        let mut call = with(2, "5");
        call.arguments.truncate(9);
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
    call.arguments[9] = "30001".to_owned();
    call.arguments[19] = "30002".to_owned();
    evaluate(&mut redis, &call).unwrap();
    assert_eq!((redis.hget("applied", "floor"), redis.hlen("applied")), (Ok(30_002), Ok(2)));
}
