//! Without traces: the work itself.

use std::future::Future;

/// An invocation with this id, in the trace that the X-Ray header names.
pub fn invocation<F: Future>(_: &str, _: Option<&str>, work: F) -> F {
    work
}

/// A flush for this reason.
pub fn flush<F: Future>(_: &'static str, work: F) -> F {
    work
}

/// A call of this shard.
pub fn call<'a, F: Future + 'a>(_: &'a str, work: F) -> F {
    work
}

/// Sends what has ended.
pub async fn export() {}
