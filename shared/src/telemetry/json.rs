//! JSON lines that name their invocation.

use super::request;
use std::fmt;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// What another format makes, which is a JSON object on a line, with the member `requestId` where an invocation is worked for.
pub(super) struct WithRequestId<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for WithRequestId<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(id) = request::json() else { return self.0.format_event(ctx, writer, event) };
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        // Each line has a level, so there is a member to go before.
        let members = line.strip_prefix('{').ok_or(fmt::Error)?;
        write!(writer, "{{\"requestId\":{id},{members}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_line_names_its_invocation_and_without_one_is_as_it_was() {
        let lines = Lines::default();
        let format = tracing_subscriber::fmt::layer().with_target(false).without_time().with_writer(lines.clone());
        let format = format.json().flatten_event(true).with_current_span(false).with_span_list(false);
        let subscriber = tracing_subscriber::registry().with(format.map_event_format(WithRequestId));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(visits = 1, "before");
            request::within_sync(&"a\"b".into(), || tracing::warn!(visits = 2, "within"));
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let within = json!({"requestId": "a\"b", "level": "WARN", "message": "within", "visits": 2});
        assert_eq!(lines, [json!({"level": "INFO", "message": "before", "visits": 1}), within]);
    }
}
