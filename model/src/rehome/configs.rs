//! The bounds within which the protocol of re-homing is checked.

use super::config::{Config, INITIAL, NEW, OLD};

/// Every configuration.
pub fn all() -> Vec<Config> {
    vec![one_flusher(), a_crash_of_the_source(), a_crash_of_the_destination(), late_writer()]
}

/// One flusher, nothing else.
pub fn one_flusher() -> Config {
    Config { name: "1 flusher", visits: &[INITIAL, OLD, NEW], reads: 1, ..Config::BASE }
}

/// The source crashes.
pub fn a_crash_of_the_source() -> Config {
    Config { name: "source crashes", visits: &[INITIAL, OLD], crashes: [1, 0, 0], ..Config::BASE }
}

/// The destination crashes.
pub fn a_crash_of_the_destination() -> Config {
    Config { name: "destination crashes", visits: &[INITIAL, OLD], crashes: [0, 1, 0], ..Config::BASE }
}

/// Two flushers.
pub fn late_writer() -> Config {
    Config { name: "2 flushers", visits: &[INITIAL, OLD], flushers: &[2, 2], ..Config::BASE }
}
