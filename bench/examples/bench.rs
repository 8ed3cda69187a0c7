//! Measures, and writes `target/bench/figures.json`; `make bench` makes the report of it.
//!
//!     cargo run --release -p visits-bench --example bench -- [GROUP]...      default: all of them

use std::process::ExitCode;
use visits_bench::{effort::Effort, figures::Figures, groups, machine};

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let known: Vec<&str> = groups::ALL.iter().map(|group| group.id).collect();
    if let Some(unknown) = wanted.iter().find(|id| !known.contains(&id.as_str())) {
        eprintln!("error: there is no group {unknown}; known are {}", known.join(" "));
        return ExitCode::FAILURE;
    }
    let chosen = groups::ALL.iter().filter(|group| wanted.is_empty() || wanted.iter().any(|id| id == group.id));
    let groups = chosen.map(|group| {
        eprintln!("{}", group.id);
        let measured = (group.run)(Effort::Full);
        for row in &measured.rows {
            eprintln!("  {row}");
        }
        measured
    });
    let figures = Figures { groups: groups.collect(), machine: machine::describe() };
    match figures.write() {
        Ok(path) => eprintln!("written: {}", path.display()),
        Err(error) => {
            eprintln!("error: the figures cannot be written: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
