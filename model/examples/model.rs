//! Checks every configuration, then every mutant, and prints a table. Fails if the protocol does not hold, or a
//! mutant does.

use protocol_model::check::{Outcome, check, refute, steps};
use protocol_model::config::Config;
use protocol_model::{configs, mutants};
use std::process::ExitCode;

fn main() -> ExitCode {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{}", Outcome::HEADER);
    let mut all_well = true;
    for config in configs::all().into_iter().chain(mutants::harmless_late_answers()) {
        all_well &= holds(&check(config, threads));
    }
    println!("\nMutants: the protocol with one rule changed, and the length of the shortest counterexample");
    for (config, property) in mutants::all() {
        all_well &= fails(&config, property);
    }
    if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn holds(outcome: &Outcome) -> bool {
    println!("{outcome}");
    for (property, path) in &outcome.violations {
        println!("does not hold: {property}\n{}", steps(path));
    }
    for missed in &outcome.missed {
        println!("never happens: {missed}");
    }
    outcome.violations.is_empty() && outcome.missed.is_empty()
}

fn fails(config: &Config, property: &'static str) -> bool {
    let path = refute(config, property);
    match &path {
        Some(path) => println!("{:48} {:3} steps against: {property}", config.name, path.len()),
        None => println!("{:48} NOT FOUND", config.name),
    }
    path.is_some()
}
