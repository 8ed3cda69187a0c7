//! `GoatCounter`'s CSV export (Settings, Export; versions 1 and 2): one row for each pageview, columns by their names.
//!
//! The first column's name begins with the version: `2Path`. A path is what visitors' browsers sent, percent-encoded
//! and perhaps with a query, which is left out; it names its page as a log's does. Rows of events are no visits to a page.

use crate::page::{PageRule, plain_page};
use crate::read::{ReadError, Records};
use crate::summary::{Reason, Seen};
use crate::tally::{Count, Tally, Verdict};
use csv_core::{ReadRecordResult, Reader};
use memchr::memchr;
use std::io::{self, BufRead as _, BufReader, Read};

/// Options of a `GoatCounter` export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoatCounterOptions {
    /// Whether rows that `GoatCounter` takes for a bot's count too, as a bot's. It shows none of them itself.
    pub count_bots: bool,
    /// Which page a path is.
    pub pages: PageRule,
}

/// Places of the columns that are read.
#[derive(Clone, Copy, Debug)]
struct Columns {
    path: usize,
    event: usize,
    bot: usize,
}

#[derive(Debug)]
pub(crate) struct GoatCounter<R> {
    rows: Rows<R>,
    columns: Columns,
    options: GoatCounterOptions,
}

impl<R: Read> GoatCounter<R> {
    pub(crate) fn new(input: R, options: GoatCounterOptions) -> Result<Self, ReadError> {
        let mut rows = Rows::new(input);
        let columns = match rows.next()? {
            Some(Ok(header)) => columns(&header.iter().collect::<Vec<_>>()),
            _ => Err("the header is missing"),
        };
        let columns = columns.map_err(|what| ReadError::Header(format!("not a CSV export of GoatCounter: {what}")))?;
        Ok(Self { rows, columns, options })
    }
}

fn columns(header: &[&[u8]]) -> Result<Columns, &'static str> {
    let path = header.first().and_then(|name| name.strip_suffix(b"Path"));
    match path {
        Some(b"1" | b"2") => {}
        Some(version) if !version.is_empty() && version.iter().all(u8::is_ascii_digit) => {
            return Err("its version is neither 1 nor 2, which are known");
        }
        _ => return Err("the first column is not named 1Path or 2Path"),
    }
    let place = |name: &[u8]| header.iter().position(|column| *column == name);
    let event = place(b"Event").ok_or("no column is named Event")?;
    Ok(Columns { path: 0, event, bot: place(b"Bot").ok_or("no column is named Bot")? })
}

impl<R: Read> Records for GoatCounter<R> {
    fn next(&mut self, tally: &mut Tally) -> io::Result<Option<Seen>> {
        Ok(self.rows.next()?.map(|row| match row {
            Ok(fields) => see(&fields, self.columns, &self.options, tally),
            Err(reason) => Seen::Bad(Reason::Told(reason)),
        }))
    }

    fn line(&self) -> u64 {
        self.rows.line
    }
}

fn see(fields: &Fields<'_>, columns: Columns, options: &GoatCounterOptions, tally: &mut Tally) -> Seen {
    let Some((path, event, bot)) = fields
        .get(columns.path)
        .zip(fields.get(columns.event))
        .zip(fields.get(columns.bot))
        .map(|((path, event), bot)| (path, event, bot))
    else {
        return Seen::Bad(Reason::Told("the row has too few columns"));
    };
    let event = match event {
        b"true" | b"1" => true,
        b"false" | b"0" => false,
        _ => return Seen::Bad(Reason::Told("the column Event is neither true nor false")),
    };
    if bot.is_empty() || !bot.iter().all(u8::is_ascii_digit) {
        return Seen::Bad(Reason::Told("the column Bot is no number"));
    }
    let is_bot = bot.iter().any(|digit| *digit != b'0');
    if event || (is_bot && !options.count_bots) {
        return Seen::Ignored;
    }
    tally.add(path, Count::one(is_bot), |path| verdict(path, &options.pages))
}

fn verdict(path: &[u8], pages: &PageRule) -> Verdict {
    match path.strip_prefix(b"/") {
        Some(path) => pages.page(&path[..memchr(b'?', path).unwrap_or(path.len())]),
        // A name that the site's own script gave: nothing has encoded it.
        None => plain_page(path),
    }
}

/// Longest row in bytes of its fields.
const MAX_ROW: usize = 64 * 1024;

/// Most columns of a row.
const MAX_COLUMNS: usize = 64;

const BUFFER: usize = 256 * 1024;

/// Rows of a CSV file in constant memory. `csv_core` parses; the `csv` crate above it would keep a row of any length.
#[derive(Debug)]
struct Rows<R> {
    input: BufReader<R>,
    csv: Reader,
    fields: Box<[u8]>,
    ends: [usize; MAX_COLUMNS],
    /// Number of the line on which the row read last began, from 1.
    line: u64,
}

/// The fields of one row, unquoted.
struct Fields<'a> {
    bytes: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Fields<'a> {
    fn get(&self, place: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(place)?;
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        self.bytes.get(start..end)
    }

    fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        (0..self.ends.len()).map_while(|place| self.get(place))
    }
}

impl<R: Read> Rows<R> {
    fn new(input: R) -> Self {
        let input = BufReader::with_capacity(BUFFER, input);
        Self { input, csv: Reader::new(), fields: vec![0; MAX_ROW].into(), ends: [0; MAX_COLUMNS], line: 0 }
    }

