//! Metrics without a daemon: lines in `CloudWatch`'s embedded metric format on standard output, out of which `CloudWatch` Logs takes
//! the values. One JSON object a line and nothing around it; no dimensions, so that all environments of all functions add to
//! one set. `docs/OPERATIONS.md` says what each metric means, and a test compares the two.
//!
//! A figure that is 0 is left out: `CloudWatch` charges for each metric that has a value in an hour, and most of these should
//! have none.

use super::invocation_id_json;
use crate::clock::{Clock, Moment};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// Where the metrics of an environment go: to standard output, or nowhere. Clones are the same.
#[derive(Clone, Default)]
pub struct Metrics(Option<Arc<Sink>>);

struct Sink {
    namespace: String,
    clock: Clock,
    write: Box<dyn Fn(&str) + Send + Sync>,
}

/// The figures of one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures(Vec<(Metric, Value)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Number(u64),
    Micros(Vec<u32>),
}

impl Metrics {
    /// Lines in this namespace on standard output; without one, none.
    pub fn new(namespace: Option<String>, clock: Clock) -> Self {
        // A line that cannot be written is lost: nothing else is to suffer for it.
        let write = |line: &str| drop(std::io::stdout().lock().write_all(line.as_bytes()));
        namespace.map(|namespace| Self::to(namespace, clock, write)).unwrap_or_default()
    }

    /// Writes the lines, each of which ends with a line break, to another place.
    pub fn to(namespace: String, clock: Clock, write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(Sink { namespace, clock, write: Box::new(write) })))
    }

    /// Whether lines are written.
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// Writes a line, unless there is nothing to say. `figures` is asked only where lines are written: what it takes from
    /// counters stays there until then.
    pub fn write(&self, figures: impl FnOnce() -> Figures) {
        let Some(sink) = &self.0 else { return };
        let Figures(figures) = figures();
        if !figures.is_empty() {
            (sink.write)(&line(&sink.namespace, sink.clock.now(), invocation_id_json().as_deref(), &figures));
        }
    }
}

impl Figures {
    /// A count, unless it is 0.
    pub fn count(&mut self, metric: Metric, count: u64) {
        if count > 0 {
            self.level(metric, count);
        }
    }

    /// Sets a gauge, also to 0.
    pub fn level(&mut self, metric: Metric, level: u64) {
        self.0.push((metric, Value::Number(level)));
    }

    /// Durations, in milliseconds.
    pub fn durations(&mut self, metric: Metric, samples: &Samples) {
        if !samples.is_empty() {
            self.0.push((metric, Value::Micros(samples.micros().to_vec())));
        }
    }
}

/// The document with its line break. Names, units and the namespace need no escaping in JSON.
fn line(namespace: &str, at: Moment, request_id: Option<&str>, figures: &[(Metric, Value)]) -> String {
    let mut text = String::with_capacity(1024);
    // Writing to a `String` cannot fail.
    let _ = write!(
        text,
        r#"{{"_aws":{{"Timestamp":{},"CloudWatchMetrics":[{{"Namespace":"{namespace}","Dimensions":[[]],"Metrics":["#,
        at.epoch_millis()
    );
    for (index, (Metric { name, unit }, _)) in figures.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(text, r#"{comma}{{"Name":"{name}","Unit":"{unit}"}}"#);
    }
    text.push_str("]}]}");
    if let Some(request_id) = request_id {
        let _ = write!(text, r#","requestId":{request_id}"#);
    }
    for (Metric { name, .. }, value) in figures {
        let _ = write!(text, r#","{name}":"#);
        match value {
            Value::Number(number) => drop(write!(text, "{number}")),
            Value::Micros(micros) => write_millis(&mut text, micros),
        }
    }
    text.push_str("}\n");
    text
}

fn write_millis(text: &mut String, micros: &[u32]) {
    for (index, micros) in micros.iter().enumerate() {
        let comma = if index == 0 { '[' } else { ',' };
        let _ = write!(text, "{comma}{}.{:03}", micros / 1000, micros % 1000);
    }
    text.push(']');
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Metrics").field(&self.0.as_ref().map(|sink| &sink.namespace)).finish()
    }
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// The unit of its values, by `CloudWatch`'s name.
    pub unit: &'static str,
}

/// Declares each metric once: its constant, name and unit, and its place in [`ALL`].
macro_rules! metrics {
    ($($(#[$doc:meta])* $constant:ident = $name:literal in $unit:ident;)*) => {
        $($(#[$doc])* pub const $constant: Metric = Metric { name: $name, unit: stringify!($unit) };)*

        /// All metrics.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    /// Visits taken into memory.
    VISITS = "Visits" in Count;
    /// Visits now known to be applied that were not before: each once, by any sender.
    VISITS_FLUSHED = "VisitsFlushed" in Count;
    /// Batches in calls that a shard has answered.
    BATCHES = "Batches" in Count;
    /// Batches among them that the shard had applied before.
    DUPLICATE_BATCHES = "DuplicateBatches" in Count;
    /// Batches that a shard had applied and has lost again.
    GAPS = "Gaps" in Count;
    /// Visits in such batches that are applied again.
    HEALED = "Healed" in Count;
    /// Copies of batches stored on another shard.
    PARKED = "Parked" in Count;
    /// Visits that were brought to their shard from such copies.
    DELIVERED = "Delivered" in Count;
    /// Acknowledged visits that will not be counted.
    VISITS_LOST = "VisitsLost" in Count;
    /// Counts answered from memory.
    CACHE_HITS = "CacheHits" in Count;
    /// Counts that a shard was asked for.
    CACHE_MISSES = "CacheMisses" in Count;
    /// Time from a call of a shard to its answer, connecting included.
    REDIS_LATENCY = "RedisLatency" in Milliseconds;
    /// Age of the oldest visit in memory when a flush begins.
    BUFFER_AGE = "BufferAge" in Milliseconds;
    /// Age of the oldest parked batch that its shard is not known to have.
    PARKED_AGE = "ParkedAge" in Seconds;
    /// Calls that brought no answer, or an error.
    FLUSH_FAILURES = "FlushFailures" in Count;
    /// Memory used of the most that a server may use, of the fullest one.
    REDIS_MEMORY = "RedisMemory" in Percent;
    /// Visits that are counted and in no statistics, since a journal was full.
    STATISTICS_SKIPPED = "StatisticsSkipped" in Count;
}

/// Most values of one metric that a line may hold.
pub const MAX_SAMPLES: usize = 100;

/// Durations, all of them up to [`MAX_SAMPLES`], else an even sample: every second one, every fourth, and so on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    micros: Vec<u32>,
    /// One of `2^halvings` is kept.
    halvings: u32,
    /// Values that came since the last one that was kept.
    since: u32,
}

impl Samples {
    /// Takes one more.
    pub fn add(&mut self, value: Duration) {
        if self.since > 0 {
            self.since -= 1;
            return;
        }
        if self.micros.len() == MAX_SAMPLES {
            let mut keep = false;
            self.micros.retain(|_| {
                keep = !keep;
                keep
            });
            self.halvings += 1;
        }
        self.micros.push(u32::try_from(value.as_micros()).unwrap_or(u32::MAX));
        self.since = (1 << self.halvings.min(31)) - 1;
    }

    /// Nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.micros.is_empty()
    }

    /// Returns the values that were kept, in microseconds and in order.
    pub fn micros(&self) -> &[u32] {
        &self.micros
    }
}

#[cfg(test)]
mod tests;
