//! An import: read once for its digest, noted in every shard, read again and applied, checked, and noted as done.
//!
//! Why a repetition counts nothing twice: its batches are the same as the first attempt's, since they follow from the
//! input (its digest is compared) and from the ring (the first attempt's is noted before its first batch, and used
//! ever after). Their writer follows from the id. So each shard finds in its applied set what it has already.
//!
//! A shard that crashes and comes back without its newest data loses batches and their places in the set together.
//! What the shards have is therefore asked for at the end, and what is missing is sent by another pass.

use crate::digest::Digest;
use crate::read::{Blocks, ReadError};
use crate::retry::Patience;
use crate::source::Source;
use crate::summary::{BAD_KEPT, Summary};
use crate::tally::{Block, Bounds};
use futures_util::future::try_join_all;
use serde::Serialize;
use std::io::{self, Read, Seek};
use std::sync::Arc;
use std::time::Duration;
use visits_core::batch::{Batch, Increment, MAX_BATCH_PAGES, Sequence, WriterId};
use visits_core::clock::{Clock, Moment};
use visits_core::config::Config;
use visits_core::fold;
use visits_core::ring::{Fingerprint, Ring};
use visits_core::shard::ShardName;
use visits_core::store::AppliedSet;
use visits_core::store::imports::{ImportId, ImportRecord};
use visits_core::store::redis::RedisStore;
use visits_core::store::{Apply, Ledger, Rejected, ShardIndex, StoreError, WriterStatus};

/// Most passes over an input. A second one is needed only if a shard has lost data meanwhile.
const MAX_PASSES: u32 = 3;

/// Bytes of batches after which a shard's journal is folded: a quarter of what it holds, and `flush-visits` may not run.
const FOLD_AFTER: usize = 16 << 20;

/// Longest time of that.
const FOLD_TIME: Duration = Duration::from_mins(1);

/// Input of an import, with its options.
#[derive(Clone, Debug)]
pub struct Import {
    /// Its name. Under one id one input is imported, once.
    pub id: ImportId,
    /// Format of the input.
    pub source: Source,
    /// Bounds of what is gathered before it is sent; other bounds make other batches, and so another import.
    pub bounds: Bounds,
    /// Patience with a shard that does not answer.
    pub patience: Patience,
}

impl Import {
    /// An import with the usual bounds and patience.
    pub fn new(id: ImportId, source: Source) -> Self {
        Self { id, source, bounds: Bounds::default(), patience: Patience::default() }
    }
}

/// Imports `input`, from its start to its end, exactly once under its id. `config` names the shards of `store` and the
/// namespace. The input is read twice and must not change meanwhile.
///
/// Reads and parses on the calling thread, up to a second between two calls to the shards, and is meant for a
/// program that does nothing else. `progress` is called every few megabytes and after every block sent.
///
/// # Errors
/// Whatever it is, the same call may be made again, and goes on where this one stopped: see [`ImportError`].
pub async fn import(
    store: &RedisStore,
    config: &Config,
    import: &Import,
    input: &mut (impl Read + Seek),
    progress: &mut dyn FnMut(&Progress),
) -> Result<Outcome, ImportError> {
    let (digest, bytes) = check(import, input, progress).await?;
    let record = match begin(store, config, import, digest, bytes).await? {
        Begun::Done => return Ok(Outcome::AlreadyImported),
        Begun::Open(record) => record,
    };
    let mut shown = Progress { stage: Stage::Importing, ..Progress::default() };
    for _ in 0..MAX_PASSES {
        let mut lanes = Lanes::open(store, config, import, &record).await?;
        // A log may have grown since it was digested.
        let same = (&mut *input).take(bytes);
        let (read, summary) = pass(async |block| lanes.send(block).await, import, same, &mut shown, progress).await?;
        if read != (digest, bytes) {
            return Err(ImportError::Changed);
        }
        if lanes.have_all().await? {
            finish(store, config, import, &record).await?;
            return Ok(Outcome::Imported(lanes.into_imported(summary)));
        }
        input.rewind()?;
    }
    Err(ImportError::Losing)
}

/// Reads the input without sending anything: an import under which nothing would count must not take an id.
async fn check(
    import: &Import,
    input: &mut (impl Read + Seek),
    progress: &mut dyn FnMut(&Progress),
) -> Result<(u128, u64), ImportError> {
    input.rewind()?;
    let (read, summary) = pass(async |_| Ok(0), import, &mut *input, &mut Progress::default(), progress).await?;
    input.rewind()?;
    if summary.counted > 0 { Ok(read) } else { Err(ImportError::Nothing(summary)) }
}

