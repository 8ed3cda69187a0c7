//! The benchmark in short, to notice a fall: ratios within this run, with room for a busy machine, and instruction
//! counts, which need none, where valgrind is there. Never a time by itself.

use std::sync::{Mutex, MutexGuard, PoisonError};
use visits_bench::Effort;
use visits_bench::figures::{Goal, Group, Row};
use visits_bench::{flush, footprint, invocations};

/// Factor by which a ratio of times may miss its goal on a busy machine.
const ROOM: f64 = 1.6;

/// One test at a time: each would be in the others' way.
static TURN: Mutex<()> = Mutex::new(());

/// This test's turn, whatever became of the one before.
fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn row<'a>(group: &'a Group, what: &str) -> &'a Row {
    group.rows.iter().find(|row| row.what == what).unwrap_or_else(|| panic!("{what} is not measured: {group:?}"))
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
    let group = invocations::rate(Effort::Quick);
    for name in ["record-visit", "get-visits"] {
        hold(row(&group, &format!("{name}: invocations")), None, ROOM);
    }
}

#[test]
fn an_event_a_start_and_metrics_take_few_instructions() {
    let _turn = turn();
    let group = invocations::instructions(Effort::Quick);
    // Valgrind counts them: without it there are no rows. Those of a start are also those of waiting for Redis, and two
    // starts of one program differ by some percent: the more so, the busier the machine is.
    for (name, start) in [("record-visit", 2.6), ("get-visits", 1.7)].into_iter().filter(|_| !group.rows.is_empty()) {
        hold(row(&group, &format!("{name}: an event")), None, 1.05);
        hold(row(&group, &format!("{name}: a start with one event")), Some(Goal::AtMost(start)), 1.1);
        for what in ["an event with metrics", "a start with metrics"] {
            hold(row(&group, &format!("{name}: {what}, against one without")), None, 1.02);
        }
    }
}

#[test]
fn a_start_needs_no_network() {
    let _turn = turn();
    let group = invocations::init(Effort::Quick);
    for name in ["record-visit", "get-visits"] {
        hold(row(&group, &format!("{name}: connections to Redis before the first event")), None, 1.0);
    }
}

#[test]
fn calls_of_redis_grow_with_intervals_and_not_with_visits() {
    let _turn = turn();
    let group = invocations::calls(Effort::Quick);
    // The first flush comes with the first visit: in a short run it is one more.
    hold(row(&group, "calls for each environment, shard and interval"), Some(Goal::AtMost(2.0)), ROOM);
}

#[test]
fn direct_visits_that_come_together_reach_redis_and_share_its_calls() {
    let _turn = turn();
    let group = invocations::concurrency(Effort::Quick);
    hold(row(&group, "direct: calls of Redis a visit with 64 at once"), Some(Goal::AtMost(1.0 / 8.0)), ROOM);
}

#[test]
fn a_flush_with_statistics_takes_redis_hardly_more() {
    let _turn = turn();
    let group = flush::flush(Effort::Quick);
    for what in ["A flush with statistics", "A day's first flush"] {
        hold(row(&group, &format!("{what}: Redis CPU for each page")), None, ROOM);
    }
}

#[test]
fn the_binaries_stay_small() {
    let _turn = turn();
    let group = footprint::size(Effort::Quick);
    for name in ["record-visit", "get-visits"] {
        hold(row(&group, &format!("{name}: binary, stripped")), None, 1.0);
    }
}
