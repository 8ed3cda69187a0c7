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

/// Two batches: number 1 with two pages, number 2 with one on a day that is known, and its visitors.
pub(crate) fn valid() -> Call {
    let words = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    let keys = words(
        "applied,writers,sets,shard,site,page a,page b,site's month,top,site's visitors,page c,month c,visitors c",
    );
    // Format, writer, base, oldest age, how long to keep the set, listing, batches, ring, cap, list's length, prefix's length.
    let mut arguments = words(&format!("2,{WRITER},1,604800000,1209600000,1,2,{RING},0,1000,5"));
    // The first batch: sequence, age, no day, two runs of one page each: visits, bots, pages, no visitors.
    arguments.extend(words("1,0,,2,10,0,1,0,20,5,1,0"));
    // The second: its day, visitors of the site, what was refused, one run with two visitors of its page.
    arguments.extend(words("2,0,24,visitor1,0,1,2,1,30,3,1,2,visitor1visitor2"));
    Call { keys, arguments }
}

/// Of these arguments, some texts that are no number are good: the flag for the sweep's list, of which every other text means
/// no, the ring, the day, and visitors.
const TEXTS: [usize; 5] = [5, 7, 13, 26, 35];

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
    // An empty ring or day says that there is none.
    for (position, text) in garbage.into_iter().chain(huge).flat_map(|text| [(7, text), (13, text)]) {
        let is_good = text.is_empty() || (position == 7 && text.len() == 16);
        if !is_good {
            refused(&mut redis, &with(position, text));
        }
    }
    for text in ["1", "visitor", "visitors9"] {
        refused(&mut redis, &with(26, text));
        refused(&mut redis, &with(35, text));
    }
    refused(&mut redis, &with(35, ""));
}

#[test]
fn a_day_is_a_day_of_the_month_and_bots_are_not_more_than_visits() {
    let server = RedisServer::start();
    for (position, text) in [(25, "0"), (25, "32"), (16, "11"), (20, "21"), (32, "31")] {
        refused(&mut server.connect(), &with(position, text));
    }
}

#[test]
fn a_day_adds_to_the_page_and_to_the_site() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    evaluate(&mut redis, &valid()).unwrap();
    let field = |redis: &mut Connection, key: &str, field: &str| redis.hget::<_, _, Option<u64>>(key, field).unwrap();
    let table = [
        ("page c", "total", 30),
        ("page c", "bots", 3),
        ("month c", "24", 27),
        ("month c", "24b", 3),
        ("site", "total", 60),
        ("site", "bots", 8),
        ("site's month", "24", 27),
        ("site's month", "24b", 3),
        ("site's month", "24p", 1),
        ("site's month", "24r", 2),
    ];
    for (key, name, value) in table {
        assert_eq!(field(&mut redis, key, name), Some(value), "{key} {name}");
    }
    assert_eq!((redis.pfcount("site's visitors"), redis.pfcount("visitors c")), (Ok(1), Ok(2)));
    assert_eq!(redis.zrange_withscores("top", 0, -1), Ok(vec![("c".to_owned(), 27.0)]));
    assert_eq!(field(&mut redis, "site's month", "24o"), None, "nothing was refused for its origin");
}

#[test]
fn keys_of_another_type_cost_what_belongs_there_and_nothing_else() {
    for spoilt in ["site", "site's month", "top", "site's visitors", "month c", "visitors c"] {
        let server = RedisServer::start();
        let mut redis = server.connect();
        let _: i64 = redis.rpush(spoilt, "a list").unwrap();
        let answer: redis::Value = evaluate(&mut redis, &valid()).unwrap();
        let totals = ["page a", "page b", "page c"].map(|page| redis.hget(page, "total"));
        assert_eq!(totals, [Ok(10), Ok(20), Ok(30)], "{spoilt}");
        assert_eq!(redis.hget("applied", "rejected"), Ok(None::<u64>), "{spoilt}");
        let redis::Value::Array(parts) = answer else { panic!("{answer:?}") };
        let told = matches!(&parts[7], redis::Value::Array(pages) if !pages.is_empty());
        assert_eq!(told, ["month c", "visitors c"].contains(&spoilt), "{spoilt}: {:?}", parts[7]);
    }
}

