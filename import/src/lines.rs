//! Lines of any input in constant memory: slices of one buffer, found by `memchr`.

use crate::read::read_some;
use memchr::memchr;
use std::io::{self, Read};

/// Longest line that is read. Web servers refuse requests far shorter; what is longer is no line of a log.
const MAX_LINE: usize = 64 * 1024;

/// Bytes asked of the input at once. Large enough that the calls cost nothing beside the parsing, small enough to
/// stay in a core's cache.
const BUFFER: usize = 256 * 1024;

/// A line without its end (`\n` or `\r\n`). One longer than [`MAX_LINE`] is skipped.
type Line<'a> = Result<&'a [u8], &'static str>;

const TOO_LONG: &str = "the line has more than 64 KiB";

#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: R,
    buffer: Box<[u8]>,
    /// What is read and not yet taken: `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Lines begun so far.
    number: u64,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, buffer: vec![0; BUFFER].into(), start: 0, end: 0, number: 0 }
    }

    /// The number of the line read last, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The next line. The last one needs no end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut searched = self.start;
        let length = loop {
            if let Some(at) = memchr(b'\n', &self.buffer[searched..self.end]) {
                break searched + at - self.start;
            }
            if self.end - self.start > MAX_LINE {
                return self.skip_line();
            }
            let held = self.end - self.start;
            if self.fill()? == 0 {
                if held == 0 {
                    return Ok(None);
                }
                break held;
            }
            searched = self.start + held;
        };
        self.number += 1;
        let line = self.start..self.start + length;
        self.take(length);
        if length > MAX_LINE {
            return Ok(Some(Err(TOO_LONG)));
        }
        let text = &self.buffer[line];
        Ok(Some(Ok(text.strip_suffix(b"\r").unwrap_or(text))))
    }

    /// Takes `length` bytes and the line end behind them, which is missing only at the input's end.
    fn take(&mut self, length: usize) {
        self.start += (length + 1).min(self.end - self.start);
    }

    /// Skips a line whose end is not in the buffer.
    fn skip_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.number += 1;
        loop {
            let length = memchr(b'\n', &self.buffer[self.start..self.end]);
            self.take(length.unwrap_or(self.end - self.start));
            if length.is_some() || self.fill()? == 0 {
                return Ok(Some(Err(TOO_LONG)));
            }
        }
    }

    /// Reads more behind what is held. Returns how much; 0: the input ends.
    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let read = read_some(&mut self.input, &mut self.buffer[self.end..])?;
        self.end += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let some = self.1.min(self.0.len()).min(buffer.len());
            buffer[..some].copy_from_slice(&self.0[..some]);
            self.0 = &self.0[some..];
            Ok(some)
        }
    }

    fn lines(input: &[u8], at_once: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::new(Trickle(input, at_once));
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(line.ok().map(<[u8]>::to_vec));
        }
        assert_eq!(lines.number(), found.len() as u64);
        found
    }

    #[test]
    fn lines_end_with_or_without_a_carriage_return_and_the_last_needs_no_end() {
        let texts = |input: &[u8]| lines(input, 2).into_iter().map(|line| String::from_utf8(line.unwrap()).unwrap());
        assert_eq!(texts(b"a\nbc\r\n\nd").collect::<Vec<_>>(), ["a", "bc", "", "d"]);
        assert_eq!(texts(b"a\n").count(), 1);
        assert_eq!(texts(b"").count(), 0);
    }

    #[test]
    fn a_line_too_long_is_skipped_and_costs_no_other() {
        for length in [MAX_LINE, MAX_LINE + 1, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER] {
            for end in ["\nlast\n", ""] {
                let input = format!("first\n{}{end}", "x".repeat(length));
                for at_once in [1000, BUFFER] {
                    let found = lines(input.as_bytes(), at_once);
                    assert_eq!(found.len(), if end.is_empty() { 2 } else { 3 });
                    assert_eq!(found[0].as_deref(), Some(&b"first"[..]));
                    assert_eq!(found[1].is_some(), length <= MAX_LINE, "{length}");
                    assert!(found.get(2).is_none_or(|line| line.as_deref() == Some(b"last")));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn however_the_bytes_come_the_lines_are_the_same(
            input in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            at_once in 1_usize..20,
        ) {
            let whole = lines(&input, input.len().max(1));
            prop_assert_eq!(lines(&input, at_once), whole);
        }
    }
}
