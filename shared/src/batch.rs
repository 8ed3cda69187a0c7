//! A batch: a sealed, immutable value that says which visits its writer adds to one shard, and its bytes.
//!
//! A batch has one encoding ([`Batch::encode`]), used wherever a batch is kept: in a shard's journal and in a parked copy. It is
//! a version byte, in `postcard`'s format the day, the visits that were refused and the pages, and behind that the visitors.
//! Each byte costs a shard four copies and the memory of a journal, so pages of equal numbers have these once, and a name
//! is told by where it differs from the one before. Bytes that are read back may be damaged or another program's:
//! [`Content::decode`] checks all of them.

use crate::clock::Moment;
use crate::day::Day;
use crate::page::{PageId, PageIdError};
use crate::visit::{Refused, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// Pages in one batch and in one script call. 500 take about 0.4 ms of Redis, which runs one command at a
/// time, and stay far below the 4,000 arguments that `ElastiCache` Serverless takes.
pub const MAX_BATCH_PAGES: usize = 500;

/// Most visits in a batch: the largest number that the scripts take (15 digits, exact in a double).
pub const MAX_VISITS: u64 = 999_999_999_999_999;

/// First byte of a batch's encoding.
const VERSION: u8 = 2;

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

/// Reads so many lower-case hex digits.
pub(crate) fn from_hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(is_hex)).then(|| u128::from_str_radix(text, 16).ok())?
}

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

debug_as_shown!(WriterId);
json_as_shown!(WriterId);

impl FromStr for WriterId {
    type Err = InvalidWriterId;

    fn from_str(text: &str) -> Result<Self, InvalidWriterId> {
        from_hex(text, 32).map(Self).ok_or(InvalidWriterId)
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
    /// The writer that sealed it.
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

/// Addition of a batch to one page.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Increment {
    /// The page.
    pub page: PageId,
    /// Its visits, at least one.
    pub visits: u64,
    /// Visits among them by bots.
    pub bots: u64,
    /// Visitors of the page, distinct and in order. Adding one to a sketch again changes nothing.
    pub visitors: Vec<Visitor>,
}

impl Increment {
    /// Visits by people.
    pub fn people(&self) -> u64 {
        self.visits - self.bots
    }

    /// Memory it takes, in bytes.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.page.as_str().len() + size_of_val(self.visitors.as_slice())
    }

    /// Increments of which this is the same are sent as one run: most pages of an interval have one visit or two.
    pub fn run(&self) -> (u64, u64, usize) {
        (self.visits, self.bots, self.visitors.len())
    }
}

impl From<(PageId, u64)> for Increment {
    /// Visits of which nothing more is known.
    fn from((page, visits): (PageId, u64)) -> Self {
        Self { page, visits, bots: 0, visitors: Vec::new() }
    }
}

/// Content of a batch: all of it but its number and its age.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Day of the visits. None: they add to totals only.
    pub day: Option<Day>,
    /// Additions to pages.
    pub increments: Vec<Increment>,
    /// Visits that were refused, by reason. A batch may have nothing else.
    pub refused: Refused,
}

/// Reason why bytes are no batch.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBatch {
    /// The first byte is another than the version, or there is none.
    #[error("not a batch of version {VERSION}")]
    Version,
    /// The bytes are cut off, too many, or of another shape.
    #[error("not the encoding of a batch: {0}")]
    Shape(#[from] postcard::Error),
    /// More pages than a batch has, or no page and no refusal.
    #[error("it has {0} pages; 1 to {MAX_BATCH_PAGES} are accepted, or none with refusals")]
    Pages(usize),
    /// A name that is no page id.
    #[error(transparent)]
    Page(#[from] PageIdError),
    /// One page in two places.
    #[error("a page is there twice")]
    Twice,
    /// A count of 0, or a sum that is no count of visits.
    #[error("a count or their sum is not from 1 to {MAX_VISITS}")]
    Count,
    /// A number that is no day.
    #[error("its day is not of the years 1970 to 9999")]
    Day,
}

/// Layout of the encoding, behind the version byte and before the visitors, eight bytes each in the order of their pages.
#[derive(Serialize, Deserialize)]
struct Layout<'a> {
    day: Option<u32>,
    /// For their origin, their page, and as a repeat.
    refused: (u64, u64, u64),
    /// Visits, bots and number of visitors that each page of a run has, and the pages' names.
    #[serde(borrow)]
    runs: Vec<(u64, u64, usize, Vec<Name<'a>>)>,
}

/// Name of a page: how many bytes it begins with of the name before it, and the others. The paths of a site begin alike.
type Name<'a> = (usize, &'a str);

