//! How far a ring change has come.

use crate::output::counted;
use crate::progress;
use indicatif::ProgressBar;
use visits_core::store::redis::rehoming::{RingState, Stage};

/// Stages that take their time: taking and delivering, and cleaning up on both sides.
const STAGES: u64 = 3;

/// A bar over all shards' stages.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(shards: usize) -> Self {
        Self(progress::bar(shards as u64 * STAGES, true))
    }

    /// Shows where the shards stand. It goes back where a shard has to take pages again.
    pub(super) fn show(&self, states: &[RingState], pages: u64) {
        self.0.set_position(states.iter().map(steps).sum());
        let slowest = states.iter().min_by_key(|state| steps(state)).map_or("", doing);
        self.0.set_message(format!("{} taken; {slowest}", counted(pages, "page", "pages")));
    }

    pub(super) fn finish(self) {
        self.0.finish_and_clear();
    }
}

/// How far one shard is, of `STAGES`.
fn steps(state: &RingState) -> u64 {
    match state.stage {
        Stage::Take => 0,
        Stage::Out => 1,
        Stage::Cleaned { .. } => 2,
        Stage::Settled => STAGES,
    }
}

fn doing(state: &RingState) -> &'static str {
    match state.stage {
        Stage::Take => "taking and delivering",
        Stage::Out => "cleaning up",
        Stage::Cleaned { .. } => "waiting a minute",
        Stage::Settled => "done",
    }
}
