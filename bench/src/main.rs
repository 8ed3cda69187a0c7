//! Measures, and writes `target/bench/figures.json`; `make bench` makes the report of it.
//!
//!     cargo run --release -p visits-bench -- [GROUP]...      default: all of them

use std::path::Path;
use std::process::ExitCode;
use std::{fs, io};
use visits_bench::{Effort, GROUPS, Known, figures};

fn main() -> io::Result<ExitCode> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|wanted| GROUPS.iter().all(|(id, _)| id != wanted)) {
        let known: Vec<&str> = GROUPS.iter().map(|(id, _)| *id).collect();
        eprintln!("error: there is no group {unknown}; known are {}", known.join(" "));
        return Ok(ExitCode::FAILURE);
    }
    let is_wanted = |(id, _): &&Known| wanted.is_empty() || wanted.iter().any(|wanted| wanted == id);
    let chosen: Vec<Known> = GROUPS.iter().filter(is_wanted).copied().collect();
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench"));
    fs::create_dir_all(folder)?;
    let figures = figures::measure(&chosen, Effort::Full, &folder.join("figures.json"))?;
    let failed = figures.groups.iter().any(|group| group.failed.is_some());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
