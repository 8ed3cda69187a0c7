//! Just enough of HTTP/1.1 to serve a Runtime API's connection with little work of our own: what this side
//! spends is the same for all that are measured, and should not hide their difference.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// One connection of a runtime or an extension.
pub(crate) struct Connection {
    read: BufReader<TcpStream>,
    line: String,
}

/// A request: its first line's path, and its body.
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { read: BufReader::with_capacity(16 << 10, stream), line: String::new() })
    }

    /// The next request; `None` when the peer has closed.
    pub(crate) fn next(&mut self) -> io::Result<Option<Request>> {
        if self.line()? == 0 {
            return Ok(None);
        }
        let path = self.line.split(' ').nth(1).ok_or_else(|| invalid("no path"))?.to_owned();
        let (mut length, mut chunked) = (0, false);
        while self.line()? > 2 {
            let Some((name, value)) = self.line.split_once(':') else { return Err(invalid("a header has no colon")) };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(|_| invalid("content-length is no number"))?;
            }
            chunked |= name.eq_ignore_ascii_case("transfer-encoding") && value.trim() == "chunked";
        }
        let body = if chunked { self.chunks()? } else { self.exactly(length)? };
        Ok(Some(Request { path, body }))
    }

    /// Sends an answer in one piece.
    pub(crate) fn answer(&mut self, answer: &[u8]) -> io::Result<()> {
        self.read.get_mut().write_all(answer)
    }

    /// Waits until the peer closes the connection.
    pub(crate) fn hold(&mut self) -> io::Result<()> {
        io::copy(&mut self.read, &mut io::sink()).map(|_| ())
    }

    fn line(&mut self) -> io::Result<usize> {
        self.line.clear();
        self.read.read_line(&mut self.line)
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.read.read_exact(&mut body)?;
        Ok(body)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            self.line()?;
            let size = usize::from_str_radix(self.line.trim(), 16).map_err(|_| invalid("a chunk has no size"))?;
            body.extend(self.exactly(size)?);
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

/// An answer's text.
pub(crate) fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
