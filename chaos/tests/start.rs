//! What the release binaries say of settings at their start.

use std::process::Command;
use test_support::release_program;

#[test]
fn a_login_that_needs_aws_stops_the_start_of_a_function_that_is_built_without() {
    for function in ["record-visit", "get-visits", "flush-visits"] {
        let mut program = Command::new(release_program(function));
        let output = program.env_clear().env("REDIS_ENDPOINTS", "a=rediss://app@h;iam=site-cache").output().unwrap();
        let log = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert_eq!(log.matches("build it with --features aws-identity").count(), 1, "{log}");
    }
}
