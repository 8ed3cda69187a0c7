//! Access logs of nginx and Apache, common or combined, told line by line: what stands before the time (also a virtual
//! host) and behind the status does not matter.
//!
//! A visit is a request with the chosen method that was answered with a page ([`LogMethod::is_visit`]), whose path is a
//! page by [`LogOptions`]. The parts of a line that matter are found without looking at the rest; what a path stands for is
//! found once for each distinct path.

use crate::lines::Lines;
use crate::page::PageRule;
use crate::read::Records;
use crate::summary::{Reason, Seen};
use crate::tally::{Count, Tally, Verdict};
use memchr::{memchr, memrchr};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;
use visits_bots::{MAX_BYTES, is_bot_bytes};

#[derive(Debug)]
pub(crate) struct AccessLog<R> {
    lines: Lines<R>,
    options: LogOptions,
    verdicts: Verdicts,
}

impl<R: Read> AccessLog<R> {
    pub(crate) fn new(input: R, options: LogOptions) -> Self {
        Self { lines: Lines::new(input), options, verdicts: Verdicts::default() }
    }
}

impl<R: Read> Records for AccessLog<R> {
    fn next(&mut self, tally: &mut Tally) -> io::Result<Option<Seen>> {
        Ok(self.lines.next()?.map(|line| match line {
            Ok(line) => see(line, &self.options, &mut self.verdicts, tally),
            Err(reason) => Seen::Bad(Reason::Told(reason)),
        }))
    }

    fn line(&self) -> u64 {
        self.lines.number()
    }
}

fn see(line: &[u8], options: &LogOptions, verdicts: &mut Verdicts, tally: &mut Tally) -> Seen {
    if line.is_empty() {
        return Seen::Ignored;
    }
    let Some(request) = Request::find(line) else {
        let expected = "not a line of an access log: expected … [time] \"request\" status …";
        return Seen::Bad(Reason::Told(expected));
    };
    let path = request.path(options.method).filter(|_| options.method.is_visit(request.status));
    let Some(path) = path else { return Seen::Ignored };
    let bot = verdicts.is_bot(request.rest);
    if bot && options.skip_bots {
        return Seen::Ignored;
    }
    tally.add(path, Count::one(bot), |path| verdict(path, options))
}

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
    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Get => b"GET ",
            Self::Post => b"POST ",
        }
    }

    /// Whether a request that was answered with this status is a visit: a page was shown, or the counter took it.
    ///
    /// A page is shown by 200, by 203 (a proxy changed it) and by 304 (the visitor's cache was still right). It is not
    /// by 206, which each range of a file has, nor by other answers without a page.
    fn is_visit(self, status: u16) -> bool {
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

    /// Returns the part of this path that is the page id; `None`: the path does not fit.
    fn page<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Request<'a> {
    /// Text between the quotes, escaped as the server wrote it.
    quoted: &'a [u8],
    status: u16,
    /// Rest behind the status: bytes sent, and in the combined format referrer and agent.
    rest: &'a [u8],
}

impl<'a> Request<'a> {
    /// The request of a line `… [time] "request" status …`. `None`: it is no such line.
    fn find(line: &'a [u8]) -> Option<Self> {
        let open = opening_quote(line)?;
        memrchr(b'[', &line[..open])?;
        let (request, after) = quoted(&line[open + 1..])?;
        let after = after.strip_prefix(b" ")?;
        let (status, rest) = after.split_at_checked(3)?;
        let digits = status.iter().all(u8::is_ascii_digit);
        if !digits || rest.first().is_some_and(|byte| *byte != b' ') {
            return None;
        }
        let status = status.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
        Some(Self { quoted: request, status, rest })
    }

    /// The path of the request without its query, if it has this method and a path.
    fn path(&self, method: LogMethod) -> Option<&'a [u8]> {
        let target = self.quoted.strip_prefix(method.prefix())?;
        // HTTP/0.9 has no version behind the target.
        let target = match memrchr(b' ', target) {
            Some(space) if target[space + 1..].starts_with(b"HTTP/") => &target[..space],
            _ => target,
        };
        let path = &target[..memchr(b'?', target).unwrap_or(target.len())];
        if path.first() == Some(&b'/') { Some(path) } else { path_of_url(path) }
    }
}

