//! From an input to blocks of counts, whatever its format.

use crate::access_log::AccessLog;
use crate::counters::Counters;
use crate::export::Export;
use crate::goatcounter::GoatCounter;
use crate::source::Source;
use crate::summary::{Seen, Summary};
use crate::tally::{Block, Bounds, Tally};
use std::cell::Cell;
use std::io::{self, Cursor, ErrorKind, Read};
use std::rc::Rc;

/// Bytes between two reports of progress.
const REPORT_EVERY: u64 = 8 * 1024 * 1024;

/// The records of one format.
pub(crate) trait Records {
    /// Reads the next record and adds it to `tally`. `None`: the input ends.
    fn next(&mut self, tally: &mut Tally) -> io::Result<Option<Seen>>;

    /// Number of the line on which the record read last began.
    fn line(&self) -> u64;
}

/// Counts the bytes of an input as they are read.
struct Counted<R>(R, Rc<Cell<u64>>);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = read_some(&mut self.0, buffer)?;
        self.1.set(self.1.get() + read as u64);
        Ok(read)
    }
}

/// Why an input is not read at all, or no further.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The input itself failed.
    #[error("reading failed: {0}")]
    Io(#[from] io::Error),
    /// The input is compressed.
    #[error("the input is compressed by gzip: unpack it first, or pipe it in, as in `gzip -dc FILE | …`")]
    Compressed,
    /// Its first line does not say what it should.
    #[error("{0}")]
    Header(String),
}

/// An input as blocks of counts, in constant memory.
pub struct Blocks<'a> {
    records: Box<dyn Records + 'a>,
    tally: Tally,
    summary: Summary,
    bytes: Rc<Cell<u64>>,
}

impl<'a> Blocks<'a> {
    /// Reads `input` as `source` says. The first bytes are read at once.
    ///
    /// # Errors
    /// If they are not what the format begins with.
    pub fn new(source: &Source, mut input: impl Read + 'a, bounds: Bounds) -> Result<Self, ReadError> {
        let head = head(&mut input)?;
        if head.starts_with(&[0x1f, 0x8b]) {
            return Err(ReadError::Compressed);
        }
        // Windows' editors put a byte order mark before UTF-8.
        let begin = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head).to_vec();
        let bytes = Rc::default();
        let input = Counted(Cursor::new(begin).chain(input), Rc::clone(&bytes));
        let records: Box<dyn Records + 'a> = match source {
            Source::AccessLog(options) => Box::new(AccessLog::new(input, options.clone())),
            Source::GoatCounter(options) => Box::new(GoatCounter::new(input, options.clone())?),
            Source::Counters(options) => Box::new(Counters::new(input, options.clone())),
            Source::Export => Box::new(Export::new(input)?),
        };
        Ok(Self { records, tally: Tally::new(bounds), summary: Summary::default(), bytes })
    }

    /// The next block; `None` after the last. `progress` is called every few megabytes.
    ///
    /// # Errors
    /// If the input fails.
    pub fn next_block(&mut self, progress: &mut dyn FnMut(&Summary)) -> Result<Option<Block>, ReadError> {
        while let Some(seen) = self.records.next(&mut self.tally)? {
            self.summary.add(seen, self.records.line());
            if self.bytes.get() >= self.summary.bytes + REPORT_EVERY {
                self.report(progress);
            }
            if self.tally.is_full() {
                self.report(progress);
                return Ok(Some(self.tally.take()));
            }
        }
        self.report(progress);
        let last = self.tally.take();
        Ok(if last.is_empty() { None } else { Some(last) })
    }

    /// Returns the summary of what was read so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    fn report(&mut self, progress: &mut dyn FnMut(&Summary)) {
        self.summary.bytes = self.bytes.get();
        progress(&self.summary);
    }
}

/// Reads an input to its end without importing anything: for a trial run.
///
/// # Errors
/// As for [`Blocks`].
pub fn survey(source: &Source, input: impl Read, progress: &mut dyn FnMut(&Summary)) -> Result<Summary, ReadError> {
    let mut blocks = Blocks::new(source, input, Bounds::default())?;
    while blocks.next_block(progress)?.is_some() {}
    Ok(blocks.summary)
}

/// The first 4 bytes, or fewer if there are no more.
fn head(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(4);
    input.take(4).read_to_end(&mut head)?;
    Ok(head)
}

/// Reads, whatever interrupts it.
pub(crate) fn read_some(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