/// Reads the input once and hands its blocks to `send`, which says how many batches were sent so far. Returns
/// the digest and length of what was read.
async fn pass(
    mut send: impl AsyncFnMut(Block) -> Result<u64, StoreError>,
    import: &Import,
    input: impl Read,
    shown: &mut Progress,
    progress: &mut dyn FnMut(&Progress),
) -> Result<((u128, u64), Summary), ImportError> {
    let mut input = Digest::new(input, &import.source, import.bounds);
    let mut blocks = Blocks::new(&import.source, &mut input, import.bounds)?;
    loop {
        let block = blocks.next_block(&mut |summary| {
            (shown.bytes, shown.visits) = (summary.bytes, summary.visits);
            progress(shown);
        })?;
        let Some(block) = block else { break };
        shown.batches_sent = send(block).await?;
        progress(shown);
    }
    let summary = blocks.summary().clone();
    drop(blocks);
    Ok((input.finish()?, summary))
}

/// Notes in every shard that all shards have everything.
async fn finish(
    store: &RedisStore,
    config: &Config,
    import: &Import,
    record: &ImportRecord,
) -> Result<(), ImportError> {
    for shard in places(config, record)? {
        import.patience.answer(async || store.finish_import(shard, &import.id, record).await).await?;
    }
    Ok(())
}

/// Work that is left.
#[derive(Debug)]
enum Begun {
    /// Nothing: all shards have it.
    Done,
    /// Everything that the shards do not have yet, placed as the record says. They all know the record.
    Open(ImportRecord),
}

/// Looks for the import in all shards and notes it in those it concerns, before its first batch.
async fn begin(
    store: &RedisStore,
    config: &Config,
    import: &Import,
    digest: u128,
    bytes: u64,
) -> Result<Begun, ImportError> {
    let known = known(store, config, import).await?;
    let new = || new_record(config, digest, bytes);
    let record = known.first().map_or_else(new, |record| ImportRecord { done: false, ..record.clone() });
    if known.iter().any(|other| !other.is_same_import(&record)) {
        return Err(ImportError::Conflict);
    }
    if (record.digest, record.bytes) != (digest, bytes) {
        return Err(ImportError::OtherInput { then: record.bytes, now: bytes });
    }
    if is_done(config, &record, &known) {
        return Ok(Begun::Done);
    }
    for shard in places(config, &record)? {
        let noted = import.patience.answer(async || store.begin_import(shard, &import.id, &record).await).await?;
        // Another program began an import under this id since we looked.
        if !noted.is_same_import(&record) {
            return Err(ImportError::Conflict);
        }
    }
    Ok(Begun::Open(record))
}

/// The records that the configured shards have.
async fn known(store: &RedisStore, config: &Config, import: &Import) -> Result<Vec<ImportRecord>, ImportError> {
    let mut known = Vec::new();
    for shard in 0..config.shards.len() {
        known.extend(import.patience.answer(async || store.import(shard, &import.id).await).await?);
    }
    Ok(known)
}

fn new_record(config: &Config, digest: u128, bytes: u64) -> ImportRecord {
    let owners = config.shards.iter().filter(|shard| shard.weight.get() > 0);
    let ring = owners.map(|shard| (shard.name.clone(), shard.weight)).collect();
    ImportRecord { digest, bytes, ring, done: false }
}

/// Every shard that it concerns and that is still configured says so. One that has no record (any more) or an open one
/// may have lost batches in a crash. A shard that is gone had all of its own when another one was told that it is done.
fn is_done(config: &Config, record: &ImportRecord, known: &[ImportRecord]) -> bool {
    let configured = |name: &ShardName| config.shards.iter().any(|shard| shard.name == *name);
    let concerned = record.ring.iter().filter(|(name, _)| configured(name)).count();
    let done = known.iter().filter(|record| record.done).count();
    done > 0 && done >= concerned
}

/// The store's indices of the shards of the record's ring, in its order.
fn places(config: &Config, record: &ImportRecord) -> Result<Vec<ShardIndex>, ImportError> {
    let place = |name: &ShardName| config.shards.iter().position(|shard| shard.name == *name);
    let missing = |name: &ShardName| ImportError::ShardMissing(name.clone());
    record.ring.iter().map(|(name, _)| place(name).ok_or_else(|| missing(name))).collect()
}

/// All ways of one pass over an input.
struct Lanes<'a> {
    caller: Caller<'a>,
    ring: Ring,
    all: Vec<Lane>,
}

