//! What the shards remember of imports, so that one that is repeated goes on where it stopped, or changes nothing.
//!
//! An import is a writer whose identity follows from its id. Its batches follow from its input and from the ring by
//! which pages were placed. The shards keep both facts before the first batch: a repetition with the same input makes
//! the same batches, whatever became of the ring meanwhile, and finds them in the applied set.

mod record;

pub use record::{ImportRecord, InvalidRecord};

use super::{ShardIndex, Store, StoreError};
use crate::batch::WriterId;
use crate::shard::Namespace;
use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// The name that a site owner gives an import: 1 to [`ImportId::MAX_BYTES`] printable ASCII characters, no space.
///
/// ```
/// # use visits_core::store::imports::ImportId;
/// let id: ImportId = "access.log-2026-03".parse()?;
/// assert_eq!(id.as_str(), "access.log-2026-03");
/// # Ok::<(), visits_core::store::imports::InvalidImportId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImportId(Arc<str>);

/// A text that is no import id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an import id is 1 to {} printable ASCII characters without a space", ImportId::MAX_BYTES)]
pub struct InvalidImportId;

impl ImportId {
    /// Longest id in bytes: a file's name fits.
    pub const MAX_BYTES: usize = 128;

    /// The id as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The writer that this import is in a namespace: the XXH3-128 of `visits-import`, the namespace and the id, with a
    /// zero byte between them. Never to be changed: a repeated import would count again. That it meets the 128
    /// random bits of another writer is as likely as that two of those meet.
    pub fn writer(&self, namespace: &Namespace) -> WriterId {
        WriterId::from_u128(xxh3_128(format!("visits-import\0{namespace}\0{self}").as_bytes()))
    }
}

impl FromStr for ImportId {
    type Err = InvalidImportId;

    fn from_str(text: &str) -> Result<Self, InvalidImportId> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.into())) } else { Err(InvalidImportId) }
    }
}

impl fmt::Display for ImportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What importing asks of the shards besides [`Store::apply`]. All calls are safe to repeat.
pub trait Imports: Store + super::Ledger {
    /// What this shard knows of an import; `None` if it was never begun here.
    ///
    /// # Errors
    /// As for every call, and [`StoreError::Refused`] for a record that this program cannot read.
    fn import(
        &self,
        shard: ShardIndex,
        id: &ImportId,
    ) -> impl Future<Output = Result<Option<ImportRecord>, StoreError>> + Send;

    /// Notes that an import begins, unless it is noted already. Returns what is noted now: the first one stays.
    ///
    /// # Errors
    /// As for [`Imports::import`].
    fn begin_import(
        &self,
        shard: ShardIndex,
        id: &ImportId,
        record: &ImportRecord,
    ) -> impl Future<Output = Result<ImportRecord, StoreError>> + Send;

    /// Notes that an import is done. To be called once all shards have all of its batches.
    fn finish_import(
        &self,
        shard: ShardIndex,
        id: &ImportId,
        record: &ImportRecord,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_1_to_128_printable_characters() {
        for good in ["a", "logs/access.log:2026-03", "~", &"x".repeat(128)] {
            assert_eq!(good.parse::<ImportId>().unwrap().to_string(), good);
        }
        for bad in ["", " ", "a b", "a\n", "é", "\u{7f}", &"x".repeat(129)] {
            assert_eq!(bad.parse::<ImportId>(), Err(InvalidImportId), "{bad:?}");
        }
    }

    #[test]
    fn the_writer_of_an_import_never_changes() {
        let writer =
            |namespace: &str, id: &str| id.parse::<ImportId>().unwrap().writer(&namespace.parse().unwrap()).to_string();
        assert_eq!(writer("visits", "march"), "102703596b75373dfdef89ed2e5ed4d7");
        assert_ne!(writer("visits", "march"), writer("visits", "april"));
        assert_ne!(writer("visits", "march"), writer("other", "march"));
    }
}
