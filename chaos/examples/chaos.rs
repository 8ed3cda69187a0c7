//! Runs every scenario of `make chaos` in full, as a table. Arguments name scenarios; without any, all run.

use chaos::report::{Report, Row};
use chaos::scenario::{crash, faults, growth, idle, kill, outage, shutdown, sigterm};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

/// The number in an environment variable, or else what the figures are promised for.
fn number<T: FromStr>(variable: &str, promised: T) -> T {
    std::env::var(variable).ok().and_then(|number| number.parse().ok()).unwrap_or(promised)
}

#[tokio::main]
async fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let mut report = Report::default();
    let mut add = |rows: Vec<Row>| {
        // A part of the table at once: the whole of it takes half an hour.
        eprintln!("{}", Report(rows.clone()));
        report.0.extend(rows);
    };
    if wants("faults") {
        // For each of the seeds.
        let (visits, seeds) = (number("CHAOS_VISITS", 200_000), number("CHAOS_SEEDS", 20));
        add(faults::run(faults::Size { visits, environments: 20, seeds }).await);
    }
    if wants("outage") {
        add(outage::run(outage::Size { clients: 20, down: Duration::from_mins(5) }).await);
    }
    if wants("crash") {
        add(crash::run(crash::Size { clients: 20, crashes: 6 }).await);
    }
    if wants("kill") {
        add(kill::run(kill::Size { environments: 20, rounds: 20 }).await);
    }
    if wants("shutdown") {
        add(shutdown::run(shutdown::Size { environments: 200 }).await);
        add(sigterm::run(sigterm::Size { environments: 20 }).await);
    }
    if wants("growth") {
        let (pages, rate) = (number("CHAOS_PAGES", 200_000), number("CHAOS_RATE", 2_000));
        let size = growth::Size { pages, rate, patience: Duration::from_mins(5) };
        add(growth::run(size).await);
    }
    if wants("idle") {
        add(idle::run(idle::Size { environments: vec![1, 10, 50], runs: 6, runs_idle: 60 }).await);
    }
    println!("{report}");
    if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
