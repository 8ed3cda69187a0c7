//! What only a real cluster shows: shards on many nodes, slots that move, nodes that fail over, go and come back.
//! What every store promises is held against a cluster in `redis_store`.

mod failures;
mod helpers;
mod moving;
mod settings;
mod spread;
