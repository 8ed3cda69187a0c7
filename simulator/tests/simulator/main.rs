//! The simulator's promises, shown with a real function binary: `examples/probe.rs`.

mod bench;
mod ending;
mod failing;
mod freezing;
mod invoke_api;
mod load;
mod managed_instances;
mod routing;
mod settings;
