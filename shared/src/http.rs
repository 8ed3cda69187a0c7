//! What the two HTTP functions share: which page a request is about, and how errors are answered.

mod event;
mod problem;
mod route;
mod runtime;
mod sanitize;
mod source;
#[cfg(test)]
mod tests;

pub use event::{direct_event, foreign_http_event, unsupported_event_response};
pub use problem::{Problem, json_response};
pub use route::{Route, page_of};
pub use runtime::{request_of, runtime};
use sanitize::sanitized;
