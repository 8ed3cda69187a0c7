//! The core of the visit counter, shared by its four Lambda functions.
//!
//! Dependencies point down only, from what the functions call to plain values; `ARCHITECTURE.md` shows
//! the map.

pub mod cache;
pub mod flusher;
pub mod fold;
pub mod handoff;
pub mod rehome;
pub mod rollup;
pub mod statistics;
pub mod sweep;

pub mod store;

pub mod budget;
pub mod buffer;
mod lane;
pub mod outbox;
pub mod report;

pub mod batch;
pub mod day;
pub mod page;
pub mod record;
pub mod ring;
pub mod shard;
pub mod timing;
pub mod visit;

pub mod clock;
pub mod config;
pub mod credentials;
pub mod process;
pub mod telemetry;

#[cfg(any(test, feature = "testing"))]
pub mod tests;

#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "lambda")]
pub mod lambda;
