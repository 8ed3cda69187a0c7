//! What an import is of: a digest of its input and of everything else that decides its batches.

use crate::read::read_some;
use crate::source::Source;
use crate::tally::Bounds;
use std::io::{self, Read};
use xxhash_rust::xxh3::Xxh3;

/// Version of the way from an input to batches: how formats are read, when a block is full, how it is cut. Whoever
/// changes one of these must count it up: an import that another version began cannot be gone on with.
const BATCHING: u32 = 1;

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
    use crate::{CounterOptions, LogOptions};

    #[test]
    fn input_options_and_bounds_all_change_the_digest() {
        let of = |input: &[u8], source: &Source, bounds: Bounds| Digest::new(input, source, bounds).finish().unwrap();
        let log = Source::AccessLog(LogOptions::default());
        let first = of(b"abc", &log, Bounds::default());
        assert_eq!(first, of(b"abc", &log, Bounds::default()));
        assert_eq!(first.1, 3);
        let other_log = Source::AccessLog(LogOptions { trim_slash: true, ..LogOptions::default() });
        let others = [
            of(b"ab\0", &log, Bounds::default()),
            of(b"abc", &other_log, Bounds::default()),
            of(b"abc", &Source::Counters(CounterOptions::default()), Bounds::default()),
            of(b"abc", &log, Bounds { names: 1, ..Bounds::default() }),
        ];
        assert!(others.iter().all(|other| other.0 != first.0));
    }
}
