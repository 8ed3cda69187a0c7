//! A page's count as a picture (SVG): two boxes with a label and a number, as READMEs show them.

mod look;
mod width;

use look::{Color, Style};
use std::borrow::Cow;
use std::fmt::Write as _;
use visits_core::http::{Problem, Query};
use width::width;

const LABEL: &str = "visits";

/// Longest label, in characters.
const MOST_LABEL: usize = 64;

/// Most that can be added to a count: visits of a counter before this one.
const MOST_OFFSET: u64 = 1_000_000_000_000;

/// Room left and right of a text, in pixels.
const ROOM: u32 = 6;

/// The look of a badge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Badge {
    label: String,
    color: Color,
    style: Style,
    offset: u64,
}

impl Default for Badge {
    fn default() -> Self {
        Self { label: LABEL.to_owned(), color: Color::default(), style: Style::default(), offset: 0 }
    }
}

impl Badge {
    /// From the parameters `label`, `color`, `style` and `offset`. Others mean nothing, so that a URL may be changed to be
    /// loaded anew.
    pub(crate) fn from_query(query: &Query) -> Result<Self, Problem> {
        let label = query.get("label").unwrap_or(LABEL);
        if label.chars().count() > MOST_LABEL || label.chars().any(char::is_control) {
            let detail = format!("label: at most {MOST_LABEL} characters are accepted, and no control characters");
            return Err(Problem::invalid_query(detail));
        }
        Ok(Self {
            label: label.to_owned(),
            color: query.get("color").map_or(Ok(Color::default()), str::parse)?,
            style: query.get("style").map_or(Ok(Style::default()), str::parse)?,
            offset: query.number("offset", 0, 0..=MOST_OFFSET)?,
        })
    }

    /// Draws a count.
    pub(crate) fn render(&self, count: u64) -> String {
        self.draw(&with_separators(count.saturating_add(self.offset)), self.color)
    }

    /// Draws a word in grey that says why there is no count.
    pub(crate) fn render_failed(&self, why: &str) -> String {
        self.draw(why, Color::FAILED)
    }

    /// Draws a label and a text on this colour. All text of a client is escaped.
    fn draw(&self, value: &str, color: Color) -> String {
        let label = escaped(&self.label);
        let left = if label.is_empty() { 0 } else { width(&self.label) + 2 * ROOM };
        let right = width(value) + 2 * ROOM;
        let (whole, title) =
            (left + right, if label.is_empty() { value.to_owned() } else { format!("{label}: {value}") });
        let (radius, shine) = (self.style.radius(), self.style.shine());
        let mut svg = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" aria-label="{title}">"#
        );
        // Writing to a text cannot fail.
        let _ = write!(
            svg,
            concat!(
                r#"<title>{title}</title>{shine}<clipPath id="r"><rect width="{whole}" height="20" rx="{radius}"/></clipPath>"#,
                r##"<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#555"/>"##,
                r#"<rect x="{left}" width="{right}" height="20" fill="{color}"/>"#,
            ),
            title = title,
            shine = shine,
            whole = whole,
            radius = radius,
            left = left,
            right = right,
            color = color,
        );
        if !shine.is_empty() {
            let _ = write!(svg, r#"<rect width="{whole}" height="20" fill="url(#s)"/>"#);
        }
        svg.push_str(r#"</g><g font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">"#);
        if left > 0 {
            text(&mut svg, ROOM, width(&self.label), "#fff", &label);
        }
        text(&mut svg, left + ROOM, width(value), color.text(), value);
        svg.push_str("</g></svg>");
        svg
    }
}

/// A text from `x` on that is `length` wide in any font, so that a wrong guess of its width spoils nothing.
fn text(svg: &mut String, x: u32, length: u32, color: &str, text: &str) {
    let _ = write!(
        svg,
        r#"<text x="{x}" y="14" fill="{color}" textLength="{length}" lengthAdjust="spacingAndGlyphs" xml:space="preserve">{text}</text>"#
    );
}

/// `1234567` as `1,234,567`.
fn with_separators(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A text as XML has it, in elements and in attributes. What XML has no place for is left out.
fn escaped(text: &str) -> String {
    let escape = |character: char| match character {
        '&' => Cow::Borrowed("&amp;"),
        '<' => Cow::Borrowed("&lt;"),
        '>' => Cow::Borrowed("&gt;"),
        '"' => Cow::Borrowed("&quot;"),
        '\'' => Cow::Borrowed("&#39;"),
        '\u{fffe}' | '\u{ffff}' => Cow::Borrowed(""),
        other => Cow::Owned(other.to_string()),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests;
