//! Records of imports on the shards, so that one that is repeated goes on where it stopped, or changes nothing.
//!
//! An import is a writer whose identity follows from its id. Its batches follow from its input and from the ring by
//! which pages were placed. The shards keep both facts before the first batch: a repetition with the same input makes
//! the same batches, whatever became of the ring meanwhile, and finds them in the applied set.

use crate::batch::WriterId;
use crate::ring::{Ring, RingError};
use crate::shard::{Namespace, ShardName, Weight};
use std::fmt;
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

/// Version of the record's layout.
const FORMAT: u32 = 1;

/// An input that was imported under an id, and the ring that placed its pages. Kept as JSON, so that an operator can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRecord {
    /// XXH3-128 of the input and of all options that decide what is read from it.
    pub digest: u128,
    /// Length of the input in bytes.
    pub bytes: u64,
    /// The ring that placed the pages: all shards of the first attempt with a weight above 0, in their order.
    pub ring: Vec<(ShardName, Weight)>,
    /// Whether all shards have all of it.
    pub done: bool,
}

/// Why a text is no record.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRecord {
    /// Not JSON, cut off, or of another shape.
    #[error("not a record of an import: {0}")]
    Shape(#[from] serde_json::Error),
    /// Written by another version of this program.
    #[error("its format is {0}; {FORMAT} is accepted")]
    Format(u32),
    /// A digest, a name or a weight that is none.
    #[error("its {0} is damaged")]
    Value(&'static str),
    /// Its shards make no ring.
    #[error("its ring is damaged: {0}")]
    Ring(#[from] RingError),
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Layout {
    format: u32,
    digest: String,
    bytes: u64,
    ring: Vec<(String, u8)>,
    done: bool,
}

impl ImportRecord {
    /// Whether both are of the same input with the same placing, however far they got.
    pub fn is_same_import(&self, other: &Self) -> bool {
        (self.digest, self.bytes, &self.ring) == (other.digest, other.bytes, &other.ring)
    }

    /// The ring that places the import's pages; its indices are those of [`ImportRecord::ring`].
    pub fn placing(&self) -> Result<Ring, RingError> {
        Ring::new(self.ring.iter().cloned())
    }

    /// The record as text.
    pub fn encode(&self) -> String {
        let ring = self.ring.iter().map(|(name, weight)| (name.to_string(), weight.get())).collect();
        let digest = format!("{:032x}", self.digest);
        let layout = Layout { format: FORMAT, digest, bytes: self.bytes, ring, done: self.done };
        // Texts and numbers: this cannot fail.
        serde_json::to_string(&layout).unwrap_or_default()
    }

    /// Reads what [`ImportRecord::encode`] wrote.
    pub fn decode(text: &[u8]) -> Result<Self, InvalidRecord> {
        #[derive(serde::Deserialize)]
        struct Version {
            format: u32,
        }
        let Version { format } = serde_json::from_slice(text)?;
        if format != FORMAT {
            return Err(InvalidRecord::Format(format));
        }
        let layout: Layout = serde_json::from_slice(text)?;
        let shard = |(name, weight): (String, u8)| Some((name.parse().ok()?, Weight::new(weight).ok()?));
        let ring = layout.ring.into_iter().map(shard).collect::<Option<_>>();
        let record = Self {
            digest: u128::from_str_radix(&layout.digest, 16).map_err(|_| InvalidRecord::Value("digest"))?,
            bytes: layout.bytes,
            ring: ring.ok_or(InvalidRecord::Value("ring"))?,
            done: layout.done,
        };
        record.placing()?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> ImportRecord {
        let shard = |name: &str, weight| (name.parse().unwrap(), Weight::new(weight).unwrap());
        ImportRecord { digest: 0xab, bytes: 7, ring: vec![shard("a", 1), shard("b", 16)], done: false }
    }

    #[test]
    fn a_record_is_plain_json_and_reads_back() {
        let text = record().encode();
        let digest = "000000000000000000000000000000ab";
        let expected =
            format!(r#"{{"format":1,"digest":"{digest}","bytes":7,"ring":[["a",1],["b",16]],"done":false}}"#);
        assert_eq!(text, expected);
        assert_eq!(ImportRecord::decode(text.as_bytes()).unwrap(), record());
    }

    #[test]
    fn a_record_that_is_damaged_or_of_another_version_is_told() {
        let good = record().encode();
        let table = [
            (good.replace("\"format\":1", "\"format\":2"), "its format is 2; 1 is accepted"),
            (good.replace("00ab", "00zz"), "digest is damaged"),
            (good.replace("\"b\"", "\"a\""), "the shard name a is given twice"),
            (good.replace("16", "17"), "ring is damaged"),
            (good.replace("\"b\"", "\"b c\""), "ring is damaged"),
            (good.replace("\"bytes\":7,", ""), "missing field `bytes`"),
            (String::new(), "not a record"),
        ];
        for (text, reason) in table {
            let error = ImportRecord::decode(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn records_of_one_import_are_told_from_others() {
        let done = ImportRecord { done: true, ..record() };
        assert!(record().is_same_import(&done));
        assert!(!record().is_same_import(&ImportRecord { digest: 1, ..record() }));
        let fewer = record().ring[..1].to_vec();
        assert!(!record().is_same_import(&ImportRecord { ring: fewer, ..record() }));
    }

    proptest! {
        #[test]
        fn any_text_is_a_record_or_an_error(text in ".{0,200}") {
            let _ = ImportRecord::decode(text.as_bytes());
        }
    }

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
