//! From the command line's options to what the reader is told of its input.

use crate::args::import::{Format, ImportArgs, Method};
use crate::exit::Failure;
use visits_import::{CounterOptions, GoatCounterOptions, LogMethod, LogOptions, PageRule, Source};

const LOGS: &[Format] = &[Format::Nginx, Format::Apache];
const PATHS: &[Format] = &[Format::Nginx, Format::Apache, Format::Goatcounter];

/// What the file is. An option that the format has no use for is a mistake, and not passed over.
pub(super) fn of(args: &ImportArgs) -> Result<Source, Failure> {
    check(args)?;
    let (log, other) = (&args.log, &args.other);
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
            let (page, keep_namespace) = (other.page.clone(), other.keep_namespace);
            Source::Counters(CounterOptions { page, keep_namespace })
        }
    })
}

fn check(args: &ImportArgs) -> Result<(), Failure> {
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
    match given.iter().find(|(_, given, formats)| *given && !formats.contains(&args.from)) {
        Some((option, ..)) => Err(Failure::Usage(format!("{option} has no meaning for this --from, see --help"))),
        None => Ok(()),
    }
}
