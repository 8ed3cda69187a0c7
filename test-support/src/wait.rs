//! Waiting for something that another process or task does.

use std::thread;
use std::time::{Duration, Instant};

/// Time between two looks. Short against what is waited for, and long enough to leave the processor to it.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks until `condition` holds, for at most `bound`. Returns whether it came true. Blocks the thread.
#[must_use = "a condition that did not come true is what the test is about"]
pub fn wait_for(bound: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !condition() {
        if started.elapsed() >= bound {
            return false;
        }
        thread::sleep(PAUSE);
    }
    true
}
