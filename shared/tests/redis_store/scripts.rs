//! The scripts' own checks: for any arguments, all of a call is done or nothing.

use crate::helpers::contents;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use redis::{Commands, Connection, Value};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use test_support::RedisServer;

macro_rules! script {
    ($name:literal) => {
        concat!(
            include_str!("../../src/store/redis/prelude.lua"),
            include_str!(concat!("../../src/store/redis/", $name))
        )
    };
}

const APPLY: &str = script!("apply.lua");
const TAKE: &str = script!("take.lua");
const LAND: &str = script!("land.lua");
const COMMIT: &str = script!("commit.lua");

const WRITER: &str = "0123456789abcdef0123456789abcdef";
const RING: &str = "0123456789abcdef";

/// Keys and arguments of a script call.
#[derive(Clone, Debug)]
struct Call {
    keys: Vec<String>,
    arguments: Vec<String>,
}

impl Call {
    /// Keys come separated by commas, arguments by spaces.
    fn new(keys: &str, arguments: &str) -> Self {
        let words = |text: &str, by: char| text.split(by).map(str::to_owned).collect();
        Self { keys: words(keys, ','), arguments: words(arguments, ' ') }
    }

    /// Two batches to apply: number 1 with two pages, number 2 with one.
    fn apply() -> Self {
        // Format, writer, base, oldest age, how long to keep the set, listing, ring, cap, most bytes of the journal.
        let head = format!("3 {WRITER} 1 604800000 1209600000 1 {RING} 0 1000000");
        // A batch: sequence, age, bytes, number of its runs; of each of these: visits, bots, pages.
        let batches = "1 0 first 2 10 0 1 20 5 1 2 0 second 1 30 3 1";
        Self::new("applied,writers,sets,shard,journal,page a,page b,page c", &format!("{head} {batches}"))
    }

    /// A take of two pages and a month.
    fn take() -> Self {
        let arguments = format!("{RING} 17 records:two 10000 000000000000000000000000000000ab:1 1 {PREFIX} 1000");
        Self::new("shard,mailbox,notes,outgoing,page:a,page:b,days:2026-11:a", &arguments)
    }

    /// A delivery of the same.
    fn land() -> Self {
        let records = r#"[[["total",50],["bots",20]],[["total",4]],[["24",30],["24b",20],["24u",9]]]"#;
        let arguments = format!("{WRITER} 1209600000 {RING} one 17 {PREFIX} {records}");
        Self::new("applied,sets,shard,page:a,page:b,days:2026-11:a", &arguments)
    }

    /// A commit of one entry, `1-0`, with its sums of one page.
    fn commit() -> Self {
        // First, last, bytes, folding before and after, ring, misplaced, listed, site, day, its sums, pages; and of the page.
        let arguments = format!("1-0 1-0 37   {RING} 0 200 3 1 29 2 1 0 0 0 0 1 2 1");
        Self::new("journal,shard,site,aside,site:2026-11,top,days:2026-11:home", &arguments)
    }

    fn with(mut self, position: usize, text: &str) -> Self {
        text.clone_into(&mut self.arguments[position]);
        self
    }

    /// Batches that follow: the first has this number.
    fn numbered(self, number: u64) -> Self {
        [(9, number), (19, number + 1), (2, number)]
            .iter()
            .fold(self, |call, (position, value)| call.with(*position, &value.to_string()))
    }

    fn cut(mut self, keys: usize, arguments: usize) -> Self {
        self.keys.truncate(keys);
        self.arguments.truncate(arguments);
        self
    }

    fn run(&self, redis: &mut Connection, script: &str) -> redis::RedisResult<Value> {
        redis::cmd("EVAL").arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.arguments).query(redis)
    }

    fn answer(&self, redis: &mut Connection) -> Vec<Value> {
        let Value::Array(answer) = self.run(redis, APPLY).unwrap() else { panic!("no array") };
        answer
    }
}

/// Records here have keys without a prefix.
const PREFIX: &str = "0";

/// Makes the one entry that [`Call::commit`] finds.
fn prepare_commit(redis: &mut Connection) {
    let _: String = redis::cmd("XADD").arg("journal").arg(&["1-0", "b", "bytes"]).query(redis).unwrap();
}

