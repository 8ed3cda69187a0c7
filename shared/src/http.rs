//! What the two HTTP functions share: which page a request is about, and how it is answered.
//!
//! Events and answers have types of their own instead of `lambda_http`'s: of an event's two kilobytes four short
//! texts matter here. Reading only those takes a third off the work of an invocation, and what is not read cannot be
//! malformed (`docs/PERFORMANCE.md`).

mod event;
mod lenient;
mod problem;
mod reply;
mod route;
mod source;
#[cfg(test)]
mod tests;

pub use event::{DirectEvent, Event, Request};
pub use problem::Problem;
pub use reply::{Reply, Response};
pub use route::{Route, page_of};
