//! Measures the time for one agent: `cargo run --release -p visits-bots --example rate`. The agents are the tests' browsers and
//! crawlers; the best of several rounds is printed.

use std::hint::black_box;
use std::time::{Duration, Instant};
use visits_bots::is_bot;

const FIXTURES: [(&str, &str); 2] = [
    ("browsers", include_str!("../tests/fixtures/user-agents.tsv")),
    ("crawlers", include_str!("../tests/fixtures/crawler-user-agents.tsv")),
];

fn main() {
    for (what, fixture) in FIXTURES {
        let agents: Vec<&str> = fixture.lines().filter_map(|line| Some(line.split_once('\t')?.1)).collect();
        let bytes: usize = agents.iter().map(|agent| agent.len()).sum();
        let best = (0..100).map(|_| round(&agents)).min().unwrap_or_default();
        let each = best.as_nanos() / agents.len() as u128;
        println!("{what}: {} agents of {} bytes, {each} ns each", agents.len(), bytes / agents.len());
    }
    let long = "Mozilla/5.0 ".repeat(100);
    let best = (0..100).map(|_| round(&[&long])).min().unwrap_or_default();
    println!("a text of {} bytes: {} ns", long.len(), best.as_nanos());
}

fn round(agents: &[&str]) -> Duration {
    let start = Instant::now();
    for agent in agents {
        black_box(is_bot(black_box(agent)));
    }
    start.elapsed()
}
