//! Runs the real release binaries through [`lambda_simulator`] against real Redis servers behind [`fault_proxy`]s,
//! makes everything go wrong that may, and holds the counts against a plain sum of what was acknowledged.
//!
//! Each scenario comes to some rows of a table ([`report::Row`]); `make chaos` prints it, and a short version
//! of each is a test. Of time, only what Lambda dictates is real: all durations of the protocol run
//! [`world::SCALE`] times as fast, and with them the flush interval and the schedule.

pub mod client;
pub mod counts;
pub mod ledger;
pub mod report;
pub mod scenario;
pub mod servers;
pub mod world;
