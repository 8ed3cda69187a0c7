//! The same two routes in Python: what people use instead.

use crate::effort::Effort;
use crate::events::{self, OK, READ, RECORD};
use crate::figures::{Axis, Goal, Group, Plot, Row, Series};
use crate::python::fixture;
use crate::statistics::{median, micros, millis, percentile, rate};
use crate::subject::{Subject, endpoints, servers};
use serde_json::json;

/// Seconds between two flushes of the fixture, as of ours.
const INTERVAL: u64 = 30;

/// Holds for every right answer of Python's.
const PYTHON_OK: &str = "\"statusCode\": 200";

/// Measures our two functions against one Python function with both routes.
pub fn run(effort: Effort) -> Group {
    let servers = servers(2);
    let python = fixture(&endpoints(&servers), INTERVAL);
    // Once before anything is measured: the first start compiles the fixture.
    python.start().init();
    let mut group = Group::new("python", "Against FastAPI under Mangum", "Python", &NOTES);
    let mut bars = Vec::new();
    for (name, route) in [("record-visit", RECORD), ("get-visits", READ)] {
        let ours = measure(&Subject::function(name).on(&servers), route, OK, effort);
        let other = measure(&python, route, PYTHON_OK, effort);
        let goal = |goal| Some(goal);
        let compared =
            |what: &str, unit, ours, other, goal| Row::compared(format!("{name}: {what}"), unit, ours, other, goal);
        group.rows.extend([
            compared("invocations", "1/s", ours.rate, other.rate, goal(Goal::AtLeast(2.5))),
            compared("p99", "us", ours.p99, other.p99, None),
            compared("start to the first /next", "ms", ours.init, other.init, goal(Goal::AtMost(1.0 / 80.0))),
            compared("memory at idle", "bytes", ours.resident, other.resident, goal(Goal::AtMost(1.0 / 6.0))),
        ]);
        bars.push((name, ours.rate, other.rate));
        group.raw[name] = json!({ "init_ms": ours.inits, "python_init_ms": other.inits });
    }
    group.plots.push(plot(&bars));
    group
}

const NOTES: [&str; 2] = [
    "The Python function (`bench/python/app.py`) does what is usually written: a dictionary as cache and one as buffer, FastAPI \
     under Mangum and AWS's `awslambdaric`, packages compiled beforehand.",
    "Its memory is that of the process after its first thousand events.",
];

struct Measured {
    rate: f64,
    p99: f64,
    init: f64,
    inits: Vec<f64>,
    resident: f64,
}

fn measure(subject: &Subject, route: events::Route, ok: &'static str, effort: Effort) -> Measured {
    let starts = effort.choose(7, 2);
    let inits: Vec<f64> = (0..starts).map(|_| millis(subject.start().init())).collect();
    let environment = subject.start();
    let events = events::in_turn(route, 100);
    environment.run(&events, ok, 1_000);
    let resident = environment.usage().resident as f64;
    let (mut rates, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..effort.choose(5, 1) {
        let mut run = environment.run(&events, ok, effort.choose(2_000, 300));
        rates.push(rate(run.latencies.len(), run.wall));
        p99.push(micros(percentile(&mut run.latencies, 99.0)));
    }
    Measured { rate: median(&rates), p99: median(&p99), init: median(&inits), inits, resident }
}

fn plot(bars: &[(&str, f64, f64)]) -> Plot {
    let series = |name, value: fn(&(&str, f64, f64)) -> f64| Series::bars(name, bars.iter().map(value));
    Plot::new(
        "python",
        "Invocations a second, ours and Python's",
        Axis::named(bars.iter().map(|(name, ..)| *name)),
        Axis::linear("invocations/s"),
        vec![series("ours", |bar| bar.1), series("Python", |bar| bar.2)],
    )
}
