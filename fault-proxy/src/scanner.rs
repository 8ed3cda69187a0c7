//! Finds where the frames of the Redis protocol end, in bytes that come in any pieces.
//!
//! Nothing is copied or parsed beyond lengths, and payloads are skipped by their length. Known are all types of
//! RESP2 and RESP3, except the streamed ones (`$?`, `*?`), which no server sends.

#[cfg(test)]
mod tests;

/// Deepest nesting. Redis' own answers are a few deep; more is no frame, and would fill the memory.
const DEEPEST: usize = 128;

/// Longest payload and largest number of elements: beyond any that a server takes (`proto-max-bulk-len`).
const LONGEST: u64 = 1 << 40;

/// What was sent is no frame. The scanner is of no use after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Where in a frame the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// At the type of a value.
    Type,
    /// In a line that is a value of its own.
    Line,
    /// Behind the `\r` of such a line.
    LineEnd,
    /// In the length of what `of` says: the number so far.
    Length { of: u8, digits: u8, negative: bool, value: u64 },
    /// Behind the `\r` of a length.
    LengthEnd { of: u8, negative: bool, value: u64 },
    /// This many bytes before the end of a payload.
    Payload(u64),
    /// Behind a payload.
    PayloadEnd,
    /// Behind its `\r`.
    PayloadLineEnd,
}

/// An incremental scanner of one direction of a connection.
#[derive(Debug)]
pub(crate) struct Scanner {
    at: At,
    /// For each open aggregate, outermost first, how many values are missing.
    missing: Vec<u64>,
}

impl Scanner {
    pub(crate) fn new() -> Self {
        Self { at: At::Type, missing: Vec::new() }
    }

    /// Goes on with `bytes`, which follow those given before: up to the end of the frame, which is the returned
    /// number of bytes from their start, or through all of them if it does not end there (`None`).
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let mut position = 0;
        while position < bytes.len() {
            let (taken, value_ended) = self.step(&bytes[position..])?;
            position += taken;
            if value_ended && self.frame_ends() {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    /// Takes some of `bytes`, which are not empty: how many, and whether a value has ended with them.
    fn step(&mut self, bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        let mut taken = 1;
        let mut ended = false;
        self.at = match (self.at, bytes[0]) {
            (At::Type, kind @ (b'$' | b'!' | b'=' | b'*' | b'~' | b'>' | b'%' | b'|')) => {
                At::Length { of: kind, digits: 0, negative: false, value: 0 }
            }
            (At::Type, b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(') => At::Line,
            (At::Line, _) => {
                let line = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
                taken = line.unwrap_or(bytes.len()).max(1);
                match bytes[0] {
                    b'\r' => At::LineEnd,
                    b'\n' => return Err(Malformed),
                    _ => At::Line,
                }
            }
            (At::Length { of, digits, negative, value }, byte) => length(of, digits, negative, value, byte)?,
            (At::LengthEnd { of, negative, value }, b'\n') => {
                let next = self.open(of, negative, value)?;
                ended = next.is_none();
                next.unwrap_or(At::Type)
            }
            (At::Payload(left), _) => {
                taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                payload(left - taken as u64)
            }
            (At::PayloadEnd, b'\r') => At::PayloadLineEnd,
            (At::LineEnd | At::PayloadLineEnd, b'\n') => {
                ended = true;
                At::Type
            }
            _ => return Err(Malformed),
        };
        Ok((taken, ended))
    }

    /// What follows a length; nothing if the value ends with it, as null and what is empty do.
    fn open(&mut self, of: u8, negative: bool, value: u64) -> Result<Option<At>, Malformed> {
        let values = match of {
            b'$' | b'!' | b'=' => return Ok((!negative).then(|| payload(value))),
            b'%' => 2 * value,
            // Attributes stand before a value: the two are one.
            b'|' => 2 * value + 1,
            _ => value,
        };
        if negative || values == 0 {
            return Ok(None);
        }
        if self.missing.len() == DEEPEST {
            return Err(Malformed);
        }
        self.missing.push(values);
        Ok(Some(At::Type))
    }

    /// A value has ended: whether the whole frame has.
    fn frame_ends(&mut self) -> bool {
        while let Some(missing) = self.missing.last_mut() {
            *missing -= 1;
            if *missing > 0 {
                return false;
            }
            self.missing.pop();
        }
        true
    }
}

fn payload(left: u64) -> At {
    if left == 0 { At::PayloadEnd } else { At::Payload(left) }
}

/// The state after one more byte of a length. The only negative one is -1, which is null.
fn length(of: u8, digits: u8, negative: bool, value: u64, byte: u8) -> Result<At, Malformed> {
    match byte {
        b'-' if digits == 0 && !negative && matches!(of, b'$' | b'*') => {
            Ok(At::Length { of, digits, negative: true, value })
        }
        b'0'..=b'9' => {
            let value = 10 * value + u64::from(byte - b'0');
            let fits = if negative { value == 1 && digits == 0 } else { value <= LONGEST && digits < 20 };
            fits.then_some(At::Length { of, digits: digits + 1, negative, value }).ok_or(Malformed)
        }
        b'\r' if digits > 0 => Ok(At::LengthEnd { of, negative, value }),
        _ => Err(Malformed),
    }
}
