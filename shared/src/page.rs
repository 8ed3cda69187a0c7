//! The id of a page, as the site owner's visitors name it.

use std::borrow::Borrow;
use std::fmt;

/// Accepted page ids, for error texts.
const ACCEPTED: &str = "a page id is 1 to 512 bytes of UTF-8 without control characters";

/// The id of one page: 1 to [`PageId::MAX_BYTES`] bytes of UTF-8 without control characters.
///
/// Ids are compared byte by byte: case counts, `a` and `a/` are two pages, and so are the composed and
/// the decomposed form of an accented letter.
///
/// ```
/// use visits_core::page::PageId;
///
/// let page = PageId::from_decoded("blog/café")?;
/// assert_eq!(page.as_str(), "blog/café");
/// assert!(PageId::from_decoded("").is_err());
/// # Ok::<(), visits_core::page::PageIdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId(Box<str>);

/// Why a text is not a page id. The message says what was wrong and what is accepted, and shows nothing of
/// the text itself, so that it may go to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageIdError {
    /// No byte at all.
    #[error("the page id is empty; {}", ACCEPTED)]
    Empty,
    /// Longer than [`PageId::MAX_BYTES`].
    #[error("the page id has {bytes} bytes; {}", ACCEPTED)]
    TooLong {
        /// Length of the decoded id in bytes.
        bytes: usize,
    },
    /// A character of Unicode's category Cc, such as a line end, DEL or NUL.
    #[error("the page id has the control character U+{:04X}; {}", u32::from(*.character), ACCEPTED)]
    ControlCharacter {
        /// The first such character.
        character: char,
    },
    /// A `%` without two hexadecimal digits.
    #[error("the page id has a `%` that two hexadecimal digits do not follow; write a percent sign as `%25`")]
    BadEscape,
    /// The percent-decoded bytes are not UTF-8.
    #[error("the page id is not UTF-8 once percent-decoded; {}", ACCEPTED)]
    NotUtf8,
}

impl PageId {
    /// Longest page id in bytes of UTF-8. Long enough for any path that a person would type, and short
    /// enough that a full buffer of ids has a known size in memory and in a script call.
    pub const MAX_BYTES: usize = 512;

    /// Takes a text that is already percent-decoded, and leaves every `%` in it as it is.
    ///
    /// ```
    /// # use visits_core::page::PageId;
    /// assert_eq!(PageId::from_decoded("100%25")?.as_str(), "100%25");
    /// # Ok::<(), visits_core::page::PageIdError>(())
    /// ```
    pub fn from_decoded(id: &str) -> Result<Self, PageIdError> {
        if id.is_empty() {
            return Err(PageIdError::Empty);
        }
        if id.len() > Self::MAX_BYTES {
            return Err(PageIdError::TooLong { bytes: id.len() });
        }
        if let Some(character) = id.chars().find(|character| character.is_control()) {
            return Err(PageIdError::ControlCharacter { character });
        }
        Ok(Self(id.into()))
    }

    /// Percent-decodes a part of a URL's path, exactly once. A `+` stays a `+`: only forms mean a space by it.
    ///
    /// ```
    /// # use visits_core::page::PageId;
    /// assert_eq!(PageId::from_encoded("caf%C3%A9")?.as_str(), "café");
    /// assert_eq!(PageId::from_encoded("%2525")?.as_str(), "%25");
    /// # Ok::<(), visits_core::page::PageIdError>(())
    /// ```
    #[cfg(feature = "http")]
    pub fn from_encoded(id: &str) -> Result<Self, PageIdError> {
        // The decoder leaves a bad escape as it is; then `%zz` and `%25zz` would be one page.
        let whole_escape =
            |rest: &str| rest.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        if !id.split('%').skip(1).all(whole_escape) {
            return Err(PageIdError::BadEscape);
        }
        let decoded = percent_encoding::percent_decode_str(id).decode_utf8().map_err(|_| PageIdError::NotUtf8)?;
        Self::from_decoded(&decoded)
    }

