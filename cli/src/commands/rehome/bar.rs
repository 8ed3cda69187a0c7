//! How far a ring change has come.

use crate::output::counted;
use crate::progress::{self, STEPS};
use indicatif::ProgressBar;
use visits_core::store::rehoming::{RingState, Stage};

/// Stages that take their time: taking, delivering, and cleaning up on both sides.
const STAGES: u64 = 4;

/// A bar over all shards' stages.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(shards: usize) -> Self {
        Self(progress::bar(shards as u64 * STAGES * STEPS, true))
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

/// How far one shard is, of `STAGES * STEPS`.
fn steps(state: &RingState) -> u64 {
    let stages = |done: u64| done * STEPS;
    match state.pass.map(|pass| pass.stage) {
        // A cursor of 0 is the beginning here.
        None | Some(Stage::Take { cursor: 0, .. }) => 0,
        Some(Stage::Take { cursor, .. }) => progress::scanned(cursor),
        Some(Stage::Taken | Stage::Out { cursor: 0, .. }) => stages(1),
        Some(Stage::Out { cursor, .. }) => stages(1) + progress::scanned(cursor),
        Some(Stage::Cleaned { .. } | Stage::In { cursor: 0, .. }) => stages(2),
        Some(Stage::In { cursor, .. }) => stages(3) + progress::scanned(cursor),
        Some(Stage::Done { .. }) => stages(STAGES),
    }
}

fn doing(state: &RingState) -> &'static str {
    match state.pass.map(|pass| pass.stage) {
        None | Some(Stage::Take { .. }) => "looking for more",
        Some(Stage::Taken) => "delivering",
        Some(Stage::Out { .. } | Stage::In { .. }) => "cleaning up",
        Some(Stage::Cleaned { .. }) => "waiting a minute",
        Some(Stage::Done { .. }) => "done",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use visits_core::store::Incarnation;
    use visits_core::store::rehoming::Pass;

    #[test]
    fn each_stage_is_further_than_the_one_before() {
        let run = Incarnation(1);
        let (begin, cleaned) = (Stage::TAKE, Stage::Cleaned { at: 0, run });
        let take = [begin, Stage::Take { cursor: 1, run }, Stage::Taken];
        let clean =
            [Stage::Out { cursor: 1, run }, cleaned, Stage::In { cursor: 1, run, kept: 0 }, Stage::Done { kept: 0 }];
        let state = |stage| RingState { pass: Some(Pass::begin(0).at(stage)), ..RingState::default() };
        let steps: Vec<u64> = take.into_iter().chain(clean).map(|stage| steps(&state(stage))).collect();
        assert!(steps.is_sorted(), "{steps:?}");
        assert_eq!((steps[0], steps[6]), (0, STAGES * STEPS));
    }
}
