//! The bounds within which the protocol of re-homing is checked: one page, two shards (three in some), one flusher or
//! two, with the same ring or with old and new, late writers, readers, and crashes.

use super::config::{Config, INITIAL, NEW, OLD};

/// Every configuration that the tests check, each as large as some seconds allow.
pub fn all() -> Vec<Config> {
    vec![
        reads_and_late_visits(),
        reads_while_the_source_crashes(),
        reads_while_the_destination_crashes(),
        both_shards_crash(),
        the_source_crashes_twice(),
        the_destination_crashes_twice(),
        two_flushers_and_a_late_visit(),
        two_flushers_and_a_crash_of_the_source(),
        two_flushers_and_a_crash_of_the_destination(),
        old_and_new_flusher(),
        a_shard_is_drained(),
        three_shards(),
        everything_can_happen(),
    ]
}

/// More of the same, for `make model`: up to half a minute each.
pub fn large() -> Vec<Config> {
    vec![both_shards_crash_and_a_late_visit(), two_flushers_a_late_visit_and_a_crash(), two_changes_at_once()]
}

/// One minute and two on two cores, for `cargo run --release --package protocol-model --example model -- long`.
pub fn long() -> Vec<Config> {
    vec![old_and_new_flusher_by_turns(), old_and_new_flusher_and_a_crash()]
}

/// One flusher; a visit from before, one late, one of a writer with the new ring; a reader.
pub fn reads_and_late_visits() -> Config {
    Config { name: "reads, a late and a new visit", visits: &[INITIAL, OLD, NEW], reads: 1, ..Config::BASE }
}

/// A reader, and a crash of the source.
pub fn reads_while_the_source_crashes() -> Config {
    Config { name: "reads, source crashes", reads: 1, crashes: [1, 0, 0], ..Config::BASE }
}

/// A reader, and a crash of the destination.
pub fn reads_while_the_destination_crashes() -> Config {
    Config { name: "reads, destination crashes", reads: 1, crashes: [0, 1, 0], ..Config::BASE }
}

/// Each shard crashes once.
pub fn both_shards_crash() -> Config {
    Config { name: "both shards crash", crashes: [1, 1, 0], ..Config::BASE }
}

/// Both shards crash, and a visit is late.
pub fn both_shards_crash_and_a_late_visit() -> Config {
    let visits = &[INITIAL, OLD];
    Config { name: "both shards crash, a late visit", visits, crashes: [1, 1, 0], ..Config::BASE }
}

/// Two crashes of the source; what one leaves, the next may take.
pub fn the_source_crashes_twice() -> Config {
    Config { name: "source crashes twice", crashes: [2, 0, 0], deep_crashes: true, ..Config::BASE }
}

/// The destination crashes twice.
pub fn the_destination_crashes_twice() -> Config {
    Config { name: "destination crashes twice", crashes: [0, 2, 0], deep_crashes: true, ..Config::BASE }
}

/// Two flushers at once, each perhaps with old knowledge; a late visit.
pub fn two_flushers_and_a_late_visit() -> Config {
    Config { name: "2 flushers, a late visit", visits: &[INITIAL, OLD], flushers: &[2, 2], ..Config::BASE }
}

/// Two flushers, and a crash of the source.
pub fn two_flushers_and_a_crash_of_the_source() -> Config {
    Config { name: "2 flushers, source crashes", flushers: &[2, 2], crashes: [1, 0, 0], ..Config::BASE }
}

/// Two flushers, and a crash of the destination.
pub fn two_flushers_and_a_crash_of_the_destination() -> Config {
    Config { name: "2 flushers, destination crashes", flushers: &[2, 2], crashes: [0, 1, 0], ..Config::BASE }
}

/// Two flushers, a late visit, and a crash of the source.
pub fn two_flushers_a_late_visit_and_a_crash() -> Config {
    let config = two_flushers_and_a_crash_of_the_source();
    Config { name: "2 flushers, late visit, source crashes", visits: &[INITIAL, OLD], looks_at_once: true, ..config }
}

/// A flusher with the old ring beside one with the new: each announces its ring once, in either order.
pub fn old_and_new_flusher() -> Config {
    let announcements = [0, 1, 1, 0];
    Config { name: "old and new flusher", flushers: &[1, 2], announcements, looks_at_once: true, ..Config::BASE }
}

/// An old and a new flusher, the new one up to twice, read the shards one after the other.
pub fn old_and_new_flusher_by_turns() -> Config {
    let announcements = [0, 1, 2, 0];
    Config { name: "old and new flusher by turns", looks_at_once: false, announcements, ..old_and_new_flusher() }
}

/// Old and new, and a crash of the source.
pub fn old_and_new_flusher_and_a_crash() -> Config {
    Config { name: "old and new flusher, source crashes", crashes: [1, 0, 0], ..old_and_new_flusher() }
}

/// A shard without a ring beside one that is settled: listed again, with weight 0.
pub fn a_shard_is_drained() -> Config {
    Config { name: "a shard is drained", rings: [0, 2, 0], crashes: [1, 0, 0], ..Config::BASE }
}

/// Three shards, of which one has no part in it; a late visit.
pub fn three_shards() -> Config {
    let config = Config { shards: 3, rings: [1; 3], flushers: &[3], last_ring: 3, ..Config::BASE };
    Config { name: "3 shards, a late visit", visits: &[INITIAL, OLD], ..config }
}

/// A page on its way to one shard when another change sends it to a third.
pub fn two_changes_at_once() -> Config {
    let announcements = [0, 0, 1, 1];
    let config = Config { flushers: &[2, 3], announcements, looks_at_once: true, ..three_shards() };
    Config { name: "3 shards, 2 changes at once", visits: &[INITIAL], ..config }
}

/// Shows that the model is not empty.
pub fn everything_can_happen() -> Config {
    let visits = &[INITIAL, OLD];
    Config { name: "everything can happen", visits, crashes: [1, 0, 0], witness: true, ..Config::BASE }
}