    /// The id as it was accepted.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for PageId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for PageId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(character: char) -> PageIdError {
        PageIdError::ControlCharacter { character }
    }

    #[test]
    fn ids_of_1_to_512_bytes_are_accepted_and_no_others() {
        // The bound is on bytes: 128 emoji of 4 bytes fill it.
        for good in ["a", &"a".repeat(512), &"🦀".repeat(128)] {
            assert_eq!(PageId::from_decoded(good).unwrap().as_str(), good);
        }
        assert_eq!(PageId::from_decoded(""), Err(PageIdError::Empty));
        for (id, bytes) in [("a".repeat(513), 513), ("🦀".repeat(129), 516)] {
            assert_eq!(PageId::from_decoded(&id), Err(PageIdError::TooLong { bytes }));
        }
    }

    #[test]
    fn control_characters_are_refused_and_everything_else_is_a_page() {
        for character in ['\0', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{80}', '\u{85}', '\u{9f}'] {
            assert_eq!(PageId::from_decoded(&format!("a{character}b")), Err(control(character)));
        }
        for id in ["a/b", "/", "//", "a b", " ", "..", "%25", "%zz", "#?&", "\u{a0}", "\u{200b}", "日本", "{}"] {
            assert_eq!(PageId::from_decoded(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn every_message_says_what_was_wrong_and_what_is_accepted() {
        let accepted = "1 to 512 bytes of UTF-8";
        for (error, texts) in [
            (PageIdError::Empty, ["is empty", accepted]),
            (PageIdError::TooLong { bytes: 513 }, ["513 bytes", accepted]),
            (control('\u{85}'), ["U+0085", accepted]),
            (PageIdError::NotUtf8, ["not UTF-8", accepted]),
            (PageIdError::BadEscape, ["has a `%`", "%25"]),
        ] {
            let message = error.to_string();
            assert!(texts.iter().all(|text| message.contains(text)), "{message}");
        }
    }

    #[test]
    fn a_map_of_pages_is_read_by_text() {
        let counts = std::collections::HashMap::from([(PageId::from_decoded("home").unwrap(), 1)]);
        assert_eq!(counts.get("home"), Some(&1));
    }

    /// That any text is decoded exactly once or refused is in `tests/fuzz.rs`.
    #[cfg(feature = "http")]
    #[test]
    fn an_encoded_id_is_decoded_exactly_once_and_then_bounded() {
        let good = [
            ("home", "home"),
            ("a%2Fb", "a/b"),
            ("a%2fb", "a/b"),
            ("caf%C3%A9", "café"),
            ("café", "café"),
            ("a%20b", "a b"),
            ("a+b", "a+b"),
            ("%2B", "+"),
            ("%25", "%"),
            ("%2525", "%25"),
            ("%25zz", "%zz"),
            ("%F0%9F%A6%80", "🦀"),
        ];
        for (encoded, id) in good {
            assert_eq!(PageId::from_encoded(encoded).unwrap().as_str(), id, "{encoded}");
        }
        let escapes = ["%", "a%", "%2", "%zz", "%2g", "%%25", "%+1", "%-1", "%é1"];
        // Latin-1, a cut emoji, a lone surrogate, an overlong slash.
        let bytes = ["%E9", "%F0%9F%A6", "🦀%F0%9F", "%ED%A0%80", "%C0%AF", "%FF"];
        let controls = [("%00", '\0'), ("a%0Ab", '\n'), ("%7F", '\u{7f}'), ("%C2%85", '\u{85}')];
        let bad = escapes.map(|text| (text, PageIdError::BadEscape)).into_iter();
        let bad = bad.chain(bytes.map(|text| (text, PageIdError::NotUtf8)));
        for (encoded, error) in bad.chain(controls.map(|(text, character)| (text, control(character)))) {
            assert_eq!(PageId::from_encoded(encoded), Err(error), "{encoded}");
        }
        assert_eq!(PageId::from_encoded(""), Err(PageIdError::Empty));
        assert!(PageId::from_encoded(&"%41".repeat(512)).is_ok());
        assert_eq!(PageId::from_encoded(&"%41".repeat(513)), Err(PageIdError::TooLong { bytes: 513 }));
    }
}
