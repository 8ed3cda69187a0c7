//! Measures, and writes `target/bench/figures.json`; `make bench` makes the report of it.
//!
//!     cargo run --release -p visits-bench --example bench -- [GROUP]...      default: all of them

use std::path::Path;
use std::process::ExitCode;
use std::{fs, io};
use visits_bench::effort::Effort;
use visits_bench::groups::{self, Known};

fn main() -> io::Result<ExitCode> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let known: Vec<&str> = groups::ALL.iter().map(|(id, _)| *id).collect();
    if let Some(unknown) = wanted.iter().find(|id| !known.contains(&id.as_str())) {
        eprintln!("error: there is no group {unknown}; known are {}", known.join(" "));
        return Ok(ExitCode::FAILURE);
    }
    let is_wanted = |(id, _): &&Known| wanted.is_empty() || wanted.iter().any(|wanted| wanted == id);
    let chosen: Vec<Known> = groups::ALL.iter().filter(is_wanted).copied().collect();
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench"));
    fs::create_dir_all(folder)?;
    let figures = groups::measure(&chosen, Effort::Full, &folder.join("figures.json"))?;
    let failed = figures.groups.iter().any(|group| group.failed.is_some());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
