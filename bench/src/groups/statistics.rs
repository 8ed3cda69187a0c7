//! What the owner asks for, through the same code as the dashboard's function: how long it takes, and how exact it is.

mod site;

use crate::effort::Effort;
use crate::figures::{Goal, Group, Row};
use crate::statistics::{millis, percentile};
use serde_json::json;
use site::Site;
use std::time::{Duration, Instant};
use visits_core::statistics::TopQuery;

const SHARDS: usize = 8;

/// Longest answer that is wanted, in ms, as a 99th percentile.
const MOST: f64 = 50.0;

/// Visitors of a day, for the accuracy.
const VISITORS: u64 = 100_000;

/// Measures it.
pub fn run(effort: Effort) -> Group {
    let (pages, days) = (effort.choose(10_000, 500), effort.choose(400, 60));
    let (rounds, accuracy_days) = (effort.choose(200, 20), effort.choose(50, 3));
    let site = Site::new(SHARDS, pages, days);
    let mut group = Group::new("statistics", "What the owner asks for", "", &NOTES);
    group.notes.insert(
        0,
        format!("{SHARDS} shards, each a server of its own, with {pages} pages, {days} days of them, rolled up."),
    );
    for (what, mut times) in answers(&site, pages, days, rounds) {
        let (p50, p99) = (percentile(&mut times, 50.0), percentile(&mut times, 99.0));
        group.rows.push(Row::alone(format!("{what}: p50"), "ms", millis(p50), None));
        group.rows.push(Row::alone(format!("{what}: p99"), "ms", millis(p99), Some(Goal::AtMost(MOST))));
    }
    let errors = site.errors(VISITORS, accuracy_days);
    group.rows.extend(accuracy(&errors));
    group.raw = json!({ "errors_percent": errors });
    group
}

/// How long each question takes, asked with nobody else asking.
fn answers(site: &Site, pages: usize, days: u32, rounds: usize) -> Vec<(String, Vec<Duration>)> {
    let top = |days: u32, search: Option<&str>| TopQuery { days, limit: 100, search: search.map(str::to_owned) };
    let time = |ask: &dyn Fn(usize)| {
        // The first one connects and brings the scripts.
        ask(0);
        let asked = |round| {
            let began = Instant::now();
            ask(round);
            began.elapsed()
        };
        (0..rounds).map(asked).collect::<Vec<_>>()
    };
    let asks_top = |query: TopQuery| time(&|_| site.top(&query));
    vec![
        (format!("History of {days} days of a page"), time(&|round| site.history(round * 37 % pages, days))),
        (format!("Top 100 of {days} days"), asks_top(top(days, None))),
        ("Top 100 of 30 days".into(), asks_top(top(30, None))),
        ("Top 100 of 1 day".into(), asks_top(top(1, None))),
        (format!("Top 100 of {days} days, with a search"), asks_top(top(days, Some("page-00001")))),
        (format!("Summary of {days} days"), time(&|_| site.summary(days))),
    ]
}

fn accuracy(errors: &[f64]) -> Vec<Row> {
    let within = errors.iter().filter(|error| error.abs() <= 2.0).count() as f64 / errors.len() as f64;
    let mean_square = errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64;
    vec![
        Row::alone(
            format!("Unique visitors, {VISITORS} distinct: standard error"),
            "%",
            mean_square.sqrt(),
            Some(Goal::AtMost(2.0)),
        ),
        Row::alone("The same: days within 2 %", "%", within * 100.0, None),
    ]
}

const NOTES: [&str; 2] = [
    "Asked through visits_core::statistics, one question after the other, from call to answer; no answer is one shown again. \
     Every page has a visit on every day, and more the lower its number.",
    "Visitors are counted by Redis' HyperLogLog, whose standard error is 0.81 %: of a hundred days some two are off by more than 2 %. \
     Each day here has a secret of its own, as it has in use.",
];
