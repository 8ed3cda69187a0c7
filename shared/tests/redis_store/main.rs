//! The Redis store on real servers: its promises on every version and on a cluster, and what crashes, full or silent
//! servers and wrong settings do.

mod batches;
mod connections;
mod crash;
mod fake_aws;
mod full;
mod helpers;
mod identity;
mod layout;
mod logins;
mod logins_by_iam;
#[cfg(feature = "http")]
mod owner_by_secret;
mod parking;
mod promises;
mod reader;
mod refusals;
mod rehoming;
mod ring_changes;
mod rounds;
mod scripts;
mod silence;
mod statistics;
mod tls;
mod warnings;
mod writers;