impl Content {
    /// Reads a batch's encoding and checks all of it.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidBatch> {
        let bytes = bytes.strip_prefix(&[VERSION]).ok_or(InvalidBatch::Version)?;
        let (layout, mut visitors) = postcard::take_from_bytes::<Layout<'_>>(bytes)?;
        let (origin, page, repeat) = layout.refused;
        let refused = Refused { origin, page, repeat, new_page: 0 };
        let pages = layout.runs.iter().map(|(.., names)| names.len()).sum();
        if !(usize::from(refused.is_empty())..=MAX_BATCH_PAGES).contains(&pages) {
            return Err(InvalidBatch::Pages(pages));
        }
        if [origin, page, repeat].iter().any(|count| *count > MAX_VISITS) {
            return Err(InvalidBatch::Count);
        }
        let (mut increments, mut name, mut sum) = (Vec::with_capacity(pages), String::new(), 0_u64);
        for (visits, bots, each, names) in layout.runs {
            for (shared, rest) in names {
                sum = sum.saturating_add(visits);
                if visits == 0 || bots > visits || sum > MAX_VISITS {
                    return Err(InvalidBatch::Count);
                }
                name = [name.get(..shared).ok_or(postcard::Error::DeserializeBadUtf8)?, rest].concat();
                let length = each.saturating_mul(size_of::<Visitor>());
                let own = visitors.split_off(..length).ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
                let visitors = own.as_chunks().0.iter().copied().map(Visitor::from).collect();
                increments.push(Increment { page: PageId::from_decoded(&name)?, visits, bots, visitors });
            }
        }
        if !visitors.is_empty() {
            return Err(InvalidBatch::Shape(postcard::Error::SerdeDeCustom));
        }
        let mut distinct = HashSet::with_capacity(pages);
        if !increments.iter().all(|one| distinct.insert(one.page.as_str())) {
            return Err(InvalidBatch::Twice);
        }
        let day = layout.day.map(|day| Day::from_number(day).ok_or(InvalidBatch::Day)).transpose()?;
        Ok(Self { day, increments, refused })
    }
}

/// Returns how many bytes two names begin with in common, whole characters only.
fn shared(left: &str, right: &str) -> usize {
    // Eight at a time: it is all that a flush does for each byte of its names.
    let words = left.as_bytes().as_chunks::<8>().0.iter().zip(right.as_bytes().as_chunks::<8>().0);
    let words = 8 * words.take_while(|(left, right)| left == right).count();
    let bytes = left.bytes().zip(right.bytes()).skip(words);
    let mut shared = words + bytes.take_while(|(left, right)| left == right).count();
    while !right.is_char_boundary(shared) {
        shared -= 1;
    }
    shared
}

/// A sealed batch: which visits its sequence stands for. It never changes again and belongs to one shard
/// for ever; that is what makes sending it twice harmless.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    sequence: Sequence,
    content: Content,
    visits: u64,
    bytes: usize,
    sealed_at: Moment,
}

impl Batch {
    /// Seals `increments` (distinct pages, each with at least one visit) as batch number `sequence`. They are of no
    /// particular day: they add to totals only.
    pub fn seal<I: Into<Increment>>(sequence: Sequence, increments: Vec<I>, sealed_at: Moment) -> Self {
        let increments = increments.into_iter().map(Into::into).collect();
        Self::of(sequence, Content { increments, ..Content::default() }, sealed_at)
    }

    /// Seals a content (distinct pages, each with at least one visit) as batch number `sequence`.
    pub fn of(sequence: Sequence, mut content: Content, sealed_at: Moment) -> Self {
        content.increments.sort_unstable_by_key(Increment::run);
        let visits = content.increments.iter().map(|increment| increment.visits).sum();
        let bytes = size_of::<Self>() + content.increments.iter().map(Increment::bytes).sum::<usize>();
        Self { sequence, content, visits, bytes, sealed_at }
    }

    /// Returns the bytes that stand for its content in a journal and in a parked copy; [`Content::decode`] reads them.
    pub fn encode(&self) -> Vec<u8> {
        let Content { day, increments, refused } = &self.content;
        let (mut before, mut runs) = ("", Vec::new());
        for run in increments.chunk_by(|left, right| left.run() == right.run()) {
            let mut names: Vec<Name<'_>> = Vec::with_capacity(run.len());
            for name in run.iter().map(|one| one.page.as_str()) {
                let shared = shared(before, name);
                names.push((shared, &name[shared..]));
                before = name;
            }
            let (visits, bots, visitors) = run[0].run();
            runs.push((visits, bots, visitors, names));
        }
        let layout =
            Layout { day: day.map(Day::number), refused: (refused.origin, refused.page, refused.repeat), runs };
        let mut bytes = Vec::with_capacity(self.bytes);
        bytes.push(VERSION);
        // Texts and numbers into a vector: this cannot fail.
        let mut bytes = postcard::to_extend(&layout, bytes).unwrap_or_default();
        for visitor in increments.iter().flat_map(|one| &one.visitors) {
            bytes.extend_from_slice(&<[u8; 8]>::from(*visitor));
        }
        bytes
    }

    /// Its number.
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The day of its visits. None: they add to totals only.
    pub fn day(&self) -> Option<Day> {
        self.content.day
    }

    /// The pages and what it adds to each.
    pub fn increments(&self) -> &[Increment] {
        &self.content.increments
    }

    /// Visits that were refused.
    pub fn refused(&self) -> &Refused {
        &self.content.refused
    }

    /// Returns the number of its pages.
    pub fn pages(&self) -> usize {
        self.content.increments.len()
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
mod tests;
