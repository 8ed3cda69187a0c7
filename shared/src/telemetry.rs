//! What an environment tells about itself: logs, JSON lines on Lambda and plain text elsewhere, and metrics.

pub mod lines;
pub mod metric;
pub mod metrics;
pub mod request;
pub mod samples;
pub mod traces;

mod json;

use json::WithRequestId;
use std::env;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// The target of what Lambda's runtime logs.
const RUNTIME: &str = "lambda_runtime";

/// Starts logging to standard output. The format follows Lambda's `AWS_LAMBDA_LOG_FORMAT` where it is
/// set, else JSON on Lambda and text elsewhere; the level `AWS_LAMBDA_LOG_LEVEL`, else `RUST_LOG` (also by
/// target, `info,visits_core=debug`), else info. Times are left to whoever collects the lines. A JSON line of an invocation
/// names it as `requestId`, as Lambda's own lines do.
pub fn init() {
    let json = match env::var("AWS_LAMBDA_LOG_FORMAT") {
        Ok(format) => format.eq_ignore_ascii_case("json"),
        // Set by Lambda itself, not by the local emulator.
        Err(_) => env::var_os("AWS_LAMBDA_INITIALIZATION_TYPE").is_some(),
    };
    let lines = fmt::layer().with_target(false).without_time();
    let lines = if json {
        // `message` and `level` at the top, where CloudWatch looks for them.
        lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .map_event_format(WithRequestId)
            .boxed()
    } else {
        lines.boxed()
    };
    let level = env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| env::var("RUST_LOG")).unwrap_or_default();
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter(&level)));
    #[cfg(feature = "otel")]
    let subscriber = subscriber.with(traces::layer(None).inspect_err(|error| eprintln!("no traces: {error}")).ok());
    // Twice in one process (tests) is harmless: the first stays.
    let _ = subscriber.try_init();
}

fn filter(level: &str) -> Targets {
    // Lambda says FATAL where tracing's highest level is ERROR.
    if level.eq_ignore_ascii_case("fatal") {
        return Targets::new().with_default(LevelFilter::ERROR);
    }
    let parsed = level.parse::<Targets>().ok().filter(|_| !level.is_empty());
    let filter = parsed.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    // At TRACE the runtime logs whole answers, and so the cookie of a new session.
    if filter.would_enable(RUNTIME, &Level::TRACE) { filter.with_target(RUNTIME, LevelFilter::DEBUG) } else { filter }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtimes_lines_with_whole_answers_are_never_logged() {
        for asked in ["TRACE", "trace", "lambda_runtime=trace", "info,lambda_runtime=trace"] {
            let enabled = |level| filter(asked).would_enable("lambda_runtime::layers::api_response", &level);
            assert_eq!((enabled(Level::DEBUG), enabled(Level::TRACE)), (true, false), "{asked}");
        }
        assert!(filter("TRACE").would_enable("visits_core", &Level::TRACE));
        assert!(!filter("INFO").would_enable("lambda_runtime", &Level::DEBUG));
    }

    #[test]
    fn the_level_is_info_unless_a_known_one_is_asked_for() {
        for (asked, info, debug) in [
            ("", true, false),
            ("a=b=c", true, false),
            ("DEBUG", true, true),
            ("warn", false, false),
            ("FATAL", false, false),
        ] {
            let filter = filter(asked);
            let enabled = |level| filter.would_enable("visits_core", &level);
            assert_eq!((enabled(Level::INFO), enabled(Level::DEBUG)), (info, debug), "{asked}");
        }
    }
}
