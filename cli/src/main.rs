//! `visits`: the operator's command line to the shards of the visit counter.

mod args;
mod commands;
mod exit;
mod output;
mod policy;
mod progress;
mod rings;
mod settings;
mod shards;
mod share;
mod table;
mod usage;
mod walk;
mod warnings;

use args::Cli;
use clap::Parser as _;
use std::process::ExitCode;
use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    // What the core logs as an error, such as a record that cannot be moved, is the operator's to know.
    let log = tracing_subscriber::fmt().with_writer(|| output::LogWriter).without_time().with_target(false);
    log.with_max_level(LevelFilter::ERROR).init();
    match Cli::try_parse() {
        Ok(cli) => exit::code(commands::run(cli)),
        Err(error) => usage::report(&error),
    }
}
