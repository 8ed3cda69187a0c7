//! What is read off many measurements.

use std::time::Duration;

/// The value that `percent` of the others do not exceed. Sorts `times`.
pub fn percentile(times: &mut [Duration], percent: f64) -> Duration {
    times.sort_unstable();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = (times.len() as f64 * percent / 100.0).ceil() as usize;
    times.get(index.saturating_sub(1)).copied().unwrap_or_default()
}

/// The middle one.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Microseconds.
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Events a second.
pub fn rate(count: usize, time: Duration) -> f64 {
    let count = count as f64;
    count / time.as_secs_f64()
}

/// Milliseconds.
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
