//! The durations of the protocol, in one place so that a test can run all of them faster together.
//!
//! What Lambda or the network dictates (timeouts, the 450 ms of a shutdown) is not among them.

use std::time::Duration;

/// Time after which a batch that was seen in the applied set must still be there to be forgotten.
/// Redis under `appendfsync everysec` loses up to about two seconds in a crash; a failover loses what
/// its replica had not got. A minute covers both with room.
pub const CONFIRM_AFTER: Duration = Duration::from_mins(1);

/// Pause after a shard's first failed call; it doubles with each further one.
pub const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Longest pause: a shard that is back is noticed within half a minute.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Age from which a sealed batch is never applied any more, only reported. Applied sets outlive it
/// ([`SET_KEPT`]), so that a batch can never meet a shard that has forgotten whether it was applied.
pub const MAX_BATCH_AGE: Duration = Duration::from_hours(7 * 24);

/// Time for which a shard keeps the applied set of a writer that does not call.
pub const SET_KEPT: Duration = Duration::from_hours(14 * 24);

/// Time for which an owner keeps the note that a move of pages has come. A move never ages out: should the shard that it was
/// taken from be away for long just before it would have deleted the move, this is how long it may be.
pub const MOVE_KEPT: Duration = Duration::from_hours(366 * 24);

/// Time for which a shard keeps the set of a writer that left nothing to send or to confirm. At 460 bytes a set with its
/// places in two sorted sets, and three hours a life, 100,000 environments would otherwise hold 5 GB a shard.
pub const SETTLED_SET_KEPT: Duration = Duration::from_hours(1);

/// After this time without a flush a writer is taken off the sweep's list: Lambda reaps an idle
/// environment long before.
pub const WRITER_LISTED: Duration = Duration::from_hours(3);

/// The durations that the protocol runs by: those above, or a test's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// See [`CONFIRM_AFTER`]. Zero: applied batches are not remembered, so a crash of Redis is not healed.
    pub confirm_after: Duration,
    /// Time after which a delivered copy must still be in its owner's applied set to be deleted; like [`CONFIRM_AFTER`].
    pub delivered_kept: Duration,
    /// See [`FIRST_PAUSE`].
    pub first_pause: Duration,
    /// See [`LONGEST_PAUSE`].
    pub longest_pause: Duration,
    /// See [`MAX_BATCH_AGE`].
    pub max_batch_age: Duration,
    /// See [`SET_KEPT`].
    pub set_kept: Duration,
    /// See [`MOVE_KEPT`].
    pub move_kept: Duration,
    /// See [`SETTLED_SET_KEPT`].
    pub settled_set_kept: Duration,
    /// See [`WRITER_LISTED`].
    pub writer_listed: Duration,
}

impl Timing {
    /// Durations in production.
    pub const REAL: Self = Self {
        confirm_after: CONFIRM_AFTER,
        delivered_kept: CONFIRM_AFTER,
        first_pause: FIRST_PAUSE,
        longest_pause: LONGEST_PAUSE,
        max_batch_age: MAX_BATCH_AGE,
        set_kept: SET_KEPT,
        move_kept: MOVE_KEPT,
        settled_set_kept: SETTLED_SET_KEPT,
        writer_listed: WRITER_LISTED,
    };

    /// Returns these durations, `by` times as fast.
    #[must_use]
    pub fn faster(self, by: u32) -> Self {
        Self {
            confirm_after: self.confirm_after / by,
            delivered_kept: self.delivered_kept / by,
            first_pause: self.first_pause / by,
            longest_pause: self.longest_pause / by,
            max_batch_age: self.max_batch_age / by,
            set_kept: self.set_kept / by,
            move_kept: self.move_kept / by,
            settled_set_kept: self.settled_set_kept / by,
            writer_listed: self.writer_listed / by,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::REAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_too_old_long_before_its_applied_set_may_go() {
        for timing in [Timing::REAL, Timing::REAL.faster(100)] {
            assert!(timing.max_batch_age * 2 <= timing.set_kept);
            assert!(timing.confirm_after < timing.settled_set_kept);
        }
    }

    #[test]
    fn all_durations_scale_together() {
        let fast = Timing::REAL.faster(100);
        assert_eq!((fast.confirm_after, fast.first_pause), (Duration::from_millis(600), Duration::from_millis(2)));
        assert_eq!(fast.longest_pause, Duration::from_millis(300));
    }
}
