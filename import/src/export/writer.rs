//! Writes an export.

use super::{FORMAT, Header, PageLine, VERSION};
use serde::Serialize;
use std::io::{self, Write};
use visits_core::page::PageId;
use visits_core::shard::Namespace;

/// Writes pages with their counts as an export that [`crate::Source::Export`] reads. Each is a few small writes: a file
/// is to be buffered.
///
/// ```
/// # use visits_import::ExportWriter;
/// # use visits_core::page::PageId;
/// let mut writer = ExportWriter::new(Vec::new(), &"visits".parse()?)?;
/// writer.page(&PageId::from_decoded("home")?, 123, 4)?;
/// let text = String::from_utf8(writer.finish()?)?;
/// assert!(text.ends_with("{\"page\":\"home\",\"count\":123,\"bots\":4}\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ExportWriter<W: Write> {
    output: W,
}

impl<W: Write> ExportWriter<W> {
    /// Begins an export of a namespace.
    ///
    /// # Errors
    /// If `output` fails.
    pub fn new(output: W, namespace: &Namespace) -> io::Result<Self> {
        let mut writer = Self { output };
        writer.line(&Header { format: FORMAT.into(), version: VERSION, namespace: namespace.as_str().into() })?;
        Ok(writer)
    }

    /// Adds a page with its visits, and those of them by bots.
    ///
    /// # Errors
    /// If the output fails.
    pub fn page(&mut self, page: &PageId, count: u64, bots: u64) -> io::Result<()> {
        self.line(&PageLine { page: page.as_str().into(), count, bots })
    }

    /// Writes what is still held back and gives the output back.
    ///
    /// # Errors
    /// If the output fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.flush()?;
        Ok(self.output)
    }

    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.output, line)?;
        self.output.write_all(b"\n")
    }
}
