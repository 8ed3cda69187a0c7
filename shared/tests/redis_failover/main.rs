//! Failovers of real servers under load: whichever server answers at a shard's address, counts end exact.
//!
//! The counter speaks no Sentinel protocol. It knows one address for a shard, which in production is a DNS name or a
//! proxy that follows the primary; here it is a proxy that the test leads from one server to the next.

mod failover;
mod load;
mod sentinel;
mod world;
