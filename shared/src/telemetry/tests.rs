mod telemetry {
    use super::super::*;
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
    }

    #[test]
    fn the_level_is_info_unless_a_known_one_is_asked_for() {
        let core = "visits_core";
        for (asked, target, level, logged) in [
            ("TRACE", "visits_core::flusher", Level::TRACE, true),
            ("trace", "dashboard", Level::TRACE, true),
            ("info,visits_core::flusher=debug", "visits_core::flusher", Level::DEBUG, true),
            ("info,visits_core::flusher=debug", "visits_core::cache", Level::DEBUG, false),
            ("visits_core=warn,debug", "visits_core::cache", Level::INFO, false),
            ("visits_core=warn", "lambda_runtime", Level::ERROR, false),
            ("", core, Level::INFO, true),
            ("", core, Level::DEBUG, false),
            ("a=b=c", core, Level::INFO, true),
            ("a=b=c", core, Level::DEBUG, false),
            ("DEBUG", core, Level::DEBUG, true),
            ("warn", core, Level::INFO, false),
            ("FATAL", core, Level::INFO, false),
        ] {
            assert_eq!(filter(asked).would_enable(target, &level), logged, "{target} {level} by {asked}");
        }
    }
}

mod json {
    use super::super::*;
    use serde_json::{Value, json};
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

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
    fn a_line_has_time_and_level_for_lambda_and_names_its_invocation_if_there_is_one() {
        let (written, before) = (Lines::default(), std::time::SystemTime::now());
        let lines = json_lines(fmt::layer().with_target(false).with_writer(written.clone()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            tracing::info!(visits = 1, "before");
            REQUEST_ID.sync_scope("a\"b".into(), || tracing::warn!(visits = 2, "within"));
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for line in &mut lines {
            let timestamp = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            let at = humantime::parse_rfc3339(timestamp.as_str().unwrap()).unwrap();
            assert!(before - Duration::from_millis(1) <= at && at <= std::time::SystemTime::now(), "{timestamp}");
        }
        let within = json!({"requestId": "a\"b", "level": "WARN", "message": "within", "visits": 2});
        assert_eq!(lines, [json!({"level": "INFO", "message": "before", "visits": 1}), within]);
    }
}

mod request {
    use super::super::*;

    #[tokio::test]
    async fn side_by_side_each_knows_its_own_invocation() {
        let work = |name: &'static str| {
            in_invocation(name.into(), async move {
                tokio::task::yield_now().await;
                invocation_id()
            })
        };
        let (one, other) = tokio::join!(work("a"), work("b"));
        assert_eq!((one.as_deref(), other.as_deref(), invocation_id()), (Some("a"), Some("b"), None));
        assert_eq!(REQUEST_ID.sync_scope("c\"".into(), invocation_id_json).as_deref(), Some(r#""c\"""#));
    }
}

mod lines {
    use super::super::*;

    #[test]
    fn only_the_first_twenty_lines_are_written() {
        let (lines, mut written) = (Lines::default(), 0);
        (0..1_000).for_each(|_| lines.write(|| written += 1));
        assert_eq!(written, MAX_LINES);
    }
}
