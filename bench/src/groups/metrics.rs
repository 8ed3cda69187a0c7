//! What metrics cost: the same functions with and without `VISITS_METRICS`.

use crate::effort::Effort;
use crate::environment::Environment;
use crate::events::{self, OK, READ, RECORD, Route};
use crate::figures::{Goal, Group, Row};
use crate::instructions;
use crate::runtime_api::Events;
use crate::statistics::{median, millis, rate};
use crate::subject::{Subject, servers};
use serde_json::json;

/// Pages that the events are about in turn.
const PAGES: usize = 100;

/// Measures both functions with metrics, each against itself without.
pub fn run(effort: Effort) -> Group {
    let mut group = Group::new("metrics", "Metrics", "without", &NOTES);
    for (name, route) in [("record-visit", RECORD), ("get-visits", READ)] {
        let servers = servers(2);
        // So that nothing but the first event calls Redis, however slow valgrind makes the rest.
        let off =
            Subject::function(name).on(&servers).with("VISITS_CACHE_TTL", "1h").with("VISITS_FLUSH_INTERVAL", "10m");
        let on = off.clone().with("VISITS_METRICS", "VisitCounter/bench");
        let (rates, starts) = (compare_rates(&on, &off, route, effort), compare_starts(&on, &off, route, effort));
        for (what, unit, pairs, goal) in [
            ("invocations", "1/s", &rates, Goal::AtLeast(0.97)),
            ("to the first answer", "ms", &starts, Goal::AtMost(1.03)),
        ] {
            group.rows.push(row(format!("{name}: {what}"), unit, pairs, goal));
        }
        group.rows.extend(instruction_rows(name, &on, &off, route, effort));
        group.raw[name] = json!({ "rates": rates, "starts_ms": starts });
    }
    group
}

const NOTES: [&str; 3] = [
    "The same binary, in turn with `VISITS_METRICS` set and not; the ratio is the median over the pairs. A flush is due with the \
     first event, so that the instructions of a start have a line of metrics in them; further ones are 10 minutes on.",
    "The instructions of an event have no line in them: one is written once an interval.",
    "Instructions are the figure to go by. Pairs of times of one and the same program differ by more than 3 % on a shared machine.",
];

/// With and without, in turn.
type Pairs = Vec<(f64, f64)>;

/// A line whose ratio is the median of the pairs'.
fn row(what: String, unit: &str, pairs: &Pairs, goal: Goal) -> Row {
    let of = |figure: fn(&(f64, f64)) -> f64| median(&pairs.iter().map(figure).collect::<Vec<_>>());
    Row {
        ratio: Some(of(|(on, off)| on / off)),
        ..Row::compared(what, unit, of(|pair| pair.0), of(|pair| pair.1), Some(goal))
    }
}

fn compare_rates(on: &Subject, off: &Subject, route: Route, effort: Effort) -> Pairs {
    let (rounds, count) = (effort.choose(31, 5), effort.choose(4_000, 600));
    let events = events::in_turn(route, PAGES);
    let (on, off) = (on.start(), off.start());
    let run = |environment: &Environment, events: &Events| rate(count, environment.run(events, OK, count).wall);
    for environment in [&on, &off] {
        run(environment, &events);
    }
    (0..rounds).map(|_| (run(&on, &events), run(&off, &events))).collect()
}

fn compare_starts(on: &Subject, off: &Subject, route: Route, effort: Effort) -> Pairs {
    let start = |subject: &Subject| {
        let environment = subject.start();
        let init = environment.init();
        millis(init + environment.run(&events::in_turn(route, 1), OK, 1).latencies[0])
    };
    (0..effort.choose(61, 7)).map(|_| (start(on), start(off))).collect()
}

/// Instructions of a start with one event and of each further event, where valgrind can count them.
fn instruction_rows(name: &str, on: &Subject, off: &Subject, route: Route, effort: Effort) -> Vec<Row> {
    let events = events::in_turn(route, PAGES);
    let count = |subject: &Subject| instructions::count(subject, &events, OK, effort.choose(2_000, 300));
    let (Some(on), Some(off)) = (count(on), count(off)) else { return Vec::new() };
    let row = |what: &str, on: u64, off: u64| {
        Row::compared(format!("{name}: {what}"), "", on as f64, off as f64, Some(Goal::AtMost(1.03)))
    };
    vec![
        row("instructions an event", on.event, off.event),
        row("instructions of a start with one event", on.start, off.start),
    ]
}
