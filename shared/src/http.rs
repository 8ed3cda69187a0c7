//! What the HTTP functions share: what a request asks for, which page it is about, and how it is answered.
//!
//! Events and answers have types of their own instead of `lambda_http`'s: of an event's two kilobytes a few short
//! texts matter here. Reading only those takes a third off the work of an invocation, and what is not read cannot be
//! malformed (`docs/PERFORMANCE.md`).

mod body;
mod cors;
mod event;
mod headers;
mod lenient;
mod owner;
mod problem;
mod query;
mod reply;
mod route;
mod source;
#[cfg(test)]
mod tests;

pub use body::{Body, MOST_BODY};
pub use cors::Cors;
pub use event::{DirectEvent, Event, Request};
pub use headers::{Headers, SESSION_COOKIE};
pub use owner::{Owner, SESSION, Shown, UnreadableToken};
pub use problem::Problem;
pub use query::Query;
pub use reply::{Reply, Response};
pub use route::{Found, Route, Routes, Target};
