//! What a run did, and what is left.

use serde::{Deserialize, Serialize};

/// What a run of re-homing did, and what is left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehome {
    /// Every record is where the ring places it, and all shards know.
    pub ring_settled: bool,
    /// Pages that were looked at.
    pub pages_scanned: u64,
    /// Pages that were taken from shards that do not own them.
    pub pages_taken: u64,
    /// Visits that they counted.
    pub visits_taken: u64,
    /// Pages that were delivered to their owners.
    pub pages_delivered: u64,
    /// Moves (some hundred records each) that were delivered.
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
