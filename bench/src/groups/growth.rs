//! How the cost grows: with pages, with what is buffered, with shards, with environments.

mod fleet;

use crate::effort::Effort;
use crate::events::{self, OK, RECORD};
use crate::figures::{Axis, Goal, Group, Plot, Row, Series};
use crate::statistics::rate;
use crate::subject::{Subject, servers};
use serde_json::json;

/// A curve: an amount, and the rate with it.
type Curve = Vec<(f64, f64)>;

/// Measures the four curves.
pub fn run(effort: Effort) -> Group {
    let mut group = Group::new("growth", "How the cost grows", "smallest", &NOTES);
    let curves = [
        ("pages", "pages of the site", pages(effort)),
        ("buffer", "pages in the buffer", buffer(effort)),
        ("shards", "shards", shards(effort)),
        ("environments", "environments", fleet::environments(effort)),
    ];
    for (id, amount, curve) in curves {
        let ((from, first), (to, last)) = (curve[0], curve[curve.len() - 1]);
        let what = format!("{amount}: {from} to {to}, visits");
        group.rows.push(Row::compared(what, "1/s", last, first, None));
        group.raw[id] = json!(curve);
        group.plots.push(Plot::new(
            &format!("growth-{id}"),
            &format!("Visits a second by {amount}"),
            Axis::log(amount),
            Axis::linear("visits/s"),
            vec![Series { name: String::new(), points: curve }],
        ));
    }
    // What must not bend: a buffered visit does not look through what is buffered already.
    if let Some(row) = group.rows.iter_mut().find(|row| row.what.starts_with("pages in the buffer")) {
        row.goal = Some(Goal::AtLeast(0.5));
    }
    group
}

const NOTES: [&str; 4] = [
    "Pages: 30,000 visits, each of the next page. Above 500 pages a flush is due every 500 visits \
     of new pages and not each 30 s, and Redis works on the same two processors: the worst that a site can do.",
    "Buffer: both shards refuse, and each page has one visit. A visit looks for its page in each open batch of 500 in turn.",
    "Shards: all on one server, each visit of another of 1,000 pages; placing takes longer by 1.5 ns a shard, and a flush has a \
     call for each.",
    "Environments: in the lifecycle simulator, each frozen after its event and thawed for the next, with 8 visits at a time; the \
     simulator and all environments share this machine, so the curve is flat where Lambda's would rise in proportion.",
];

fn measure(subject: &Subject, pages: usize, count: usize) -> f64 {
    let environment = subject.start();
    environment.run(&events::in_turn(RECORD, 1), OK, 500);
    rate(count, environment.run(&events::in_turn(RECORD, pages), OK, count).wall)
}

fn pages(effort: Effort) -> Curve {
    let sites: &[usize] = effort.choose(&[10, 100, 1_000, 10_000, 100_000, 1_000_000], &[10, 1_000]);
    let servers = servers(2);
    let subject = Subject::function("record-visit").on(&servers);
    let count = effort.choose(30_000, 1_500);
    sites.iter().map(|pages| (*pages as f64, measure(&subject, *pages, count))).collect()
}

fn buffer(effort: Effort) -> Curve {
    let steps = effort.choose(&[1_000, 5_000, 10_000, 20_000, 50_000][..], &[1_000, 3_000]);
    let environment = Subject::function("record-visit").on_nothing().with("VISITS_BUFFER_PAGES", "1000000").start();
    let mut from = 0;
    let mut measured = |to: &usize| {
        let (begin, count) = (from, to - from);
        from = *to;
        let events = events::events(RECORD, move |number| events::id(begin + number));
        (*to as f64, rate(count, environment.run(&events, OK, count).wall))
    };
    steps.iter().map(&mut measured).collect()
}

fn shards(effort: Effort) -> Curve {
    let numbers: &[usize] = effort.choose(&[2, 4, 8, 16, 32, 64], &[2, 64]);
    let server = &servers(1)[0];
    let with = |shards: usize| {
        let endpoints: Vec<String> = (0..shards).map(|shard| format!("shard_{shard}={}", server.url())).collect();
        let subject = Subject::function("record-visit").with("REDIS_ENDPOINTS", endpoints.join(","));
        // A namespace of its own: a server's shards belong to one deployment.
        let subject = subject.with("VISITS_NAMESPACE", format!("with_{shards}"));
        measure(&subject, 1_000, effort.choose(20_000, 1_500))
    };
    numbers.iter().map(|shards| (*shards as f64, with(*shards))).collect()
}
