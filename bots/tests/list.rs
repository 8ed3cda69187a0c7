//! The compiled list against the list as it is written, and against what isbot itself says, running in node.

use fancy_regex::Regex;
use proptest::prelude::*;
use std::sync::LazyLock;
use visits_bots::{LIST, MAX_BYTES, is_bot, is_bot_bytes};

const PATTERNS: &str = include_str!("../patterns/isbot.txt");
const CRAWLERS: &str = include_str!("fixtures/crawler-user-agents.tsv");
const BROWSERS: &str = include_str!("fixtures/user-agents.tsv");

/// Agents with whether isbot calls them bots.
fn judged(fixture: &'static str) -> impl Iterator<Item = (bool, &'static str)> {
    let lines = fixture.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once('\t').map(|(verdict, agent)| (verdict == "bot", agent)).unwrap())
}

fn patterns() -> impl Iterator<Item = &'static str> {
    PATTERNS.lines().skip(1)
}

/// The list as it is written, with all that looks behind and ahead.
static REFERENCE: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    // Rust reads a `-` behind a class of characters as a range's.
    let written = |pattern: &str| format!("(?i){}", pattern.replace("\\d-", "\\d\\-").replace("\\w-", "\\w\\-"));
    patterns().map(|pattern| Regex::new(&written(pattern)).unwrap()).collect()
});

fn reference(agent: &str) -> bool {
    agent.is_empty() || REFERENCE.iter().any(|pattern| pattern.is_match(agent).unwrap())
}

#[test]
fn the_list_is_named_as_its_file_says() {
    assert!(PATTERNS.starts_with(&format!("# {LIST} (npm), Unlicense\n")), "{LIST}");
    assert!(patterns().count() > 200);
}

#[test]
fn every_agent_is_judged_as_isbot_does() {
    for (bot, agent) in judged(CRAWLERS).chain(judged(BROWSERS)) {
        assert_eq!(is_bot(agent), bot, "{agent}");
        assert_eq!(reference(agent), bot, "{agent}");
    }
}

#[test]
fn of_2118_known_crawlers_nine_pass_that_say_what_browsers_say() {
    assert_eq!(judged(CRAWLERS).count(), 2118);
    let passed: Vec<&str> = judged(CRAWLERS).map(|(_, agent)| agent).filter(|agent| !is_bot(agent)).collect();
    assert_eq!(passed.len(), 9, "{passed:#?}");
    // Phones with a build's number, desktop apps, tools that add a word to a browser's agent.
    let words = "CPH2557 Code/ Fluid/ GTmetrix MetaIAB Miniature.io Trae/ TSM-turingos YLT";
    for word in words.split(' ') {
        assert!(passed.iter().any(|agent| agent.contains(word)), "{word}");
    }
}

#[test]
fn of_952_common_browsers_none_is_taken_for_a_bot() {
    assert_eq!(judged(BROWSERS).count(), 952);
    for (_, agent) in judged(BROWSERS) {
        assert!(!is_bot(agent), "{agent}");
    }
}

#[test]
fn the_case_of_letters_does_not_matter() {
    for (bot, agent) in judged(CRAWLERS).chain(judged(BROWSERS)) {
        assert_eq!(is_bot(&agent.to_ascii_uppercase()), bot, "{agent}");
        assert_eq!(is_bot(&agent.to_ascii_lowercase()), bot, "{agent}");
    }
}

#[test]
fn what_stands_behind_the_first_512_bytes_is_not_looked_at() {
    let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0 ";
    let padded = |bytes: usize| browser.to_owned() + &" ".repeat(bytes - browser.len());
    assert!(is_bot(&(padded(MAX_BYTES - 9) + "Googlebot and more")));
    assert!(!is_bot(&(padded(MAX_BYTES) + "Googlebot and more")));
    assert!(!is_bot(&(padded(MAX_BYTES - 1) + "é")), "a character may be cut");
    assert!(!is_bot(&padded(1_000_000)));
}

/// Returns the parts of the patterns, as a text may have them, and what stands between.
fn pieces() -> Vec<String> {
    let plain = |byte: char| !byte.is_ascii_alphanumeric() && !"/ ;@_".contains(byte);
    let mut pieces: Vec<String> = patterns().flat_map(|pattern| pattern.split(plain)).map(str::to_owned).collect();
    let between = " |/|1.0|5|.|;|; |(|)|()|,|-|_|@|:|%|\t|\n|x|Mozilla/5.0 |compatible;|cu|li|ca|channel|a.b|Linux";
    pieces.extend(between.split('|').map(str::to_owned));
    pieces.push("|".to_owned());
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn text_of_pieces() -> impl Strategy<Value = String> {
    let piece = (proptest::sample::select(pieces()), 0..8_usize).prop_map(|(piece, change)| match change {
        0 => piece.to_ascii_uppercase(),
        // Nearly what a pattern asks for.
        1 => piece[1..].to_owned(),
        2 => piece[..piece.len() - 1].to_owned(),
        _ => piece,
    });
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

/// Browsers' agents with a few pieces in them: the list has most to tell there.
fn browser_with_pieces() -> impl Strategy<Value = String> {
    let browsers: Vec<&str> = judged(BROWSERS).map(|(_, agent)| agent).collect();
    (proptest::sample::select(browsers), text_of_pieces(), any::<proptest::sample::Index>()).prop_map(
        |(browser, text, at)| {
            let at = at.index(browser.len() + 1);
            format!("{}{text}{}", &browser[..at], &browser[at..])
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_table_says_what_the_patterns_say(text in text_of_pieces()) {
        prop_assume!(text.len() <= MAX_BYTES);
        prop_assert_eq!(is_bot(&text), reference(&text));
    }

    #[test]
    fn the_table_says_what_the_patterns_say_of_browsers_too(text in browser_with_pieces()) {
        prop_assume!(text.len() <= MAX_BYTES);
        prop_assert_eq!(is_bot(&text), reference(&text));
    }

    #[test]
    fn any_ascii_is_judged_as_the_patterns_do(text in "[ -~]{0,80}") {
        prop_assert_eq!(is_bot(&text), reference(&text));
    }

    #[test]
    fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        is_bot_bytes(&bytes);
    }

    #[test]
    fn any_text_is_judged_as_its_bytes(text in any::<String>()) {
        prop_assert_eq!(is_bot(&text), is_bot_bytes(text.as_bytes()));
    }
}
