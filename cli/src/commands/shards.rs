//! `visits shards`: the state of each shard, and what of it wants attention.

mod report;
mod view;

use crate::exit::{Failure, Outcome};
use crate::output::{Output, counted};
use crate::policy;
use crate::progress::Progress;
use crate::rings::Rings;
use crate::shards::Shards;
use crate::walk::{Seen, Walk};
use crate::warnings::Warnings;
use futures_util::future::join_all;
use report::{Document, Found, Ring, ShardReport};
use visits_core::store::redis::facts::ShardFacts;
use visits_core::store::{ShardIndex, StoreError};

/// Asks all shards. One that does not answer hides none of the others.
pub(crate) async fn run(shards: &Shards, output: &mut Output) -> Result<Outcome, Failure> {
    let facts = join_all((0..shards.len()).map(|shard| shards.store.facts(shard))).await;
    let (mut warnings, mut reports) = (Warnings::default(), Vec::new());
    let mut progress = Progress::of_walk(shards.len(), true);
    for (shard, facts) in facts.into_iter().enumerate() {
        let found = look(shards, shard, facts, &mut progress, &mut warnings).await;
        reports.push(ShardReport::new(shards, shard, found));
    }
    progress.finish();
    let failed = reports.iter().any(ShardReport::failed);
    let document = Document::new(shards, reports, warnings.list());
    let outcome = if failed { Outcome::Incomplete } else { Outcome::with(&document.warnings) };
    if output.is_json() {
        output.object(&document)?;
    } else {
        output.text(&view::text(&document))?;
        output.tell(&document.errors(), &document.warnings)?;
    }
    Ok(outcome)
}

/// Counts the shard's pages, and gathers what is to be warned of.
async fn look(
    shards: &Shards,
    shard: ShardIndex,
    facts: Result<ShardFacts, StoreError>,
    progress: &mut Progress,
    warnings: &mut Warnings,
) -> Result<Found, StoreError> {
    let facts = facts?;
    warn_of_facts(shards, shard, &facts, warnings);
    let name = shards.ring.name(shard);
    let state = shards.store.ring_state(shard).await?;
    let ring = Ring::new(&state, shards.ring.fingerprint());
    if ring == Ring::Other {
        warnings.add(format!(
            "shard {name}: another ring is in force; re-homing with these settings puts this one in its place"
        ));
    }
    Rings(vec![state]).warn(shards, warnings);
    let (pages, misplaced) = count(shards, shard, progress, warnings).await?;
    if misplaced > 0 {
        warnings.add(format!("shard {name}: the ring places {misplaced} of its pages elsewhere; re-homing moves them"));
    }
    Ok(Found { facts, ring, pages, misplaced })
}

fn warn_of_facts(shards: &Shards, shard: ShardIndex, facts: &ShardFacts, warnings: &mut Warnings) {
    let name = shards.ring.name(shard);
    for warning in policy::warnings(facts) {
        warnings.add(format!("shard {name}: {warning}"));
    }
    if facts.aside > 0 {
        let aside = counted(facts.aside, "copy", "copies");
        warnings.add(format!("shard {name}: {aside} set aside, see the key {}", shards.key(shard, "aside")));
    }
}

/// The pages that the shard has visits of, and how many of them the ring places elsewhere.
async fn count(
    shards: &Shards,
    shard: ShardIndex,
    progress: &mut Progress,
    warnings: &mut Warnings,
) -> Result<(u64, u64), StoreError> {
    let (mut walk, mut seen, mut pages, mut misplaced) = (Walk::new(shards, shard), Seen::default(), 0, 0);
    while let Some(mut slice) = walk.next_held(progress, warnings).await? {
        slice.retain(|page| seen.is_new(page));
        pages += slice.len() as u64;
        misplaced += slice.iter().filter(|page| !shards.owns(shard, page)).count() as u64;
    }
    Ok((pages, misplaced))
}
