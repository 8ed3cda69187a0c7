//! `visits delete`: deletes the pages whose ids match a pattern, with all that is kept of them.
//!
//! A first walk over all pages counts what matches, for the question or the trial; a second one deletes slice by slice.

use super::get;
use crate::args::DeleteArgs;
use crate::exit::{Failure, Outcome};
use crate::output::{NO_ERRORS, Output, counted};
use crate::progress::Progress;
use crate::rings::Rings;
use crate::shards::Shards;
use crate::walk::{Seen, Tour, Walk};
use crate::warnings::Warnings;
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;
use visits_core::clock::Clock;
use visits_core::config::{MAX_HISTORY_DAYS, PagePatterns};
use visits_core::day::Day;
use visits_core::fold;
use visits_core::page::PageId;

/// Pages that a trial shows.
const SHOWN: usize = 20;

/// Longest time to fold the journal of a shard.
const FOLD_TIME: Duration = Duration::from_mins(1);

const UNSETTLED: &str = "pages may be moving between shards: run `visits rehome` first";

#[derive(Serialize)]
struct Document<'a> {
    pattern: &'a str,
    result: &'static str,
    pages: u64,
    visits: u64,
    warnings: Vec<String>,
}

/// Pages that match.
#[derive(Default)]
struct Found {
    pages: u64,
    visits: u64,
    /// The first of them.
    shown: Vec<(PageId, u64)>,
}

/// Shows what matches, asks, and deletes it.
pub(crate) async fn run(args: &DeleteArgs, shards: &Shards, output: &mut Output) -> Result<Outcome, Failure> {
    let pattern = PagePatterns::one(&args.pattern).map_err(|error| Failure::Usage(error.to_owned()))?;
    let asks = !args.dry_run && !args.yes;
    if asks && !io::stdin().is_terminal() {
        return Err(Failure::Usage("standard input is no terminal to ask at: give --yes, or --dry-run".to_owned()));
    }
    let mut warnings = Warnings::default();
    let mut found = Found::default();
    if asks || args.dry_run {
        found = find(&pattern, shards, &mut warnings).await?;
    }
    if asks && found.pages > 0 {
        ask(&found)?;
    }
    if !args.dry_run {
        (found.pages, found.visits) = delete(&pattern, shards, &mut warnings).await?;
    }
    let result = if args.dry_run { "dry-run" } else { "deleted" };
    let Found { pages, visits, shown } = found;
    let document = Document { pattern: &args.pattern, result, pages, visits, warnings: warnings.list() };
    if output.is_json() {
        output.object(&document)?;
    } else {
        if args.dry_run {
            get::write(&shown.iter().map(|(page, count)| (page, *count)).collect::<Vec<_>>(), output)?;
        }
        let left_out = pages - pages.min(shown.len() as u64);
        let shown_of = if args.dry_run && left_out > 0 { format!(" ({left_out} not shown)") } else { String::new() };
        let would = if args.dry_run { " would be" } else { "" };
        output.text(&format!("{}{would} deleted{shown_of}.\n", pages_with_visits(pages, visits)))?;
        output.tell(NO_ERRORS, &document.warnings)?;
    }
    Ok(Outcome::with(&document.warnings))
}

async fn find(pattern: &PagePatterns, shards: &Shards, warnings: &mut Warnings) -> Result<Found, Failure> {
    let (mut found, mut seen) = (Found::default(), Seen::default());
    let mut progress = Progress::of_walk(shards.len(), true);
    let mut tour = Tour::begin(shards, warnings).await?;
    while let Some(mut pages) = tour.next(&mut progress, warnings).await? {
        pages.retain(|page| pattern.allow(page.as_str()) && seen.is_new(page));
        for (page, count) in pages.iter().zip(shards.counts(&pages).await?) {
            // A damaged record counts as none, and goes as well.
            let count = count.map_or(0, |count| count.visits);
            found.pages += 1;
            found.visits += count;
            if found.shown.len() < SHOWN {
                found.shown.push((page.clone(), count));
            }
        }
    }
    progress.finish();
    Ok(found)
}

fn pages_with_visits(pages: u64, visits: u64) -> String {
    format!("{} with {}", counted(pages, "page", "pages"), counted(visits, "visit", "visits"))
}

fn ask(found: &Found) -> Result<(), Failure> {
    let mut error = io::stderr();
    write!(error, "Delete {}, for good? [y/N] ", pages_with_visits(found.pages, found.visits))?;
    error.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    let agreed = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    if agreed { Ok(()) } else { Err(Failure::Refused("nothing was deleted".to_owned())) }
}

/// Deletes what matches; returns the pages that had a count, and their visits. The journals are folded before, so that days
/// of earlier visits go, too; a visit of the same moment may keep its day.
async fn delete(pattern: &PagePatterns, shards: &Shards, warnings: &mut Warnings) -> Result<(u64, u64), Failure> {
    let ring = shards.ring.fingerprint();
    let rings = Rings::ask(shards).await?;
    if rings.0.iter().any(|state| state.is_moving() || state.ring != Some(ring)) {
        return Err(Failure::Refused(UNSETTLED.to_owned()));
    }
    let today = Day::of(Clock::system().now());
    // Also what was kept under a longer setting.
    let first = today.minus(MAX_HISTORY_DAYS - 1);
    let mut progress = Progress::of_walk(shards.len(), true);
    let (mut deleted, mut visits) = (0, 0);
    let settings = fold::Settings::new(shards.config.history_days, FOLD_TIME);
    for shard in 0..shards.len() {
        fold::fold(&shards.store, &shards.ring, &Clock::system(), settings, [shard]).await;
        let mut walk = Walk::new(shards, shard);
        while let Some(mut pages) = walk.next(&mut progress, warnings).await? {
            pages.retain(|page| pattern.allow(page.as_str()) && shards.owns(shard, page));
            let Some(step) = shards.store.delete_pages(shard, ring, &pages, (first, today)).await? else {
                return Err(Failure::Refused(format!("{} deleted; {UNSETTLED}", counted(deleted, "page", "pages"))));
            };
            deleted += step.pages;
            visits += step.visits;
        }
    }
    progress.finish();
    Ok((deleted, visits))
}
