//! Memory in RAM: at idle, and for pages that are buffered or cached.

use crate::effort::Effort;
use crate::events::{self, OK, READ, RECORD, Route};
use crate::figures::{Axis, Goal, Group, Plot, Row, Series};
use crate::subject::{Subject, servers};
use serde_json::json;

/// Bytes of each page's id.
const ID: f64 = 20.0;

/// Measures idle environments, and how they grow with the pages that they hold.
pub fn run(effort: Effort) -> Group {
    let servers = servers(2);
    let mut group = Group::new("memory", "Memory of an environment", "bare handler", &NOTES);
    let floor = idle(&Subject::bare(), RECORD);
    for (name, route) in [("record-visit", RECORD), ("get-visits", READ)] {
        let ours = idle(&Subject::function(name).on(&servers), route);
        group.rows.push(Row::compared(
            format!("{name}: resident at idle"),
            "bytes",
            ours,
            floor,
            Some(Goal::AtMost(2.0)),
        ));
    }
    let buffered = Subject::function("record-visit").on_nothing().with("VISITS_BUFFER_PAGES", "1000000");
    let cached = Subject::function("get-visits").on(&servers).with("VISITS_CACHE_PAGES", "1000000");
    let mut lines = Vec::new();
    for (what, subject, route) in [("buffered", buffered, RECORD), ("cached", cached, READ)] {
        let points = growth(&subject, route, effort);
        let at_10_000 = points.iter().find(|(pages, _)| *pages == 10_000).map_or(f64::NAN, |(_, bytes)| *bytes);
        let per_page = at_10_000 / 10_000.0 - ID;
        let what_row = format!("for each of 10,000 {what} pages, over its id");
        group.rows.push(Row::alone(what_row, "bytes", per_page, Some(Goal::AtMost(160.0))));
        group.raw[what] = json!(points);
        let points = points.into_iter().map(|(pages, bytes)| (pages as f64, bytes / 1e6)).collect();
        lines.push(Series { name: what.into(), points });
    }
    group.plots.push(Plot::new(
        "memory",
        "Memory over that of an idle environment",
        Axis::linear("pages held"),
        Axis::linear("MB"),
        lines,
    ));
    group
}

const NOTES: [&str; 3] = [
    "VmRSS of the process, after 2,000 events at idle. Ids are of 20 bytes.",
    "Buffered pages: both shards refuse, so that nothing leaves; batches that were tried are sealed, the others open. A page costs \
     its id's own allocation and a place in a hash table.",
    "The lines have steps where a hash table doubles.",
];

fn idle(subject: &Subject, route: Route) -> f64 {
    let environment = subject.start();
    environment.run(&events::in_turn(route, 10), OK, 2_000);
    environment.usage().resident as f64
}

/// Bytes over idle for growing numbers of pages.
fn growth(subject: &Subject, route: Route, effort: Effort) -> Vec<(usize, f64)> {
    let most = effort.choose(50_000, 10_000);
    let environment = subject.start();
    environment.run(&events::in_turn(route, 1), OK, 2_000);
    let before = environment.usage().resident as f64;
    let step = 2_500;
    let mut points = vec![(0, 0.0)];
    for pages in (0..most).step_by(step) {
        environment.run(&events::events(route, move |number| events::id(pages + number)), OK, step);
        points.push((pages + step, environment.usage().resident as f64 - before));
    }
    points
}
