//! What only real Redis servers show of the Redis store. What it shares with every store is in
//! `store_contract`.

mod arguments;
mod connections;
mod crash;
mod helpers;
mod identity;
mod layout;
mod mutated_arguments;
mod parked;
mod refusals;
mod silence;
mod tidying;
mod tls;
mod warnings;
