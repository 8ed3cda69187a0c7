//! Identity of an import: a digest of its input and of everything else that decides its batches.

use crate::read::read_some;
use crate::source::Source;
use crate::tally::Bounds;
use std::io::{self, Read};
use xxhash_rust::xxh3::Xxh3;

/// Version of the way from an input to batches: how formats are read, when a block is full, how it is cut. It is counted
/// up with each change of one of these: an import that another version began cannot be gone on with.
const BATCHING: u32 = 2;

/// Takes in an input as it is read.
pub(crate) struct Digest<R> {
    input: R,
    hash: Box<Xxh3>,
    bytes: u64,
}

impl<R: Read> Digest<R> {
    pub(crate) fn new(input: R, source: &Source, bounds: Bounds) -> Self {
        let mut hash = Box::new(Xxh3::new());
        let Bounds { names, bytes } = bounds;
        hash.update(format!("visits-import {BATCHING} {names} {bytes} {}\0", source.describe()).as_bytes());
        Self { input, hash, bytes: 0 }
    }

    /// Reads what is left, and gives the digest and the length in bytes of the whole.
    pub(crate) fn finish(mut self) -> io::Result<(u128, u64)> {
        let mut buffer = vec![0; 64 * 1024];
        while self.read(&mut buffer)? > 0 {}
        Ok((self.hash.digest128(), self.bytes))
    }
}

impl<R: Read> Read for Digest<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = read_some(&mut self.input, buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CounterOptions, GoatCounterOptions, LogOptions, PageRule};
    use std::collections::HashSet;
    use visits_core::page::PageId;

    #[test]
    fn input_options_and_bounds_all_change_the_digest() {
        let of = |input: &[u8], source: &Source, bounds: Bounds| Digest::new(input, source, bounds).finish().unwrap();
        let log = Source::AccessLog(LogOptions::default());
        let first = of(b"abc", &log, Bounds::default());
        assert_eq!(first, of(b"abc", &log, Bounds::default()));
        assert_eq!(first.1, 3);
        let keep = PageRule { keep_slash: true, ..PageRule::default() };
        let index = PageRule { index: PageId::from_decoded("home").unwrap(), ..PageRule::default() };
        let log_by = |pages: &PageRule| Source::AccessLog(LogOptions { pages: pages.clone(), ..LogOptions::default() });
        let goats_by = |pages: &PageRule| {
            Source::GoatCounter(GoatCounterOptions { pages: pages.clone(), ..GoatCounterOptions::default() })
        };
        let mut digests = vec![
            first,
            of(b"ab\0", &log, Bounds::default()),
            of(b"abc", &log, Bounds { names: 1, ..Bounds::default() }),
        ];
        let sources = [
            log_by(&keep),
            log_by(&index),
            Source::AccessLog(LogOptions { skip_bots: true, ..LogOptions::default() }),
            goats_by(&PageRule::default()),
            goats_by(&keep),
            goats_by(&index),
            Source::GoatCounter(GoatCounterOptions { count_bots: true, ..GoatCounterOptions::default() }),
            Source::Counters(CounterOptions::default()),
        ];
        digests.extend(sources.iter().map(|source| of(b"abc", source, Bounds::default())));
        let distinct: HashSet<u128> = digests.iter().map(|(digest, _)| *digest).collect();
        assert_eq!(distinct.len(), digests.len());
    }
}
