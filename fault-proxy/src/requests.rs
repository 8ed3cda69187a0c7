//! Takes the commands out of what a client sends.

use crate::scanner::Scanner;
use bytes::BytesMut;

/// Something to pass on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// One whole command.
    Command(BytesMut),
    /// Bytes that are no commands, or come behind such bytes.
    Raw(BytesMut),
}

/// What a client has sent and what was not taken yet.
#[derive(Debug)]
pub(crate) struct Requests {
    buffer: BytesMut,
    /// So much of the buffer has gone through the scanner.
    scanned: usize,
    scanner: Scanner,
    raw: bool,
}

impl Requests {
    pub(crate) fn new() -> Self {
        Self { buffer: BytesMut::new(), scanned: 0, scanner: Scanner::new(), raw: false }
    }

    /// Where to put what was read, behind what is there.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole command.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        if self.raw || self.buffer.first().is_some_and(|kind| *kind != b'*') {
            return self.give_up();
        }
        match self.scanner.advance(&self.buffer[self.scanned..]) {
            Ok(Some(length)) if name(&self.buffer[..self.scanned + length]).is_some() => {
                let command = self.buffer.split_to(self.scanned + length);
                self.scanned = 0;
                Some(Piece::Command(command))
            }
            Ok(None) => {
                self.scanned = self.buffer.len();
                None
            }
            // An array without a name gets no answer from some servers, and would shift the answers of the rest.
            Ok(Some(_)) | Err(_) => self.give_up(),
        }
    }

    fn give_up(&mut self) -> Option<Piece> {
        self.raw = true;
        (!self.buffer.is_empty()).then(|| Piece::Raw(self.buffer.split()))
    }
}

/// The name of a command: the first element of an array of bulk strings.
pub(crate) fn name(command: &[u8]) -> Option<&[u8]> {
    let behind = |bytes: &[u8]| bytes.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
    let first = command.get(behind(command)?..)?;
    let start = behind(first)?;
    let length = first[..start].strip_prefix(b"$")?.strip_suffix(b"\r\n")?;
    let length: usize = str::from_utf8(length).ok()?.parse().ok()?;
    first.get(start..start.checked_add(length)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn pieces(chunks: &[&str]) -> Vec<Piece> {
        let mut requests = Requests::new();
        let mut pieces = Vec::new();
        for chunk in chunks {
            requests.buffer().extend_from_slice(chunk.as_bytes());
            while let Some(piece) = requests.next() {
                pieces.push(piece);
            }
        }
        pieces
    }

    fn command(bytes: &str) -> Piece {
        Piece::Command(bytes.as_bytes().into())
    }

    fn raw(bytes: &str) -> Piece {
        Piece::Raw(bytes.as_bytes().into())
    }

    #[test]
    fn pipelined_commands_are_taken_one_by_one() {
        let (ping, get) = ("*1\r\n$4\r\nPING\r\n", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
        assert_eq!(pieces(&[&[ping, get, &get[..9]].concat(), &get[9..]]), [command(ping), command(get), command(get)]);
    }

    #[test]
    fn what_is_no_command_is_passed_on_as_it_is_with_all_behind_it() {
        let ping = "*1\r\n$4\r\nPING\r\n";
        assert_eq!(pieces(&[ping, "PING\r\n", ping]), [command(ping), raw("PING\r\n"), raw(ping)]);
        assert_eq!(pieces(&["*0\r\n", ping]), [raw("*0\r\n"), raw(ping)]);
        assert_eq!(pieces(&["*1\r\n$", "x\r\n"]), [raw("*1\r\n$x\r\n")]);
        assert_eq!(pieces(&["*1\r\n:1\r\n"]), [raw("*1\r\n:1\r\n")]);
    }

    #[test]
    fn a_command_has_a_name() {
        assert_eq!(name(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), Some(&b"GET"[..]));
        assert_eq!(name(b"*1\r\n$\n"), None);
        assert_eq!(name(b"*1\r\n$9\r\nGET\r\n"), None);
        assert_eq!(name(b"*1\r\n*0\r\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_come_through_unchanged(
            chunks in vec(r"[*$0-3\r\nA-]{0,6}|\*1\r\n\$1\r\nA\r\n|\*[12]\r\n\$[0-3]\r\n", 0..12),
        ) {
            let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
            let mut requests = Requests::new();
            let mut passed = BytesMut::new();
            for chunk in &chunks {
                requests.buffer().extend_from_slice(chunk.as_bytes());
                while let Some(Piece::Command(bytes) | Piece::Raw(bytes)) = requests.next() {
                    passed.unsplit(bytes);
                }
            }
            passed.unsplit(requests.buffer().split());
            prop_assert_eq!(passed, BytesMut::from(chunks.concat().as_bytes()));
        }
    }
}
