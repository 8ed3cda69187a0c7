//! What a client waits for when a flush is due: nothing more than otherwise.

use crate::effort::Effort;
use crate::events::{self, OK, RECORD};
use crate::figures::{Axis, Goal, Group, Plot, Row, Series};
use crate::server::applies;
use crate::statistics::{micros, percentile};
use crate::subject::{Subject, servers};
use serde_json::json;
use std::thread;
use std::time::Duration;

/// A little more than the shortest flush interval that is accepted: a flush is due with each visit.
const PACE: Duration = Duration::from_millis(103);

/// Environments of each kind, at the same time.
const EACH: usize = 6;

/// Measures visits with which a flush is due beside others with which none is.
///
/// # Panics
/// If an environment fails to answer.
pub fn run(effort: Effort) -> Group {
    let servers = servers(2);
    let subject = |interval: &str| {
        Subject::function("record-visit").on(&servers).with("VISITS_FLUSH_INTERVAL", interval).on_any_processor()
    };
    let count = effort.choose(200, 15);
    let flushes = |servers: &[test_support::RedisServer]| -> u64 { servers.iter().map(applies).sum() };
    let (due, not_due) = (subject("100ms"), subject("10m"));
    let mut latencies = [Vec::new(), Vec::new()];
    thread::scope(|scope| {
        let environments: Vec<_> = (0..2 * EACH)
            .map(|number| {
                scope.spawn({
                    let subject = if number < EACH { &due } else { &not_due };
                    // So that they do not all go at the same moment.
                    let late = PACE * u32::try_from(number).unwrap_or(0) / u32::try_from(2 * EACH).unwrap_or(1);
                    move || {
                        let environment = subject.start();
                        environment.run(&events::in_turn(RECORD, 1), OK, 1);
                        thread::sleep(late);
                        (number, environment.paced(&events::in_turn(RECORD, 50), OK, count, PACE).latencies)
                    }
                })
            })
            .collect();
        for environment in environments {
            let (number, times) = environment.join().expect("an environment answers");
            latencies[usize::from(number >= EACH)].extend(times);
        }
    });
    group(latencies, flushes(&servers))
}

fn group(mut latencies: [Vec<Duration>; 2], calls: u64) -> Group {
    let mut group = Group::new("waiting", "What a client waits for when a flush is due", "none due", &NOTES);
    let mut lines = vec![
        Series { name: "a flush is due".into(), ..Series::default() },
        Series { name: "none is due".into(), ..Series::default() },
    ];
    for percent in [1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0] {
        let [due, not_due] = latencies.each_mut().map(|times| micros(percentile(times, percent)));
        lines[0].points.push((percent, due));
        lines[1].points.push((percent, not_due));
        if [50.0, 99.0].contains(&percent) {
            let goal = (percent > 50.0).then_some(Goal::AtMost(1.1));
            group.rows.push(Row::compared(format!("event to answer, p{percent}"), "us", due, not_due, goal));
        }
    }
    group.raw = json!({ "events_each": latencies[0].len(), "redis_calls": calls });
    group.plots.push(Plot::new(
        "waiting",
        "From the event to its answer",
        Axis::linear("percent of the visits"),
        Axis::linear("us"),
        lines,
    ));
    group
}

const NOTES: [&str; 2] = [
    "Twelve environments at once, each with a visit every 103 ms: six flush with each of them, six never. \"No difference\" is \
     taken as at most a tenth, about what two equal halves differ by.",
    "After a flush the processor's caches have forgotten a little of the handler, which is all that the client may feel of it.",
];
