//! The groups of figures: one file each, with a `run` that measures and returns them.

pub mod calls;
pub mod concurrency;
pub mod flush;
pub mod growth;
pub mod init;
pub mod memory;
pub mod metrics;
pub mod micro;
pub mod million;
pub mod money;
pub mod placing;
pub mod python;
pub mod rate;
pub mod redis_memory;
pub mod size;
pub mod statistics;
pub mod waiting;

use crate::effort::Effort;
use crate::figures::Group;

/// A group that can be run.
pub struct Known {
    /// Its id.
    pub id: &'static str,
    /// Measures it.
    pub run: fn(Effort) -> Group,
}

/// All groups, in the order of the report.
pub const ALL: &[Known] = &[
    Known { id: "rate", run: rate::run },
    Known { id: "python", run: python::run },
    Known { id: "init", run: init::run },
    Known { id: "size", run: size::run },
    Known { id: "memory", run: memory::run },
    Known { id: "metrics", run: metrics::run },
    Known { id: "waiting", run: waiting::run },
    Known { id: "concurrency", run: concurrency::run },
    Known { id: "flush", run: flush::run },
    Known { id: "calls", run: calls::run },
    Known { id: "placing", run: placing::run },
    Known { id: "million", run: million::run },
    Known { id: "redis_memory", run: redis_memory::run },
    Known { id: "growth", run: growth::run },
    Known { id: "statistics", run: statistics::run },
    Known { id: "money", run: money::run },
    Known { id: "micro", run: micro::run },
];
