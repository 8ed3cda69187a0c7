//! The settings as a site owner meets them: defaults, mistakes, and the message about those.

use super::{Config, ConfigError, Durability, Timer, Variable, masked};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::Duration;

fn read(set: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_vars(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value)))
}

#[test]
fn without_any_variable_the_defaults_hold() {
    let config = read(&[]).unwrap();
    let shards: Vec<String> = config.shards.iter().map(|shard| format!("{}={}", shard.name, shard.endpoint)).collect();
    assert_eq!(shards, ["redis_7070=redis://127.0.0.1:7070/0", "redis_7071=redis://127.0.0.1:7071/0"]);
    assert_eq!(config.namespace.as_str(), "visits");
    assert_eq!((config.cache_ttl, config.cache_pages), (Duration::from_secs(5), 10_000));
    assert_eq!((config.flush_interval, config.buffer_pages), (Duration::from_secs(30), 10_000));
    assert_eq!((config.durability, config.timer, config.timer_runs()), (Durability::Buffered, Timer::Auto, false));
    assert!(!config.allow_eviction);
    assert_eq!((config.sweep_concurrency, config.record_function.as_str()), (5, "record-visit"));
    assert_eq!(config.redis_connect_timeout, Duration::from_millis(500));
    assert_eq!((config.redis_timeout, config.max_concurrency), (Duration::from_secs(1), 1));
}

#[test]
fn a_blank_variable_counts_as_unset() {
    let blank: Vec<(&str, &str)> = Config::VARIABLES.iter().map(|variable| (variable.name, " \n")).collect();
    assert_eq!(read(&blank), read(&[]));
    let empty: Vec<(&str, &str)> = Config::VARIABLES.iter().map(|variable| (variable.name, "")).collect();
    assert_eq!(read(&empty), read(&[]));
}