/// A writer and its way to call shards.
struct Caller<'a> {
    store: &'a RedisStore,
    writer: WriterId,
    /// The ring of the first attempt, which places all batches. Pages that it misplaces by now are brought home later.
    ring: Fingerprint,
    /// The configured ring, by which visits are folded into the site's figures.
    configured: Ring,
    history_days: u32,
    patience: Patience,
}

/// One shard of the ring.
struct Lane {
    shard: ShardIndex,
    name: String,
    /// Batches that the shard had at the beginning of the pass.
    applied: AppliedSet,
    /// Batches made so far; their numbers are 1 to this.
    batches: u64,
    visits: u64,
    sent: u64,
    /// Bytes of batches sent since the last fold.
    unfolded: usize,
    rejected: Vec<Rejected>,
    visits_rejected: u64,
}

impl<'a> Lanes<'a> {
    /// Asks each shard what it has.
    async fn open(
        store: &'a RedisStore,
        config: &Config,
        import: &Import,
        record: &ImportRecord,
    ) -> Result<Self, ImportError> {
        let places = places(config, record)?;
        // A record's ring was checked when it was read; the configured one when the settings were.
        let ring = record.placing().map_err(|_| ImportError::Conflict)?;
        let writer = import.id.writer(&config.namespace);
        let caller = Caller {
            store,
            writer,
            ring: ring.fingerprint(),
            configured: config.ring(),
            history_days: config.history_days,
            patience: import.patience,
        };
        let ask = |(shard, (name, _)): (ShardIndex, &(_, _))| Lane::open(&caller, shard, ToString::to_string(name));
        let lanes = try_join_all(places.into_iter().zip(&record.ring).map(ask)).await?;
        Ok(Self { caller, ring, all: lanes })
    }

    /// Cuts a block into each shard's batches and sends them, to all shards at once, to each one after the other.
    /// Returns how many were sent since the pass began.
    async fn send(&mut self, block: Block) -> Result<u64, StoreError> {
        let mut shares: Vec<Block> = self.all.iter().map(|_| Block::new()).collect();
        for increment in block {
            shares[self.ring.owner(increment.page.as_str())].push(increment);
        }
        let (caller, lanes) = (&self.caller, self.all.iter_mut());
        try_join_all(lanes.zip(shares).map(|(lane, share)| lane.send(caller, share))).await?;
        Ok(self.all.iter().map(|lane| lane.sent).sum())
    }

    /// Whether every shard has all of its batches, and nothing else of this writer's.
    async fn have_all(&mut self) -> Result<bool, ImportError> {
        let caller = &self.caller;
        let have = try_join_all(self.all.iter_mut().map(|lane| lane.has_all(caller))).await?;
        Ok(have.into_iter().all(|has| has))
    }

    fn into_imported(self, summary: Summary) -> Imported {
        let sum = |of: fn(&Lane) -> u64| self.all.iter().map(of).sum();
        let (batches_sent, batches_found) = (sum(|lane| lane.sent), sum(|lane| lane.batches - lane.sent));
        let visits_rejected = sum(|lane| lane.visits_rejected);
        let rejected = self.all.into_iter().flat_map(|lane| lane.rejected).take(BAD_KEPT).collect();
        Imported { summary, batches_sent, batches_found, visits_rejected, rejected }
    }
}

impl Caller<'_> {
    async fn apply(&self, shard: ShardIndex, batch: Option<Batch>) -> Result<(AppliedSet, Vec<Rejected>), StoreError> {
        // No age: an import may be repeated after any time, and its applied set is kept as long.
        let batches = batch.map(|batch| (Arc::new(batch), Duration::ZERO)).into_iter().collect();
        let (base, ring) = (Sequence::FIRST, Some(self.ring));
        let call = Apply { writer: self.writer, base, batches, status: WriterStatus::Import, ring };
        let answer = self.patience.answer(async || self.store.apply(shard, &call).await).await?;
        Ok((answer.set, answer.rejected))
    }

    async fn fold(&self, shard: ShardIndex) {
        let settings = fold::Settings::new(self.history_days, FOLD_TIME);
        fold::fold(self.store, &self.configured, &Clock::system(), settings, [shard]).await;
    }
}

impl Lane {
    async fn open(caller: &Caller<'_>, shard: ShardIndex, name: String) -> Result<Self, StoreError> {
        let (applied, _) = caller.apply(shard, None).await?;
        let rejected = Vec::new();
        Ok(Self { shard, name, applied, batches: 0, visits: 0, sent: 0, unfolded: 0, rejected, visits_rejected: 0 })
    }

