//! An import: read once for its digest, noted in every shard, read again and applied, checked, and noted as done.
//!
//! Why a repetition counts nothing twice: its batches are the same as the first attempt's, since they follow from the
//! input (its digest is compared) and from the ring (the first attempt's is noted before its first batch, and used
//! ever after). Their writer follows from the id. So each shard finds in its applied set what it has already.
//!
//! A shard that crashes and comes back without its newest data loses batches and their places in the set together.
//! What the shards have is therefore asked for at the end, and what is missing is sent by another pass.

mod begin;
mod lanes;
mod outcome;

pub use outcome::{ImportError, Imported, Outcome, Progress, Stage};

use crate::digest::Digest;
use crate::read::Blocks;
use crate::retry::Patience;
use crate::source::Source;
use crate::summary::Summary;
use crate::tally::{Block, Bounds};
use begin::Begun;
use lanes::Lanes;
use std::io::{Read, Seek};
use visits_core::config::Config;
use visits_core::store::StoreError;
use visits_core::store::imports::{ImportId, ImportRecord, Imports};

/// Most passes over an input. A second one is needed only if a shard has lost data meanwhile.
const MAX_PASSES: u32 = 3;

/// What to import.
#[derive(Clone, Debug)]
pub struct Import {
    /// Its name. Under one id one input is imported, once.
    pub id: ImportId,
    /// What the input is.
    pub source: Source,
    /// How much is gathered before it is sent; other bounds make other batches, and so another import.
    pub bounds: Bounds,
    /// How long a shard that does not answer is waited for.
    pub patience: Patience,
}

impl Import {
    /// An import with the usual bounds and patience.
    pub fn new(id: ImportId, source: Source) -> Self {
        Self { id, source, bounds: Bounds::default(), patience: Patience::default() }
    }
}

/// Imports `input`, from its start to its end, exactly once under its id. `config` names the shards of `store` and the
/// namespace. The input is read twice and must not change meanwhile; [`crate::spool`] makes a file of a pipe.
///
/// It reads and parses on the calling thread, up to a second between two calls to the shards, and is meant for a
/// program that does nothing else. `progress` is called every few megabytes and after every block sent.
///
/// # Errors
/// Whatever it is, the same call may be made again, and goes on where this one stopped: see [`ImportError`].
pub async fn import<S: Imports>(
    store: &S,
    config: &Config,
    import: &Import,
    input: &mut (impl Read + Seek),
    progress: &mut dyn FnMut(&Progress),
) -> Result<Outcome, ImportError> {
    let (digest, bytes) = check(import, input, progress).await?;
    let record = match begin::begin(store, config, import, digest, bytes).await? {
        Begun::Done => return Ok(Outcome::AlreadyImported),
        Begun::Open(record) => record,
    };
    let mut shown = Progress { stage: Stage::Importing, total_bytes: Some(bytes), ..Progress::default() };
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
    let (read, summary) = pass(async |_| Ok((0, 0)), import, &mut *input, &mut Progress::default(), progress).await?;
    input.rewind()?;
    if summary.counted > 0 { Ok(read) } else { Err(ImportError::Nothing(summary)) }
}

/// Reads the input once and hands its blocks to `send`, which says how many batches were sent and found so far. Returns
/// the digest and length of what was read.
async fn pass(
    mut send: impl AsyncFnMut(Block) -> Result<(u64, u64), StoreError>,
    import: &Import,
    input: impl Read,
    shown: &mut Progress,
    progress: &mut dyn FnMut(&Progress),
) -> Result<((u128, u64), Summary), ImportError> {
    let mut input = Digest::new(input, &import.source, import.bounds);
    let mut blocks = Blocks::new(&import.source, &mut input, import.bounds)?;
    loop {
        let block = blocks.next_block(&mut |summary| {
            shown.read(summary);
            progress(shown);
        })?;
        let Some(block) = block else { break };
        (shown.batches_sent, shown.batches_found) = send(block).await?;
        progress(shown);
    }
    let summary = blocks.summary().clone();
    drop(blocks);
    Ok((input.finish()?, summary))
}

/// Notes in every shard that all shards have everything.
async fn finish<S: Imports>(
    store: &S,
    config: &Config,
    import: &Import,
    record: &ImportRecord,
) -> Result<(), ImportError> {
    for shard in begin::places(config, record)? {
        import.patience.answer(async || store.finish_import(shard, &import.id, record).await).await?;
    }
    Ok(())
}
