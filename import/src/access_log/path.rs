//! From a path as it stands in the log to the page it counts for. Done once for each distinct path.

use super::LogOptions;
use crate::tally::Verdict;
use memchr::{memchr, memrchr};
use std::borrow::Cow;

/// Extensions of files that pages are made of or that only programs ask for; in lower case.
const ASSETS: [&str; 30] = [
    "avif",
    "bmp",
    "css",
    "eot",
    "gif",
    "ico",
    "jpeg",
    "jpg",
    "js",
    "json",
    "map",
    "mjs",
    "mp3",
    "mp4",
    "ogg",
    "otf",
    "png",
    "rss",
    "svg",
    "ttf",
    "txt",
    "wasm",
    "wav",
    "webm",
    "webmanifest",
    "webp",
    "woff",
    "woff2",
    "xml",
    "atom",
];

/// What a path of a log stands for; `path` begins with a slash and has no query.
pub(super) fn verdict(path: &[u8], options: &LogOptions) -> Verdict {
    let path = unescape(path);
    let Some(page) = options.pattern.page(&path) else { return Verdict::Ignored };
    if !options.count_assets && is_asset(&path) {
        return Verdict::Ignored;
    }
    options.pages.page(page)
}

fn is_asset(path: &[u8]) -> bool {
    let name = &path[memrchr(b'/', path).map_or(0, |slash| slash + 1)..];
    let Some(dot) = memrchr(b'.', name) else { return false };
    let extension = &name[dot + 1..];
    ASSETS.iter().any(|asset| extension.eq_ignore_ascii_case(asset.as_bytes()))
}

/// Undoes what nginx (`\xHH`) and Apache (`\xHH`, `\"`, `\\`, `\n` and the like) do to bytes that would spoil a line.
fn unescape(path: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\\', path).is_none() {
        return Cow::Borrowed(path);
    }
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        let (byte, length) = if *byte == b'\\' { escape(after).unwrap_or((b'\\', 0)) } else { (*byte, 0) };
        plain.push(byte);
        rest = &after[length..];
    }
    Cow::Owned(plain)
}

/// The byte that stands behind a backslash, and how many bytes of text it takes. `None`: that is no escape.
fn escape(after: &[u8]) -> Option<(u8, usize)> {
    let hex = |at: usize| Some(char::from(*after.get(at)?).to_digit(16)?.to_le_bytes()[0]);
    match after.first()? {
        b'x' => Some((hex(1)? * 16 + hex(2)?, 3)),
        byte @ (b'"' | b'\\') => Some((*byte, 1)),
        b'b' => Some((8, 1)),
        b't' => Some((b'\t', 1)),
        b'n' => Some((b'\n', 1)),
        b'v' => Some((11, 1)),
        b'r' => Some((b'\r', 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PageRule;
    use visits_core::page::PageId;

    fn page(path: &str, options: &LogOptions) -> Result<String, &'static str> {
        match verdict(path.as_bytes(), options) {
            Verdict::Page(page) => Ok(page.to_string()),
            Verdict::Ignored => Err("ignored"),
            Verdict::Bad(_) => Err("bad"),
        }
    }

    #[test]
    fn what_the_server_escaped_is_undone_before_the_path_is_decoded() {
        let table = [
            (r"/caf\xC3\xA9", Ok("café")),
            (r"/caf\xc3\xa9", Ok("café")),
            ("/caf\u{e9}", Ok("café")),
            (r"/\x2525", Ok("%")),
            (r#"/a\"b"#, Ok("a\"b")),
            (r"/a\\b", Ok(r"a\b")),
            (r"/a\q\", Ok(r"a\q\")),
            (r"/\xff", Err("bad")),
            (r"/a\nb", Err("bad")),
            ("/%00", Err("bad")),
        ];
        for (path, expected) in table {
            assert_eq!(page(path, &LogOptions::default()), expected.map(str::to_owned), "{path}");
        }
        assert_eq!(page(&format!("/{}", "x".repeat(513)), &LogOptions::default()), Err("bad"));
    }

    #[test]
    fn files_of_pages_are_ignored_unless_wanted() {
        let all = LogOptions { count_assets: true, ..LogOptions::default() };
        for path in ["/style.css", "/a/b/logo.SVG", "/robots.txt", "/feed.xml"] {
            assert_eq!(page(path, &LogOptions::default()), Err("ignored"), "{path}");
            assert_eq!(page(path, &all).as_deref(), Ok(&path[1..]));
        }
        for path in ["/index.html", "/v1.2", "/paper.pdf", "/css", "/x.css/", "/.css/home", "/x.cssx"] {
            assert_eq!(page(path, &LogOptions::default()).as_deref(), Ok(path.trim_matches('/')));
        }
    }

    #[test]
    fn a_pattern_keeps_what_fits_and_ignores_the_rest() {
        let pattern = "/blog/{page}.html".parse().unwrap();
        let options = LogOptions { pattern, ..LogOptions::default() };
        let table = [
            ("/blog/a.html", Ok("a")),
            ("/blog/a/b.html", Ok("a/b")),
            ("/blog/.html", Ok("/")),
            ("/blog/a", Err("ignored")),
            ("/a.html", Err("ignored")),
            ("/blog", Err("ignored")),
        ];
        for (path, expected) in table {
            assert_eq!(page(path, &options), expected.map(str::to_owned), "{path}");
        }
    }

    #[test]
    fn the_index_has_the_name_that_the_owner_gives_it() {
        let pages = PageRule { index: PageId::from_decoded("home").unwrap(), ..PageRule::default() };
        let options = LogOptions { pages, ..LogOptions::default() };
        let table = [("/", "home"), ("/about/", "about"), ("/about", "about"), ("//", "home")];
        for (path, expected) in table {
            assert_eq!(page(path, &options).as_deref(), Ok(expected), "{path}");
        }
    }
}
