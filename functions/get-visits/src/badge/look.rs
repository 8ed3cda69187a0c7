//! The colours and styles of badges.

use std::fmt;
use std::str::FromStr;
use visits_core::http::Problem;

/// Colours with a name, as badge services have them.
const NAMED: [(&str, u32); 15] = [
    ("brightgreen", 0x44_cc11),
    ("green", 0x97_ca00),
    ("yellowgreen", 0xa4_a61d),
    ("yellow", 0xdf_b317),
    ("orange", 0xfe_7d37),
    ("red", 0xe0_5d44),
    ("blue", 0x00_7ec6),
    ("lightgrey", 0x9f_9f9f),
    ("lightgray", 0x9f_9f9f),
    ("grey", 0x55_5555),
    ("gray", 0x55_5555),
    ("black", 0x00_0000),
    ("white", 0xff_ffff),
    ("purple", 0x94_34bd),
    ("pink", 0xff_69b4),
];

/// The colour behind the count: red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Color(u32);

impl Default for Color {
    fn default() -> Self {
        Self(0x00_7ec6)
    }
}

impl FromStr for Color {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        if let Some((_, color)) = NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Ok(Self(*color));
        }
        let hex = text.strip_prefix('#').unwrap_or(text);
        let digits = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u32::from_str_radix(hex, 16).ok().filter(|_| digits);
        match (number, hex.len()) {
            (Some(number), 6) => Ok(Self(number)),
            // Each digit stands for two.
            (Some(number), 3) => Ok(Self(((number & 0xf00) << 8 | (number & 0xf0) << 4 | number & 0xf) * 0x11)),
            _ => {
                let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
                let detail = format!("color: 3 or 6 hexadecimal digits are accepted, and {}", names.join(", "));
                Err(Problem::invalid_query(detail))
            }
        }
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:06x}", self.0)
    }
}

impl Color {
    /// Light grey, behind a word that stands for a count.
    pub(super) const FAILED: Self = Self(0x9f_9f9f);

    /// The colour of a text on this one: white, or black where white could not be read (relative luminance after WCAG 2,
    /// with its powers taken for squares).
    pub(super) fn text(self) -> &'static str {
        let [_, red, green, blue] = self.0.to_be_bytes().map(|part| u32::from(part) * u32::from(part));
        let luminance = (2 * red + 7 * green + blue) / 10;
        if luminance > 24_000 { "#000" } else { "#fff" }
    }
}

/// The look of the boxes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Style {
    #[default]
    Flat,
    FlatSquare,
    Plastic,
}

impl FromStr for Style {
    type Err = Problem;

    fn from_str(word: &str) -> Result<Self, Problem> {
        match word {
            "flat" => Ok(Self::Flat),
            "flat-square" => Ok(Self::FlatSquare),
            "plastic" => Ok(Self::Plastic),
            _ => Err(Problem::invalid_query("style: flat, flat-square and plastic are accepted")),
        }
    }
}

impl Style {
    /// Of the corners, in pixels.
    pub(super) fn radius(self) -> u32 {
        match self {
            Self::Flat => 3,
            Self::FlatSquare => 0,
            Self::Plastic => 4,
        }
    }

    /// The light on the boxes.
    pub(super) fn shine(self) -> &'static str {
        match self {
            Self::Flat => concat!(
                r##"<linearGradient id="s" x2="0" y2="100%"><stop offset="0" stop-color="#bbb" stop-opacity=".1"/>"##,
                r##"<stop offset="1" stop-opacity=".1"/></linearGradient>"##,
            ),
            Self::FlatSquare => "",
            Self::Plastic => concat!(
                r##"<linearGradient id="s" x2="0" y2="100%"><stop offset="0" stop-color="#fff" stop-opacity=".7"/>"##,
                r##"<stop offset=".1" stop-color="#aaa" stop-opacity=".1"/><stop offset=".9" stop-opacity=".3"/>"##,
                r##"<stop offset="1" stop-opacity=".5"/></linearGradient>"##,
            ),
        }
    }
}
