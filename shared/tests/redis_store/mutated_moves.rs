//! Calls of the scripts that take and deliver records, with random changes: all of a call is done or nothing.

use crate::arguments::{Call, WRITER};
use crate::helpers::contents;
use crate::mutated_arguments::{mutate, mutation};
use proptest::test_runner::{Config, TestRunner};
use redis::{Commands, Connection};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use test_support::RedisServer;

const TAKE: &str =
    concat!(include_str!("../../src/store/redis/prelude.lua"), include_str!("../../src/store/redis/take.lua"));
const LAND: &str =
    concat!(include_str!("../../src/store/redis/prelude.lua"), include_str!("../../src/store/redis/land.lua"));
const RING: &str = "0123456789abcdef";

const ENVELOPE: &str = "000000000000000000000000000000ab:1";

/// Records here have keys without a prefix.
const PREFIX: &str = "0";

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A take of two pages and a month.
fn take() -> Call {
    Call {
        keys: words(&["shard", "mailbox", "notes", "outgoing", "page:a", "page:b", "days:2026-11:a"]),
        arguments: words(&[RING, "17", "records:two", "10000", ENVELOPE, "1", PREFIX, "1000"]),
    }
}

/// What the shard holds before it.
fn prepare(redis: &mut Connection) {
    let _: () = redis.flushall().unwrap();
    let _: () = redis.hset_multiple("shard", &[("ring", RING), ("round", "17"), ("moving", "take")]).unwrap();
    let _: () =
        redis.hset_multiple("page:a", &[("total", 50), ("bots", 20), ("out:7", 1), ("in:x:7:bots", 3)]).unwrap();
    let _: () = redis.hset("page:b", "total", 4).unwrap();
    let _: () = redis.hset_multiple("days:2026-11:a", &[("24", 30), ("24b", 20), ("24u", 9)]).unwrap();
}

/// All numbers of the records, by their field's last part: visits that left are still there as notes.
fn numbers(redis: &mut Connection) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for key in ["page:a", "page:b", "days:2026-11:a"] {
        for (field, number) in redis.hgetall::<_, BTreeMap<String, u64>>(key).unwrap() {
            *sums.entry(format!("{key} {field}")).or_default() += number;
        }
    }
    sums
}

/// The numbers of all moves.
fn moved(redis: &mut Connection) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for key in redis.keys::<_, Vec<String>>("*").unwrap() {
        if redis.key_type::<_, redis::ValueType>(&key).unwrap() != redis::ValueType::Hash {
            continue;
        }
        for content in redis.hgetall::<_, BTreeMap<String, String>>(&key).unwrap().into_values() {
            // An envelope, whatever its name.
            let Some(records) = content.splitn(3, ' ').nth(2).filter(|records| records.starts_with('[')) else {
                continue;
            };
            let records: Vec<(String, BTreeMap<String, String>)> = serde_json::from_str(records).unwrap();
            for (record, fields) in records {
                for (field, number) in fields {
                    *sums.entry(format!("{record} {field}")).or_default() += number.parse::<u64>().unwrap();
                }
            }
        }
    }
    sums
}

fn evaluate(redis: &mut Connection, script: &str, call: &Call) -> Result<redis::Value, redis::RedisError> {
    redis::cmd("EVAL").arg(script).arg(call.keys.len()).arg(&call.keys).arg(&call.arguments).query(redis)
}

/// What each of 1,000 changed calls does, and how many were not refused.
fn with_mutations(valid: &Call, keys: std::ops::Range<usize>, check: impl Fn(&mut Connection, &Call) -> bool) -> u32 {
    let server = RedisServer::start();
    let redis = RefCell::new(server.connect());
    let mutations = proptest::collection::vec(mutation(valid.arguments.len(), keys), 1..3);
    let config = Config { cases: 1_000, failure_persistence: None, ..Config::default() };
    let done = Cell::new(0);
    TestRunner::new(config)
        .run(&mutations, |mutations| {
            let call = mutations.iter().fold(valid.clone(), mutate);
            done.set(done.get() + u32::from(check(&mut redis.borrow_mut(), &call)));
            Ok(())
        })
        .unwrap();
    done.get()
}

