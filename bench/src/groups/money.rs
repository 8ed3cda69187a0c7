//! What it costs: a month of visits on Lambda, from the time that is billed here.

use crate::effort::Effort;
use crate::events::{self, OK, RECORD};
use crate::figures::{Axis, Group, Plot, Row, Series};
use crate::subject::{Subject, servers};
use serde_json::json;

/// List prices in US dollars, us-east-1, without free tiers; see docs/PERFORMANCE.md for where they stand.
mod prices {
    /// A million requests of Lambda.
    pub(super) const REQUESTS: f64 = 0.20;
    /// A GB-second of arm64.
    pub(super) const GB_SECOND: f64 = 0.000_013_333_4;
    /// A million requests of an HTTP API.
    pub(super) const HTTP_API: f64 = 1.00;
    /// A million writes of `DynamoDB` on demand, up to 1 KB each.
    pub(super) const DYNAMODB_WRITE: f64 = 0.625;
}

/// Memory of the function in GB.
const MEMORY: f64 = 0.125;

/// Share of a processor that 128 MB get on Lambda: a whole one comes with 1,769 MB.
const SHARE: f64 = 128.0 / 1769.0;

/// Measures the processor time of a visit, and makes a bill of it.
pub fn run(effort: Effort) -> Group {
    let servers = servers(2);
    let environment = Subject::function("record-visit").on(&servers).with("VISITS_FLUSH_INTERVAL", "100ms").start();
    environment.run(&events::in_turn(RECORD, 100), OK, 500);
    let count = effort.choose(30_000, 2_000);
    let before = environment.usage().cpu;
    environment.run(&events::in_turn(RECORD, 100), OK, count);
    let busy = environment.usage().cpu.saturating_sub(before).as_secs_f64() * 1e3 / count as f64;
    // Lambda bills whole milliseconds.
    let billed = (busy / SHARE).ceil().max(1.0);
    group(busy, billed)
}

fn group(busy: f64, billed: f64) -> Group {
    let lambda = prices::REQUESTS + billed * 1e-3 * 1e6 * MEMORY * prices::GB_SECOND;
    let ways = [("function URL", lambda), ("HTTP API", lambda + prices::HTTP_API)];
    let mut rows = vec![
        Row::alone("processor time of a visit, its share of the flushes included", "ms", busy, None),
        Row::alone("billed for a visit at 128 MB", "ms", billed, None),
    ];
    for (way, million) in ways {
        for (months, visits) in [(1.0, "1 M"), (100.0, "100 M")] {
            let what = format!("{visits} visits a month, {way}, in dollars");
            rows.push(Row::compared(what, "$", million * months, (million + prices::DYNAMODB_WRITE) * months, None));
        }
    }
    let bars = [
        lambda,
        lambda + prices::DYNAMODB_WRITE,
        lambda + prices::HTTP_API,
        lambda + prices::HTTP_API + prices::DYNAMODB_WRITE,
    ];
    let names = ["URL, ours", "URL, DynamoDB", "HTTP API, ours", "HTTP API, DynamoDB"];
    Group {
        id: "money".into(),
        title: "Money".into(),
        compared_with: "DynamoDB, one write a visit".into(),
        rows,
        plots: vec![Plot::new(
            "money",
            "A million visits",
            Axis::named(names),
            Axis::linear("dollars"),
            vec![Series::bars("", bars)],
        )],
        notes: NOTES.map(str::to_owned).to_vec(),
        raw: json!({ "busy_ms": busy, "billed_ms": billed }),
        ..Group::default()
    }
}

const NOTES: [&str; 3] = [
    "The processor time is measured here, with a flush ten times a second; 128 MB get a fourteenth of a processor, and Lambda bills \
     whole milliseconds, so this is an estimate until it is measured on AWS.",
    "DynamoDB: the same function with one `UpdateItem` a visit instead of Redis, and not even the time that it waits for it.",
    "Redis comes on top: two nodes or a serverless cache by the hour, the same for one visit as for a hundred million. Reads, \
     the schedule (43,200 invocations a month) and logs are not in it.",
];
