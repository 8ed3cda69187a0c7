//! `visits export`: all pages with their counts, as JSON Lines.

use crate::args::ExportArgs;
use crate::exit::{Failure, Outcome};
use crate::output::{NO_ERRORS, Output};
use crate::progress::Progress;
use crate::shards::{Count, Shards};
use crate::walk::{Seen, Tour};
use crate::warnings::Warnings;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use visits_core::page::PageId;
use visits_import::ExportWriter;

/// Writes to the file that `args` names, or else to `output`.
pub(crate) async fn run(args: &ExportArgs, shards: &Shards, output: &mut Output) -> Result<Outcome, Failure> {
    // A bar between lines on one terminal would be read by nobody.
    let Some(path) = &args.output else { return export(shards, output, !io::stdout().is_terminal()).await };
    let target = Target::new(path);
    let written = target.write(shards).await;
    if written.is_err() {
        target.discard();
    }
    written
}

/// A file that appears when it is complete: half an export must not be taken for a whole one.
struct Target {
    path: PathBuf,
    /// Where it is written to until then; none for a device or a pipe.
    partial: Option<PathBuf>,
}

impl Target {
    fn new(path: &Path) -> Self {
        // Of a link, the file that it points to.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let is_other = path.metadata().is_ok_and(|found| !found.is_file());
        let mut partial = OsString::from(&path);
        partial.push(".partial");
        Self { path, partial: (!is_other).then(|| partial.into()) }
    }

    async fn write(&self, shards: &Shards) -> Result<Outcome, Failure> {
        let file = File::create(self.partial.as_ref().unwrap_or(&self.path))?;
        let mut output = Output::file(file.try_clone()?);
        let outcome = export(shards, &mut output, true).await?;
        output.flush()?;
        if let Some(partial) = &self.partial {
            file.sync_all()?;
            fs::rename(partial, &self.path)?;
        }
        Ok(outcome)
    }

    fn discard(&self) {
        // The failure that is told is the one that led here.
        let _ = self.partial.as_ref().map(fs::remove_file);
    }
}

async fn export(shards: &Shards, output: &mut Output, bar: bool) -> Result<Outcome, Failure> {
    let mut writer = ExportWriter::new(&mut *output, &shards.config.namespace)?;
    let (mut seen, mut warnings) = (Seen::default(), Warnings::default());
    let mut progress = Progress::of_walk(shards.len(), bar);
    let mut tour = Tour::begin(shards, &mut warnings).await?;
    while let Some(mut pages) = tour.next(&mut progress, &mut warnings).await? {
        pages.retain(|page| seen.is_new(page));
        write(&pages, shards, &mut writer, &mut warnings).await?;
    }
    writer.finish()?;
    progress.finish();
    let warnings = warnings.list();
    output.tell(NO_ERRORS, &warnings)?;
    Ok(Outcome::with(&warnings))
}

/// Writes a slice of pages; those without visits are as good as unknown.
async fn write(
    pages: &[PageId],
    shards: &Shards,
    export: &mut ExportWriter<&mut Output>,
    warnings: &mut Warnings,
) -> Result<(), Failure> {
    for (page, count) in pages.iter().zip(shards.counts(pages).await?) {
        match count {
            Ok(Count { visits: 0, .. }) => {}
            Ok(Count { visits, bots }) => export.page(page, visits, bots.min(visits))?,
            Err(reason) => warnings.add(format!("the page {page} is left out: {reason}")),
        }
    }
    Ok(())
}