/// The quote before the request: the first one behind `] `, since the user's name may have quotes too.
fn opening_quote(line: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr(b'"', &line[from..])?;
        if line[..at].ends_with(b"] ") {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Returns the text before the closing quote and behind it. A quote behind an odd number of backslashes is text.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut from = 0;
    loop {
        let at = from + memchr(b'"', &text[from..])?;
        let escapes = text[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        if escapes % 2 == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
        from = at + 1;
    }
}

/// The path of `http://host/path`, as a proxy is asked.
fn path_of_url(url: &[u8]) -> Option<&[u8]> {
    let rest = url.strip_prefix(b"http://").or_else(|| url.strip_prefix(b"https://"))?;
    memchr(b'/', rest).map(|slash| &rest[slash..]).or(Some(b"/"))
}

/// Agents whose verdict is kept. A site has some hundreds that come again and again; half a megabyte at most.
const KEPT: usize = 1024;

/// The verdicts of `visits-bots` on the agents seen last, as in the counter itself: a log names the same ones over and over, and
/// looking at one takes longer than reading its line.
#[derive(Debug, Default)]
struct Verdicts(HashMap<Box<[u8]>, bool>);

impl Verdicts {
    /// Whether the agent, the second quoted text behind the status, is a bot's. That of a request without one is `-`, and
    /// counts as a bot's; a line that tells no agent (in the common format) is no bot's.
    fn is_bot(&mut self, rest: &[u8]) -> bool {
        let Some(agent) = agent(rest) else { return false };
        // No more is looked at anyway, nor kept.
        let agent = &agent[..agent.len().min(MAX_BYTES)];
        if let Some(verdict) = self.0.get(agent) {
            return *verdict;
        }
        if self.0.len() >= KEPT {
            self.0.clear();
        }
        let verdict = is_bot_bytes(agent);
        self.0.insert(agent.into(), verdict);
        verdict
    }
}

fn agent(rest: &[u8]) -> Option<&[u8]> {
    let (_referrer, rest) = quoted(&rest[memchr(b'"', rest)? + 1..])?;
    Some(quoted(&rest[memchr(b'"', rest)? + 1..])?.0)
}

/// Extensions of files that pages are made of or that only programs ask for; in lower case.
const ASSETS: &str = "avif bmp css eot gif ico jpeg jpg js json map mjs mp3 mp4 ogg otf png rss svg ttf txt wasm wav webm \
    webmanifest webp woff woff2 xml atom";

/// Returns the page of a path of a log; `path` begins with a slash and has no query.
fn verdict(path: &[u8], options: &LogOptions) -> Verdict {
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
    ASSETS.split(' ').any(|asset| extension.eq_ignore_ascii_case(asset.as_bytes()))
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
    use crate::tally::Bounds;
    use visits_core::page::PageId;

    const COMMON: &str = r#"203.0.113.9 - - [10/Oct/2025:13:55:36 +0000] "GET /a HTTP/1.1" 200 2326"#;

    /// Returns the page that a line counts for, or what else it is seen as.
    fn page(line: impl AsRef<[u8]>, options: &LogOptions) -> Result<String, &'static str> {
        let mut tally = Tally::new(Bounds::default());
        match see(line.as_ref(), options, &mut Verdicts::default(), &mut tally) {
            Seen::Counted(_) => Ok(tally.take()[0].page.to_string()),
            Seen::Ignored => Err("ignored"),
            Seen::Bad(Reason::Told(_)) => Err("no line"),
            Seen::Bad(_) => Err("no page"),
        }
    }

    /// Checks what the line with each path counts for.
    fn check(options: &LogOptions, table: &[(&str, Result<&str, &'static str>)]) {
        for (path, expected) in table {
            let line = COMMON.replace("/a", path);
            assert_eq!(page(&line, options), expected.map(str::to_owned), "{line}");
        }
    }

    #[test]
    fn common_combined_and_virtual_host_lines_count() {
        let lines = [
            COMMON.to_owned(),
            format!(r#"{COMMON} "https://example.org/" "Mozilla/5.0 (X11; Linux x86_64)""#),
            format!("www.example.org:443 {COMMON}"),
            COMMON.replace("- -", r#"- "quoted \" user""#),
            COMMON.replace("- -", "- a name with [spaces]"),
            COMMON.replace("HTTP/1.1", "HTTP/2.0"),
            COMMON.replace(" HTTP/1.1", ""),
            COMMON.replace("/a ", "/a?utm_source=x&y=%zz "),
            COMMON.replace("/a ", "http://example.org/a "),
            COMMON.replace("200 2326", "203 2326"),
            COMMON.replace("200 2326", "304 -"),
            COMMON.replace("200 2326", "200"),
        ];
        for line in lines {
            assert_eq!(page(&line, &LogOptions::default()).as_deref(), Ok("a"), "{line}");
        }
    }

    #[test]
    fn other_methods_failures_and_requests_that_are_none_are_ignored() {
        let requests = "POST /a HTTP/1.1|HEAD /a HTTP/1.1|OPTIONS * HTTP/1.0|OPTIONS /a HTTP/1.1|get /a HTTP/1.1|-||\
                        \\x16\\x03\\x01\\x00\\xEE|GET|GET  HTTP/1.1|GET /style.css HTTP/1.1";
        let no_page = "101 199 201 202 204 205 206 226 300 301 302 303 307 308 400 401 404 410 416 499 500 503";
        let lines = requests.split('|').map(|request| COMMON.replace("GET /a HTTP/1.1", request));
        let failures = no_page.split(' ').map(|status| COMMON.replace("200", status));
        for line in lines.chain(failures).chain([String::new()]) {
            assert_eq!(page(&line, &LogOptions::default()), Err("ignored"), "{line}");
        }
    }

    #[test]
    fn what_is_no_line_of_a_log_is_bad() {
        for (part, wrong) in [
            (COMMON, "hello"),
            ("203.0.113.9 - - [10/Oct/2025:13:55:36 +0000] ", ""),
            ("\"GET /a HTTP/1.1\"", "GET /a HTTP/1.1"),
            ("HTTP/1.1\"", "HTTP/1.1"),
            ("/a HTTP/1.1\"", "/a\\\""),
            ("200 ", "- "),
            ("200 ", "2000 "),
            ("[10", "10"),
        ] {
            let line = COMMON.replace(part, wrong);
            assert_eq!(page(&line, &LogOptions::default()), Err("no line"), "{line}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf_8_spoil_a_path_and_nothing_else() {
        let mut line = COMMON.as_bytes().to_vec();
        line[0] = 0xff;
        assert_eq!(page(&line, &LogOptions::default()).as_deref(), Ok("a"));
        line[COMMON.find("/a").unwrap() + 1] = 0xff;
        assert_eq!(page(&line, &LogOptions::default()), Err("no page"));
    }

    #[test]
    fn visits_to_a_counter_are_found_by_method_and_pattern() {
        let pattern = "/visit/{page}".parse().unwrap();
        let options = LogOptions { pattern, method: LogMethod::Post, ..LogOptions::default() };
        let line = COMMON.replace("GET /a", "POST /visit/caf%C3%A9");
        for (status, expected) in [
            ("200", Ok("café")),
            ("201", Ok("café")),
            ("202", Ok("café")),
            ("204", Ok("café")),
            ("206", Err("ignored")),
            ("303", Err("ignored")),
        ] {
            assert_eq!(page(line.replace("200", status), &options), expected.map(str::to_owned), "{status}");
        }
        assert_eq!(page(COMMON, &options), Err("ignored"));
    }

    #[test]
    fn a_pattern_is_a_path_with_one_page_in_it() {
        for good in ["/{page}", "/a/{page}", "/a/{page}.html", "/{page}/"] {
            assert_eq!(good.parse::<PagePattern>().unwrap().to_string(), good);
        }
        for bad in ["", "/", "{page}", "/{page}/{page}", "/a?p={page}", "a/{page}"] {
            assert_eq!(bad.parse::<PagePattern>(), Err(InvalidPattern), "{bad}");
        }
    }

    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

    #[test]
    fn bots_are_told_by_their_agent_only_and_a_missing_one_is_a_bots() {
        let table = [
            (r#" 12 "-" "Mozilla/5.0 (compatible; bingbot/2.0)""#, true),
            (r#" 12 "-" "Baiduspider""#, true),
            (r#" 12 "-" "CRAWLER""#, true),
            (r#" 12 "-" "curl/8.17.0""#, true),
            (r#" 12 "-" "FIREFOX (compatible; \"bot\")""#, true),
            (r#" 12 "-" "-""#, true),
            (r#" 12 "-" """#, true),
            (r#" 12 "-" "FIREFOX""#, false),
            (r#" 12 "https://example.org/bot" "FIREFOX""#, false),
            (r#" 12 "a \" bot" "FIREFOX""#, false),
            (r#" 12 "-" "FIREFOX" "bot""#, false),
            (" 12", false),
            (r#" 12 "-""#, false),
            (r#" 12 "-" "bot"#, false),
            ("", false),
        ];
        let mut verdicts = Verdicts::default();
        for (rest, bot) in table {
            let rest = rest.replace("FIREFOX", FIREFOX);
            assert_eq!(verdicts.is_bot(rest.as_bytes()), bot, "{rest}");
            assert_eq!(verdicts.is_bot(rest.as_bytes()), bot, "seen before: {rest}");
        }
    }

    #[test]
    fn verdicts_are_right_and_bounded_whatever_agents_come() {
        let mut verdicts = Verdicts::default();
        for number in 0..3 * KEPT {
            for (agent, bot) in [(format!("{FIREFOX} {number}.0"), false), (format!("Googlebot/{number}"), true)] {
                assert_eq!(verdicts.is_bot(format!(r#" 12 "-" "{agent}""#).as_bytes()), bot, "{agent}");
            }
        }
        let without_end = format!(r#" 12 "-" "{FIREFOX}{}""#, " x".repeat(20_000));
        assert!(!verdicts.is_bot(without_end.as_bytes()));
        assert!(verdicts.0.len() <= KEPT && verdicts.0.keys().all(|agent| agent.len() <= MAX_BYTES));
    }

    #[test]
    fn bots_count_as_bots_and_are_skipped_on_request() {
        let bot = format!(r#"{COMMON} "-" "Mozilla/5.0 (compatible; Googlebot/2.1)""#);
        let mut tally = Tally::new(Bounds::default());
        for line in [&bot, COMMON, &bot] {
            see(line.as_bytes(), &LogOptions::default(), &mut Verdicts::default(), &mut tally);
        }
        assert_eq!(tally.take().iter().map(|one| (one.visits, one.bots)).collect::<Vec<_>>(), [(3, 2)]);
        let options = LogOptions { skip_bots: true, ..LogOptions::default() };
        assert_eq!(page(&bot, &options), Err("ignored"));
        assert_eq!(page(COMMON, &options).as_deref(), Ok("a"), "a common line tells no agent");
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
            (r"/\xff", Err("no page")),
            (r"/a\nb", Err("no page")),
            ("/%00", Err("no page")),
            (&format!("/{}", "x".repeat(513)), Err("no page")),
        ];
        check(&LogOptions::default(), &table);
    }

    #[test]
    fn files_of_pages_are_ignored_unless_wanted() {
        for path in ["/style.css", "/a/b/logo.SVG", "/robots.txt", "/feed.xml"] {
            check(&LogOptions::default(), &[(path, Err("ignored"))]);
            check(&LogOptions { count_assets: true, ..LogOptions::default() }, &[(path, Ok(&path[1..]))]);
        }
        for path in ["/index.html", "/v1.2", "/paper.pdf", "/css", "/x.css/", "/.css/home", "/x.cssx"] {
            check(&LogOptions::default(), &[(path, Ok(path.trim_matches('/')))]);
        }
    }

    #[test]
    fn a_pattern_keeps_what_fits_and_ignores_the_rest() {
        let pattern = "/blog/{page}.html".parse().unwrap();
        let table = [
            ("/blog/a.html", Ok("a")),
            ("/blog/a/b.html", Ok("a/b")),
            ("/blog/.html", Ok("/")),
            ("/blog/a", Err("ignored")),
            ("/a.html", Err("ignored")),
            ("/blog", Err("ignored")),
        ];
        check(&LogOptions { pattern, ..LogOptions::default() }, &table);
    }

    #[test]
    fn the_index_has_the_name_that_the_owner_gives_it() {
        let pages = PageRule { index: PageId::from_decoded("home").unwrap(), ..PageRule::default() };
        let table = [("/", Ok("home")), ("/about/", Ok("about")), ("/about", Ok("about")), ("//", Ok("home"))];
        check(&LogOptions { pages, ..LogOptions::default() }, &table);
    }
}
