//! Shards on a real Redis server for tests, with faults on request.
//!
//! All cases of a test program share one server, each with a database of its own. No test waits for a fault: the store
//! itself consults [`Faults`] at every call to a shard. [`Fake`] is a ledger in memory, for random schedules of writers and
//! deliverers whose hours and crashes real servers would take too long for.
//!
//! ```
//! use visits_core::tests::{Fault, Shards, page};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let shards = Shards::new(2); // named `a` and `b`
//! shards.fail_next(0, [Some(Fault::Unreachable)]);
//! assert!(shards.store().total(0, &page("home")).await.is_err());
//! assert_eq!(shards.store().total(0, &page("home")).await, Ok(0));
//! assert_eq!((shards.calls(0), shards.sum(&page("home"))), (2, 0));
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

#![expect(clippy::missing_panics_doc, reason = "a test's looks panic where a server does not answer")]

mod clock;
mod fake;
mod faults;
#[cfg(feature = "http")]
mod front_end;
mod shards;

pub use clock::ManualClock;
pub use fake::Fake;
pub(crate) use faults::HeldBack;
pub use faults::{Fault, Faults};
#[cfg(feature = "http")]
pub use front_end::{Call, FrontEnd, SCHEDULE, any_event_gets_a_right_answer, body, outcome, response};
pub use shards::Shards;

use crate::batch::{Batch, Increment, Sequence, WriterId};
use crate::clock::Clock;
use crate::config::Config;
use crate::fold::{self, Folded};
use crate::page::PageId;
use crate::ring::Ring;
use crate::shard::Weight;
use crate::store::redis::RedisStore;
use crate::store::{Apply, ShardIndex, WriterStatus};
use crate::telemetry::metrics::Metrics;
use crate::visit::Visitor;
use redis::{Commands, Connection};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The writer of most tests.
pub const WRITER: WriterId = WriterId::from_u128(1);

/// The page with this decoded id.
///
/// # Panics
/// If it is none.
pub fn page(id: &str) -> PageId {
    PageId::from_decoded(id).unwrap_or_else(|error| panic!("{id}: {error}"))
}

/// Metrics, and the lines that they write.
///
/// # Panics
/// Never: the namespace is one.
pub fn metrics(clock: Clock) -> (Metrics, Arc<Mutex<Vec<Value>>>) {
    let config = Config::from_vars(|name| (name == "VISITS_METRICS").then(|| "VisitCounter".into()));
    let namespace = config.ok().and_then(|config| config.metrics).unwrap_or_else(|| panic!("a namespace"));
    let lines = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&lines);
    let write = move |line: &str| {
        let line = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        written.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    };
    (Metrics::to(namespace, clock, write), lines)
}

/// A batch sealed just now, of no day.
pub fn batch(number: u64, visits: &[(&str, u64)]) -> (Arc<Batch>, Duration) {
    let increments = visits.iter().map(|(id, visits)| (page(id), *visits)).collect();
    let sequence = Sequence::new(number).unwrap_or_else(|| panic!("{number} is no sequence"));
    (Arc::new(Batch::seal(sequence, increments, Clock::system().now())), Duration::ZERO)
}

/// An increment with these visitors.
pub fn increment(id: &str, visits: u64, bots: u64, visitors: &[u64]) -> Increment {
    Increment { page: page(id), visits, bots, visitors: visitors.iter().copied().map(Visitor).collect() }
}

/// A call of [`WRITER`] with base 1.
pub fn call(batches: &[(Arc<Batch>, Duration)]) -> Apply {
    Apply { writer: WRITER, base: Sequence::FIRST, batches: batches.to_vec(), status: WriterStatus::Active, ring: None }
}

/// A call with batch 1: one visit of the page `home`.
pub fn visit() -> Apply {
    call(&[batch(1, &[("home", 1)])])
}

/// Folds the journal of a shard to its end, by a ring that places all pages and visitors there.
///
/// # Panics
/// Never: the ring has a shard with weight.
pub async fn fold_here(store: &RedisStore, shard: ShardIndex, clock: &Clock) -> Folded {
    let weight = |of: ShardIndex| u8::from(of == shard);
    let shards = (0..=shard).filter_map(|of| Some((format!("s{of}").parse().ok()?, Weight::new(weight(of)).ok()?)));
    let ring = Ring::new(shards).unwrap_or_else(|error| panic!("{error}"));
    let settings = fold::Settings { pages_at_once: 2, ..fold::Settings::new(u32::MAX, Duration::from_mins(1)) };
    fold::fold(store, &ring, clock, settings, [shard]).await
}

/// Folds the journals of all shards to their ends; no day is too old.
pub async fn fold(store: &RedisStore, ring: &Ring, clock: &Clock) -> Folded {
    let settings = fold::Settings { pages_at_once: 2, ..fold::Settings::new(u32::MAX, Duration::from_mins(1)) };
    fold::fold(store, ring, clock, settings, 0..ring.len()).await
}

/// All that a server holds in a database, as bytes that differ when any of it does.
pub fn contents(redis: &mut Connection) -> BTreeMap<String, Vec<u8>> {
    let read = |redis: &mut Connection, key: &str| redis::cmd("DUMP").arg(key).query(redis);
    let keys: Vec<String> = redis.keys("*").unwrap_or_else(|error| panic!("{error}"));
    let dump =
        |key: String| read(redis, &key).map_or_else(|error| panic!("{key}: {error}"), |dumped| (key.clone(), dumped));
    keys.into_iter().map(dump).collect()
}
