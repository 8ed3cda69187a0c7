//! The real binary against real Redis servers.

mod counts;
mod export;
mod helpers;
mod mistakes;
mod plan;
mod rehome;
mod shards;
