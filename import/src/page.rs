//! Page ids as the formats write them.

use crate::tally::Verdict;
use visits_core::page::{PageId, PageIdError};

/// Rule by which a path names its page. The default is `counter.js`'s: an import and the script count under one id.
///
/// The path is percent-decoded once, and stays as it is where an escape in it is broken. Slashes at its end are left
/// out. Case counts; a query has no part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRule {
    /// The page id of the site's root.
    pub index: PageId,
    /// Whether slashes at the end stay, so that `/about/` and `/about` are two pages.
    pub keep_slash: bool,
}

impl Default for PageRule {
    fn default() -> Self {
        Self { index: PageId::from_decoded("/").expect("a slash is a page id"), keep_slash: false }
    }
}

impl PageRule {
    /// Returns the page of a path without its first slash.
    pub(crate) fn page(&self, path: &[u8]) -> Verdict {
        str::from_utf8(path).map_err(|_| PageIdError::NotUtf8).and_then(|path| self.read(path)).into()
    }

    fn read(&self, path: &str) -> Result<PageId, PageIdError> {
        let path = self.strip(path);
        if path.is_empty() {
            return Ok(self.index.clone());
        }
        let page = match PageId::from_encoded(path) {
            Err(PageIdError::BadEscape | PageIdError::NotUtf8) => PageId::from_decoded(path),
            page => page,
        }?;
        // An escape may have been a slash.
        match self.strip(page.as_str()) {
            "" => Ok(self.index.clone()),
            stripped => PageId::from_decoded(stripped),
        }
    }

    fn strip<'a>(&self, path: &'a str) -> &'a str {
        if self.keep_slash { path } else { path.trim_end_matches('/') }
    }
}

/// Returns the page of an id that is written as it is.
pub(crate) fn plain_page(id: &[u8]) -> Verdict {
    str::from_utf8(id).map_err(|_| PageIdError::NotUtf8).and_then(PageId::from_decoded).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_page_that_counter_js_counts() {
        // Path, and the id that `identity` of web/counter/identity.js gives it by default and with data-slash="keep".
        let table = [
            ("/", "/", "/"),
            ("/home", "home", "home"),
            ("/blog/", "blog", "blog/"),
            ("/blog///", "blog", "blog///"),
            ("/blog//post/", "blog//post", "blog//post/"),
            ("//", "/", "/"),
            ("//blog", "/blog", "/blog"),
            ("/Blog/Index.html", "Blog/Index.html", "Blog/Index.html"),
            ("/caf%C3%A9/", "café", "café/"),
            ("/a%2Fb%2F", "a/b", "a/b/"),
            ("/%2F", "/", "/"),
            ("/%2525", "%25", "%25"),
            ("/a+b", "a+b", "a+b"),
            ("/%zz/", "%zz", "%zz/"),
            ("/caf%E9/caf%C3%A9", "caf%E9/caf%C3%A9", "caf%E9/caf%C3%A9"),
        ];
        let page = |path: &str, keep_slash| {
            PageRule { keep_slash, ..PageRule::default() }.read(&path[1..]).unwrap().to_string()
        };
        for (path, strip, keep) in table {
            assert_eq!((page(path, false).as_str(), page(path, true).as_str()), (strip, keep), "{path}");
        }
    }

    #[test]
    fn slashes_at_the_end_take_no_room_of_an_id() {
        let rule = PageRule::default();
        assert!(rule.read(&format!("{}/", "x".repeat(512))).is_ok());
        assert_eq!(rule.read(&"x".repeat(513)), Err(PageIdError::TooLong { bytes: 513 }));
    }
}
