//! The commands, each in a file of its own.

mod completions;
mod delete;
mod export;
mod get;
mod import;
mod owner;
mod plan;
mod rehome;
mod shards;
mod top;

use crate::args::{Cli, Command};
use crate::exit::{Failure, Outcome};
use crate::output::Output;
use crate::settings;
use crate::shards::Shards;
use std::io::Write as _;
use tokio::runtime::Builder;

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> Result<Outcome, Failure> {
    let Cli { common, command } = cli;
    let mut output = Output::stdout(common.json);
    let shards = || Shards::looking(settings::read(&common)?);
    let outcome = match command {
        Command::Get(args) => wait(get::run(&args, &shards()?, &mut output)),
        Command::Owner(args) => owner::run(&args, &settings::read(&common)?, &mut output),
        Command::Top(args) => wait(top::run(&args, &shards()?, &mut output)),
        Command::Shards => wait(shards::run(&shards()?, &mut output)),
        Command::Plan(args) => {
            let after = settings::with_endpoints(&common, &args.new_endpoints)?;
            wait(plan::run(&after, &shards()?, &mut output))
        }
        Command::Export(args) => wait(export::run(&args, &shards()?, &mut output)),
        Command::Import(args) if args.dry_run => import::look(&args, &mut output),
        Command::Import(args) => wait(import::run(&args, &Shards::changing(settings::read(&common)?)?, &mut output)),
        Command::Delete(args) => wait(delete::run(&args, &shards()?, &mut output)),
        Command::Rehome => wait(rehome::run(&Shards::changing(settings::read(&common)?)?, &mut output)),
        Command::Completions(args) => completions::run(&args, &mut output),
    }?;
    output.flush()?;
    Ok(outcome)
}

fn wait(command: impl Future<Output = Result<Outcome, Failure>>) -> Result<Outcome, Failure> {
    Builder::new_current_thread().enable_all().build().map_err(Failure::Start)?.block_on(command)
}
