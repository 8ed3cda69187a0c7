//! Tests that need several real servers. A cluster: shards on many nodes, slots that move, nodes that fail over, go and come back.
//! Servers by themselves: a replica takes the place of its primary. What every store promises is held against a cluster in
//! `redis_store`.

mod failover;
mod failures;
mod helpers;
mod load;
mod moving;
mod settings;
mod spread;