#[test]
fn new_pages_over_the_days_limit_are_refused_and_known_ones_counted() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let mut call = valid();
    call.arguments[8] = "1".to_owned();
    // The second batch has page c twice over: as one that is new, and as one that is new but too many.
    call.arguments[33] = "2".to_owned();
    call.arguments[35].push_str("visitor3visitor4");
    call.keys.extend(["page d", "month d", "visitors d"].map(str::to_owned));
    let redis::Value::Array(answer) = evaluate(&mut redis, &call).unwrap() else { panic!("no array") };
    // Refusals are a sum, and no page is named for them.
    assert_eq!((&answer[4], &answer[8]), (&redis::Value::Array(Vec::new()), &redis::Value::Int(50)));
    assert_eq!((redis.hget("page c", "total"), redis.exists("page d")), (Ok(30), Ok(false)));
    assert_eq!((redis.hget("applied", "visits"), redis.hget("applied", "rejected")), (Ok(90), Ok(50)));
    assert_eq!((redis.hget("site", "total"), redis.hget("site", "bots")), (Ok(40), Ok(3)));
    assert_eq!((redis.hget("site's month", "24n"), redis.hget("site's month", "24k")), (Ok(30), Ok(1)));
    // Without a day, as where no history is kept, the limit is the same.
    assert_eq!((redis.hget("page a", "total"), redis.exists("page b")), (Ok(10), Ok(false)));
    // The day's limit holds for the next call, too.
    for (argument, value) in [(11, "3"), (23, "4"), (2, "3")] {
        value.clone_into(&mut call.arguments[argument]);
    }
    evaluate(&mut redis, &call).unwrap();
    assert_eq!((redis.hget("page c", "total"), redis.exists("page d")), (Ok(60), Ok(false)));
    assert_eq!((redis.hget("site's month", "24n"), redis.hget("site's month", "24k")), (Ok(60), Ok(1)));
    assert_eq!((redis.hget("page a", "total"), redis.exists("page b")), (Ok(20), Ok(false)));
    // Another day of the server's begins anew.
    let _: i64 = redis.hset("shard", "new_pages", "1 1").unwrap();
    for (argument, value) in [(11, "5"), (23, "6"), (2, "5")] {
        value.clone_into(&mut call.arguments[argument]);
    }
    call.keys[6] = "page z".to_owned();
    evaluate(&mut redis, &call).unwrap();
    assert_eq!((redis.hget("page z", "total"), redis.exists("page b")), (Ok(20), Ok(false)));
}

#[test]
fn each_page_of_a_run_has_its_own_visitors_however_many() {
    let server = RedisServer::start();
    for each in [1, 2, 3, 1_500] {
        let mut redis = server.connect();
        let _: () = redis.flushall().unwrap();
        let mut call = valid();
        call.arguments[33] = "2".to_owned();
        call.arguments[34] = each.to_string();
        // The second page has the first one's last visitor for its first.
        let names = |from: usize| (from..from + each).map(|number| format!("v{number:07}")).collect::<Vec<_>>();
        call.arguments[35] = [names(0), names(each - 1)].concat().concat();
        call.keys.extend(["page d", "month d", "visitors d"].map(str::to_owned));
        evaluate(&mut redis, &call).unwrap();
        let count = |redis: &mut Connection, keys: &[&str]| redis.pfcount::<_, usize>(keys).unwrap();
        for (keys, visitors) in
            [(&["visitors c"][..], each), (&["visitors d"], each), (&["visitors c", "visitors d"], 2 * each - 1)]
        {
            let counted = count(&mut redis, keys);
            assert!(counted.abs_diff(visitors) * 50 <= visitors, "{keys:?}: {counted} of {visitors}");
        }
    }
}

#[test]
fn a_full_top_list_keeps_its_better_pages() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let mut call = valid();
    call.arguments[9] = "2".to_owned();
    let _: i64 = redis.zadd_multiple("top", &[(5, "five"), (20, "twenty")]).unwrap();
    evaluate(&mut redis, &call).unwrap();
    let top = |redis: &mut Connection| redis.zrange::<_, Vec<String>>("top", 0, -1).unwrap();
    assert_eq!(top(&mut redis), ["twenty", "c"]);
    // A page that is no better than the last one of a full list is not listed.
    let _: i64 = redis.zadd("top", "c", 300).unwrap();
    let _: i64 = redis.zadd("top", "twenty", 54).unwrap();
    for (argument, value) in [(11, "3"), (23, "4"), (2, "3")] {
        value.clone_into(&mut call.arguments[argument]);
    }
    let _: bool = redis.hset("month e", 24, 27).unwrap();
    call.keys.splice(10..13, ["page e", "month e", "visitors e"].map(str::to_owned));
    evaluate(&mut redis, &call).unwrap();
    assert_eq!(top(&mut redis), ["twenty", "c"]);
}

#[test]
fn a_run_gives_each_of_its_pages_the_increment() {
    let server = RedisServer::start();
    let mut call = valid();
    call.arguments.splice(14..23, ["1", "10", "0", "2", "0"].map(str::to_owned));
    evaluate(&mut server.connect(), &call).unwrap();
    let totals = ["page a", "page b", "page c"].map(|page| server.connect().hget(page, "total"));
    assert_eq!(totals, [Ok(10), Ok(10), Ok(30)]);
    assert_eq!(server.connect().hget("applied", "visits"), Ok(50));
}

#[test]
fn neither_a_sequence_nor_a_base_nor_an_increment_nor_a_run_is_0() {
    let server = RedisServer::start();
    for position in [2, 11, 14, 15, 17, 19, 21, 23, 30, 31, 33] {
        refused(&mut server.connect(), &with(position, "0"));
    }
}

#[test]
fn a_number_of_batches_or_increments_that_does_not_fit_is_refused() {
    let server = RedisServer::start();
    for position in [6, 14, 17, 33, 34] {
        for number in ["0", "3", "999999999999999"].into_iter().chain((position < 15).then_some("1")) {
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
        "0".clone_into(&mut call.arguments[6]);
        call.arguments.truncate(11);
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
    call.arguments[11] = "30001".to_owned();
    call.arguments[23] = "30002".to_owned();
    evaluate(&mut redis, &call).unwrap();
    assert_eq!((redis.hget("applied", "floor"), redis.hlen("applied")), (Ok(30_002), Ok(2)));
}
