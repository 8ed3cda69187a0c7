//! `visits import`: counts from an export, an access log or another counter, exactly once under the import's id.

use crate::args::{Format, ImportArgs, Method};
use crate::output::{Failure, NO_ERRORS, Outcome, Output, bar, counted};
use crate::shards::Shards;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use visits_import::{
    CounterOptions, GoatCounterOptions, Import, Imported, LogMethod, LogOptions, PageRule, Source, Stage, import,
    survey,
};

/// Result of an import or a trial; numbers are of the whole input.
#[derive(Serialize)]
struct Document<'a> {
    id: Option<&'a str>,
    result: &'static str,
    #[serde(flatten)]
    imported: Imported,
    warnings: Vec<String>,
}

/// Imports the file, or reports that it was imported before.
pub(crate) async fn run(args: &ImportArgs, shards: &Shards, output: &mut Output) -> Result<Outcome, Failure> {
    let id = args.id.clone().ok_or_else(|| Failure::Usage("--id is missing".to_owned()))?;
    let what = Import::new(id.clone(), source(args)?);
    let (mut file, bytes) = seekable(&args.file).map_err(|error| unreadable(&args.file, &error))?;
    let bar = bar(bytes);
    let show = &mut |progress: &visits_import::Progress| {
        bar.set_position(progress.bytes);
        bar.set_message(match progress.stage {
            Stage::Checking => "checking".to_owned(),
            Stage::Importing => {
                let visits = counted(progress.visits, "visit", "visits");
                format!("{visits}, {} sent", counted(progress.batches_sent, "batch", "batches"))
            }
        });
    };
    let ended = import(&shards.store, &shards.config, &what, &mut file, show).await;
    bar.finish_and_clear();
    match ended.map_err(Failure::refused)? {
        visits_import::Outcome::Imported(imported) => report(Some(id.as_str()), "imported", imported, output),
        visits_import::Outcome::AlreadyImported => {
            report(Some(id.as_str()), "already-imported", Imported::default(), output)
        }
    }
}

/// Only reads the file; asks no shard.
pub(crate) fn look(args: &ImportArgs, output: &mut Output) -> Result<Outcome, Failure> {
    let (input, bytes) = open(&args.file).map_err(|error| unreadable(&args.file, &error))?;
    let bar = bar(bytes);
    let summary = survey(&source(args)?, input, &mut |summary| bar.set_position(summary.bytes));
    bar.finish_and_clear();
    let imported = Imported { summary: summary.map_err(Failure::refused)?, ..Imported::default() };
    report(None, "dry-run", imported, output)
}

/// Opens the input. Returns its length in bytes, too; 0 where that is not known.
fn open(path: &Path) -> io::Result<(Box<dyn Read>, u64)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), 0));
    }
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    Ok((Box::new(file), bytes))
}

/// Opens the input as a file that can be read twice, as an import does: of a pipe, a temporary copy without a name, which is gone
/// with the program.
fn seekable(path: &Path) -> io::Result<(File, u64)> {
    let file = if path.metadata().is_ok_and(|found| found.is_file()) {
        File::open(path)?
    } else {
        let mut copy = tempfile::tempfile()?;
        io::copy(&mut open(path)?.0, &mut copy)?;
        copy.rewind()?;
        copy
    };
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Refused(format!("{} cannot be read: {error}", path.display()))
}

fn report(id: Option<&str>, result: &'static str, imported: Imported, output: &mut Output) -> Result<Outcome, Failure> {
    let mut warnings = Vec::new();
    let summary = &imported.summary;
    if summary.bad > 0 {
        warnings.push(format!("{} of {} records cannot be read", summary.bad, summary.records));
        warnings.extend(summary.bad_records.iter().map(ToString::to_string));
    }
    if imported.visits_rejected > 0 {
        warnings.push(format!("{} not counted", counted(imported.visits_rejected, "visit", "visits")));
        let takes_none =
            |one: &visits_core::store::Rejected| format!("the page {} takes none: {}", one.page, one.reason);
        warnings.extend(imported.rejected.iter().map(takes_none));
    }
    let found = format!(
        "import{} {}, {} of them by bots, in {} of {} records ({} stand for none, {} are bad).\n",
        if result == "imported" { "ed" } else { "" },
        counted(summary.visits, "visit", "visits"),
        summary.bots,
        summary.counted,
        summary.records,
        summary.ignored,
        summary.bad
    );
    let text = match result {
        "imported" => found.replacen('i', "I", 1),
        "dry-run" => format!("Would {found}"),
        _ => "This import was done before; nothing was counted again.\n".to_owned(),
    };
    let document = Document { id, result, imported, warnings };
    output.document(&document, &text, NO_ERRORS, &document.warnings)
}

const LOGS: &[Format] = &[Format::Nginx, Format::Apache];
const PATHS: &[Format] = &[Format::Nginx, Format::Apache, Format::Goatcounter];

/// Returns what the file is. An option that the format has no use for is a mistake, and not passed over.
fn source(args: &ImportArgs) -> Result<Source, Failure> {
    let (log, other) = (&args.log, &args.other);
    let given = [
        ("--pattern", log.pattern.is_some(), LOGS),
        ("--count-assets", log.count_assets, LOGS),
        ("--skip-bots", log.skip_bots, LOGS),
        ("--method", log.method.is_some(), LOGS),
        ("--index", other.index.is_some(), PATHS),
        ("--keep-slash", other.keep_slash, PATHS),
        ("--count-bots", other.count_bots, &[Format::Goatcounter]),
        ("--page", other.page.is_some(), &[Format::Countapi]),
        ("--keep-namespace", other.keep_namespace, &[Format::Countapi]),
    ];
    if let Some((option, ..)) = given.iter().find(|(_, given, formats)| *given && !formats.contains(&args.from)) {
        return Err(Failure::Usage(format!("{option} has no meaning for this --from, see --help")));
    }
    let index = other.index.clone().unwrap_or(PageRule::default().index);
    let pages = PageRule { index, keep_slash: other.keep_slash };
    Ok(match args.from {
        Format::Visits => Source::Export,
        Format::Nginx | Format::Apache => Source::AccessLog(LogOptions {
            pattern: log.pattern.clone().unwrap_or(LogOptions::default().pattern),
            pages,
            count_assets: log.count_assets,
            skip_bots: log.skip_bots,
            method: if log.method == Some(Method::Post) { LogMethod::Post } else { LogMethod::Get },
        }),
        Format::Goatcounter => Source::GoatCounter(GoatCounterOptions { count_bots: other.count_bots, pages }),
        Format::Countapi => {
            Source::Counters(CounterOptions { page: other.page.clone(), keep_namespace: other.keep_namespace })
        }
    })
}