#[test]
fn no_argument_takes_garbage_and_what_does_not_fit_together_is_refused() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let mut refused = |script, call: &Call| {
        let _: () = redis.flushall().unwrap();
        prepare_commit(&mut redis);
        let (before, answer) = (contents(&mut redis), call.run(&mut redis, script));
        assert!(answer.as_ref().is_err_and(|error| error.code() == Some("INVALID")), "{call:?}: {answer:?}");
        assert_eq!(contents(&mut redis), before, "{call:?}");
    };
    let garbage =
        ["01", "00", "", " ", "x", "-1", "+1", "1.5", "1e3", "0x1", "nan", "inf", "1 ", " 1", "1\n", "1\0", "١"];
    let nines = "9".repeat(400);
    let huge = ["1000000000000000", "9223372036854775807", "18446744073709551616", &nines];
    // Some arguments are texts, and may be no number: rings, a batch's bytes, ids and notes.
    for (script, valid, texts) in [(APPLY, Call::apply(), &[6, 11, 21][..]), (COMMIT, Call::commit(), &[0, 1, 3, 4, 5])]
    {
        let (keys, all) = (valid.keys.len(), valid.arguments.len());
        for position in (0..all).filter(|position| !texts.contains(position)) {
            garbage.into_iter().chain(huge).for_each(|text| refused(script, &valid.clone().with(position, text)));
        }
        (0..all).for_each(|length| refused(script, &valid.clone().cut(keys, length)));
        (0..keys).for_each(|length| refused(script, &valid.clone().cut(length, all)));
        let mut one_more = valid;
        one_more.keys.push("page d".to_owned());
        refused(script, &one_more);
    }
    // An empty ring says that there is none.
    let valid = Call::apply();
    let rings = garbage.into_iter().chain(huge).filter(|text| !text.is_empty() && text.len() != 16);
    rings.for_each(|text| refused(APPLY, &valid.clone().with(6, text)));
    // More bots than visits; no sequence, base, increment, run or page; runs and pages that are not there.
    for (texts, positions) in [
        (&["11"][..], &[14][..]),
        (&["21"], &[17]),
        (&["31"], &[24]),
        (&["0"], &[2, 9, 13, 15, 16, 18, 19, 23, 25]),
        (&["1"], &[12]),
        (&["0", "3", "999999999999999"], &[12, 15, 18, 22, 25]),
    ] {
        for (text, position) in texts.iter().flat_map(|text| positions.iter().map(move |position| (text, *position))) {
            refused(APPLY, &valid.clone().with(position, text));
        }
    }
    // A question, too: without batches there is no page whose key could be missing.
    (0..5).for_each(|length| refused(APPLY, &valid.clone().with(2, "5").cut(length, 9)));
}

/// The fields of the journal's entries, in their order.
fn journal(redis: &mut Connection) -> Vec<Vec<String>> {
    let entries: Vec<(String, Vec<String>)> =
        redis::cmd("XRANGE").arg("journal").arg("-").arg("+").query(redis).unwrap();
    entries.into_iter().map(|(_, fields)| fields).collect()
}

fn totals(redis: &mut Connection) -> [Option<u64>; 3] {
    ["page a", "page b", "page c"].map(|page| redis.hget(page, "total").unwrap_or_default())
}

#[test]
fn a_batch_adds_to_totals_and_its_bytes_to_the_journal() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    for _ in 0..2 {
        Call::apply().run(&mut redis, APPLY).unwrap();
    }
    let bots = ["page a", "page b", "page c"].map(|page| redis.hget(page, "bots"));
    assert_eq!((totals(&mut redis), bots), ([Some(10), Some(20), Some(30)], [Ok(None), Ok(Some(5)), Ok(Some(3))]));
    assert_eq!(journal(&mut redis), [["b", "first"], ["b", "second"]]);
    assert_eq!(redis.hget("shard", "journal"), Ok(2 * 32 + "first".len() + "second".len()));
}

#[test]
fn a_full_journal_leaves_entries_out_and_counts_their_visits() {
    for (most, skipped, kept) in [("37", Some(30), &["b", "first"][..]), ("0", None, &[])] {
        let server = RedisServer::start();
        let mut redis = server.connect();
        Call::apply().with(8, most).run(&mut redis, APPLY).unwrap();
        assert_eq!(journal(&mut redis).concat(), kept);
        assert_eq!(redis.hget("shard", "skipped"), Ok(skipped));
        assert_eq!((redis.exists("shard"), totals(&mut redis)[2]), (Ok(skipped.is_some()), Some(30)));
        assert_eq!(redis.hget("applied", "visits"), Ok(60));
    }
}