    /// Reads the next row; empty lines are none. One longer than [`MAX_ROW`], or with more columns than [`MAX_COLUMNS`], is
    /// skipped.
    fn next(&mut self) -> io::Result<Option<Result<Fields<'_>, &'static str>>> {
        // Else the number of the row's first line would be that of the empty ones before it.
        while let Some(byte @ (b'\n' | b'\r')) = self.input.fill_buf()?.first() {
            self.csv.set_line(self.csv.line() + u64::from(*byte == b'\n'));
            self.input.consume(1);
        }
        self.line = self.csv.line();
        let (mut length, mut columns, mut too_long) = (0, 0, false);
        loop {
            let (result, read, written, ended) =
                self.csv.read_record(self.input.fill_buf()?, &mut self.fields[length..], &mut self.ends[columns..]);
            self.input.consume(read);
            (length, columns) = (length + written, columns + ended);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    (length, columns, too_long) = (0, 0, true);
                }
                ReadRecordResult::Record if too_long => {
                    return Ok(Some(Err("the row is too long; is a quote missing?")));
                }
                ReadRecordResult::Record => {
                    return Ok(Some(Ok(Fields { bytes: &self.fields[..length], ends: &self.ends[..columns] })));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::Summary;
    use crate::{Blocks, Bounds, Source};
    use visits_core::page::PageId;

    const V2: &str = include_str!("../tests/fixtures/goatcounter-2.csv");
    const V1: &str = include_str!("../tests/fixtures/goatcounter-1.csv");

    fn read(text: &str, options: GoatCounterOptions) -> Result<(Vec<(String, u64)>, Summary), ReadError> {
        let mut blocks = Blocks::new(&Source::GoatCounter(options), text.as_bytes(), Bounds::default())?;
        let block = blocks.next_block(&mut |_| {})?.unwrap_or_default();
        let counts = block.into_iter().map(|one| (one.page.to_string(), one.visits)).collect();
        Ok((counts, blocks.summary().clone()))
    }

    fn expected(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
        counts.iter().map(|(page, visits)| ((*page).to_owned(), *visits)).collect()
    }

    #[test]
    fn an_export_of_version_2_counts_pageviews() {
        let (counts, summary) = read(V2, GoatCounterOptions::default()).unwrap();
        assert_eq!(counts, expected(&[("/", 2), ("blog/caf\u{e9}", 2), ("custom name 100%", 1)]));
        let sums = (summary.records, summary.counted, summary.ignored, summary.bad, summary.visits);
        assert_eq!(sums, (9, 5, 2, 2, 5));
        assert_eq!(summary.bytes, V2.len() as u64);
        let lines: Vec<String> = summary.bad_records.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["line 9: the column Bot is no number", "line 11: the row has too few columns"]);
    }

    #[test]
    fn bots_count_on_request_and_as_bots() {
        let pages = PageRule { index: PageId::from_decoded("home").unwrap(), ..PageRule::default() };
        let (counts, summary) = read(V2, GoatCounterOptions { count_bots: true, pages }).unwrap();
        assert_eq!((&counts[2], summary.bots), (&("home".to_owned(), 3), 1));
        assert_eq!(read(V2, GoatCounterOptions::default()).unwrap().1.bots, 0);
    }

    #[test]
    fn a_path_names_its_page_as_a_logs_does_and_a_name_stays_as_it_is() {
        let text = "2Path,Event,Bot\n/blog/?a=1,false,0\n/blog,false,0\nwhat?/,false,0\n";
        let counts = |keep_slash| {
            let pages = PageRule { keep_slash, ..PageRule::default() };
            read(text, GoatCounterOptions { pages, ..GoatCounterOptions::default() }).unwrap().0
        };
        assert_eq!(counts(false), expected(&[("blog", 2), ("what?/", 1)]));
        assert_eq!(counts(true), expected(&[("blog", 1), ("blog/", 1), ("what?/", 1)]));
    }

    #[test]
    fn version_1_has_its_columns_in_another_order() {
        let (counts, summary) = read(V1, GoatCounterOptions::default()).unwrap();
        assert_eq!((counts, summary.ignored), (expected(&[("/", 1), ("about", 1)]), 1));
    }

    #[test]
    fn what_is_no_export_or_of_an_unknown_version_is_refused() {
        let table = [
            ("", "the header is missing"),
            ("Path,Event,Bot\n", "not named 1Path or 2Path"),
            ("page,count\nhome,1\n", "not named 1Path or 2Path"),
            ("3Path,Event,Bot\n", "neither 1 nor 2"),
            ("2Path,Event\n", "no column is named Bot"),
            ("2Path,Bot\n", "no column is named Event"),
        ];
        for (text, reason) in table {
            let error = read(text, GoatCounterOptions::default()).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_takes_no_memory() {
        let text = format!("2Path,Event,Bot\n/a,false,0\n\"/b,{}", "x,\n".repeat(200_000));
        let (counts, summary) = read(&text, GoatCounterOptions::default()).unwrap();
        assert_eq!((counts, summary.records, summary.bad), (expected(&[("a", 1)]), 2, 1));
        assert!(summary.bad_records[0].to_string().starts_with("line 3: the row is too long"));
    }
}
