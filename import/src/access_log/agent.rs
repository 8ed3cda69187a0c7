//! Bots by what they say of themselves.

use super::line::quoted;
use memchr::memchr;

/// Words of which a bot's name for itself has at least one, in any case. Browsers have none.
const WORDS: [&[u8]; 6] = [b"bot", b"crawl", b"spider", b"slurp", b"curl/", b"wget/"];

/// Whether the agent, the second quoted text behind the status, calls itself a bot. A line without one is no bot's.
pub(super) fn is_bot(rest: &[u8]) -> bool {
    let Some(agent) = agent(rest) else { return false };
    let begins = |at: usize| {
        let part = |word: &[u8]| agent.get(at..at + word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word));
        WORDS.iter().any(|word| part(word))
    };
    // One pass for all words: this is done for every line.
    (0..agent.len()).any(|at| matches!(agent[at] | 0x20, b'b' | b'c' | b's' | b'w') && begins(at))
}

fn agent(rest: &[u8]) -> Option<&[u8]> {
    let (_referrer, rest) = quoted(&rest[memchr(b'"', rest)? + 1..])?;
    Some(quoted(&rest[memchr(b'"', rest)? + 1..])?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bots_are_told_by_their_agent_only() {
        let table = [
            (r#" 12 "-" "Mozilla/5.0 (compatible; bingbot/2.0)""#, true),
            (r#" 12 "-" "Baiduspider""#, true),
            (r#" 12 "-" "CRAWLER""#, true),
            (r#" 12 "https://example.org/bot" "Mozilla/5.0 Firefox/140.0""#, false),
            (r#" 12 "a \" bot" "Mozilla/5.0""#, false),
            (r#" 12 "-" "-" "bot""#, false),
            (" 12", false),
            (r#" 12 "-" "bot"#, false),
            ("", false),
        ];
        for (rest, bot) in table {
            assert_eq!(is_bot(rest.as_bytes()), bot, "{rest}");
        }
    }
}
