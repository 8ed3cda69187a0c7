//! What is done to the counter, and what must come of it.

pub mod crash;
pub mod faults;
pub mod growth;
pub mod idle;
pub mod kill;
pub mod outage;
pub mod shutdown;
pub mod sigterm;
