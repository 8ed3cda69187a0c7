//! The placement is pinned: a page that changed its owner would leave its count behind.
//!
//! `UPDATE_GOLDEN=1 cargo test -p visits-core golden` writes `tests/ring_golden.txt` anew. Only ever do so to
//! add keys or rings: a changed line means that existing deployments would lose sight of their counts.

use super::Ring;
use std::fmt::Write as _;
use std::path::Path;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ring_golden.txt");

const HEADER: &str = "\
# Which shard owns a key. A key that moves leaves its count behind, so no line may ever change.
# `ring` lists the shards as name*weight; each line below it is the owner, a tab, and the key.
";

const RINGS: [&[(&str, u8)]; 4] = [
    &[("redis_7070", 1), ("redis_7071", 1)],
    &[("a", 1), ("b", 1), ("c", 1)],
    &[("s0", 1), ("s1", 1), ("s2", 1), ("s3", 1), ("s4", 1), ("s5", 1), ("s6", 1), ("s7", 1)],
    &[("big", 16), ("medium", 4), ("small", 1), ("draining", 0)],
];

/// Keys of every length class of XXH3 (1-3, 4-8, 9-16, 17-128, 129-240 and more bytes), and Unicode.
fn keys() -> impl Iterator<Item = String> {
    let named = [
        "home",
        "a/b",
        "blog/2024/hello-world",
        "100%",
        "a b",
        "%25",
        "café",
        "cafe\u{301}",
        "日本語/ページ",
        "🦀",
        "Ω≈ç√",
    ];
    let lengths = [1, 2, 3, 4, 8, 9, 16, 17, 64, 128, 129, 240, 241, 511, 512];
    let numbered = (0..64).map(|n| format!("page-{n}"));
    named.map(String::from).into_iter().chain(lengths.map(|length| "x".repeat(length))).chain(numbered)
}

fn golden() -> String {
    let mut text = HEADER.to_owned();
    for shards in RINGS {
        let ring = Ring::new(shards.iter().map(|&(name, weight)| super::tests::shard(name, weight))).unwrap();
        let listed: Vec<String> = shards.iter().map(|(name, weight)| format!("{name}*{weight}")).collect();
        writeln!(text, "\nring {}", listed.join(" ")).unwrap();
        for key in keys() {
            writeln!(text, "{}\t{key}", ring.name(ring.owner(&key))).unwrap();
        }
    }
    text
}

#[test]
fn the_golden_placement_never_changes() {
    let placement = golden();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(Path::new(PATH), &placement).unwrap();
    }
    let pinned = std::fs::read_to_string(PATH).unwrap();
    for (line, (pinned, now)) in pinned.lines().zip(placement.lines()).enumerate() {
        assert_eq!(pinned, now, "{PATH}:{}", line + 1);
    }
    assert_eq!(pinned.lines().count(), placement.lines().count(), "{PATH} has more or fewer lines");
}
