//! Calls of Redis for a day's work of a site: 100,000 visits over 1,000 pages in 10 environments at 10/s each.

use crate::effort::Effort;
use crate::events::{self, OK, RECORD};
use crate::figures::{Axis, Group, Plot, Row, Series};
use crate::server::applies;
use crate::subject::{Subject, servers};
use serde_json::json;
use std::collections::HashSet;
use std::thread;
use std::time::Duration;

const ENVIRONMENTS: usize = 10;
const PAGES: usize = 1_000;

/// How many times as fast as in life it runs: the interval, the protocol's durations and the visits.
const SCALE: u32 = 25;

/// Time between two visits of an environment, in life.
const PACE: Duration = Duration::from_millis(100);

/// The flush interval.
const INTERVAL: Duration = Duration::from_secs(30);

/// Runs the visits and counts the calls, beside what others would make of the same visits.
pub fn run(effort: Effort) -> Group {
    let each = effort.choose(10_000, 500);
    let servers = servers(2);
    let before: u64 = servers.iter().map(applies).sum();
    let subject = Subject::function("record-visit")
        .on(&servers)
        .with("VISITS_FLUSH_INTERVAL", format!("{}ms", (INTERVAL / SCALE).as_millis()))
        .with("VISITS_TEST", format!("scale={SCALE}"))
        .on_any_processor();
    thread::scope(|scope| {
        for number in 0..ENVIRONMENTS {
            let subject = &subject;
            scope.spawn(move || {
                let events = events::events(RECORD, move |visit| events::id(page(number, visit)));
                subject.start().paced(&events, OK, each, PACE / SCALE);
            });
        }
    });
    let calls: u64 = servers.iter().map(applies).sum::<u64>() - before;
    group(each, calls)
}

/// The page of an environment's visit: popular ones more often (a page's share falls with its rank).
fn page(environment: usize, visit: usize) -> usize {
    let mut random = fastrand::Rng::with_seed((environment * 1_000_000 + visit) as u64);
    // The inverse of the logarithm that Zipf's sums come close to.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
    let rank = ((PAGES as f64 + 1.0).powf(random.f64()) - 1.0) as usize;
    rank.min(PAGES - 1)
}

/// Commands of a dictionary that is written page by page each interval.
fn dictionary(each: usize) -> usize {
    let visits = usize::try_from(INTERVAL.as_millis() / PACE.as_millis()).unwrap_or(1);
    let windows = |environment| {
        (0..each).step_by(visits).map(move |start| {
            (start..(start + visits).min(each)).map(|visit| page(environment, visit)).collect::<HashSet<_>>().len()
        })
    };
    (0..ENVIRONMENTS).flat_map(windows).sum()
}

fn group(each: usize, calls: u64) -> Group {
    let visits = ENVIRONMENTS * each;
    let (ours, dictionary) = (calls as f64, dictionary(each) as f64);
    let mut group = Group::new("calls", "Calls of Redis", "another way", &NOTES);
    group.rows = vec![
        Row::compared(format!("{visits} visits, against one write a visit"), "calls", ours, visits as f64, None),
        Row::compared("the same, against a dictionary of 30 s written page by page", "calls", ours, dictionary, None),
        Row::alone(
            "calls for each environment, shard and interval",
            "calls",
            ours / (each as f64 / 300.0 * 2.0 * ENVIRONMENTS as f64),
            None,
        ),
    ];
    let calls_of_each = [ours, dictionary, visits as f64];
    group.plots.push(Plot::new(
        "calls",
        &format!("Calls of Redis for {visits} visits"),
        Axis::named(["ours", "30 s dictionary", "one write a visit"]),
        Axis::log("calls"),
        vec![Series::bars("", calls_of_each)],
    ));
    group.raw = json!({ "visits": visits, "calls": calls, "dictionary": dictionary, "scale": SCALE });
    group
}

const NOTES: [&str; 2] = [
    "Ours is counted by Redis, with real binaries at 25 times the speed; the dictionary's commands are computed from the same \
     visits (distinct pages of each environment and 30 s).",
    "Calls grow with environments, shards and intervals; more visits in an interval make larger batches, not more calls.",
];
