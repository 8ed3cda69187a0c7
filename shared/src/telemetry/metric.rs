//! What is measured: the name of each metric and its unit, as `CloudWatch` shows them. `docs/OPERATIONS.md` says what each means,
//! and a test compares the two.

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// The unit of its values.
    pub unit: Unit,
}

/// A unit, by the name that `CloudWatch` has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Thousandths of a second.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Hundredths of a whole.
    Percent,
}

impl Unit {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
            Self::Percent => "Percent",
        }
    }
}

const fn count(name: &'static str) -> Metric {
    Metric { name, unit: Unit::Count }
}

/// Visits taken into memory.
pub const VISITS: Metric = count("Visits");
/// Visits now known to be applied that were not before: each once, whoever brought it.
pub const VISITS_FLUSHED: Metric = count("VisitsFlushed");
/// Batches in calls that a shard has answered.
pub const BATCHES: Metric = count("Batches");
/// Batches among them that the shard had applied before.
pub const DUPLICATE_BATCHES: Metric = count("DuplicateBatches");
/// Batches that a shard had applied and has lost again.
pub const GAPS: Metric = count("Gaps");
/// Visits in such batches that are applied again.
pub const HEALED: Metric = count("Healed");
/// Copies of batches stored on another shard.
pub const PARKED: Metric = count("Parked");
/// Visits that were brought to their shard from such copies.
pub const DELIVERED: Metric = count("Delivered");
/// Acknowledged visits that will not be counted.
pub const VISITS_LOST: Metric = count("VisitsLost");
/// Counts answered from memory.
pub const CACHE_HITS: Metric = count("CacheHits");
/// Counts that a shard was asked for.
pub const CACHE_MISSES: Metric = count("CacheMisses");
/// Time from a call of a shard to its answer, connecting included.
pub const REDIS_LATENCY: Metric = Metric { name: "RedisLatency", unit: Unit::Milliseconds };
/// Age of the oldest visit in memory when a flush begins.
pub const BUFFER_AGE: Metric = Metric { name: "BufferAge", unit: Unit::Milliseconds };
/// Age of the oldest parked batch that its shard is not known to have.
pub const PARKED_AGE: Metric = Metric { name: "ParkedAge", unit: Unit::Seconds };
/// Calls that brought no answer, or an error.
pub const FLUSH_FAILURES: Metric = count("FlushFailures");
/// Memory used of the most that a server may use, of the fullest one.
pub const REDIS_MEMORY: Metric = Metric { name: "RedisMemory", unit: Unit::Percent };

/// All of them.
pub const ALL: [Metric; 16] = [
    VISITS,
    VISITS_FLUSHED,
    BATCHES,
    DUPLICATE_BATCHES,
    GAPS,
    HEALED,
    PARKED,
    DELIVERED,
    VISITS_LOST,
    CACHE_HITS,
    CACHE_MISSES,
    REDIS_LATENCY,
    BUFFER_AGE,
    PARKED_AGE,
    FLUSH_FAILURES,
    REDIS_MEMORY,
];

#[cfg(test)]
mod tests {
    use super::ALL;
    use std::collections::BTreeSet;

    #[test]
    fn each_metric_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