#[test]
fn each_variable_takes_the_ends_of_its_range_and_refuses_anything_else_with_what_is_accepted() {
    let (on_off, interval) =
        ((&["on", "off"][..], &["yes", "1", "ON"][..]), (&["100ms", "10m"][..], &["0", "99ms", "11m", "30"][..]));
    let long = "f".repeat(171);
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:my-record_visit";
    let viewer = "CloudFront-Viewer-Address;secret=0123456789abcdefghij";
    let table: [(&str, &[&str], &[&str]); 27] = [
        (
            "REDIS_ENDPOINTS",
            &["a=redis://h", "a=redis://h;weight=16,b=rediss://h;weight=0", "a=redis://u@h;password-file=/p"],
            &["a", "redis://h", "a=h", "a=redis://h,", "a=redis://h,a=redis://g", "a=redis://h;weight=0"],
        ),
        ("REDIS_CA_FILE", &["built-in"], &["none", "/", "/no/such/file"]),
        ("VISITS_NAMESPACE", &["a", "My-site_2"], &["a b", "a:b", "é"]),
        (
            "VISITS_CACHE_TTL",
            &["0", "0s", "1ms", "1m 30s", "1h", " 5s "],
            &["5", "-1s", "1h 1ns", "5 parsecs", "s", "9999999999999999999999s"],
        ),
        (
            "VISITS_CACHE_PAGES",
            &["1", "10000000"],
            &["0", "-1", "+1", "1e3", "1_000", "10000001", "99999999999999999999999"],
        ),
        ("VISITS_FLUSH_INTERVAL", interval.0, interval.1),
        ("VISITS_UNREGISTERED_INTERVAL", interval.0, interval.1),
        ("VISITS_BUFFER_PAGES", &["1", "1000000"], &["0", "1000001", "10k"]),
        ("VISITS_DURABILITY", &["buffered", "direct"], &["Direct", "none"]),
        ("VISITS_ALLOW_EVICTION", on_off.0, on_off.1),
        ("VISITS_TIMER", &["auto", "on", "off"], &["true", "1"]),
        ("VISITS_SWEEP_CONCURRENCY", &["1", "100"], &["0", "101"]),
        ("VISITS_RECORD_FUNCTION", &["f", "f:$LATEST", arn], &["record visit", "f/g", &long]),
        ("REDIS_CONNECT_TIMEOUT", &["10ms", "10s"], &["0", "9ms", "11s"]),
        ("REDIS_TIMEOUT", &["10ms", "10s"], &["0", "9ms", "10001ms"]),
        ("VISITS_HISTORY_DAYS", &["0", "400"], &["-1", "401", "a year"]),
        ("VISITS_VISITORS", on_off.0, on_off.1),
        ("VISITS_DO_NOT_TRACK", &["respect", "ignore"], &["on"]),
        (
            "VISITS_CLIENT_ADDRESS",
            &["source", viewer],
            &["X-Real-IP", "X-Real-IP;secret=short", "a b;secret=0123456789abcdefghij", ";secret=0123456789abcdefghij"],
        ),
        ("VISITS_COUNT", &["all", "people"], &["bots"]),
        ("VISITS_PUBLIC", on_off.0, on_off.1),
        (
            "VISITS_OWNER_TOKEN",
            &["off", "file:/run/token", "secret:site/owner#token"],
            &["hunter2", "file:token", "file:", "on", "secret:"],
        ),
        (
            "VISITS_ORIGINS",
            &["*", "https://example.org,http://localhost:8000", "https://*.example.org"],
            &["example.org", "https://a.test/x", "https://a.test,", "https://*"],
        ),
        ("VISITS_PAGES", &["*", "home,blog/*"], &["a,,b", ","]),
        ("VISITS_NEW_PAGES_A_DAY", &["0", "10000000"], &["-1", "10000001"]),
        ("VISITS_REPEAT_WINDOW", &["0", "1h"], &["30", "61m"]),
        ("VISITS_METRICS", &["off", "VisitCounter/my-stack"], &["on", "my stack", "AWS/Lambda", ":a"]),
    ];
    for (variable, (name, accepted, refused)) in Config::VARIABLES.iter().zip(table) {
        assert_eq!(variable.name, name);
        for value in accepted {
            assert!(read(&[(name, value)]).is_ok(), "{name}={value}");
        }
        for value in refused {
            let error = read(&[(name, value)]).unwrap_err();
            assert_eq!(error.variables().collect::<Vec<_>>(), [name], "{value}");
            let message = error.to_string();
            assert!(message.contains(name) && message.contains(variable.accepted), "{message}");
        }
    }
    assert_eq!(Config::VARIABLES.len(), table.len());
}

#[test]
fn one_message_tells_everything_that_is_wrong() {
    let error = read(&[
        ("VISITS_CACHE_TTL", "5"),
        ("VISITS_NAMESPACE", "my site\n"),
        ("VISITS_TIMER", "on"),
        ("REDIS_ENDPOINTS", "a=redis://app:s3cret@h:7070,b=http://:s3cret@h"),
        ("REDIS_CA_FILE", "/no/such/file"),
    ]);
    let expected = "\
the configuration is wrong:
  REDIS_ENDPOINTS=\"***\": entry 2: the URL's scheme is not redis:// or \
rediss://; accepted: a comma-separated list of name=redis://[user][:password]@host[:port][/db], or rediss:// for TLS, \
each with an optional ;weight=N from 0 to 16, ;cluster for a node of a cluster, and one of ;password-file=/path, \
;password-secret=id[#key], ;iam=cache and ;iam-serverless=cache (default \
redis_7070=redis://127.0.0.1:7070,redis_7071=redis://127.0.0.1:7071)
  REDIS_CA_FILE=\"/no/such/file\": the file cannot be read: No such file or directory (os error 2); accepted: the path \
of a PEM file with the certificates of the authorities that rediss:// servers are signed by, or built-in for Mozilla's \
(default built-in)
  VISITS_NAMESPACE=\"my site\\n\": a name is 1 to 64 of the characters A-Z a-z 0-9 _ -; accepted: 1 to 64 of the \
characters A-Z a-z 0-9 _ - (default visits)
  VISITS_CACHE_TTL=\"5\": its unit is missing; accepted: a duration from 0 (no cache) to 1h, such as 5s or 1m 30s \
(default 5s)";
    assert_eq!(error.unwrap_err().to_string(), expected);
}

