//! `visits`: the operator's command line to the shards of the visit counter.

mod args;
mod counts;
mod delete;
mod export;
mod import;
mod output;
mod plan;
mod rehome;
mod shards;
mod status;

use args::{Cli, Command};
use clap::{CommandFactory as _, Parser as _};
use output::{Failure, LogWriter, Outcome, Output};
use shards::Shards;
use std::io::Write as _;
use std::process::ExitCode;
use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    // What the core logs as an error, such as a record that cannot be moved, is the operator's to know.
    let log = tracing_subscriber::fmt().with_writer(|| LogWriter).without_time().with_target(false);
    log.with_max_level(LevelFilter::ERROR).init();
    match Cli::try_parse() {
        Ok(cli) => output::code(run(cli)),
        Err(error) => args::report(&error),
    }
}

fn run(Cli { common, command }: Cli) -> Result<Outcome, Failure> {
    let output = &mut Output::stdout(common.json);
    let looking = || Shards::looking(common.settings()?);
    let changing = || Shards::changing(common.settings()?);
    let outcome = match command {
        Command::Get(args) => wait(counts::get(&args, &looking()?, output)),
        Command::Owner(args) => counts::owner(&args, &common.settings()?, output),
        Command::Top(args) => wait(counts::top(&args, &looking()?, output)),
        Command::Shards => wait(status::run(&looking()?, output)),
        Command::Plan(args) => wait(plan::run(&common.planned(&args.new_endpoints)?, &looking()?, output)),
        Command::Export(args) => wait(export::run(&args, &looking()?, output)),
        Command::Import(args) if args.dry_run => import::look(&args, output),
        Command::Import(args) => wait(import::run(&args, &changing()?, output)),
        Command::Delete(args) => wait(delete::run(&args, &looking()?, output)),
        Command::Rehome => wait(rehome::run(&changing()?, output)),
        Command::Completions(args) => {
            // The generator panics where it cannot write, so it does not write to the output itself.
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "visits", &mut script);
            output.write_all(&script)?;
            Ok(Outcome::Done)
        }
    }?;
    output.flush()?;
    Ok(outcome)
}

fn wait(command: impl Future<Output = Result<Outcome, Failure>>) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Start)?;
    runtime.block_on(command)
}
