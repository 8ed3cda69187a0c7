//! Which requests of a log are visits, and of which page.

use crate::page::PageRule;
use std::fmt;
use std::str::FromStr;

/// Choices of a site owner. The default counts each page of a site under the id that `counter.js` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Which part of the path is the page id. Requests whose path does not fit are ignored.
    pub pattern: PagePattern,
    /// Which page that part names; its index is the page where it is empty, as for `/`.
    pub pages: PageRule,
    /// Whether the files that pages are made of count too (images, styles, scripts, fonts, feeds, `robots.txt`, by the
    /// path's extension). Else they are ignored: a visit to a page fetches dozens.
    pub count_assets: bool,
    /// Whether requests are ignored whose agent is a bot's or missing, by [`visits_bots`]; else they count as bots'. Only
    /// combined logs tell the agent.
    pub skip_bots: bool,
    /// The method that a visit has.
    pub method: LogMethod,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            pattern: PagePattern { before: "/".to_owned(), after: String::new() },
            pages: PageRule::default(),
            count_assets: false,
            skip_bots: false,
            method: LogMethod::Get,
        }
    }
}

/// The method of the requests that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogMethod {
    /// The log is of the site itself.
    Get,
    /// The log is of a counter that was called by `POST`, as this one is.
    Post,
}

impl LogMethod {
    pub(super) fn prefix(self) -> &'static [u8] {
        match self {
            Self::Get => b"GET ",
            Self::Post => b"POST ",
        }
    }

    /// Whether a request that was answered with this status is a visit: a page was shown, or the counter took it.
    ///
    /// A page is shown by 200, by 203 (a proxy changed it) and by 304 (the visitor's cache was still right). It is not
    /// by 206, which each range of a file has, nor by other answers without a page.
    pub(super) fn is_visit(self, status: u16) -> bool {
        match self {
            Self::Get => matches!(status, 200 | 203 | 304),
            Self::Post => matches!(status, 200..=204),
        }
    }
}

/// Where in a path the page id stands: `/{page}`, `/blog/{page}.html`, `/visit/{page}`. It is compared with the path as
/// it was sent, percent-encoded.
///
/// ```
/// # use visits_import::PagePattern;
/// let pattern: PagePattern = "/blog/{page}.html".parse()?;
/// assert_eq!(pattern.to_string(), "/blog/{page}.html");
/// assert!("/blog/".parse::<PagePattern>().is_err());
/// # Ok::<(), visits_import::InvalidPattern>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PagePattern {
    before: String,
    after: String,
}

/// A text that is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pattern is a path that begins with / and has {{page}} in it once, such as /blog/{{page}}.html")]
pub struct InvalidPattern;

impl PagePattern {
    const PAGE: &str = "{page}";

    /// What of this path is the page id; `None`: the path does not fit.
    pub(super) fn page<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        path.strip_prefix(self.before.as_bytes())?.strip_suffix(self.after.as_bytes())
    }
}

impl FromStr for PagePattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let (before, after) = text.split_once(Self::PAGE).ok_or(InvalidPattern)?;
        if !before.starts_with('/') || after.contains(Self::PAGE) || text.contains('?') {
            return Err(InvalidPattern);
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }
}

impl fmt::Display for PagePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.before, Self::PAGE, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_path_with_one_page_in_it() {
        for good in ["/{page}", "/a/{page}", "/a/{page}.html", "/{page}/"] {
            assert_eq!(good.parse::<PagePattern>().unwrap().to_string(), good);
        }
        for bad in ["", "/", "{page}", "/{page}/{page}", "/a?p={page}", "a/{page}"] {
            assert_eq!(bad.parse::<PagePattern>(), Err(InvalidPattern), "{bad}");
        }
    }
}
