//! Standard output or a file, as text or as JSON.

use crate::exit;
use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;
use serde::Serialize;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// For [`Output::tell`].
pub(crate) const NO_ERRORS: &[&str] = &[];

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

/// Writes a number with what it counts: `1 page`, `2 pages`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

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

    /// Writes text, made [`printable`].
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(printable(text).as_bytes())
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

#[cfg(test)]
mod tests {
    use super::printable;

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
}
