//! `visits export`: all pages with their counts, as JSON Lines.

use crate::args::ExportArgs;
use crate::output::{Failure, NO_ERRORS, Outcome, Output};
use crate::shards::{Count, Seen, Shards};
use indicatif::ProgressDrawTarget;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use visits_core::page::PageId;
use visits_import::ExportWriter;

/// Writes to the file that `args` names, or else to `output`.
pub(crate) async fn run(args: &ExportArgs, shards: &Shards, output: &mut Output) -> Result<Outcome, Failure> {
    if let Some(path) = &args.output {
        return export_to(path, shards).await;
    }
    // A bar between lines on one terminal cannot be read.
    if io::stdout().is_terminal() {
        shards.bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    export(shards, output).await
}

/// Writes a file that appears when it is complete: half an export must not be taken for a whole one.
async fn export_to(path: &Path, shards: &Shards) -> Result<Outcome, Failure> {
    // Of a link, the file that it points to.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        // A device or a pipe.
        return Ok(write_file(&path, shards).await?.0);
    }
    let mut partial = path.clone().into_os_string();
    partial.push(".partial");
    let written = async {
        let (outcome, file) = write_file(partial.as_ref(), shards).await?;
        file.sync_all()?;
        fs::rename(&partial, &path)?;
        Ok(outcome)
    };
    let written = written.await;
    if written.is_err() {
        // The failure to report is the one that led here.
        let _ = fs::remove_file(&partial);
    }
    written
}

async fn write_file(path: &Path, shards: &Shards) -> Result<(Outcome, File), Failure> {
    let file = File::create(path)?;
    let mut output = Output::file(file.try_clone()?);
    let outcome = export(shards, &mut output).await?;
    output.flush()?;
    Ok((outcome, file))
}

async fn export(shards: &Shards, output: &mut Output) -> Result<Outcome, Failure> {
    let mut writer = ExportWriter::new(&mut *output, &shards.config.namespace)?;
    let mut seen = Seen::default();
    let write = async |mut pages: Vec<PageId>| {
        pages.retain(|page| seen.is_new(page));
        for (page, count) in pages.iter().zip(shards.counts(&pages).await?) {
            match count {
                // A page without visits is as good as unknown.
                Ok(Count { visits: 0, .. }) => {}
                Ok(Count { visits, bots }) => writer.page(page, visits, bots.min(visits))?,
                Err(reason) => shards.warn(format!("the page {page} is left out: {reason}")),
            }
        }
        Ok(())
    };
    shards.walk_all(write).await?;
    writer.finish()?;
    output.end(NO_ERRORS, &shards.finish())
}
