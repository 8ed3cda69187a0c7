//! Re-homing.

pub mod actions;
pub mod config;
pub mod configs;
pub mod design;
pub mod drain;
pub mod model;
pub mod mutants;
mod normal;
pub mod possible;
pub mod properties;
pub mod shard;
pub mod state;
pub mod step;
