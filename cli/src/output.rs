//! The answer of a command, as text or as JSON on standard output or in a file, and how the command ends: its exit code, with
//! errors and warnings on standard error.

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;
use visits_core::config::ConfigError;
use visits_core::store::StoreError;
use visits_core::store::redis::InvalidEndpoint;

/// Code for a command line or settings that are wrong, as clap has it.
pub(crate) const USAGE: u8 = 2;

/// End of a command that could be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything was done.
    Done = 0,
    /// A part could not be done, as was reported.
    Incomplete = 1,
    /// Everything was done, and something was found that wants attention.
    Warned = 3,
}

/// Why a command could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// An argument is wrong in a way that clap cannot see.
    #[error("{0}")]
    Usage(String),
    /// An address that the Redis client does not understand.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    /// A shard did not answer as it should.
    #[error(transparent)]
    Shard(#[from] StoreError),
    /// Something else stands in the way: a sentence that says what.
    #[error("{0}")]
    Refused(String),
    /// The runtime could not start.
    #[error("the program cannot start: {0}")]
    Start(#[source] io::Error),
    /// Standard output or the file asked for took no more.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Returns a refusal that says what an error says.
    pub(crate) fn refused(error: impl Display) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Reports why a command failed, if it did, and returns its exit code. A reader that wants no more, as in
/// `visits top | head`, is no failure.
pub(crate) fn code(ended: Result<Outcome, Failure>) -> ExitCode {
    match ended {
        Ok(outcome) => (outcome as u8).into(),
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            report("error", &failure);
            let is_usage = matches!(failure, Failure::Settings(_) | Failure::Usage(_) | Failure::Endpoint(_));
            if is_usage { USAGE } else { Outcome::Incomplete as u8 }.into()
        }
    }
}

/// Writes a sentence to standard error, made [`printable`]. Not by `eprintln!`, which panics where standard error is closed.
fn report(kind: &str, text: &impl Display) {
    let _ = writeln!(io::stderr(), "{kind}: {}", printable(&text.to_string()));
}

/// Returns a text as a terminal may show it. Control and format characters are escaped, as in `\u{202e}`: they could hide
/// or reorder what stands around them. Line ends stay.
pub(crate) fn printable(text: &str) -> String {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator};
    let categories = CodePointMapData::<GeneralCategory>::new();
    let hides = |character| {
        character != '\n' && matches!(categories.get(character), Control | Format | LineSeparator | ParagraphSeparator)
    };
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if hides(character) { shown.extend(character.escape_unicode()) } else { shown.push(character) }
    }
    shown
}

/// Standard error of the log, made [`printable`].
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(printable(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns a bar on standard error of this many steps with a message behind it. Nothing is shown where that is no terminal.
pub(crate) fn bar(steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps);
    // A template that does not parse would be our mistake; the default bar serves then.
    match ProgressStyle::with_template("{bar:30} {percent:>3}%  {wide_msg}") {
        Ok(style) => bar.with_style(style.progress_chars("## ")),
        Err(_) => bar,
    }
}

/// Returns a number with what it counts: `1 page`, `2 pages`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Returns a part of a whole, from 0 to 1; of nothing, nothing.
#[expect(clippy::cast_precision_loss, reason = "a share is shown to three digits")]
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Returns a share as people read it.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// Returns rows with their cells under each other, two spaces between columns, and made [`printable`]. A column whose heading
/// begins with `>` stands right, as numbers do. Without any text in the headings there is no row of them.
pub(crate) fn table<const N: usize>(columns: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let headings = columns.map(|column| column.trim_start_matches('>').to_owned());
    let has_headings = headings.iter().any(|heading| !heading.is_empty());
    let rows = rows.into_iter().map(|row| row.map(|cell| printable(&cell)));
    let rows: Vec<[String; N]> = has_headings.then_some(headings).into_iter().chain(rows).collect();
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default());
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(columns).zip(widths).map(|((cell, column), width)| {
            if column.starts_with('>') { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Place where a command writes its answer. Writes are held back until it is flushed.
pub(crate) struct Output {
    out: BufWriter<Box<dyn Write>>,
    json: bool,
}

impl Output {
    /// Returns standard output.
    pub(crate) fn stdout(json: bool) -> Self {
        Self { out: BufWriter::new(Box::new(io::stdout().lock())), json }
    }

    /// Returns a file, for JSON.
    pub(crate) fn file(file: File) -> Self {
        Self { out: BufWriter::new(Box::new(file)), json: true }
    }

    /// Whether JSON is wanted.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes text, made [`printable`].
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(printable(text).as_bytes())
    }

    /// Writes one JSON object on a line of its own.
    pub(crate) fn object(&mut self, object: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, object)?;
        self.out.write_all(b"\n")
    }

    /// Writes a command's document, which has the warnings in it, or else this text and the warnings below it.
    pub(crate) fn document(
        &mut self,
        document: &impl Serialize,
        text: &str,
        errors: &[impl Display],
        warnings: &[String],
    ) -> Result<Outcome, Failure> {
        if self.json {
            self.object(document)?;
            return Ok(outcome(errors, warnings));
        }
        self.text(text)?;
        self.end(errors, warnings)
    }

    /// Reports on standard error what could not be done and what wants attention, below the answer.
    pub(crate) fn end(&mut self, errors: &[impl Display], warnings: &[String]) -> Result<Outcome, Failure> {
        self.flush()?;
        for error in errors {
            report("error", error);
        }
        for warning in warnings {
            report("warning", warning);
        }
        Ok(outcome(errors, warnings))
    }
}

/// No errors, for [`Output::end`].
pub(crate) const NO_ERRORS: &[&str] = &[];

fn outcome(errors: &[impl Display], warnings: &[String]) -> Outcome {
    match (errors, warnings) {
        ([], []) => Outcome::Done,
        ([], _) => Outcome::Warned,
        _ => Outcome::Incomplete,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_hide_or_reorder_others_are_escaped_and_no_others() {
        for plain in ["blog/café", "cafe\u{301}", "日本 100% \\ \"'", "שלום", "👩", "a\u{a0}b", "two\nlines"] {
            assert_eq!(printable(plain), plain);
        }
        let bidi = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        let others = "\u{ad}\u{200b}\u{200d}\u{2028}\u{2029}\u{2060}\u{feff}\u{e0041}\u{1b}\r\t\u{9b}\u{7f}";
        for character in bidi.chars().chain(others.chars()) {
            assert_eq!(printable(&format!("a{character}b")), format!("a{}b", character.escape_unicode()));
        }
    }

    #[test]
    fn words_stand_left_and_numbers_right_without_spaces_at_the_end() {
        let rows = [["a", "12", "ok"], ["redis_7070", "123456", "refuses"]].map(|row| row.map(str::to_owned));
        let expected = "SHARD        PAGES  STATE\na               12  ok\nredis_7070  123456  refuses\n";
        assert_eq!(table(["SHARD", ">PAGES", "STATE"], rows), expected);
        assert_eq!((table(["", ">"], []), table(["A", ">B"], [])), (String::new(), "A  B\n".to_owned()));
    }

    #[test]
    fn a_share_of_nothing_is_nothing() {
        assert_eq!([share(0, 0), share(1, 4), share(4, 4)].map(percent), ["0.0%", "25.0%", "100.0%"]);
    }
}