#[test]
fn keys_of_another_type_cost_what_belongs_there_and_nothing_else() {
    for (spoilt, lost) in [("journal", 0), ("shard", 0), ("page a", 10), ("page c", 30)] {
        let server = RedisServer::start();
        let mut redis = server.connect();
        let _: i64 = redis.rpush(spoilt, "a list").unwrap();
        let answer = Call::apply().answer(&mut redis);
        let counted: u64 = totals(&mut redis).iter().flatten().sum();
        let rejected = redis.hget("applied", "rejected");
        assert_eq!((counted, rejected), (60 - lost, Ok((lost > 0).then_some(lost))), "{spoilt}");
        let named = matches!(&answer[3], Value::Array(pages) if pages.len() == 1);
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
    let capped = Call::apply().with(7, "2");
    let answer = capped.answer(&mut redis);
    // Refusals are a sum, and no page is named for them.
    assert_eq!((&answer[3], &answer[6].as_sequence().unwrap()[0]), (&Value::Array(Vec::new()), &Value::Int(30)));
    assert_eq!(totals(&mut redis), [Some(10), Some(20), None]);
    assert_eq!((redis.hget("applied", "visits"), redis.hget("applied", "rejected")), (Ok(60), Ok(30)));
    assert_eq!(journal(&mut redis)[1], ["b", "second", "n", "0"]);
    // The day's limit holds for the next call, too.
    capped.clone().numbered(3).run(&mut redis, APPLY).unwrap();
    assert_eq!(totals(&mut redis), [Some(20), Some(40), None]);
    // Another day of the server's begins anew.
    let _: i64 = redis.hset("shard", "new_pages", "1 2").unwrap();
    capped.numbered(5).run(&mut redis, APPLY).unwrap();
    assert_eq!(totals(&mut redis), [Some(30), Some(60), Some(30)]);
    let today = redis::cmd("TIME").query::<(u64, u64)>(&mut redis).unwrap().0 / 86_400;
    assert_eq!(redis.hget("shard", "new_pages"), Ok(format!("{today} 1")));
}

/// The set of a writer with very many gaps can still be cleaned up: Lua passes at most some 8,000 values at once.
#[test]
fn a_set_with_ten_thousand_gaps_is_dropped_by_the_base() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let gaps: Vec<(u32, u32)> = (1..=10_000).map(|sequence| (2 * sequence, 1)).collect();
    let _: () = redis.hset_multiple("applied", &gaps).unwrap();
    Call::apply().numbered(30_001).run(&mut redis, APPLY).unwrap();
    assert_eq!((redis.hget("applied", "floor"), redis.hlen("applied")), (Ok(30_002), Ok(2)));
}

/// One change of a list.
#[derive(Clone, Debug)]
enum Edit {
    Replace(usize, String),
    Remove(usize),
    Insert(usize, String),
    Swap(usize, usize),
    Truncate(usize),
}

impl Edit {
    fn apply(&self, list: &mut Vec<String>) {
        match self {
            Self::Replace(at, word) if *at < list.len() => word.clone_into(&mut list[*at]),
            Self::Remove(at) if *at < list.len() => drop(list.remove(*at)),
            Self::Insert(at, word) if *at <= list.len() => list.insert(*at, word.clone()),
            Self::Swap(one, two) if (*one).max(*two) < list.len() => list.swap(*one, *two),
            Self::Truncate(length) => list.truncate(*length),
            _ => {}
        }
    }
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

/// A change of a call's keys (true) or of its arguments. Keys are made by our own code: only those with these numbers are
/// changed, and any may be missing.
fn mutation(arguments: usize, keys: Range<usize>) -> impl Strategy<Value = (bool, Edit)> {
    let (at, end) = (0..arguments, keys.end);
    let of_arguments = prop_oneof![
        (at.clone(), word()).prop_map(|(at, word)| Edit::Replace(at, word)),
        at.clone().prop_map(Edit::Remove),
        (0..=arguments, word()).prop_map(|(at, word)| Edit::Insert(at, word)),
        (at.clone(), at.clone()).prop_map(|(one, two)| Edit::Swap(one, two)),
        at.prop_map(Edit::Truncate),
    ];
    let of_keys = prop_oneof![
        keys.clone().prop_map(Edit::Remove),
        (keys.start..=end, "page [a-e]").prop_map(|(at, key)| Edit::Insert(at, key)),
        (0..end).prop_map(Edit::Truncate),
    ];
    prop_oneof![5 => of_arguments.prop_map(|edit| (false, edit)), 3 => of_keys.prop_map(|edit| (true, edit))]
}

/// Runs so many changed calls on what `prepare` leaves. One that is refused changes nothing; `check` looks at the others, and
/// says whether there was anything to do. Both outcomes are met often.
fn with_mutations(
    (script, valid, keys): (&str, &Call, Range<usize>),
    cases: u32,
    prepare: impl Fn(&mut Connection),
    check: impl Fn(&mut Connection, &Call) -> bool,
) {
    let (server, done) = (RedisServer::start(), Cell::new(0));
    let redis = RefCell::new(server.connect());
    let mutations = proptest::collection::vec(mutation(valid.arguments.len(), keys), 1..4);
    let run = |mutations: Vec<(bool, Edit)>| {
        let (mut call, redis) = (valid.clone(), &mut *redis.borrow_mut());
        for (of_keys, edit) in &mutations {
            edit.apply(if *of_keys { &mut call.keys } else { &mut call.arguments });
        }
        let _: () = redis.flushall().unwrap();
        prepare(redis);
        let before = contents(redis);
        match call.run(redis, script) {
            Ok(_) => done.set(done.get() + u32::from(check(redis, &call))),
            Err(_) => assert_eq!(contents(redis), before, "{call:?}"),
        }
        Ok(())
    };
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() }).run(&mutations, run).unwrap();
    assert!((50..cases - 50).contains(&done.get()), "{} of {cases} were done", done.get());
}

