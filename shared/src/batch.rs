//! What is sent to a shard: a sealed, immutable batch of increments, numbered by its writer.

pub mod encoding;
mod increment;

use crate::clock::Moment;
use crate::day::Day;
pub use increment::{Increment, SiteIncrement};
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// Pages in one batch and in one script call. 500 take about 0.4 ms of Redis, which runs one command at a
/// time, and stay far below the 4,000 arguments that `ElastiCache` Serverless takes.
pub const MAX_BATCH_PAGES: usize = 500;

/// Identity of a writer: one warm environment of `record-visit`. 128 random bits, shown as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WriterId(u128);

/// The operating system gave no randomness, so that no unique writer can be made.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes: {0}")]
pub struct NoRandomness(#[from] getrandom::Error);

/// A text that is not a writer's 32 lower-case hex digits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a writer id: 32 lower-case hex digits are accepted")]
pub struct InvalidWriterId;

impl WriterId {
    /// A new identity from the operating system's randomness. To be drawn at the first visit, never at
    /// start: environments restored from one snapshot would share it, and each other's applied sets.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(u128::from_le_bytes(bytes)))
    }

    /// A writer with a chosen identity: an import's, which follows from its id, or a test's, which must be repeatable.
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }
}

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriterId({self})")
    }
}

impl FromStr for WriterId {
    type Err = InvalidWriterId;

    fn from_str(text: &str) -> Result<Self, InvalidWriterId> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 32 || !text.bytes().all(hex) {
            return Err(InvalidWriterId);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| InvalidWriterId)
    }
}

impl serde::Serialize for WriterId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for WriterId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Number of a batch among those that its writer sealed for one shard: 1, 2, 3, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sequence(NonZeroU64);

impl Sequence {
    /// The first batch of a writer for a shard.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The sequence with this number; `None` for 0.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// Its number, from 1.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// The one `by` places on.
    #[must_use]
    pub fn plus(self, by: u64) -> Self {
        Self(self.0.saturating_add(by))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which batch: unique among all that are addressed to one shard. Shown as `<writer>:<sequence>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId {
    /// Who sealed it.
    pub writer: WriterId,
    /// Its number among that writer's for the shard.
    pub sequence: Sequence,
}

/// A text that is not `<writer>:<sequence>`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not the id of a batch: a writer of 32 lower-case hex digits, a colon and a number from 1 are accepted")]
pub struct InvalidBatchId;

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.writer, self.sequence)
    }
}

impl FromStr for BatchId {
    type Err = InvalidBatchId;

    fn from_str(text: &str) -> Result<Self, InvalidBatchId> {
        let (writer, number) = text.split_once(':').ok_or(InvalidBatchId)?;
        let sequence = number.parse().ok().filter(|_| !number.starts_with(['0', '+'])).and_then(Sequence::new);
        let writer = writer.parse().map_err(|_| InvalidBatchId)?;
        sequence.map(|sequence| Self { writer, sequence }).ok_or(InvalidBatchId)
    }
}

/// A sealed batch: which visits its sequence stands for. It never changes again and belongs to one shard
/// for ever; that is what makes sending it twice harmless.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    sequence: Sequence,
    day: Option<Day>,
    increments: Vec<Increment>,
    site: SiteIncrement,
    visits: u64,
    bytes: usize,
    sealed_at: Moment,
}

impl Batch {
    /// Seals `increments` (distinct pages, each with at least one visit) as batch number `sequence`. They are of no
    /// particular day: they add to totals only.
    pub fn seal<I: Into<Increment>>(sequence: Sequence, increments: Vec<I>, sealed_at: Moment) -> Self {
        let increments = increments.into_iter().map(Into::into).collect();
        Self::of_day(sequence, None, increments, SiteIncrement::default(), sealed_at)
    }

    /// The same for the visits of one day, with what else they add to the site.
    pub fn of_day(
        sequence: Sequence,
        day: Option<Day>,
        mut increments: Vec<Increment>,
        site: SiteIncrement,
        sealed_at: Moment,
    ) -> Self {
        increments.sort_unstable_by_key(Increment::run);
        let visits = increments.iter().map(|increment| increment.visits).sum();
        let content: usize = increments.iter().map(Increment::bytes).sum();
        let bytes = size_of::<Self>() + content + size_of_val(site.visitors.as_slice());
        Self { sequence, day, increments, site, visits, bytes, sealed_at }
    }

    /// Its number.
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The day of its visits. None: they add to totals only.
    pub fn day(&self) -> Option<Day> {
        self.day
    }

    /// The pages and what it adds to each.
    pub fn increments(&self) -> &[Increment] {
        &self.increments
    }

    /// What it adds to the site, besides.
    pub fn site(&self) -> &SiteIncrement {
        &self.site
    }

    /// How many pages it has.
    pub fn pages(&self) -> usize {
        self.increments.len()
    }

    /// The sum of its visits.
    pub fn visits(&self) -> u64 {
        self.visits
    }

    /// Memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// When it was sealed. A batch's age runs from here.
    pub fn sealed_at(&self) -> Moment {
        self.sealed_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_differ() {
        assert_ne!(WriterId::random().unwrap(), WriterId::random().unwrap());
    }

    #[test]
    fn a_writer_reads_back_as_it_is_shown() {
        let writer = WriterId::from_u128(0xab);
        assert_eq!(writer.to_string(), "000000000000000000000000000000ab");
        assert_eq!(writer.to_string().parse(), Ok(writer));
    }

    #[test]
    fn a_batch_id_reads_back_as_it_is_shown_and_nothing_else_is_one() {
        let id = BatchId { writer: WriterId::from_u128(0xab), sequence: Sequence::new(12).unwrap() };
        assert_eq!(id.to_string().parse(), Ok(id));
        let writer = id.writer;
        let bad = ["", ":1", &format!("{writer}"), &format!("{writer}:"), "ab:1"].map(str::to_owned);
        let numbers = ["0", "01", "+1", "-1", "1 ", "99999999999999999999"].map(|n| format!("{writer}:{n}"));
        for text in bad.iter().chain(&numbers) {
            assert_eq!(text.parse::<BatchId>(), Err(InvalidBatchId), "{text}");
        }
    }

    #[test]
    fn anything_but_32_lower_case_hex_digits_is_no_writer() {
        for text in ["", "ab", "+00000000000000000000000000000ab", "000000000000000000000000000000AB"] {
            assert_eq!(text.parse::<WriterId>(), Err(InvalidWriterId), "{text}");
        }
    }
}
