//! Calls of the `apply` script with random changes: all of a call is applied or nothing.

use crate::arguments::{Call, WRITER, evaluate, valid};
use crate::helpers::contents;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use redis::{Commands, Connection};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use test_support::RedisServer;

/// One change of a call. Keys are made by our own code: only the pages' are changed, and any may be missing.
#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    Replace(usize, String),
    Remove(usize),
    Insert(usize, String),
    Swap(usize, usize),
    RemoveKey(usize),
    InsertKey(usize, String),
    TruncateKeys(usize),
    Truncate(usize),
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,3}",
        any::<u64>().prop_map(|number| number.to_string()),
        any::<i32>().prop_map(|number| number.to_string()),
        Just(WRITER.to_owned()),
        Just("999999999999999".to_owned()),
        "\\PC{0,5}",
    ]
}

/// A change of a call with so many arguments, whose keys with these numbers may be missing.
pub(crate) fn mutation(arguments: usize, keys: Range<usize>) -> impl Strategy<Value = Mutation> {
    let (argument, end) = (0..arguments, keys.end);
    prop_oneof![
        (argument.clone(), word()).prop_map(|(at, word)| Mutation::Replace(at, word)),
        argument.clone().prop_map(Mutation::Remove),
        (0..=arguments, word()).prop_map(|(at, word)| Mutation::Insert(at, word)),
        (argument.clone(), argument.clone()).prop_map(|(one, two)| Mutation::Swap(one, two)),
        keys.clone().prop_map(Mutation::RemoveKey),
        (keys.start..=end, "page [a-e]").prop_map(|(at, key)| Mutation::InsertKey(at, key)),
        (0..end).prop_map(Mutation::TruncateKeys),
        argument.prop_map(Mutation::Truncate),
    ]
}

pub(crate) fn mutate(mut call: Call, mutation: &Mutation) -> Call {
    let (arguments, keys) = (&mut call.arguments, &mut call.keys);
    match mutation {
        Mutation::Replace(at, word) if *at < arguments.len() => word.clone_into(&mut arguments[*at]),
        Mutation::Remove(at) if *at < arguments.len() => drop(arguments.remove(*at)),
        Mutation::Insert(at, word) if *at <= arguments.len() => arguments.insert(*at, word.clone()),
        Mutation::Swap(one, two) if (*one).max(*two) < arguments.len() => arguments.swap(*one, *two),
        Mutation::RemoveKey(at) if *at < keys.len() => drop(keys.remove(*at)),
        Mutation::InsertKey(at, key) if *at <= keys.len() => keys.insert(*at, key.clone()),
        Mutation::TruncateKeys(length) => keys.truncate(*length),
        Mutation::Truncate(length) => arguments.truncate(*length),
        _ => {}
    }
    call
}

/// Whether counts and the applied set say the same, in whatever keys the call named.
fn is_consistent(redis: &mut Connection) -> bool {
    let keys: Vec<String> = redis.keys("*").unwrap();
    let mut sums = [0_i64; 3];
    for key in keys {
        for (sum, field) in sums.iter_mut().zip(["total", "visits", "rejected"]) {
            // The two sorted sets have no fields.
            *sum += redis.hget::<_, _, Option<i64>>(&key, field).unwrap_or_default().unwrap_or_default();
        }
    }
    let [counted, visits, rejected] = sums;
    counted == visits - rejected
}

#[test]
fn any_mutated_call_is_applied_in_full_or_not_at_all() {
    let server = RedisServer::start();
    let redis = RefCell::new(server.connect());
    let mutations = proptest::collection::vec(mutation(26, 5..8), 1..4);
    let config = Config { cases: 2_000, failure_persistence: None, ..Config::default() };
    let applied = Cell::new(0);
    TestRunner::new(config)
        .run(&mutations, |mutations| {
            let call = mutations.iter().fold(valid(), mutate);
            let redis = &mut *redis.borrow_mut();
            let _: () = redis.flushall().unwrap();
            match evaluate(redis, &call) {
                Ok(_) => {
                    applied.set(applied.get() + 1);
                    assert!(is_consistent(redis), "{call:?}: {:?}", contents(redis).keys());
                }
                Err(_) => assert!(contents(redis).is_empty(), "{call:?}: {:?}", contents(redis).keys()),
            }
            Ok(())
        })
        .unwrap();
    assert!((50..1_950).contains(&applied.get()), "both outcomes were met: {} applied", applied.get());
}
