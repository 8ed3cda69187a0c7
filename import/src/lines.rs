//! Lines of any input in constant memory.

use std::io::{self, BufRead as _, BufReader, Read};

/// Longest line that is read. Web servers refuse requests far shorter; what is longer is no line of a log.
const MAX_LINE: usize = 64 * 1024;

/// Bytes asked of the input at once. Large enough that the calls cost nothing beside the parsing, small enough to
/// stay in a core's cache.
const BUFFER: usize = 256 * 1024;

/// A line without its end (`\n` or `\r\n`). One longer than [`MAX_LINE`] is skipped.
type Line<'a> = Result<&'a [u8], &'static str>;

#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// Lines begun so far.
    number: u64,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(BUFFER, input), line: Vec::new(), number: 0 }
    }

    /// Returns the number of the line read last, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next line. The last one needs no end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let mut input = (&mut self.input).take(MAX_LINE as u64 + 1);
        if input.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.pop_if(|byte| *byte == b'\n').is_none() && self.line.len() > MAX_LINE {
            self.input.skip_until(b'\n')?;
            return Ok(Some(Err("the line has more than 64 KiB")));
        }
        Ok(Some(Ok(self.line.strip_suffix(b"\r").unwrap_or(&self.line))))
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
