//! Our own export: JSON Lines, a header and then one page a line.
//!
//! ```text
//! {"format":"visits-export","version":1,"namespace":"visits"}
//! {"page":"home","count":123,"bots":4}
//! ```
//!
//! `bots` is left out where it is 0.
//!
//! Of a file of another version nothing is read. Fields that a later program adds to version 1 are skipped.

use crate::lines::Lines;
use crate::page::plain_page;
use crate::read::{ReadError, Records};
use crate::summary::{Reason, Seen};
use crate::tally::{Count, MAX_RECORD_VISITS, Tally};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::{self, Read, Write};
use visits_core::page::PageId;
use visits_core::shard::Namespace;

/// The name of the format, in its header.
const FORMAT: &str = "visits-export";

/// The version that is written and read.
const VERSION: u64 = 1;

#[derive(Serialize, Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    format: Cow<'a, str>,
    version: u64,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct PageLine<'a> {
    #[serde(borrow)]
    page: Cow<'a, str>,
    count: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    bots: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[derive(Debug)]
pub(crate) struct Export<R> {
    lines: Lines<R>,
}

impl<R: Read> Export<R> {
    pub(crate) fn new(input: R) -> Result<Self, ReadError> {
        let mut lines = Lines::new(input);
        let header = match lines.next()? {
            Some(Ok(line)) => serde_json::from_slice::<Header<'_>>(line).ok(),
            _ => None,
        };
        let header = header.filter(|header| header.format == FORMAT);
        match header.map(|header| header.version) {
            Some(VERSION) => Ok(Self { lines }),
            Some(version) => Err(ReadError::Header(format!(
                "the export is of version {version}, this program reads version {VERSION}: a newer one is needed"
            ))),
            None => Err(ReadError::Header(format!(
                "not an export of this counter: its first line would be \
                 {{\"format\":\"{FORMAT}\",\"version\":{VERSION},…}}"
            ))),
        }
    }
}

impl<R: Read> Records for Export<R> {
    fn next(&mut self, tally: &mut Tally) -> io::Result<Option<Seen>> {
        Ok(self.lines.next()?.map(|line| match line {
            Ok(line) => see(line, tally).unwrap_or_else(Seen::Bad),
            Err(reason) => Seen::Bad(Reason::Told(reason)),
        }))
    }

    fn line(&self) -> u64 {
        self.lines.number()
    }
}

fn see(line: &[u8], tally: &mut Tally) -> Result<Seen, Reason> {
    if line.is_empty() {
        return Ok(Seen::Ignored);
    }
    let read = serde_json::from_slice(line).map_err(|error| Reason::Json(error.to_string()));
    let PageLine { page, count: visits, bots } = read?;
    if visits > MAX_RECORD_VISITS || bots > visits {
        return Err(Reason::Told("the count is not from 0 to 99999999999999, or its bots are more"));
    }
    Ok(if visits == 0 { Seen::Ignored } else { tally.add(page.as_bytes(), Count { visits, bots }, plain_page) })
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Blocks, Bounds, Source};
    use visits_core::batch::Increment;

    #[test]
    fn what_is_exported_reads_back() {
        let pages = ["a", "caf\u{e9} \"b\"", "100%"].map(|page| PageId::from_decoded(page).unwrap());
        let mut writer = ExportWriter::new(Vec::new(), &"visits".parse().unwrap()).unwrap();
        for (page, (count, bots)) in pages.iter().zip([(3, 0), (MAX_RECORD_VISITS, 2), (0, 0)]) {
            writer.page(page, count, bots).unwrap();
        }
        let text = writer.finish().unwrap();
        let first =
            "{\"format\":\"visits-export\",\"version\":1,\"namespace\":\"visits\"}\n{\"page\":\"a\",\"count\":3}\n";
        assert!(text.starts_with(first.as_bytes()), "{}", String::from_utf8_lossy(&text));
        let mut blocks = Blocks::new(&Source::Export, text.as_slice(), Bounds::default()).unwrap();
        let block = blocks.next_block(&mut |_| {}).unwrap().unwrap();
        let increment =
            |page: &PageId, visits, bots| Increment { page: page.clone(), visits, bots, visitors: Vec::new() };
        assert_eq!(block, [increment(&pages[0], 3, 0), increment(&pages[1], MAX_RECORD_VISITS, 2)]);
        let summary = blocks.summary();
        assert_eq!((summary.records, summary.counted, summary.ignored, summary.bytes), (3, 2, 1, text.len() as u64));
    }

    #[test]
    fn another_version_or_file_is_refused_clearly() {
        let table = [
            ("{\"format\":\"visits-export\",\"version\":2}\n", "the export is of version 2"),
            ("{\"format\":\"other\",\"version\":1}\n", "not an export of this counter"),
            ("{\"page\":\"home\",\"count\":1}\n", "not an export of this counter"),
            ("", "not an export of this counter"),
        ];
        for (text, reason) in table {
            let error = Blocks::new(&Source::Export, text.as_bytes(), Bounds::default()).err().unwrap().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn bad_lines_are_counted_and_told() {
        let lines = ["{\"page\":\"a\",\"count\":-1}", "{\"page\":\"a\"}", "{\"page\":\"\",\"count\":1}", "x", ""];
        let text = format!("{{\"format\":\"visits-export\",\"version\":1}}\n{}\n", lines.join("\n"));
        let mut blocks = Blocks::new(&Source::Export, text.as_bytes(), Bounds::default()).unwrap();
        assert!(blocks.next_block(&mut |_| {}).unwrap().is_none());
        let summary = blocks.summary();
        assert_eq!((summary.records, summary.bad, summary.ignored), (5, 4, 1));
        assert_eq!(summary.bad_records[0].line, 2, "the header is a line");
    }
}
