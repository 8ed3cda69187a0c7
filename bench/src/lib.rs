//! Measures the counter side by side with the floor (a handler that does nothing) and with what people use
//! instead, in one run on one machine.

#![allow(clippy::cast_precision_loss, reason = "figures are floats, and all that is counted is below 2^52")]

pub mod effort;
pub mod environment;
pub mod events;
pub mod figures;
pub mod groups;
pub mod instructions;
pub mod machine;
pub mod python;
pub mod runtime_api;
mod server;
pub mod statistics;
pub mod subject;
mod wire;