#[test]
fn any_mutated_take_leaves_each_number_in_its_record_or_in_the_move() {
    let taken = with_mutations(&take(), 4..7, |redis, call| {
        prepare(redis);
        let (before, all) = (numbers(redis), contents(redis));
        if evaluate(redis, TAKE, call).is_err() {
            assert_eq!(contents(redis), all, "{call:?}");
            return false;
        }
        let (after, moved) = (numbers(redis), moved(redis));
        // With another length of the prefix, records have other names in the move.
        let sum = |numbers: &BTreeMap<String, u64>, field: &str| {
            let of_field = numbers.iter().filter(|(name, _)| name.ends_with(&format!(" {field}")));
            of_field.map(|(_, number)| number).sum::<u64>()
        };
        for field in ["total", "bots", "24", "24b", "24u", "out:7", "in:x:7:bots"] {
            assert_eq!(sum(&before, field), sum(&after, field) + sum(&moved, field), "{field}: {call:?} {after:?}");
        }
        !moved.is_empty()
    });
    assert!((50..950).contains(&taken), "both outcomes were met: {taken} taken");
}

/// A delivery of the same.
fn land() -> Call {
    Call {
        keys: words(&["applied", "sets", "shard", "page:a", "page:b", "days:2026-11:a"]),
        arguments: words(&[
            WRITER,
            "1209600000",
            RING,
            "one",
            "17",
            PREFIX,
            r#"[[["total",50],["bots",20]],[["total",4]],[["24",30],["24b",20],["24u",9]]]"#,
        ]),
    }
}

#[test]
fn the_unchanged_calls_take_and_deliver_all() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    prepare(&mut redis);
    evaluate(&mut redis, TAKE, &take()).unwrap();
    let expected =
        [("days:2026-11:a 24", 30), ("days:2026-11:a 24b", 20), ("days:2026-11:a 24u", 9), ("page:a bots", 20)]
            .into_iter()
            .chain([("page:a total", 50), ("page:b total", 4)]);
    assert_eq!(moved(&mut redis), expected.map(|(name, number)| (name.to_owned(), number)).collect());
    let _: () = redis.flushall().unwrap();
    evaluate(&mut redis, LAND, &land()).unwrap();
    let page: BTreeMap<String, u64> = redis.hgetall("page:a").unwrap();
    let fields = [("bots", 20), ("in:one:17", 50), ("in:one:17:bots", 20), ("total", 50)];
    assert_eq!(page, fields.map(|(field, number)| (field.to_owned(), number)).into());
    assert_eq!(redis.hget("applied", "visits"), Ok(54));
}

#[test]
fn any_mutated_delivery_is_made_in_full_or_not_at_all() {
    let landed = with_mutations(&land(), 3..6, |redis, call| {
        let _: () = redis.flushall().unwrap();
        if evaluate(redis, LAND, call).is_err() {
            assert!(contents(redis).is_empty(), "{call:?}: {:?}", contents(redis).keys());
            return false;
        }
        assert_eq!(redis.hget(&call.keys[0], "floor"), Ok(Some(1)), "{call:?}");
        // The note says what came with it, of the records that are a page's.
        for key in call.keys[3..].iter().filter(|key| key.starts_with("page:") && call.arguments[5] == PREFIX) {
            let fields: BTreeMap<String, u64> = redis.hgetall(key).unwrap();
            let note = format!("in:{}:{}", call.arguments[3], call.arguments[4]);
            let noted = [fields.get(&note), fields.get(&format!("{note}:bots"))];
            assert_eq!(noted, [fields.get("total"), fields.get("bots")], "{call:?}: {fields:?}");
        }
        true
    });
    assert!((50..950).contains(&landed), "both outcomes were met: {landed} delivered");
}
