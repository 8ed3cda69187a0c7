//! Requests and answers of the HTTP functions: what a request asks for, which page it is about, and how it is answered.
//!
//! `aws_lambda_events` describes the events of the front ends. Handlers see one [`Request`] and give one [`Response`], whichever
//! front end it is; `lambda_http`'s own would panic on requests that clients can send (`docs/decisions/0012`).

mod cors;
mod event;
mod owner;
mod reply;
mod route;
#[cfg(test)]
mod tests;

pub use cors::Cors;
pub use event::{Body, DirectEvent, Event, MAX_BODY, Request, SESSION_COOKIE, Source};
pub use owner::{Owner, SESSION, Shown};
pub use reply::{Problem, Reply, Response};
pub use route::{Query, Route, Routes, Target};
