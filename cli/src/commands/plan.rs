//! `visits plan`: what a ring change would move, before it is made. Pages are placed by both rings; nothing is written.

mod change;
mod tally;
mod view;

use crate::exit::{Failure, Outcome};
use crate::output::{NO_ERRORS, Output};
use crate::progress::Progress;
use crate::rings::Rings;
use crate::shards::Shards;
use crate::walk::{Seen, Walk};
use crate::warnings::Warnings;
use change::Change;
use tally::{Document, Tally};
use visits_core::config::Config;

/// Compares the shards as they are with those that `after` names.
pub(crate) async fn run(after: &Config, shards: &Shards, output: &mut Output) -> Result<Outcome, Failure> {
    let change = Change::new(&shards.config.shards, &after.shards);
    let mut warnings = Warnings::default();
    let rings = Rings::ask(shards).await?;
    rings.warn(shards, &mut warnings);
    if rings.are_moving() {
        warnings.add("pages are moving: those on their way between two shards are not counted here".to_owned());
    }
    let tally = count(&change, after, shards, &mut warnings).await?;
    change.warnings(&tally.before()).into_iter().for_each(|warning| warnings.add(warning));
    let document = Document::new(&change, &tally, warnings.list());
    if output.is_json() {
        output.object(&document)?;
    } else {
        output.text(&view::text(&document))?;
        output.tell(NO_ERRORS, &document.warnings)?;
    }
    Ok(Outcome::with(&document.warnings))
}

/// Counts for each pair of shards the pages that are on the one and belong to the other afterwards.
async fn count(change: &Change, after: &Config, shards: &Shards, warnings: &mut Warnings) -> Result<Tally, Failure> {
    let (ring, mut tally) = (after.ring(), Tally::new(change.len()));
    let mut progress = Progress::of_walk(shards.len(), true);
    for shard in 0..shards.len() {
        let from = change.index(shards.ring.name(shard));
        let (mut walk, mut seen) = (Walk::new(shards, shard), Seen::default());
        while let Some(pages) = walk.next_held(&mut progress, warnings).await? {
            for page in pages.iter().filter(|page| seen.is_new(page)) {
                tally.add(from, change.index(ring.name(ring.owner(page.as_str()))));
            }
        }
    }
    progress.finish();
    Ok(tally)
}
