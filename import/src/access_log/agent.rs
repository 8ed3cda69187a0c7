//! Bots by what they say of themselves: the verdicts are those of `visits-bots`, as in the counter itself.

use super::line::quoted;
use memchr::memchr;
use visits_bots::{MAX_BYTES, is_bot_bytes};
use xxhash_rust::xxh3::xxh3_64;

/// Agents whose verdict is kept. A site has some hundreds that come again and again; half a megabyte at most.
const KEPT: usize = 1024;

/// The verdicts on the agents seen last: a log names the same ones over and over, and looking at one takes longer than
/// reading its line. Each has one place, by its hash, which it leaves to the next that comes there.
#[derive(Debug)]
pub(super) struct Verdicts {
    seen: Vec<(Vec<u8>, bool)>,
}

impl Default for Verdicts {
    /// Nothing is seen but the agent of no bytes, everywhere.
    fn default() -> Self {
        Self { seen: vec![(Vec::new(), is_bot_bytes(b"")); KEPT] }
    }
}

impl Verdicts {
    /// Whether the agent, the second quoted text behind the status, is a bot's. That of a request without one is `-`, and
    /// counts as a bot's; a line that tells no agent (in the common format) is no bot's.
    pub(super) fn is_bot(&mut self, rest: &[u8]) -> bool {
        let Some(agent) = agent(rest) else { return false };
        // No more is looked at anyway, nor kept.
        let agent = &agent[..agent.len().min(MAX_BYTES)];
        let place = usize::try_from(xxh3_64(agent) % KEPT as u64).unwrap_or(0);
        let (seen, verdict) = &mut self.seen[place];
        if seen != agent {
            *verdict = is_bot_bytes(agent);
            seen.clear();
            seen.extend_from_slice(agent);
        }
        *verdict
    }
}

fn agent(rest: &[u8]) -> Option<&[u8]> {
    let (_referrer, rest) = quoted(&rest[memchr(b'"', rest)? + 1..])?;
    Some(quoted(&rest[memchr(b'"', rest)? + 1..])?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

    #[test]
    fn bots_are_told_by_their_agent_only() {
        let firefox = |line: &str| line.replace("FIREFOX", FIREFOX);
        let table = [
            (r#" 12 "-" "Mozilla/5.0 (compatible; bingbot/2.0)""#, true),
            (r#" 12 "-" "Baiduspider""#, true),
            (r#" 12 "-" "CRAWLER""#, true),
            (r#" 12 "-" "curl/8.17.0""#, true),
            (r#" 12 "-" "FIREFOX (compatible; \"bot\")""#, true),
            (r#" 12 "-" "FIREFOX""#, false),
            (r#" 12 "https://example.org/bot" "FIREFOX""#, false),
            (r#" 12 "a \" bot" "FIREFOX""#, false),
            (r#" 12 "-" "FIREFOX" "bot""#, false),
        ];
        let mut verdicts = Verdicts::default();
        for (rest, bot) in table {
            let rest = firefox(rest);
            assert_eq!(verdicts.is_bot(rest.as_bytes()), bot, "{rest}");
            assert_eq!(verdicts.is_bot(rest.as_bytes()), bot, "seen before: {rest}");
        }
    }

    #[test]
    fn a_missing_agent_is_a_bots_and_one_that_is_not_told_is_not() {
        let table = [
            (r#" 12 "-" "-""#, true),
            (r#" 12 "-" """#, true),
            (" 12", false),
            (r#" 12 "-""#, false),
            (r#" 12 "-" "bot"#, false),
            ("", false),
        ];
        for (rest, bot) in table {
            assert_eq!(Verdicts::default().is_bot(rest.as_bytes()), bot, "{rest}");
        }
    }

    #[test]
    fn agents_that_share_a_place_do_not_share_a_verdict() {
        let mut verdicts = Verdicts::default();
        for round in 0..2 {
            for number in 0..3 * KEPT {
                let browser = format!(r#" 12 "-" "{FIREFOX} {number}.0""#);
                assert!(!verdicts.is_bot(browser.as_bytes()), "{round}: {browser}");
                let bot = format!(r#" 12 "-" "Googlebot/{number}""#);
                assert!(verdicts.is_bot(bot.as_bytes()), "{round}: {bot}");
            }
        }
    }

    #[test]
    fn agents_without_an_end_are_cut_before_they_are_kept() {
        let mut verdicts = Verdicts::default();
        let agent = format!("{FIREFOX}{}", " x".repeat(20_000));
        assert!(!verdicts.is_bot(format!(r#" 12 "-" "{agent}""#).as_bytes()));
        assert!(verdicts.seen.iter().all(|(agent, _)| agent.len() <= MAX_BYTES));
    }
}
