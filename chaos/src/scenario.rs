//! Scenarios: faults, and the figures that must hold under them.

pub mod crash;
pub mod faults;
pub mod growth;
pub mod idle;
pub mod kill;
pub mod outage;
pub mod shutdown;
pub mod sigterm;
