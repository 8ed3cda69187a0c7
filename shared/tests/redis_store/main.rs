//! What only real Redis servers show of the Redis store. What it shares with every store is in
//! `store_contract`.

mod arguments;
#[cfg(feature = "iam")]
mod aws_variables;
mod connections;
mod crash;
#[cfg(feature = "secrets-manager")]
mod fake_aws;
mod full;
mod helpers;
mod identity;
mod layout;
mod logins;
mod logins_by_file;
#[cfg(feature = "iam")]
mod logins_by_iam;
#[cfg(feature = "secrets-manager")]
mod logins_by_secret;
mod mutated_arguments;
mod mutated_moves;
#[cfg(all(feature = "secrets-manager", feature = "http"))]
mod owner_by_secret;
mod parked;
mod reader;
mod refusals;
mod rehoming;
mod ring_changes;
mod rollup;
mod silence;
mod tidying;
mod tls;
mod warnings;
