//! Measures the counter side by side with the floor (a handler that does nothing) and with what people use instead, in one
//! run on one machine.
//!
//! A *group* is a function that measures and returns a table of figures; [`GROUPS`] has them all. `bench/report.py` writes
//! the tables into `docs/PERFORMANCE.md`, beside text that is written by hand.

#![allow(clippy::cast_precision_loss, reason = "figures are floats, and all that is counted is below 2^52")]

pub mod figures;
pub mod flush;
pub mod footprint;
pub mod invocations;
pub mod lambda;
pub mod million;
pub mod owner;
mod shards;
pub mod subject;

use figures::Group;
use std::time::Duration;

/// The extent of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Enough for figures that a reader can trust: all groups together take some ten minutes.
    Full,
    /// Enough to notice a fall: seconds.
    Quick,
}

impl Effort {
    /// Returns `full`, or about what `make test` has time for.
    pub fn choose<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

/// A group's name, and what measures it.
pub type Known = (&'static str, fn(Effort) -> Group);

/// All groups, in the order of the report.
pub const GROUPS: &[Known] = &[
    ("rate", invocations::rate),
    ("instructions", invocations::instructions),
    ("init", invocations::init),
    ("size", footprint::size),
    ("memory", footprint::memory),
    ("concurrency", invocations::concurrency),
    ("python", invocations::python),
    ("calls", invocations::calls),
    ("flush", flush::flush),
    ("million", million::million),
    ("redis_memory", footprint::redis_memory),
    ("statistics", owner::statistics),
    ("money", invocations::money),
];

/// Returns the value that `percent` of the others do not exceed, in microseconds. Sorts `times`.
fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(index).map_or(f64::NAN, |time| micros(*time))
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
