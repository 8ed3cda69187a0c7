//! Flat JSON objects of a stream, one after the other, whatever stands between them: each on its own is given to the
//! JSON parser, so that a broken one costs no other, and no array needs to fit in memory.

use std::io::{self, BufReader, Read};

/// Longest object in bytes.
const MAX_OBJECT: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Objects<R: Read> {
    input: io::Bytes<BufReader<R>>,
    /// A byte that was read and belongs to what comes next.
    next: Option<u8>,
    object: Vec<u8>,
    /// Lines begun so far, and the one on which the object read last began.
    lines: u64,
    line: u64,
    bytes: u64,
}

/// An object, or what is wrong there.
type Found<'a> = Result<&'a [u8], &'static str>;

const UNCLOSED: &str = "an object is not closed where it should be";

impl<R: Read> Objects<R> {
    pub(super) fn new(input: R) -> Self {
        let input = BufReader::with_capacity(64 * 1024, input).bytes();
        Self { input, next: None, object: Vec::new(), lines: 1, line: 1, bytes: 0 }
    }

    /// Number of the line on which the object read last began, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next object.
    pub(super) fn next(&mut self) -> io::Result<Option<Found<'_>>> {
        loop {
            let line = self.lines;
            match self.byte()? {
                None => return Ok(None),
                Some(b'{') => {
                    self.line = line;
                    return Ok(Some(match self.collect()? {
                        Ok(()) => Ok(&self.object),
                        Err(reason) => Err(reason),
                    }));
                }
                Some(b' ' | b'\t' | b'\r' | b'\n' | b',' | b'[' | b']') => {}
                Some(_) => {
                    self.line = line;
                    self.skip()?;
                    return Ok(Some(Err("expected a JSON object")));
                }
            }
        }
    }

    /// Collects an object up to its closing brace. None of ours has another in it: one that begins is the next one.
    fn collect(&mut self) -> io::Result<Result<(), &'static str>> {
        self.object.clear();
        self.object.push(b'{');
        let (mut in_text, mut escaped) = (false, false);
        while let Some(byte) = self.byte()? {
            match byte {
                b'{' if !in_text => {
                    self.put_back(byte);
                    return Ok(Err(UNCLOSED));
                }
                // No text of JSON goes over a line's end.
                b'\n' if in_text => return Ok(Err(UNCLOSED)),
                b'"' if !escaped => in_text = !in_text,
                _ => {}
            }
            escaped = in_text && byte == b'\\' && !escaped;
            self.object.push(byte);
            if byte == b'}' && !in_text {
                return Ok(Ok(()));
            }
            if self.object.len() > MAX_OBJECT {
                self.skip()?;
                return Ok(Err("an object has more than 16 KiB"));
            }
        }
        Ok(Err(UNCLOSED))
    }

    /// Goes on to where an object may begin: the next brace or line.
    fn skip(&mut self) -> io::Result<()> {
        while let Some(byte) = self.byte()? {
            match byte {
                b'\n' => break,
                b'{' => {
                    self.put_back(byte);
                    break;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = match self.next.take() {
            Some(byte) => Some(byte),
            None => self.input.next().transpose()?,
        };
        self.bytes += u64::from(byte.is_some());
        self.lines += u64::from(byte == Some(b'\n'));
        Ok(byte)
    }

    /// For a byte that is no line end.
    fn put_back(&mut self, byte: u8) {
        self.next = Some(byte);
        self.bytes -= 1;
    }
}
