//! JavaScript's patterns as `regex-automata` takes them: the same language, without what looks behind and ahead.

use std::collections::BTreeMap;

const BEHIND: &str = "(?<!";
const AHEAD: &str = "(?!";

/// The pattern without `(?<!a|b)` at its begin and `(?!a|b)` at its end, where `a` and `b` are plain texts. What stands
/// there instead takes in the text that it looks at, which does not matter where only a match is asked for.
pub(crate) fn plain(pattern: &str) -> Result<String, String> {
    let mut rest = pattern;
    let (mut before, mut after) = (String::new(), String::new());
    if let Some(looks) = rest.strip_prefix(BEHIND) {
        let (texts, pattern) = looks.split_once(')').ok_or_else(|| refused(pattern))?;
        before = Texts::new(texts, |text| text.bytes().rev().collect()).ok_or_else(|| refused(pattern))?.none_before();
        rest = pattern;
    }
    if let Some((pattern_before, looks)) = rest.split_once(AHEAD) {
        let texts = looks.strip_suffix(')').ok_or_else(|| refused(pattern))?;
        let texts = texts.strip_prefix("(?:").and_then(|texts| texts.strip_suffix(')')).unwrap_or(texts);
        after = Texts::new(texts, |text| text.bytes().collect()).ok_or_else(|| refused(pattern))?.none_after();
        rest = pattern_before;
    }
    // In JavaScript a `-` behind a class of characters is itself.
    let rest = ["\\d", "\\w", "\\s"]
        .iter()
        .fold(rest.to_owned(), |rest, class| rest.replace(&format!("{class}-"), &format!("{class}\\-")));
    if [BEHIND, AHEAD, "(?=", "(?<="].iter().any(|looks| rest.contains(looks)) {
        return Err(refused(pattern));
    }
    Ok(format!("(?:{before}{rest}{after})"))
}

fn refused(pattern: &str) -> String {
    format!("{pattern}: only (?<!texts) at the begin and (?!texts) at the end are understood")
}

/// Plain texts by their bytes, in the direction of looking.
#[derive(Default)]
struct Texts {
    next: BTreeMap<u8, Texts>,
    end: bool,
}

impl Texts {
    /// `None`: they are not plain.
    fn new(texts: &str, bytes: impl Fn(&str) -> Vec<u8>) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" /;_".contains(&byte);
        let mut root = Self::default();
        for text in texts.split('|') {
            if text.is_empty() || !text.bytes().all(plain) {
                return None;
            }
            let last = bytes(text).into_iter().fold(&mut root, |node, byte| node.next.entry(byte).or_default());
            last.end = true;
        }
        Some(root)
    }

    /// A pattern for what does not end with any of the texts.
    fn none_before(&self) -> String {
        self.none("^", &|byte, rest| format!("{rest}{byte}"))
    }

    /// A pattern for what does not begin with any of the texts.
    fn none_after(&self) -> String {
        self.none("$", &|byte, rest| format!("{byte}{rest}"))
    }

    /// The text ends here, or goes on with a byte that none of the texts has here, or with one that they have, and then
    /// with none of them.
    fn none(&self, end: &str, join: &impl Fn(&str, &str) -> String) -> String {
        let bytes: String = self.next.keys().map(|byte| escaped(*byte)).collect();
        let longer = self.next.iter().filter(|(_, rest)| !rest.end);
        let longer = longer.map(|(byte, rest)| format!("|{}", join(&escaped(*byte), &rest.none(end, join))));
        format!("(?:{end}|[^{bytes}]{})", longer.collect::<String>())
    }
}

fn escaped(byte: u8) -> String {
    format!("\\x{byte:02x}")
}
