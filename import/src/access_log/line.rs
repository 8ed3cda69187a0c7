//! The parts of a line that matter, found without looking at the rest.

use super::LogMethod;
use memchr::{memchr, memrchr};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    /// What stands between the quotes, escaped as the server wrote it.
    quoted: &'a [u8],
    pub(super) status: u16,
    /// What follows the status: bytes sent, and in the combined format referrer and agent.
    pub(super) rest: &'a [u8],
}

impl<'a> Request<'a> {
    /// The request of a line `… [time] "request" status …`. `None`: it is no such line.
    pub(super) fn find(line: &'a [u8]) -> Option<Self> {
        let open = opening_quote(line)?;
        memrchr(b'[', &line[..open])?;
        let (request, after) = quoted(&line[open + 1..])?;
        let after = after.strip_prefix(b" ")?;
        let (status, rest) = after.split_at_checked(3)?;
        let digits = status.iter().all(u8::is_ascii_digit);
        if !digits || rest.first().is_some_and(|byte| *byte != b' ') {
            return None;
        }
        let status = status.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
        Some(Self { quoted: request, status, rest })
    }

    /// The path of the request without its query, if it has this method and a path.
    pub(super) fn path(&self, method: LogMethod) -> Option<&'a [u8]> {
        let target = self.quoted.strip_prefix(method.prefix())?;
        // HTTP/0.9 has no version behind the target.
        let target = match memrchr(b' ', target) {
            Some(space) if target[space + 1..].starts_with(b"HTTP/") => &target[..space],
            _ => target,
        };
        let path = &target[..memchr(b'?', target).unwrap_or(target.len())];
        if path.first() == Some(&b'/') { Some(path) } else { path_of_url(path) }
    }
}

/// The quote before the request: the first one behind `] `, since the user's name may have quotes too.
fn opening_quote(line: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr(b'"', &line[from..])?;
        if line[..at].ends_with(b"] ") {
            return Some(at);
        }
        from = at + 1;
    }
}

/// What stands before the closing quote, and behind it. A quote behind an odd number of backslashes is text.
pub(super) fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut from = 0;
    loop {
        let at = from + memchr(b'"', &text[from..])?;
        let escapes = text[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        if escapes % 2 == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
        from = at + 1;
    }
}

/// The path of `http://host/path`, as a proxy is asked.
fn path_of_url(url: &[u8]) -> Option<&[u8]> {
    let rest = url.strip_prefix(b"http://").or_else(|| url.strip_prefix(b"https://"))?;
    memchr(b'/', rest).map(|slash| &rest[slash..]).or(Some(b"/"))
}
