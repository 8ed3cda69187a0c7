//! Time that a test sets.

use crate::clock::{Clock, Moment};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
