//! Metrics without a daemon: lines in `CloudWatch`'s embedded metric format on standard output, out of which `CloudWatch` Logs takes
//! the values. One JSON object a line and nothing around it; no dimensions, so that all environments of all functions add to
//! one set.
//!
//! A figure that is 0 is left out: `CloudWatch` charges for each metric that has a value in an hour, and most of these should
//! have none.

use super::metric::Metric;
use super::request;
use super::samples::Samples;
use crate::clock::{Clock, Moment};
use crate::config::MetricsNamespace;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

/// Where the metrics of an environment go: to standard output, or nowhere. Clones are the same.
#[derive(Clone, Default)]
pub struct Metrics(Option<Arc<Sink>>);

struct Sink {
    namespace: MetricsNamespace,
    clock: Clock,
    write: Box<dyn Fn(&str) + Send + Sync>,
}

/// What one line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures(Vec<(Metric, Value)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Number(u64),
    Micros(Vec<u32>),
}

impl Metrics {
    /// Lines in this namespace on standard output; without one, none.
    pub fn new(namespace: Option<MetricsNamespace>, clock: Clock) -> Self {
        // A line that cannot be written is lost: nothing else is to suffer for it.
        let write = |line: &str| drop(std::io::stdout().lock().write_all(line.as_bytes()));
        namespace.map(|namespace| Self::to(namespace, clock, write)).unwrap_or_default()
    }

    /// The same with another place for the lines, each of which ends with a line break.
    pub fn to(namespace: MetricsNamespace, clock: Clock, write: impl Fn(&str) + Send + Sync + 'static) -> Self {
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
            (sink.write)(&line(&sink.namespace, sink.clock.now(), request::json().as_deref(), &figures));
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

    /// What a gauge shows, also if it is 0.
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
fn line(namespace: &MetricsNamespace, at: Moment, request_id: Option<&str>, figures: &[(Metric, Value)]) -> String {
    let mut text = String::with_capacity(1024);
    // Writing to a `String` cannot fail.
    let _ = write!(
        text,
        r#"{{"_aws":{{"Timestamp":{},"CloudWatchMetrics":[{{"Namespace":"{namespace}","Dimensions":[[]],"Metrics":["#,
        at.epoch_millis()
    );
    for (index, (Metric { name, unit }, _)) in figures.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(text, r#"{comma}{{"Name":"{name}","Unit":"{}"}}"#, unit.as_str());
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

#[cfg(test)]
mod tests;
