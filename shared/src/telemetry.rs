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
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// The crates of this project, as the targets of their lines begin.
const OURS: [&str; 5] = ["visits", "record_visit", "get_visits", "dashboard", "flush_visits"];

/// The finest level of every other crate. Below it, Lambda's runtime logs whole events and answers, and so addresses, cookies and
/// tokens; HTTP clients and AWS's SDK log what they send.
const MAX_OF_OTHERS: LevelFilter = LevelFilter::INFO;

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

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn crates_of_others_log_no_more_than_at_info_whatever_is_asked_for() {
        let others = [
            "lambda_runtime",
            "lambda_runtime::layers::api_response",
            "lambda_runtime_api_client",
            "hyper::proto::h1::io",
            "h2::codec::framed_write",
            "rustls::client::hs",
            "redis",
            "aws_config::profile::credentials",
            "aws_sigv4::http_request::sign",
            "aws_smithy_runtime::client::orchestrator",
        ];
        for target in others {
            for asked in [
                "TRACE",
                "trace",
                &format!("{target}=trace"),
                &format!("info,{target}=trace"),
                "l=trace,info",
                "=trace",
            ] {
                let enabled = |level| filter(asked).would_enable(target, &level);
                assert!(!enabled(Level::DEBUG) && !enabled(Level::TRACE), "{target} by {asked}");
            }
            assert!(filter("trace").would_enable(target, &Level::INFO), "{target}");
            assert!(!filter("trace,warn").would_enable(target, &Level::INFO), "{target}");
        }
        let table = [
            ("TRACE", "visits_core::flusher", Level::TRACE, true),
            ("trace", "dashboard", Level::TRACE, true),
            ("info,visits_core::flusher=debug", "visits_core::flusher", Level::DEBUG, true),
            ("info,visits_core::flusher=debug", "visits_core::cache", Level::DEBUG, false),
            ("visits_core=warn,debug", "visits_core::cache", Level::INFO, false),
            ("visits_core=warn", "lambda_runtime", Level::ERROR, false),
        ];
        for (asked, target, level, logged) in table {
            assert_eq!(filter(asked).would_enable(target, &level), logged, "{target} {level} by {asked}");
        }
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
