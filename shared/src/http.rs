//! What the HTTP functions share: what a request asks for, which page it is about, and how it is answered.
//!
//! Events and answers have types of their own instead of `lambda_http`'s: of an event's two kilobytes a few short
//! texts matter here. Reading only those takes a third off the work of an invocation, and what is not read cannot be
//! malformed (`docs/PERFORMANCE.md`).

mod cors;
mod event;
mod owner;
mod reply;
mod route;
#[cfg(test)]
mod tests;

pub use cors::Cors;
pub use event::{Body, DirectEvent, Event, Headers, MOST_BODY, Request, SESSION_COOKIE};
pub use owner::{Owner, SESSION, Shown, UnreadableToken};
pub use reply::{Problem, Reply, Response};
pub use route::{Found, Query, Route, Routes, Target};
