//! The real binary against real Redis servers.

mod counts;
mod delete;
mod export;
mod helpers;
mod import;
mod mistakes;
mod plan;
mod rehome;
mod shards;
