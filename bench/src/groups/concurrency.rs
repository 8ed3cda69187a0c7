//! Managed Instances: several requests at the same time in one environment.

use crate::effort::Effort;
use crate::events::{self, OK, RECORD};
use crate::figures::{Axis, Goal, Group, Plot, Row, Series};
use crate::server::applies;
use crate::statistics::{micros, percentile, rate};
use crate::subject::{Subject, endpoints, servers};
use fault_proxy::{Fault, FaultProxy};
use serde_json::{Value, json};
use std::time::Duration;

/// Requests at the same time.
const AT_ONCE: [u32; 4] = [1, 4, 16, 64];

/// From an environment to Redis and back: a machine of another zone. The proxy keeps time by the millisecond.
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// One measurement.
struct Point {
    at_once: f64,
    rate: f64,
    p99: f64,
    visits_per_call: f64,
}

/// Measures both kinds of durability.
pub fn run(effort: Effort) -> Group {
    let mut group = Group::new("concurrency", "Many requests at once in one environment", "one at a time", &NOTES);
    buffered(&mut group, effort);
    direct(&mut group, effort);
    group
}

fn buffered(group: &mut Group, effort: Effort) {
    let points = measure_all("buffered", effort);
    let bare: Vec<(f64, f64)> = AT_ONCE.iter().map(|at_once| (f64::from(*at_once), bare(*at_once, effort))).collect();
    group.rows.extend(rate_rows("buffered", &points));
    let what = "buffered: visits with 64 at once, against the bare handler with 64";
    group.rows.push(Row::compared(what, "1/s", points[3].rate, bare[3].1, Some(Goal::AtLeast(0.92))));
    let mut rates = plot("buffered-rate", "buffered: visits/s", &points, |point| point.rate);
    rates.series.push(Series { name: "bare handler".into(), points: bare });
    group.plots.push(rates);
    group.raw["buffered"] = raw(&points);
}

fn direct(group: &mut Group, effort: Effort) {
    let points = measure_all("direct", effort);
    group.rows.extend(rate_rows("direct", &points));
    let [one, many] = [&points[0], &points[3]].map(|point| 1.0 / point.visits_per_call);
    let what = "direct: calls of Redis a visit with 64 at once";
    group.rows.push(Row::compared(what, "", many, one, Some(Goal::AtMost(1.0 / 16.0))));
    group.plots.push(plot("direct-rate", "direct: visits/s", &points, |point| point.rate));
    group.plots.push(plot("direct-calls", "direct: visits a call of Redis", &points, |point| point.visits_per_call));
    group.raw["direct"] = raw(&points);
}

fn measure_all(durability: &str, effort: Effort) -> Vec<Point> {
    AT_ONCE.iter().map(|at_once| measure(durability, *at_once, effort)).collect()
}

fn rate_rows(durability: &str, points: &[Point]) -> Vec<Row> {
    let row = |point: &Point| {
        let what = format!("{durability}: visits with {} at once", point.at_once);
        Row::compared(what, "1/s", point.rate, points[0].rate, Some(Goal::AtLeast(1.0)))
    };
    points[1..].iter().map(row).collect()
}

fn plot(id: &str, title: &str, points: &[Point], value: fn(&Point) -> f64) -> Plot {
    Plot::new(
        &format!("concurrency-{id}"),
        title,
        Axis::log("requests at once"),
        Axis::linear(title),
        vec![Series {
            name: "ours".into(),
            points: points.iter().map(|point| (point.at_once, value(point))).collect(),
        }],
    )
}

fn raw(points: &[Point]) -> Value {
    let point = |point: &Point| json!({ "at_once": point.at_once, "rate": point.rate, "p99_us": point.p99, "visits_per_call": point.visits_per_call });
    points.iter().map(point).collect()
}

const NOTES: [&str; 3] = [
    "`AWS_LAMBDA_MAX_CONCURRENCY` is set as Lambda sets it; as many requests are always open. The environment shares this machine's \
     processors with the driver, and with Redis in `direct`.",
    "Buffered, more at once hide the time between two events; the rate ends where the processors do, and falls again as the \
     driver's threads (one a request) crowd them: the bare handler's line bends with ours.",
    "`direct`: a proxy keeps Redis one to two milliseconds away. While a call is on its way, further visits gather for the next: the \
     calls stay as fast as the network allows, and the visits in each grow.",
];

/// The bare handler's rate.
fn bare(at_once: u32, effort: Effort) -> f64 {
    let subject = Subject::bare().with("AWS_LAMBDA_MAX_CONCURRENCY", at_once.to_string()).on_any_processor();
    let environment = subject.start();
    let events = events::in_turn(RECORD, 100);
    environment.run(&events, OK, 500);
    let count = effort.choose(40_000, 2_000);
    rate(count, environment.run(&events, OK, count).wall)
}

fn measure(durability: &str, at_once: u32, effort: Effort) -> Point {
    let servers = servers(2);
    let proxies: Vec<FaultProxy> = servers
        .iter()
        .map(|server| {
            let proxy = FaultProxy::start(([127, 0, 0, 1], server.port()).into());
            if durability == "direct" {
                proxy.set(Fault::Delay(ROUND_TRIP));
            }
            proxy
        })
        .collect();
    // Under the names that the servers know: another name's visits would be refused.
    let endpoints = servers
        .iter()
        .zip(&proxies)
        .fold(endpoints(&servers), |endpoints, (server, proxy)| endpoints.replace(&server.url(), &proxy.url()));
    let environment = Subject::function("record-visit")
        .with("REDIS_ENDPOINTS", endpoints)
        .with("VISITS_DURABILITY", durability)
        .with("AWS_LAMBDA_MAX_CONCURRENCY", at_once.to_string())
        .on_any_processor()
        .start();
    let events = events::in_turn(RECORD, 100);
    environment.run(&events, OK, 500);
    let calls = || servers.iter().map(applies).sum::<u64>();
    let before = calls();
    let count = match durability {
        "direct" => effort.choose(1_500 * at_once.min(16), 100 * at_once),
        _ => effort.choose(40_000, 2_000),
    } as usize;
    let mut run = environment.run(&events, OK, count);
    let after = calls();
    assert!(after > 0, "no visit reached Redis");
    let visits_per_call = count as f64 / (after - before).max(1) as f64;
    let p99 = micros(percentile(&mut run.latencies, 99.0));
    Point { at_once: at_once.into(), rate: rate(count, run.wall), p99, visits_per_call }
}
