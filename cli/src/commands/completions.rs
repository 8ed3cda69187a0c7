//! `visits completions`: what a shell needs to complete our command lines.

use crate::args::{Cli, CompletionsArgs};
use crate::exit::{Failure, Outcome};
use crate::output::Output;
use clap::CommandFactory as _;
use std::io::Write as _;

/// Writes the script for one shell.
pub(crate) fn run(args: &CompletionsArgs, output: &mut Output) -> Result<Outcome, Failure> {
    // The generator panics where it cannot write, so it does not write to the output itself.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "visits", &mut script);
    output.write_all(&script)?;
    Ok(Outcome::Done)
}
