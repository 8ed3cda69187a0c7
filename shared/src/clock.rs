//! Time, read in one place ([`Clock`]), and the durations that the protocol runs by ([`Timing`]).
//!
//! A frozen Lambda environment may stop its monotonic clock, and a wall clock may be set back. Elapsed
//! time is therefore the larger of what the two say: too long at worst, which makes us flush or refresh
//! early, never too short, which would keep visits or show old counts. A wall clock that is set forward makes it
//! too long: where that is the unsafe side (forgetting a batch, trusting a parked copy), the shards' clocks decide as well.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[cfg(any(test, feature = "testing"))]
pub use crate::tests::ManualClock;

/// A point in time as both clocks show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Time on the monotonic clock, from an arbitrary start.
    pub(crate) monotonic: Duration,
    /// Time since the Unix epoch.
    pub(crate) wall: Duration,
}

impl Moment {
    /// A moment from its two readings: `monotonic` from any fixed start, `wall` since the Unix epoch.
    pub const fn new(monotonic: Duration, wall: Duration) -> Self {
        Self { monotonic, wall }
    }

    /// Time elapsed since `earlier`: the larger of the two clocks' differences, zero if both ran backwards.
    pub fn since(self, earlier: Self) -> Duration {
        let monotonic = self.monotonic.saturating_sub(earlier.monotonic);
        monotonic.max(self.wall.saturating_sub(earlier.wall))
    }

    /// The moment `by` before this one.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self { monotonic: self.monotonic.saturating_sub(by), wall: self.wall.saturating_sub(by) }
    }

    /// Wall time since the Unix epoch.
    pub const fn since_epoch(self) -> Duration {
        self.wall
    }

    /// Wall time in milliseconds since the Unix epoch, as Lambda's deadlines and `hold_until` are given.
    pub fn epoch_millis(self) -> u64 {
        u64::try_from(self.wall.as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns the time from now until a wall time in milliseconds since the Unix epoch; zero if it is past.
    pub fn until_epoch_millis(self, millis: u64) -> Duration {
        Duration::from_millis(millis).saturating_sub(self.wall)
    }
}

/// Where [`Moment`]s come from: the system's clocks, or a test's own.
#[derive(Clone)]
pub struct Clock(pub(crate) Arc<dyn Fn() -> Moment + Send + Sync>);

impl Clock {
    /// The machine's monotonic and wall clocks.
    pub fn system() -> Self {
        let start = Instant::now();
        Self(Arc::new(move || {
            // A wall clock before 1970 reads as 1970: the monotonic difference then counts.
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Moment::new(start.elapsed(), wall)
        }))
    }

    /// Returns the system's clock for a test in which this process is stopped and continued to stand for an environment that
    /// Lambda freezes: the monotonic clock is less by what `file` says in decimal nanoseconds, if it can be read.
    pub(crate) fn system_but_frozen(file: PathBuf) -> Self {
        let system = Self::system();
        Self(Arc::new(move || {
            let frozen = std::fs::read_to_string(&file).ok().and_then(|nanos| nanos.trim().parse().ok()).unwrap_or(0);
            let now = system.now();
            Moment { monotonic: now.monotonic.saturating_sub(Duration::from_nanos(frozen)), ..now }
        }))
    }

    /// The current moment.
    pub fn now(&self) -> Moment {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// The durations that the protocol runs by: [`Timing::REAL`], or a test's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Time after which a batch that was seen in the applied set must still be there to be forgotten.
    /// Redis under `appendfsync everysec` loses up to about two seconds in a crash; a failover loses what
    /// its replica had not got. A minute covers both with room. Zero: applied batches are not remembered, so a crash
    /// of Redis is not healed.
    pub confirm_after: Duration,
    /// Time after which a delivered copy must still be in its owner's applied set to be deleted; like [`Timing::confirm_after`].
    pub delivered_kept: Duration,
    /// Pause after a shard's first failed call; it doubles with each further one.
    pub first_pause: Duration,
    /// Longest pause: a shard that is back is noticed within half a minute.
    pub longest_pause: Duration,
    /// Age from which a sealed batch is never applied any more, only reported. Applied sets outlive it
    /// ([`Timing::set_kept`]), so that a batch can never meet a shard that has forgotten whether it was applied.
    pub max_batch_age: Duration,
    /// Time for which a shard keeps the applied set of a writer that does not call.
    pub set_kept: Duration,
    /// Time for which an owner keeps the note that a move of pages has come. A move never ages out: should the shard that it was
    /// taken from be away for long just before it would have deleted the move, this is how long it may be.
    pub move_kept: Duration,
    /// Time for which a shard keeps the set of a writer that left nothing to send or to confirm. At 460 bytes a set with its
    /// places in two sorted sets, and three hours a life, 100,000 environments would otherwise hold 5 GB a shard.
    pub settled_set_kept: Duration,
    /// After this time without a flush a writer is taken off the sweep's list: Lambda reaps an idle
    /// environment long before.
    pub writer_listed: Duration,
}

impl Timing {
    /// Durations in production.
    pub const REAL: Self = Self {
        confirm_after: Duration::from_mins(1),
        delivered_kept: Duration::from_mins(1),
        first_pause: Duration::from_millis(200),
        longest_pause: Duration::from_secs(30),
        max_batch_age: Duration::from_hours(7 * 24),
        set_kept: Duration::from_hours(14 * 24),
        move_kept: Duration::from_hours(366 * 24),
        settled_set_kept: Duration::from_hours(1),
        writer_listed: Duration::from_hours(3),
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

    fn moment(monotonic: u64, wall: u64) -> Moment {
        Moment::new(Duration::from_secs(monotonic), Duration::from_secs(wall))
    }

    #[test]
    fn elapsed_time_is_the_larger_of_both_clocks_and_none_before() {
        for (case, later, earlier, seconds) in [
            ("frozen", moment(10, 700), moment(9, 100), 600),
            ("the wall clock set back", moment(40, 50), moment(10, 100), 30),
            ("an earlier moment", moment(1, 1), moment(2, 2), 0),
        ] {
            assert_eq!(later.since(earlier).as_secs(), seconds, "{case}");
        }
        assert_eq!(moment(0, 10).until_epoch_millis(9_000), Duration::ZERO);
        assert_eq!(moment(0, 10).until_epoch_millis(10_250), Duration::from_millis(250));
        let before = Clock::system().now();
        assert!(before.epoch_millis() > 1_600_000_000_000 && Clock::system().now().since(before).as_secs() < 5);
    }

    #[test]
    fn a_frozen_clock_stands_still_for_as_long_as_the_file_says() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "00000000000000000000\n").unwrap();
        let clock = Clock::system_but_frozen(file.path().to_owned());
        std::thread::sleep(Duration::from_millis(2));
        let before = clock.now();
        assert!(before.monotonic >= Duration::from_millis(2));
        std::fs::write(file.path(), "3600000000000").unwrap();
        let after = clock.now();
        assert_eq!(after.monotonic, Duration::ZERO);
        assert!(after.wall >= before.wall);
    }

    #[test]
    fn a_batch_is_too_old_long_before_its_applied_set_may_go() {
        let fast = Timing::REAL.faster(100);
        assert_eq!((fast.confirm_after, fast.first_pause), (Duration::from_millis(600), Duration::from_millis(2)));
        for timing in [Timing::REAL, fast] {
            assert!(timing.max_batch_age * 2 <= timing.set_kept);
            assert!(timing.confirm_after < timing.settled_set_kept);
        }
    }
}
