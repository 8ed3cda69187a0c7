//! Standard output or a file, as text or as JSON.

use crate::exit;
use serde::Serialize;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// For [`Output::tell`].
pub(crate) const NO_ERRORS: &[&str] = &[];

/// Where a command writes its answer. Writes are held back until it is flushed.
pub(crate) struct Output {
    out: BufWriter<Box<dyn Write>>,
    json: bool,
}

impl Output {
    /// Standard output.
    pub(crate) fn stdout(json: bool) -> Self {
        Self { out: BufWriter::new(Box::new(io::stdout().lock())), json }
    }

    /// A file, for JSON.
    pub(crate) fn file(file: File) -> Self {
        Self { out: BufWriter::new(Box::new(file)), json: true }
    }

    /// Whether JSON is wanted.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes text as it is.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// Writes one JSON object on a line of its own.
    pub(crate) fn object(&mut self, object: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, object)?;
        self.out.write_all(b"\n")
    }

    /// Shows on standard error what could not be done and what is to be warned of, below the answer.
    pub(crate) fn tell(&mut self, errors: &[impl Display], warnings: &[impl Display]) -> io::Result<()> {
        self.flush()?;
        for error in errors {
            exit::tell("error", error);
        }
        for warning in warnings {
            exit::tell("warning", warning);
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