    async fn send(&mut self, caller: &Caller<'_>, share: Block) -> Result<(), StoreError> {
        for pages in share.chunks(MAX_BATCH_PAGES) {
            let sequence = Sequence::FIRST.plus(self.batches);
            self.batches += 1;
            self.visits += pages.iter().map(|one| one.visits).sum::<u64>();
            if !self.applied.contains(sequence) {
                self.sent += 1;
                let batch = seal(sequence, pages);
                self.unfolded += batch.bytes();
                let (_, rejected) = caller.apply(self.shard, Some(batch)).await?;
                if self.unfolded > FOLD_AFTER {
                    caller.fold(self.shard).await;
                    self.unfolded = 0;
                }
                let room = BAD_KEPT - self.rejected.len();
                self.rejected.extend(rejected.into_iter().take(room));
            }
        }
        Ok(())
    }

    async fn has_all(&mut self, caller: &Caller<'_>) -> Result<bool, ImportError> {
        let (set, _) = caller.apply(self.shard, None).await?;
        self.visits_rejected = set.rejected;
        // They are sent in order, so none of ours lies above the floor for long.
        let newest = set.above.last().copied().unwrap_or(set.floor);
        let missing = set.floor < self.batches;
        if newest > self.batches || (!missing && set.visits != self.visits) {
            return Err(ImportError::Diverged(self.name.clone()));
        }
        Ok(!missing)
    }
}

fn seal(sequence: Sequence, pages: &[Increment]) -> Batch {
    // The moment of sealing is for writers that let batches grow old.
    Batch::seal(sequence, pages.to_vec(), Moment::new(Duration::ZERO, Duration::ZERO))
}

/// Progress of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The present stage.
    pub stage: Stage,
    /// Bytes read in this stage.
    pub bytes: u64,
    /// Visits read.
    pub visits: u64,
    /// Batches that were sent: not those that the shards had already.
    pub batches_sent: u64,
}

/// The two stages of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// The input is read for its digest, and to see that something in it counts.
    #[default]
    Checking,
    /// The input is read again, and counted.
    Importing,
}

/// End of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is in the shards.
    Imported(Imported),
    /// Nothing was changed: this input was imported under this id before.
    AlreadyImported,
}

/// Figures of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Summary of the input.
    #[serde(flatten)]
    pub summary: Summary,
    /// Batches that this attempt sent.
    pub batches_sent: u64,
    /// Batches that the shards had from an earlier attempt.
    pub batches_found: u64,
    /// Visits that no page could take, since its key holds something else or would overflow; of all attempts.
    pub visits_rejected: u64,
    /// The first of them in this attempt.
    #[serde(skip)]
    pub rejected: Vec<Rejected>,
}

/// Why an import stopped. In no case was anything counted twice.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The input cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Nothing in it counts. Nothing was sent, and the import's id is still free.
    #[error("nothing in the input counts; are its format and the options right? ({} records, {} of them bad)", .0.records, .0.bad)]
    Nothing(Summary),
    /// A shard did not answer for as long as patience lasted, or cannot be used.
    #[error("{0}; what is imported so far stays: repeat the same command to go on where it stopped")]
    Store(#[from] StoreError),
    /// Something else was imported, or begun, under this id.
    #[error(
        "under this import id another input was begun: it had {then} bytes, this one has {now}, or it was read with other \
         options or by another version of this program. Repeat the import with exactly that input and those options (of \
         a file that has only grown: `head -c {then}`), or give the new input an id of its own"
    )]
    OtherInput {
        /// Bytes of the input that was begun first.
        then: u64,
        /// Bytes of this input.
        now: u64,
    },
    /// The shards disagree on what was begun under this id: two imports began at the same moment.
    #[error(
        "the shards know different imports under this id: two were begun at once. Repeat the command; if this stays, give \
         the import another id"
    )]
    Conflict,
    /// The import's pages were placed on a shard that is not configured now.
    #[error(
        "this import was begun when shard {0} was configured, and goes on only with it: add it to REDIS_ENDPOINTS, with \
         ;weight=0 if it shall own nothing any more"
    )]
    ShardMissing(ShardName),
    /// The input was another one when it was read again.
    #[error(
        "the input was changed while it was imported, so that counts of both may be in the shards under this id; import \
         a file that is not written to (a copy, or a log that was rotated)"
    )]
    Changed,
    /// A shard has more or other batches of this import than its input makes.
    #[error("shard {0} holds batches of this import that its input does not make: the import cannot be completed")]
    Diverged(String),
    /// Shards went on losing what they had acknowledged.
    #[error("the shards lost what they had taken, several times over; see to them and repeat the same command")]
    Losing,
}

impl From<io::Error> for ImportError {
    fn from(error: io::Error) -> Self {
        Self::Read(error.into())
    }
}
