//! `visits delete`: deletes the pages whose ids match a pattern, with all that is kept of them.
//!
//! A first walk over all pages counts what matches, for the question or the trial; a second one deletes slice by slice.

use crate::args::DeleteArgs;
use crate::counts;
use crate::output::{Failure, NO_ERRORS, Outcome, Output, counted};
use crate::shards::{Seen, Shards};
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
    let mut found = if asks || args.dry_run { find(&pattern, shards).await? } else { Found::default() };
    if asks && found.pages > 0 {
        shards.bar.suspend(|| ask(&found))?;
    }
    if !args.dry_run {
        shards.restart();
        (found.pages, found.visits) = delete(&pattern, shards).await?;
    }
    let Found { pages, visits, shown } = found;
    let result = if args.dry_run { "dry-run" } else { "deleted" };
    let document = Document { pattern: &args.pattern, result, pages, visits, warnings: shards.finish() };
    let mut text = format!("{} deleted.\n", pages_with_visits(pages, visits));
    if args.dry_run {
        if !output.is_json() {
            counts::write(&shown.iter().map(|(page, count)| (page, *count)).collect::<Vec<_>>(), output)?;
        }
        let left_out = pages - shown.len() as u64;
        let left_out = if left_out > 0 { format!(" ({left_out} not shown)") } else { String::new() };
        text = format!("{} would be deleted{left_out}.\n", pages_with_visits(pages, visits));
    }
    output.document(&document, &text, NO_ERRORS, &document.warnings)
}

async fn find(pattern: &PagePatterns, shards: &Shards) -> Result<Found, Failure> {
    let (mut found, mut seen) = (Found::default(), Seen::default());
    let add = async |mut pages: Vec<PageId>| {
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
        Ok(())
    };
    shards.walk_all(add).await?;
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
    if agreed { Ok(()) } else { Err(Failure::refused("nothing was deleted")) }
}

/// Deletes what matches; returns the pages that had a count, and their visits. The journals are folded before, so that days
/// of earlier visits go, too; a visit of the same moment may keep its day.
async fn delete(pattern: &PagePatterns, shards: &Shards) -> Result<(u64, u64), Failure> {
    let ring = shards.ring.fingerprint();
    if shards.rings().await?.iter().any(|state| state.is_moving() || state.ring != Some(ring)) {
        return Err(Failure::refused(UNSETTLED));
    }
    let today = Day::of(Clock::system().now());
    // Also what was kept under a longer setting.
    let first = today.minus(MAX_HISTORY_DAYS - 1);
    let (mut deleted, mut visits) = (0, 0);
    let settings = fold::Settings::new(shards.config.history_days, FOLD_TIME);
    for shard in 0..shards.len() {
        fold::fold(&shards.store, &shards.ring, &Clock::system(), settings, [shard]).await;
        let delete = async |mut pages: Vec<PageId>| {
            pages.retain(|page| pattern.allow(page.as_str()) && shards.owns(shard, page));
            let Some(step) = shards.store.delete_pages(shard, ring, &pages, (first, today)).await? else {
                return Err(Failure::Refused(format!("{} deleted; {UNSETTLED}", counted(deleted, "page", "pages"))));
            };
            deleted += step.pages;
            visits += step.visits;
            Ok(())
        };
        shards.walk(shard, delete).await?;
    }
    Ok((deleted, visits))
}
