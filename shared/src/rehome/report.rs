//! What a run did, and what is left.

use super::Run;
use crate::shard::ShardName;
use crate::store::rehoming::{Rehoming, RingState};
use serde::{Deserialize, Serialize};

/// What a run has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) pages_scanned: u64,
    pub(super) pages_taken: u64,
    pub(super) visits_taken: u64,
    pub(super) records_rejected: usize,
    pub(super) moves_delivered: usize,
    pub(super) pages_delivered: u64,
    pub(super) moves_removed: usize,
    pub(super) moves_set_aside: usize,
    pub(super) moves_waiting: usize,
    pub(super) calls_failed: usize,
}

/// What a run of re-homing did, and what is left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehome {
    /// Every page is where the ring places it, and all shards know.
    pub ring_settled: bool,
    /// Pages that were looked at.
    pub pages_scanned: u64,
    /// Pages that were taken from shards that do not own them.
    pub pages_taken: u64,
    /// Visits that they counted.
    pub visits_taken: u64,
    /// Pages that were delivered to their owners.
    pub pages_delivered: u64,
    /// Moves (some hundred pages each) that were delivered.
    pub moves_delivered: usize,
    /// Moves that were deleted, since their owner has had them for long enough.
    pub moves_removed: usize,
    /// Moves set aside, since they are damaged. An operator must look at them.
    pub moves_set_aside: usize,
    /// Moves that must wait: for a minute, or for a shard.
    pub moves_waiting: usize,
    /// Records that hold something else than visits. An operator must look at them.
    pub records_rejected: usize,
    /// Shards that may hold something, and that are not configured: pages cannot be brought to their places before they are.
    pub shards_missing: Vec<String>,
    /// Calls that failed.
    pub rehoming_calls_failed: usize,
}

impl Rehome {
    /// What to tell whoever took shards off the list too early; none if nobody did.
    pub fn refusal(&self) -> Option<String> {
        let names = self.shards_missing.join(", ");
        (!self.shards_missing.is_empty()).then(|| {
            format!(
                "REDIS_ENDPOINTS does not name {names}, which may still hold counts or be waited for: \
                 list it again with ;weight=0 until flush-visits says that it is empty and may be removed"
            )
        })
    }
}

pub(super) fn report<S: Rehoming>(
    run: &Run<'_, S>,
    done: Tally,
    states: Option<Vec<RingState>>,
    missing: Vec<ShardName>,
) -> Rehome {
    let settled = states.is_some_and(|states| states.iter().all(|state| run.is_settled(state)));
    Rehome {
        ring_settled: settled && missing.is_empty(),
        pages_scanned: done.pages_scanned,
        pages_taken: done.pages_taken,
        visits_taken: done.visits_taken,
        pages_delivered: done.pages_delivered,
        moves_delivered: done.moves_delivered,
        moves_removed: done.moves_removed,
        moves_set_aside: done.moves_set_aside,
        moves_waiting: done.moves_waiting,
        records_rejected: done.records_rejected,
        shards_missing: missing.into_iter().map(|name| name.to_string()).collect(),
        rehoming_calls_failed: done.calls_failed,
    }
}
