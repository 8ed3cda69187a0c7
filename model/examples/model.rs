//! Checks every configuration, then every mutant, of the batch protocol and of re-homing, and prints a table. Fails if a
//! protocol does not hold, or a mutant does. With `long` it checks two more configurations of re-homing.

use protocol_model::check::{Bounded, HEADER, Outcome, check, find, refute, steps};
use protocol_model::model::ProtocolModel;
use protocol_model::rehome::model::RehomeModel;
use protocol_model::{configs, mutants, rehome};
use std::fmt::Debug;
use std::process::ExitCode;

fn main() -> ExitCode {
    println!("{HEADER}");
    let mut all_well = true;
    for config in configs::all().into_iter().chain(mutants::harmless_late_answers()) {
        all_well &= holds(ProtocolModel { config });
    }
    println!("\nRe-homing");
    let long = if std::env::args().any(|it| it == "long") { rehome::configs::long() } else { Vec::new() };
    let more = rehome::configs::large().into_iter().chain(long).chain(rehome::mutants::take_before_all_marked());
    for config in rehome::configs::all().into_iter().chain(more) {
        all_well &= holds(RehomeModel { config });
    }
    println!("\nMutants: the protocol with one rule changed, and the length of the shortest counterexample");
    for (config, property) in mutants::all() {
        all_well &= fails(config.name, property, refute(&ProtocolModel { config }, property).as_deref());
    }
    println!("\nMutants of re-homing, and the length of a counterexample");
    for (config, property) in rehome::mutants::all() {
        all_well &= fails(config.name, property, find(RehomeModel { config }, property).as_deref());
    }
    if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn holds<M: Bounded>(model: M) -> bool {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let outcome: Outcome<M::Action> = check(model, threads);
    println!("{outcome}");
    for (property, path) in &outcome.violations {
        println!("does not hold: {property}\n{}", steps(path));
    }
    for missed in &outcome.missed {
        println!("never happens: {missed}");
    }
    outcome.violations.is_empty() && outcome.missed.is_empty()
}

fn fails<Action: Debug>(name: &str, property: &str, path: Option<&[Action]>) -> bool {
    match path {
        Some(path) => println!("{name:48} {:3} steps against: {property}", path.len()),
        None => println!("{name:48} NOT FOUND"),
    }
    path.is_some()
}
