//! Shards on a real Redis server for tests, with faults on request.
//!
//! All cases of a test program share one server, each with a database of its own. No test waits for a fault: the store
//! itself consults [`Faults`] at every call to a shard. [`Fake`] is a ledger in memory, for random schedules of writers and
//! deliverers whose hours and crashes real servers would take too long for.
//!
//! ```
//! use visits_core::store::Store;
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

mod fake;
mod faults;
mod shards;

pub use fake::Fake;
pub(crate) use faults::HeldBack;
pub use faults::{Fault, Faults};
pub use shards::Shards;

use crate::page::PageId;

/// The page with this decoded id.
///
/// # Panics
/// If it is none.
pub fn page(id: &str) -> PageId {
    PageId::from_decoded(id).unwrap_or_else(|error| panic!("{id}: {error}"))
}