#[test]
fn any_mutated_call_is_applied_in_full_or_not_at_all() {
    with_mutations(
        (APPLY, &Call::apply(), 5..8),
        2_000,
        |_| (),
        |redis, call| {
            // In whatever keys the call named. The two sorted sets have no fields.
            let keys: Vec<String> = redis.keys("*").unwrap();
            let [counted, visits, rejected] = ["total", "visits", "rejected"].map(|field| -> i64 {
                keys.iter().filter_map(|key| redis.hget::<_, _, Option<i64>>(key, field).ok().flatten()).sum()
            });
            assert_eq!(counted, visits - rejected, "{call:?}: {keys:?}");
            true
        },
    );
}

/// The numbers of all records, and of all moves, by their fields: visits that left are still there as notes.
fn numbers(redis: &mut Connection) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for key in redis.keys::<_, Vec<String>>("*").unwrap() {
        let Ok(fields) = redis.hgetall::<_, BTreeMap<String, String>>(&key) else { continue };
        for (field, content) in fields {
            // An envelope, whatever its name.
            if let Some(records) = content.splitn(3, ' ').nth(2).filter(|records| records.starts_with('[')) {
                let records: Vec<(String, BTreeMap<String, String>)> = serde_json::from_str(records).unwrap();
                for (field, number) in records.into_iter().flat_map(|(_, fields)| fields) {
                    *sums.entry(field).or_default() += number.parse::<u64>().unwrap();
                }
            } else if ["page:", "days:"].iter().any(|kind| key.starts_with(kind)) {
                *sums.entry(field).or_default() += content.parse::<u64>().unwrap();
            }
        }
    }
    sums
}

/// Holds what [`Call::take`] takes.
fn prepare_take(redis: &mut Connection) {
    let mut hold = |key, fields: &[(&str, &str)]| redis.hset_multiple::<_, _, _, ()>(key, fields).unwrap();
    hold("shard", &[("ring", RING), ("round", "17"), ("moving", "take")]);
    hold("page:a", &[("total", "50"), ("bots", "20"), ("out:7", "1"), ("in:x:7:bots", "3")]);
    hold("page:b", &[("total", "4")]);
    hold("days:2026-11:a", &[("24", "30"), ("24b", "20"), ("24u", "9")]);
}

#[test]
fn any_mutated_take_leaves_each_number_in_its_record_or_in_the_move() {
    with_mutations((TAKE, &Call::take(), 4..7), 1_000, prepare_take, |redis, call| {
        let after = numbers(redis);
        for (field, number) in
            [("total", 54), ("bots", 20), ("24", 30), ("24b", 20), ("24u", 9), ("out:7", 1), ("in:x:7:bots", 3)]
        {
            assert_eq!(after.get(field), Some(&number), "{field}: {call:?} {after:?}");
        }
        // A page that was taken has a note.
        after.keys().any(|field| field.starts_with("out:") && field != "out:7")
    });
}

#[test]
fn any_mutated_delivery_is_made_in_full_or_not_at_all() {
    with_mutations(
        (LAND, &Call::land(), 3..6),
        1_000,
        |_| (),
        |redis, call| {
            assert_eq!(redis.hget(&call.keys[0], "floor"), Ok(Some(1)), "{call:?}");
            // The note says what came with it, of the records that are a page's.
            for key in call.keys[3..].iter().filter(|key| key.starts_with("page:") && call.arguments[5] == PREFIX) {
                let fields: BTreeMap<String, u64> = redis.hgetall(key).unwrap();
                let note = format!("in:{}:{}", call.arguments[3], call.arguments[4]);
                let noted = [fields.get(&note), fields.get(&format!("{note}:bots"))];
                assert_eq!(noted, [fields.get("total"), fields.get("bots")], "{call:?}: {fields:?}");
            }
            true
        },
    );
}
