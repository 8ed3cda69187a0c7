//! From the start of the process to the first event asked for, and to the first answer.

use crate::effort::Effort;
use crate::events::{self, OK, READ, RECORD, Route};
use crate::figures::{Axis, Goal, Group, Plot, Row, Series};
use crate::instructions;
use crate::statistics::{median, millis};
use crate::subject::{Subject, servers};
use serde_json::json;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

/// How long a function that has started is watched for a connection that it should not make.
const WATCHED: Duration = Duration::from_millis(100);

/// Measures the starts of both functions, in turn with the bare handler's.
pub fn run(effort: Effort) -> Group {
    let mut group = Group::new("init", "Start", "bare handler", &NOTES);
    let servers = servers(2);
    let subjects = [
        (Subject::bare(), RECORD),
        (Subject::bare_that_hears_sigterm(), RECORD),
        (Subject::function("record-visit").on(&servers), RECORD),
        (Subject::function("get-visits").on(&servers), READ),
    ];
    let mut starts = vec![(Vec::new(), Vec::new()); subjects.len()];
    for _ in 0..effort.choose(60, 15) {
        for ((subject, route), (next, answer)) in subjects.iter().zip(&mut starts) {
            let environment = subject.start();
            let init = environment.init();
            let first = environment.run(&events::in_turn(*route, 1), OK, 1);
            next.push(millis(init));
            answer.push(millis(init + first.latencies[0]));
        }
    }
    let medians: Vec<(f64, f64)> = starts.iter_mut().map(|(next, answer)| (median(next), median(answer))).collect();
    for (index, (subject, _)) in subjects.iter().enumerate().skip(2) {
        let (ours, floor) = (medians[index], medians[0]);
        let goal = Some(Goal::AtMost(1.25));
        group.rows.push(Row::compared(format!("{}: to the first /next", subject.name), "ms", ours.0, floor.0, goal));
        group.rows.push(Row::compared(format!("{}: to the first answer", subject.name), "ms", ours.1, floor.1, goal));
        let connections = connections_at_start(subject.name);
        group.rows.push(Row::alone(
            format!("{}: connections to Redis before the first event", subject.name),
            "",
            connections,
            Some(Goal::AtMost(0.0)),
        ));
    }
    let against = Row::compared(
        "record-visit: to the first /next, against a bare handler that hears SIGTERM",
        "ms",
        medians[2].0,
        medians[1].0,
        Some(Goal::AtMost(1.25)),
    );
    group.rows.insert(1, against);
    group.rows.extend(instruction_rows(&subjects));
    group.plots.push(plot(&subjects, &medians));
    group.raw = json!(starts);
    group
}

const NOTES: [&str; 3] = [
    "Medians of starts in turn, files in the page cache. On Lambda the download and the sandbox come on top, the same for all.",
    "`record-visit` registers an extension before it asks for its first event, for the sake of SIGTERM: two more requests \
     that the bare handler does not make; the other bare handler makes them, too.",
    "The first answer of `get-visits` has a connection to Redis in it, and the questions of the first contact; that of \
     `record-visit` none, since it writes afterwards.",
];

/// Instructions up to and with the first event, where valgrind can count them.
fn instruction_rows(subjects: &[(Subject, Route)]) -> Vec<Row> {
    let start = |(subject, route): &(Subject, Route)| instructions::count(subject, &events::in_turn(*route, 1), OK, 1);
    let counts: Option<Vec<_>> = subjects.iter().map(start).collect();
    let counts = counts.unwrap_or_default();
    let row = |index: usize| {
        let what = format!("{}: instructions of a start with one event", subjects[index].0.name);
        Row::compared(what, "", counts[index].start as f64, counts[0].start as f64, None)
    };
    (2..counts.len()).map(row).collect()
}

/// Connections that a function makes to its Redis before there is an event.
fn connections_at_start(name: &'static str) -> f64 {
    let redis = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    redis.set_nonblocking(true).expect("a socket can be asked without waiting");
    let url = format!("redis://{}", redis.local_addr().expect("it is bound"));
    let environment = Subject::function(name).with("REDIS_ENDPOINTS", format!("a={url},b={url}")).start();
    environment.init();
    thread::sleep(WATCHED);
    let accept = || match redis.accept() {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            false
        }
    };
    let mut connections = 0.0;
    while accept() {
        connections += 1.0;
    }
    connections
}

fn plot(subjects: &[(Subject, Route)], medians: &[(f64, f64)]) -> Plot {
    let series = |name, value: fn(&(f64, f64)) -> f64| Series::bars(name, medians.iter().map(value));
    Plot::new(
        "init",
        "From the start of the process",
        Axis::named(subjects.iter().map(|(subject, _)| subject.name)),
        Axis::linear("ms"),
        vec![series("to the first /next", |times| times.0), series("to the first answer", |times| times.1)],
    )
}
