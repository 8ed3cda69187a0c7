//! `visits rehome`: brings all pages to the shards that own them, as `flush-visits` does, and stays until it is done.

use crate::output::{Failure, NO_ERRORS, Outcome, Output, bar, counted};
use crate::shards::Shards;
use serde::Serialize;
use std::time::Duration;
use visits_core::handoff::deliver;
use visits_core::rehome::rehome;
use visits_core::store::redis::rehoming::{RingState, Stage};

/// Longest time of one run: a scan of all pages must fit, which goes through some hundred thousand a second.
const BUDGET: Duration = Duration::from_mins(10);

/// Runs in a row with failed calls before it is given up: a server that restarts should be back by then.
const MAX_FAILED: u32 = 20;

/// Stages that take their time: taking and delivering, and cleaning up on both sides.
const STAGES: u64 = 3;

/// Sums of all runs.
#[derive(Default, Serialize)]
struct Document {
    ring_settled: bool,
    pages_taken: u64,
    visits_taken: u64,
    pages_delivered: u64,
    copies_set_aside: usize,
    records_rejected: usize,
    warnings: Vec<String>,
}

/// Runs until the ring is settled, or fails with what stands in the way.
pub(crate) async fn run(shards: &Shards, output: &mut Output) -> Result<Outcome, Failure> {
    let Shards { store, ring, config, .. } = shards;
    let (clock, timing, bar) = (config.clock(), config.testing.timing, bar(shards.len() as u64 * STAGES));
    let (mut document, mut failed) = (Document::default(), 0);
    while !document.ring_settled {
        let delivery = deliver(store, ring, &clock, timing, BUDGET).await;
        let done = rehome(store, ring, &clock, timing, BUDGET).await;
        if let Some(refusal) = done.refusal() {
            return Err(Failure::Refused(refusal));
        }
        failed = if done.rehoming_calls_failed + delivery.calls_failed > 0 { failed + 1 } else { 0 };
        let rings = shards.rings().await;
        if failed == MAX_FAILED {
            rings?;
            return Err(Failure::refused("calls go on failing; the log of flush-visits says why"));
        }
        document.ring_settled = done.ring_settled;
        document.pages_taken += done.pages_taken;
        document.visits_taken += done.visits_taken;
        document.pages_delivered += delivery.pages_delivered;
        document.copies_set_aside += delivery.copies_set_aside;
        document.records_rejected += done.records_rejected;
        if let Ok(rings) = rings {
            // It goes back where a shard has to take pages again.
            bar.set_position(rings.iter().map(|state| stage(state).0).sum());
            let slowest = rings.iter().map(stage).min().unwrap_or_default().1;
            bar.set_message(format!("{} taken; {slowest}", counted(document.pages_taken, "page", "pages")));
        }
        if !document.ring_settled {
            // What two runs wait for takes a minute each time.
            tokio::time::sleep(timing.delivered_kept / 60).await;
        }
    }
    bar.finish_and_clear();
    if document.copies_set_aside > 0 {
        let envelopes = counted(document.copies_set_aside as u64, "envelope", "envelopes");
        document.warnings.push(format!("{envelopes} damaged and set aside, see the shards' keys `aside`"));
    }
    if document.records_rejected > 0 {
        document.warnings.push("records that hold something else than visits were left where they are".to_owned());
    }
    let Document { pages_taken, visits_taken, warnings, .. } = &document;
    let (pages, visits) = (counted(*pages_taken, "page", "pages"), counted(*visits_taken, "visit", "visits"));
    let text = format!("{pages} with {visits} moved; every page is where the ring places it.\n");
    output.document(&document, &text, NO_ERRORS, warnings)
}

/// Returns how far one shard is, of [`STAGES`], and what it does.
fn stage(state: &RingState) -> (u64, &'static str) {
    match state.stage {
        Stage::Take => (0, "taking and delivering"),
        Stage::Out => (1, "cleaning up"),
        Stage::Cleaned => (2, "waiting a minute"),
        Stage::Settled => (STAGES, "done"),
    }
}
