//! Rows of a CSV file in constant memory. `csv_core` parses; the `csv` crate above it would keep a row of any length.

use crate::read::read_some;
use csv_core::{ReadRecordResult, Reader};
use std::io::{self, Read};

/// Longest row in bytes of its fields.
const MAX_ROW: usize = 64 * 1024;

/// Most columns of a row.
const MAX_COLUMNS: usize = 64;

const BUFFER: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Rows<R> {
    input: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    csv: Reader,
    fields: Box<[u8]>,
    ends: [usize; MAX_COLUMNS],
    line: u64,
    bytes: u64,
}

pub(super) enum Row<'a> {
    Fields(Fields<'a>),
    /// Longer than [`MAX_ROW`], or more columns than [`MAX_COLUMNS`]; it was skipped.
    TooLong,
}

/// The fields of one row, unquoted.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, place: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(place)?;
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        self.bytes.get(start..end)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        (0..self.ends.len()).map_while(|place| self.get(place))
    }
}

impl<R: Read> Rows<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; BUFFER].into(),
            start: 0,
            end: 0,
            csv: Reader::new(),
            fields: vec![0; MAX_ROW].into(),
            ends: [0; MAX_COLUMNS],
            line: 0,
            bytes: 0,
        }
    }

    /// Number of the line on which the row read last began, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Bytes of the rows read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next row; empty lines are none.
    pub(super) fn next(&mut self) -> io::Result<Option<Row<'_>>> {
        self.skip_line_ends()?;
        self.line = self.csv.line();
        let (mut length, mut columns, mut too_long) = (0, 0, false);
        loop {
            if self.start == self.end {
                self.fill()?;
            }
            let input = &self.buffer[self.start..self.end];
            let (result, read, written, ended) =
                self.csv.read_record(input, &mut self.fields[length..], &mut self.ends[columns..]);
            self.start += read;
            self.bytes += read as u64;
            (length, columns) = (length + written, columns + ended);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    (length, columns, too_long) = (0, 0, true);
                }
                ReadRecordResult::Record if too_long => return Ok(Some(Row::TooLong)),
                ReadRecordResult::Record => {
                    let fields = Fields { bytes: &self.fields[..length], ends: &self.ends[..columns] };
                    return Ok(Some(Row::Fields(fields)));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// Else the number of a row's first line would be that of the empty ones before it.
    fn skip_line_ends(&mut self) -> io::Result<()> {
        loop {
            if self.start == self.end && self.fill()? == 0 {
                return Ok(());
            }
            let byte = self.buffer[self.start];
            if byte != b'\n' && byte != b'\r' {
                return Ok(());
            }
            self.csv.set_line(self.csv.line() + u64::from(byte == b'\n'));
            self.start += 1;
            self.bytes += 1;
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        self.start = 0;
        self.end = read_some(&mut self.input, &mut self.buffer)?;
        Ok(self.end)
    }
}
