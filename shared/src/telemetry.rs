//! Logs of an environment, JSON lines on Lambda and plain text elsewhere; metrics.
//!
//! Log lines name their invocation by a task-local variable and no span: a span that is opened for each invocation formats
//! its fields whether a line is logged or not.

pub mod metrics;

use std::env;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::futures::TaskLocalFuture;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{DefaultFields, Format, Full, Writer};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// The crates of this project, as the targets of their lines begin.
const OURS: [&str; 5] = ["visits", "record_visit", "get_visits", "dashboard", "flush_visits"];

/// The finest level of every other crate. Below it, Lambda's runtime logs whole events and answers, and so addresses, cookies and
/// tokens; HTTP clients and AWS's SDK log what they send.
const MAX_OF_OTHERS: LevelFilter = LevelFilter::INFO;

/// Starts logging to standard output. The format follows Lambda's `AWS_LAMBDA_LOG_FORMAT` where it is
/// set, else JSON on Lambda and text elsewhere; the level `AWS_LAMBDA_LOG_LEVEL`, else `RUST_LOG` (also by
/// target, `info,visits_core=debug`), else info. A JSON line has its `timestamp` (RFC 3339) and `level` where Lambda looks for them; one
/// of an invocation names it as `requestId`, as Lambda's own lines do. Text is for a terminal and has no times.
pub fn init() {
    let json = match env::var("AWS_LAMBDA_LOG_FORMAT") {
        Ok(format) => format.eq_ignore_ascii_case("json"),
        // Set by Lambda itself, not by the local emulator.
        Err(_) => env::var_os("AWS_LAMBDA_INITIALIZATION_TYPE").is_some(),
    };
    let lines = fmt::layer().with_target(false);
    let lines = if json { json_lines(lines).boxed() } else { lines.without_time().boxed() };
    let level = env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| env::var("RUST_LOG")).unwrap_or_default();
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter(&level)));
    // Twice in one process (tests) is harmless: the first stays.
    let _ = subscriber.try_init();
}

/// Turns lines into JSON objects, with all members at the top.
fn json_lines<S, W>(lines: fmt::Layer<S, DefaultFields, Format<Full, SystemTime>, W>) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
    lines.map_event_format(WithRequestId)
}

/// Returns the filter that `level` asks for: a level, or levels by target. Unknown text means info. Crates of others never log more
/// than [`MAX_OF_OTHERS`], also where they are named.
fn filter(level: &str) -> Targets {
    // Lambda says FATAL where tracing's highest level is ERROR.
    if level.eq_ignore_ascii_case("fatal") {
        return Targets::new().with_default(LevelFilter::ERROR);
    }
    let parsed = level.parse::<Targets>().ok().filter(|_| !level.is_empty());
    let asked = parsed.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let default = asked.default_level().unwrap_or(LevelFilter::OFF);
    let is_ours = |target: &str| OURS.iter().any(|ours| target.starts_with(ours));
    let bounded = |level: LevelFilter| level.min(MAX_OF_OTHERS);
    Targets::new().with_default(bounded(default)).with_targets(OURS.map(|target| (target, default))).with_targets(
        asked.iter().map(|(target, level)| (target, if is_ours(target) { level } else { bounded(level) })),
    )
}

/// Adds to the line of another format, a JSON object, the member `requestId` where an invocation is worked for.
struct WithRequestId<F>(F);

impl<S, N, F> FormatEvent<S, N> for WithRequestId<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        let Some(id) = invocation_id_json() else { return self.0.format_event(ctx, writer, event) };
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        // Each line has a level, so there is a member to go before.
        let members = line.strip_prefix('{').ok_or(std::fmt::Error)?;
        write!(writer, "{{\"requestId\":{id},{members}")
    }
}

tokio::task_local! {
    static REQUEST_ID: Arc<str>;
}

/// Runs `work` for the invocation with this id.
pub fn in_invocation<F: Future>(id: Arc<str>, work: F) -> TaskLocalFuture<Arc<str>, F> {
    REQUEST_ID.scope(id, work)
}

/// The id of the invocation that is worked for here, if there is one.
pub fn invocation_id() -> Option<Arc<str>> {
    REQUEST_ID.try_with(Arc::clone).ok()
}

/// The id as JSON text.
pub(crate) fn invocation_id_json() -> Option<String> {
    serde_json::to_string(&*invocation_id()?).ok()
}

/// Most lines of one flush, delivery, or run of another kind.
pub const MAX_LINES: u64 = 20;

/// The error lines of one run. When it is dropped, one more line says how many were left out.
#[derive(Debug, Default)]
pub struct Lines(AtomicU64);

impl Lines {
    /// Writes a line, unless [`MAX_LINES`] were written before.
    pub fn write(&self, line: impl FnOnce()) {
        if self.0.fetch_add(1, Ordering::Relaxed) < MAX_LINES {
            line();
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let left_out = self.0.get_mut().saturating_sub(MAX_LINES);
        if left_out > 0 {
            tracing::error!(left_out, "further lines like the last ones were left out");
        }
    }
}

#[cfg(test)]
mod tests;
