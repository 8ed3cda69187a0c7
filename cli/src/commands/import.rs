//! `visits import`: counts from an export, an access log or another counter, exactly once under the import's id.

mod report;
mod source;

use crate::args::import::ImportArgs;
use crate::exit::{Failure, Outcome};
use crate::output::{Output, counted};
use crate::progress;
use crate::shards::Shards;
use indicatif::ProgressBar;
use report::Report;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use visits_import::{Import, Progress, Stage, import, spool, survey};

/// Imports the file, or tells that it was imported before.
pub(crate) async fn run(args: &ImportArgs, shards: &Shards, output: &mut Output) -> Result<Outcome, Failure> {
    let id = args.id.clone().ok_or_else(|| Failure::Usage("--id is missing".to_owned()))?;
    let what = Import::new(id.clone(), source::of(args)?);
    let (mut file, bytes) = file(&args.file)?;
    let bar = progress::bar(bytes, true);
    let show = &mut |progress: &Progress| show(progress, &bar);
    let ended = import(&shards.store, &shards.config, &what, &mut file, show).await;
    bar.finish_and_clear();
    Report::imported(&id, ended.map_err(|error| Failure::Refused(error.to_string()))?).write(output)
}

/// Only reads the file; asks no shard.
pub(crate) fn look(args: &ImportArgs, output: &mut Output) -> Result<Outcome, Failure> {
    let (input, bytes) = open(&args.file)?;
    let bar = progress::bar(bytes, true);
    let summary = survey(&source::of(args)?, input, &mut |summary| bar.set_position(summary.bytes));
    bar.finish_and_clear();
    Report::surveyed(&summary.map_err(|error| Failure::Refused(error.to_string()))?).write(output)
}

fn show(progress: &Progress, bar: &ProgressBar) {
    bar.set_position(progress.bytes);
    bar.set_message(match progress.stage {
        Stage::Checking => "checking".to_owned(),
        Stage::Importing => {
            let visits = counted(progress.visits, "visit", "visits");
            format!("{visits}, {} sent", counted(progress.batches_sent, "batch", "batches"))
        }
    });
}

/// The input and its length in bytes; 0 where that is not known.
fn open(path: &Path) -> Result<(Box<dyn Read>, u64), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), 0));
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let bytes = file.metadata().map_err(|error| unreadable(path, &error))?.len();
    Ok((Box::new(file), bytes))
}

/// The same as a file that can be read twice.
fn file(path: &Path) -> Result<(File, u64), Failure> {
    let is_file = path.metadata().is_ok_and(|found| found.is_file());
    let file = if is_file { File::open(path) } else { spool(&mut open(path)?.0) };
    let file = file.map_err(|error| unreadable(path, &error))?;
    let bytes = file.metadata().map_err(|error| unreadable(path, &error))?.len();
    Ok((file, bytes))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Refused(format!("{} cannot be read: {error}", path.display()))
}
