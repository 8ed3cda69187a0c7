//! Finds where the frames of the Redis protocol end.
//!
//! Nothing is parsed beyond lengths. Known are all types of RESP2 and RESP3, except the streamed ones (`$?`, `*?`),
//! which no server sends to a client.

use std::ops::Range;

/// Error of bytes that are no frame, and the beginning of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Longest payload and largest number of elements: beyond any that a server takes (`proto-max-bulk-len`).
const MAX_LENGTH: usize = 1 << 40;

/// Returns the length of the frame that `bytes` begin with, or `None` if its end is missing.
pub(crate) fn length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    // Values missing, of all aggregates that are open.
    let (mut position, mut missing) = (0, 1_usize);
    while missing > 0 {
        let Some(&kind) = bytes.get(position) else { return Ok(None) };
        if !b"+-:_,#($!=*~>%|".contains(&kind) {
            return Err(Malformed);
        }
        let Some(line) = line(bytes, position + 1) else { return Ok(None) };
        position = line.end + 2;
        missing -= 1;
        let count = if b"$!=*~>%|".contains(&kind) { number(&bytes[line])? } else { continue };
        match (kind, count) {
            // Null.
            (_, None) => {}
            (b'$' | b'!' | b'=', Some(count)) => {
                let Some(end) = bytes.get(position + count..position + count + 2) else { return Ok(None) };
                if end != b"\r\n" {
                    return Err(Malformed);
                }
                position += count + 2;
            }
            (b'%', Some(count)) => missing += 2 * count,
            // Attributes stand before a value: the two are one.
            (b'|', Some(count)) => missing += 2 * count + 1,
            (_, Some(count)) => missing += count,
        }
        if missing > MAX_LENGTH {
            return Err(Malformed);
        }
    }
    Ok(Some(position))
}

/// Returns the name of a command: the first element of an array of bulk strings.
pub(crate) fn name(command: &[u8]) -> Option<&[u8]> {
    let head = line(command, 0).filter(|_| command[0] == b'*')?.end + 2;
    let length = line(command, head)?;
    let start = length.end + 2;
    let length = number(command[length].strip_prefix(b"$")?).ok()??;
    command.get(start..start + length)
}

/// Returns the place of the text from `start` to the end of its line.
fn line(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    let length = bytes.get(start..)?.windows(2).position(|end| end == b"\r\n")?;
    Some(start..start + length)
}

/// Returns the number that is the text of a length; `None` for null.
fn number(text: &[u8]) -> Result<Option<usize>, Malformed> {
    if text == b"-1" {
        return Ok(None);
    }
    let number = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.filter(|number| *number <= MAX_LENGTH).map(Some).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn every_type_is_one_frame_and_nothing_shorter_is() {
        for frame in [
            "+OK\r\n",
            "-ERR no\r\n",
            ":-12\r\n",
            "_\r\n",
            ",1.5e3\r\n",
            "#t\r\n",
            "(-349\r\n",
            "$0\r\n\r\n",
            "$-1\r\n",
            "$4\r\n\r\n\r\n\r\n",
            "!5\r\nERR x\r\n",
            "=7\r\ntxt:abc\r\n",
            "*0\r\n",
            "*-1\r\n",
            "~1\r\n_\r\n",
            "%1\r\n+k\r\n$1\r\nv\r\n",
            ">1\r\n+p\r\n",
            "*3\r\n*2\r\n*0\r\n%1\r\n+k\r\n*1\r\n$-1\r\n~0\r\n*1\r\n*1\r\n*-1\r\n",
            "|1\r\n+ttl\r\n:3600\r\n*2\r\n|0\r\n:1\r\n:2\r\n",
        ] {
            assert_eq!(length(format!("{frame}+behind\r\n").as_bytes()), Ok(Some(frame.len())), "{frame:?}");
            for end in 0..frame.len() {
                assert_eq!(length(&frame.as_bytes()[..end]), Ok(None), "{frame:?} up to {end}");
            }
        }
    }

    #[test]
    fn what_is_no_frame_is_malformed() {
        for bytes in ["PING\r\n", "\r\n", "$x\r\n", "$\r\n", "$1\r\nabc", "$--1\r\n", "$-2\r\n", "$?\r\n", "*1\r\n;"] {
            assert_eq!(length(bytes.as_bytes()), Err(Malformed), "{bytes:?}");
        }
        assert_eq!(length(b"*99999999999999999999999\r\n"), Err(Malformed));
    }

    #[test]
    fn a_command_has_a_name() {
        for (command, expected) in [
            ("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", Some(&b"GET"[..])),
            ("*1\r\n$\r\n", None),
            ("*1\r\n$9\r\nGET\r\n", None),
            ("*1\r\n*0\r\n", None),
            ("*0\r\n", None),
            ("", None),
        ] {
            assert_eq!(name(command.as_bytes()), expected, "{command:?}");
        }
    }

    proptest! {
        #[test]
        fn more_bytes_change_no_verdict(bytes in vec(prop::sample::select(b"*$%+|:->_\r\n\r\n012a".to_vec()), 0..60)) {
            let whole = length(&bytes);
            let _ = name(&bytes);
            for end in 0..bytes.len() {
                let part = length(&bytes[..end]);
                prop_assert!(part == Ok(None) || part == whole, "{:?} up to {}", bytes, end);
            }
        }
    }
}
