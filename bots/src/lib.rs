//! Bots told from people by the user agent that they send.
//!
//! The list is that of npm's [`isbot`](https://www.npmjs.com/package/isbot), vendored in `patterns/`: about 200 patterns
//! of what no browser says, with the exceptions that real browsers need (a CUBOT phone is no bot). It is kept well, and
//! recognises bots that are on no list yet; `crawler-user-agents`, the other list, knows only names, 1,500 of them, and takes
//! some of today's phones and apps for bots. Its examples of crawlers are a test here.
//!
//! `build.rs` compiles the list to a table of 11 KB that is walked as it lies in the binary: nothing is built at a
//! start. Kept libraries do the compiling, but not the walk, 30 lines in `table.rs`: the same list takes 485 KB as the
//! sparse automata of `regex-automata`, which are checked whole before the first use; `regex-lite` and `aho-corasick`
//! build what they walk at every start, and neither knows the list's exceptions.

#![forbid(unsafe_code)]

mod table;

/// The package that the list is from, and its version: `isbot 5.2.3`.
///
/// Version of the list. Store it beside a verdict: another version may judge the same agent otherwise.
pub const LIST: &str = table::LIST;

/// Most bytes of a user agent that are read. Browsers send 70 to 300, apps with a view of the web up to 450; a text
/// without an end must not take time without one.
pub const MAX_BYTES: usize = 512;

/// Whether this user agent is a bot's, by what it says of itself. A bot that says what a browser says is not told.
///
/// An empty one, which stands for a missing one too, is a bot's: every browser sends one, and what sends none is a script
/// or hides what it is. (`isbot` itself says of an empty text that it is none.) The case of ASCII letters does not matter,
/// and of other characters none is a letter, a digit or a space. Only the first [`MAX_BYTES`] bytes are looked at, as if
/// the text ended there.
///
/// About half a microsecond for a browser's agent of 120 bytes, without memory of its own.
///
/// ```
/// # use visits_bots::is_bot;
/// assert!(is_bot("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"));
/// assert!(!is_bot("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"));
/// assert!(is_bot(""));
/// ```
pub fn is_bot(user_agent: &str) -> bool {
    is_bot_bytes(user_agent.as_bytes())
}

/// [`is_bot`] of an agent that need not be UTF-8, as headers and logs have it.
pub fn is_bot_bytes(user_agent: &[u8]) -> bool {
    let looked_at = &user_agent[..user_agent.len().min(MAX_BYTES)];
    looked_at.is_empty() || table::matches(looked_at)
}
