//! Time, read in one place.
//!
//! A frozen Lambda environment may stop its monotonic clock, and a wall clock may be set back. Elapsed
//! time is therefore the larger of what the two say: too long at worst, which makes us flush or refresh
//! early, never too short, which would keep visits or show old counts. A wall clock that is set forward makes it
//! too long: where that is the unsafe side (forgetting a batch, trusting a parked copy), the shards' clocks decide as well.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time as both clocks show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Time on the monotonic clock, from an arbitrary start.
    monotonic: Duration,
    /// Time since the Unix epoch.
    wall: Duration,
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
pub struct Clock(Arc<dyn Fn() -> Moment + Send + Sync>);

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

/// A clock that stands still until it is told to move, for tests of what depends on time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Moment>>);

impl ManualClock {
    /// A manual clock that starts at a fixed, plausible wall time.
    pub fn new() -> Self {
        let start = Moment::new(Duration::ZERO, Duration::from_secs(1_700_000_000));
        Self(Arc::new(Mutex::new(start)))
    }

    /// The [`Clock`] that this one drives.
    pub fn clock(&self) -> Clock {
        let time = Arc::clone(&self.0);
        Clock(Arc::new(move || *time.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Lets both clocks run on by `by`.
    pub fn advance(&self, by: Duration) {
        self.edit(|time| {
            time.monotonic += by;
            time.wall += by;
        });
    }

    /// Lets only the wall clock run on, as in an environment that was frozen for `by`.
    pub fn freeze(&self, by: Duration) {
        self.edit(|time| time.wall += by);
    }

    /// Sets only the wall clock back, as a time service does.
    pub fn set_back(&self, by: Duration) {
        self.edit(|time| time.wall = time.wall.saturating_sub(by));
    }

    fn edit(&self, change: impl FnOnce(&mut Moment)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(monotonic: u64, wall: u64) -> Moment {
        Moment::new(Duration::from_secs(monotonic), Duration::from_secs(wall))
    }

    #[test]
    fn time_frozen_counts_by_the_wall_clock() {
        assert_eq!(moment(10, 700).since(moment(9, 100)), Duration::from_mins(10));
    }

    #[test]
    fn a_wall_clock_set_back_does_not_stop_time() {
        assert_eq!(moment(40, 50).since(moment(10, 100)), Duration::from_secs(30));
    }

    #[test]
    fn an_earlier_moment_is_no_time_ago() {
        assert_eq!(moment(1, 1).since(moment(2, 2)), Duration::ZERO);
    }

    #[test]
    fn a_past_deadline_is_no_time_away() {
        assert_eq!(moment(0, 10).until_epoch_millis(9_000), Duration::ZERO);
        assert_eq!(moment(0, 10).until_epoch_millis(10_250), Duration::from_millis(250));
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
    fn the_system_clock_runs() {
        let clock = Clock::system();
        let before = clock.now();
        assert!(before.epoch_millis() > 1_600_000_000_000);
        assert!(clock.now().since(before) < Duration::from_secs(5));
    }
}
