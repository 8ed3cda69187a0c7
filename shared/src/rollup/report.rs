//! What a run did.

use serde::{Deserialize, Serialize};

/// What a run of the roll-up did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollup {
    /// All shards know the visitors of all days that have been over for long enough.
    pub days_rolled_up: bool,
    /// Sketches that have become numbers.
    pub sketches_counted: usize,
    /// Sketches that were copied to the shards that own them; once more where one had changed.
    pub sketches_copied: usize,
    /// Copied ones that have left the shard they were on.
    pub sketches_moved: usize,
    /// Keys among the sketches that are none, or whose month is none. An operator must look at them.
    pub sketches_rejected: usize,
    /// Records, lists and sketches that were deleted since they were out of the days kept.
    pub records_dropped: usize,
    /// Secrets of days that were destroyed.
    pub secrets_destroyed: usize,
    /// Calls that failed.
    pub rollup_calls_failed: usize,
}