#[test]
fn a_password_shows_neither_in_an_error_nor_in_the_settings() {
    for list in
        ["a=redis://app:s3cret@h:99999", "a=redis://app:x,s3cret=1@h", "a=redis://app:x;s3cret@h", "a=app:s3cret@h"]
    {
        let error = read(&[("REDIS_ENDPOINTS", list)]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
    let config = read(&[("REDIS_ENDPOINTS", "a=redis://app:s3cret@h")]).unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
    // An option that does not exist.
    let error = read(&[("REDIS_ENDPOINTS", "a=redis://app@h;password=s3cret,b=redis://h;password-file=s3cret")]);
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    // A value that landed in the wrong variable.
    let error = read(&[("VISITS_NAMESPACE", "redis://app:s3cret@h")]).unwrap_err();
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[test]
fn a_very_long_value_is_shown_in_part() {
    let message = read(&[("VISITS_NAMESPACE", &"é".repeat(5_000))]).unwrap_err().to_string();
    assert!(message.chars().count() < 600 && message.contains('…'), "{message}");
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_utf8_is_an_error_of_its_variable() {
    use std::os::unix::ffi::OsStringExt as _;
    let latin1 = |name: &str| (name == "VISITS_DURABILITY").then(|| OsString::from_vec(b"caf\xe9".to_vec()));
    let error = Config::from_vars(latin1).unwrap_err();
    assert!(error.to_string().contains("VISITS_DURABILITY=\"caf\u{fffd}\": not UTF-8"), "{error}");
}

#[test]
fn a_timer_runs_by_itself_exactly_where_requests_run_side_by_side() {
    let runs = |timer, concurrency| {
        read(&[("VISITS_TIMER", timer), ("AWS_LAMBDA_MAX_CONCURRENCY", concurrency)]).unwrap().timer_runs()
    };
    for (concurrency, by_itself) in
        [("", false), ("1", false), ("2", true), ("16", true), ("0", false), ("many", false), ("-3", false)]
    {
        assert_eq!(runs("auto", concurrency), by_itself, "{concurrency}");
        assert!(runs("on", concurrency) && !runs("off", concurrency), "{concurrency}");
    }
}

/// The document of the settings as the table has them. `WRITE_DOCS=1` writes it.
#[test]
fn the_document_of_the_settings_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CONFIGURATION.md");
    let mut text = "# Configuration\n\nSet as environment variables. Durations are written like `500ms`, `30s` or `1m 30s`. A wrong value \
        stops the start with one message\nthat lists all that is wrong. This file is made from `shared/src/config.rs`.\n\n\
        | variable | default | accepted | meaning |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for Variable { name, default, accepted, doc } in Config::VARIABLES {
        // Stars and placeholders in angle brackets would be Markdown's.
        let accepted = accepted.replace('*', "\\*").replace('_', "\\_");
        writeln!(text, "| `{name}` | `{default}` | {accepted} |{doc} |").unwrap();
    }
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    // Mutation tests run without the documents.
    let Ok(document) = std::fs::read_to_string(path) else { return };
    assert_eq!(document, text, "run this test with WRITE_DOCS=1");
}

#[test]
fn a_value_that_may_hold_a_secret_is_not_shown_even_where_it_is_no_url() {
    for value in [
        "a=redis://app:SECRET@h:notaport",
        "a=redis://app:x,SECRET/x?SECRET#SECRET@h",
        "a=redis://app:SECRET",
        "a=redis://SECRET",
        "a=app:SECRET@h",
        "app:SECRET@h://",
        ":SECRET=x@h",
        "a=redis:/app:SECRET@h",
        "a=://:SECRET@",
        "a=redis://h?password=SECRET",
        "a=HTTP://:SECRET",
        "a=h;Password = SECRET;weight=1",
        ";pass=SECRET",
        "X-Real-IP;secret=SECRET",
        "a=h;password-file=SECRET",
        "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----",
    ] {
        assert_eq!(masked(value), "***", "{value}");
        for Variable { name, .. } in Config::VARIABLES {
            // Any text is a pattern of pages, and some of these are accepted elsewhere.
            let told =
                read(&[(name, value)]).map_or_else(|error| error.to_string(), |config| format!("{:?}", config.pages));
            assert!(!told.contains("SECRET"), "{name}: {told}");
        }
    }
    for name in ["VISITS_OWNER_TOKEN", "VISITS_CLIENT_ADDRESS"] {
        let error = read(&[(name, "X-Real-IP: hunter2")]).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let proxy = read(&[("VISITS_CLIENT_ADDRESS", "X-Real-IP;secret=SECRET-SECRET-SECRET-SECRET")]);
    assert!(!format!("{:?}", proxy.unwrap()).contains("SECRET"));
    let list = read(&[("VISITS_CLIENT_ADDRESS", "X-Forwarded-For;secret=0123456789abcdefghij")]).unwrap_err();
    assert!(list.to_string().contains("a client can write into a list"), "{list}");
    for value in ["5 parsecs", "arn:aws:lambda:eu-west-1:1:function:f/", "https://a.test/x", "home,blog/*"] {
        assert_eq!(masked(value), value);
    }
}

proptest::proptest! {
    #[test]
    fn any_password_between_a_scheme_and_a_host_is_not_shown(before in r"[ -~é]{0,12}", after in r"[ -~é]{0,12}") {
        let value = format!("a=redis://app:{before}SECRET{after}@h");
        proptest::prop_assert_eq!(masked(&value), "***");
    }
}

#[test]
fn aws_is_asked_over_plain_http_on_this_machine_only() {
    let names =
        ["", "_LAMBDA", "_SECRETS_MANAGER", "_STS", "_SSO", "_SSO_OIDC"].map(|end| format!("AWS_ENDPOINT_URL{end}"));
    for name in &names {
        for here in [
            "http://localhost:9000",
            "http://a.localhost",
            "http://127.0.0.1:4566/x",
            "HTTP://127.9.9.9",
            "http://[::1]:80",
            "https://lambda.eu-west-1.amazonaws.com",
            "https://10.0.0.1",
            " ",
        ] {
            assert_eq!(read(&[(name, here)]), read(&[]), "{name}={here}");
        }
        for elsewhere in [
            "http://lambda.eu-west-1.amazonaws.com",
            "HTTP://10.0.0.1:4566",
            "http://169.254.169.254",
            "http://0.0.0.0",
            "http://[fd00::1]",
            "http://localhost.example.org",
            "http://127.0.0.1@example.org",
            "http://",
        ] {
            let error = read(&[(name, elsewhere)]).unwrap_err();
            assert_eq!(error.variables().collect::<Vec<_>>(), [name], "{elsewhere}");
            let message = error.to_string();
            assert!(message.contains("plain http to another machine") && message.contains("https://"), "{message}");
        }
    }
    let both = read(&[("AWS_ENDPOINT_URL", "http://a.test"), ("VISITS_TIMER", "x")]).unwrap_err();
    assert_eq!(both.variables().count(), 2, "one message has all that is wrong");
}

mod testing {
    use super::super::*;

    #[test]
    fn without_it_the_protocol_runs_at_its_own_pace() {
        assert_eq!(testing(""), Ok(Testing { timing: Timing::REAL, frozen: None }));
    }

    #[test]
    fn a_test_may_hasten_time_freeze_the_clock_and_switch_healing_off() {
        let testing = super::super::testing("healing=off,scale=100,frozen=/a/b").unwrap();
        assert_eq!((testing.timing.confirm_after, testing.timing.longest_pause.as_millis()), (Duration::ZERO, 300));
        assert_eq!(testing.frozen, Some("/a/b".into()));
    }

    #[test]
    fn a_mistake_is_told() {
        for text in ["scale=0", "scale=x", "scale", "healing=on", "fast"] {
            assert!(testing(text).is_err(), "{text}");
        }
    }
}
