//! How much time a flush may take: it ends well before the function's timeout, whose end would take the
//! buffer with it.

use std::time::Duration;
use visits_core::clock::Moment;

/// Left free before the invocation's deadline.
const MARGIN: Duration = Duration::from_millis(500);

/// Longest flush where the deadline leaves more or is not known. Redis answers in milliseconds; longer
/// than this, a shard is down, and its batches are kept for the next flush.
pub(crate) const LONGEST: Duration = Duration::from_secs(5);

/// The time for a flush that begins `now`, in an invocation that must end at `deadline` (milliseconds
/// since the Unix epoch). A deadline that is long past is the local emulator's, and means none.
pub(crate) fn until(deadline: u64, now: Moment) -> Duration {
    if deadline < now.epoch_millis() {
        return LONGEST;
    }
    now.until_epoch_millis(deadline).saturating_sub(MARGIN).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(milliseconds_left: i64) -> Duration {
        let now = Moment::new(Duration::ZERO, Duration::from_secs(1_700_000_000));
        until(now.epoch_millis().checked_add_signed(milliseconds_left).unwrap(), now)
    }

    #[test]
    fn a_flush_ends_half_a_second_before_the_deadline() {
        assert_eq!(budget(3_000), Duration::from_millis(2_500));
        assert_eq!(budget(60_000), LONGEST);
        assert_eq!(budget(400), Duration::ZERO);
    }

    #[test]
    fn the_emulators_deadline_in_1970_means_none() {
        assert_eq!(until(600_000, Moment::new(Duration::ZERO, Duration::from_secs(1_700_000_000))), LONGEST);
    }
}
