//! Invocations a second of one environment, against the floor.

use crate::effort::Effort;
use crate::environment::Environment;
use crate::events::{self, OK, READ, RECORD, Route};
use crate::figures::{Axis, Goal, Group, Plot, Row, Series};
use crate::instructions;
use crate::runtime_api::Events;
use crate::statistics::{median, micros, percentile, rate};
use crate::subject::{Subject, servers};
use serde_json::json;

/// Pages that the events are about in turn.
const PAGES: usize = 100;

/// What one program did in each round.
#[derive(Default)]
struct Rounds {
    rate: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

/// Measures both functions, each against a bare handler that is given the same events.
pub fn run(effort: Effort) -> Group {
    let mut group = Group::new("rate", "Invocations a second of one environment", "bare handler", &NOTES);
    let mut bars: Vec<(String, f64)> = Vec::new();
    let mut raw = Vec::new();
    for (name, title, route) in
        [("record-visit", "record-visit, buffered", RECORD), ("get-visits", "get-visits, from its cache", READ)]
    {
        let (ours, floor) = compare(name, route, effort);
        let rates: Vec<f64> = ours.rate.iter().zip(&floor.rate).map(|(ours, floor)| ours / floor).collect();
        let mut row = Row::compared(
            format!("{title}: invocations"),
            "1/s",
            median(&ours.rate),
            median(&floor.rate),
            Some(Goal::AtLeast(0.95)),
        );
        row.ratio = Some(median(&rates));
        group.rows.push(row);
        group.rows.push(Row::compared(format!("{title}: p50"), "us", median(&ours.p50), median(&floor.p50), None));
        let goal = Some(Goal::AtMost(1.1));
        group.rows.push(Row::compared(format!("{title}: p99"), "us", median(&ours.p99), median(&floor.p99), goal));
        bars.extend([("bare handler".to_owned(), median(&floor.rate)), (name.to_owned(), median(&ours.rate))]);
        raw.push(json!({ "function": name, "rate": ours.rate, "floor_rate": floor.rate, "p99_us": ours.p99, "floor_p99_us": floor.p99 }));
        group.rows.extend(instruction_row(name, title, route, effort));
    }
    group.plots.push(plot(bars));
    group.raw = json!(raw);
    group
}

const NOTES: [&str; 3] = [
    "Each environment has a processor to itself and gets its next event as soon as it asks; the bare handler and ours take \
     turns, and the ratio is the median over the rounds.",
    "p50 and p99 are from the event to its answer, medians of the rounds'.",
    "Both read the whole event: ours by `aws_lambda_events`, the bare handler by `lambda_http`, which makes an HTTP request of \
     it. What is left is the runtime's HTTP client and the kernel.",
];

fn compare(name: &'static str, route: Route, effort: Effort) -> (Rounds, Rounds) {
    let (rounds, count) = (effort.choose(15, 5), effort.choose(4_000, 600));
    let servers = servers(2);
    let events = events::in_turn(route, PAGES);
    let (ours, floor) = (Subject::function(name).on(&servers).start(), Subject::bare().start());
    for environment in [&ours, &floor] {
        environment.run(&events, OK, count);
    }
    let (mut of_ours, mut of_floor) = (Rounds::default(), Rounds::default());
    for _ in 0..rounds {
        of_floor.add(&floor, &events, count);
        of_ours.add(&ours, &events, count);
    }
    (of_ours, of_floor)
}

impl Rounds {
    fn add(&mut self, environment: &Environment, events: &Events, count: usize) {
        let mut run = environment.run(events, OK, count);
        self.rate.push(rate(count, run.wall));
        self.p50.push(micros(percentile(&mut run.latencies, 50.0)));
        self.p99.push(micros(percentile(&mut run.latencies, 99.0)));
    }
}

/// Instructions an event, where valgrind can count them.
fn instruction_row(name: &'static str, title: &str, route: Route, effort: Effort) -> Option<Row> {
    let servers = servers(2);
    let events = events::in_turn(route, PAGES);
    let count = effort.choose(2_000, 300);
    let ours = instructions::count(&Subject::function(name).on(&servers), &events, OK, count)?;
    let floor = instructions::count(&Subject::bare(), &events, OK, count)?;
    let [ours, floor] = [ours.event as f64, floor.event as f64];
    Some(Row::compared(format!("{title}: instructions an event"), "", ours, floor, Some(Goal::AtMost(1.1))))
}

fn plot(bars: Vec<(String, f64)>) -> Plot {
    let (names, values): (Vec<_>, Vec<f64>) = bars.into_iter().unzip();
    Plot::new(
        "rate",
        "Invocations a second of one environment",
        Axis::named(names),
        Axis::linear("invocations/s"),
        vec![Series::bars("", values)],
    )
}
