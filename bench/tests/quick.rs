//! The benchmark in short, to notice a fall: ratios within this run, with room for a busy machine, and instruction
//! counts, which need none, where valgrind is there. Never a time by itself.

use std::sync::{Mutex, MutexGuard, PoisonError};
use visits_bench::effort::Effort;
use visits_bench::figures::{Goal, Group, Row};
use visits_bench::groups::{calls, concurrency, flush, init, metrics, placing, rate, size};

/// How much worse than its goal a ratio of times may be on a machine that does other things, too.
const ROOM: f64 = 1.6;

/// One test at a time: each would be in the others' way.
static TURN: Mutex<()> = Mutex::new(());

/// This test's turn, whatever became of the one before.
fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn row<'a>(group: &'a Group, what: &str) -> Option<&'a Row> {
    group.rows.iter().find(|row| row.what == what)
}

/// Holds a row against its goal, or against `bound`, with some room.
fn hold(row: &Row, bound: Option<Goal>, room: f64) {
    let value = row.ratio.unwrap_or(row.ours);
    match bound.or(row.goal).expect("a bound") {
        Goal::AtMost(most) => assert!(value <= most * room, "{row}"),
        Goal::AtLeast(least) => assert!(value >= least / room, "{row}"),
    }
}

#[test]
fn an_invocation_is_as_fast_as_a_bare_handlers() {
    let _turn = turn();
    let group = rate::run(Effort::Quick);
    for title in ["record-visit, buffered", "get-visits, from its cache"] {
        hold(row(&group, &format!("{title}: invocations")).expect("it is measured"), None, ROOM);
        // Valgrind counts them: without it there is no row.
        if let Some(counted) = row(&group, &format!("{title}: instructions an event")) {
            hold(counted, None, 1.05);
        }
    }
}

#[test]
fn a_start_needs_no_network_and_little_work() {
    let _turn = turn();
    let group = init::run(Effort::Quick);
    // Two starts of one program differ by some percent: the more so, the busier the machine is.
    for (name, start) in [("record-visit", 2.6), ("get-visits", 1.7)] {
        hold(
            row(&group, &format!("{name}: connections to Redis before the first event")).expect("it is measured"),
            None,
            1.0,
        );
        if let Some(counted) = row(&group, &format!("{name}: instructions of a start with one event")) {
            hold(counted, Some(Goal::AtMost(start)), 1.1);
        }
    }
}

#[test]
fn metrics_cost_next_to_nothing() {
    let _turn = turn();
    let group = metrics::run(Effort::Quick);
    // Only instructions: a quick look at times tells nothing that small, least of all on a busy machine. Those of a start are
    // also those of waiting for Redis, so they have a little room.
    for row in group.rows.iter().filter(|row| row.what.contains("instructions")) {
        hold(row, None, 1.02);
    }
}

#[test]
fn calls_of_redis_grow_with_intervals_and_not_with_visits() {
    let _turn = turn();
    let group = calls::run(Effort::Quick);
    let per_interval = row(&group, "calls for each environment, shard and interval").expect("it is measured");
    // The first flush comes with the first visit: in a short run it is one more.
    hold(per_interval, Some(Goal::AtMost(2.0)), ROOM);
}

#[test]
fn direct_visits_that_come_together_reach_redis_and_share_its_calls() {
    let _turn = turn();
    let group = concurrency::run(Effort::Quick);
    let calls = row(&group, "direct: calls of Redis a visit with 64 at once").expect("it is measured");
    hold(calls, Some(Goal::AtMost(1.0 / 8.0)), ROOM);
}

#[test]
fn a_flush_with_statistics_takes_redis_hardly_more() {
    let _turn = turn();
    let group = flush::run(Effort::Quick);
    for what in ["A flush with statistics", "A day's first flush"] {
        hold(row(&group, &format!("{what}: Redis CPU for each page")).expect("it is measured"), None, ROOM);
    }
}

#[test]
fn the_binaries_stay_small() {
    let _turn = turn();
    let group = size::run(Effort::Quick);
    for name in ["record-visit", "get-visits"] {
        hold(row(&group, &format!("{name}: binary, stripped")).expect("it is there"), None, 1.0);
    }
}

#[test]
fn pages_are_shared_evenly_and_few_move() {
    let _turn = turn();
    let group = placing::run(Effort::Quick);
    let held: Vec<&Row> = group.rows.iter().filter(|row| row.goal.is_some()).collect();
    assert_eq!(held.len(), 2);
    for row in held {
        hold(row, None, 1.01);
    }
}
