//! Messages of the release binaries, built as they are deployed, about settings at their start.

use std::process::Command;
use test_support::release_program;

/// Returns a function's log with this setting, started without a Runtime API, so that it ends in any case.
fn log(function: &str, variable: &str, value: &str) -> String {
    let output = Command::new(release_program(function))
        .env_clear()
        .env("AWS_REGION", "eu-west-1")
        .env(variable, value)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[test]
fn every_function_is_built_with_all_logins() {
    for function in ["record-visit", "get-visits", "dashboard", "flush-visits"] {
        for option in ["iam=site-cache", "iam-serverless=site-cache", "password-secret=site/redis"] {
            let log = log(function, "REDIS_ENDPOINTS", &format!("a=rediss://app@h;{option}"));
            assert!(!log.contains("REDIS_ENDPOINTS"), "{function}: {log}");
        }
        let log = log(function, "VISITS_OWNER_TOKEN", "secret:site/owner");
        assert!(!log.contains("VISITS_OWNER_TOKEN"), "{function}: {log}");
    }
}
