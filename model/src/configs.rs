//! The bounds within which the protocol is checked. Together they cover two writers, two shards, three
//! batches, late, lost and duplicate calls, two deliverers, crashes of owner and holder, the death of
//! writers, and content that leaves memory. Each is as large as some seconds allow.

use crate::config::{Config, Faults};
use crate::design::Design;

const NONE: Faults = Config::BASE.faults;

/// Every configuration.
pub fn all() -> Vec<Config> {
    vec![
        three_batches_late_and_twice(),
        three_batches_parked_and_evicted(),
        two_batches_parked_both_shards_crash(),
        two_deliverers_and_a_late_call(),
        two_deliverers_and_two_parks(),
        two_writers_two_shards(),
        two_writers_two_shards_parked(),
        two_writers_two_deliverers(),
        copies_crosswise(),
        content_lost_with_its_holder(),
        two_batches_evicted_and_a_death(),
        everything_can_happen(),
        as_written_two_batches(),
        as_written_both_shards(),
    ]
}

/// One writer, three batches; calls given up twice, arriving twice; two crashes.
pub fn three_batches_late_and_twice() -> Config {
    let faults = Faults { give_ups: 2, duplicates: 1, crashes: [2, 0], ..NONE };
    Config { name: "3 batches, late and duplicate calls", batches: [[3, 0], [0, 0]], faults, ..Config::BASE }
}

/// One writer, three batches, one of them parked and perhaps without its content; the owner crashes twice.
pub fn three_batches_parked_and_evicted() -> Config {
    let faults = Faults { parks: 1, evictions: 1, crashes: [2, 0], ..NONE };
    Config { name: "3 batches, parked and evicted", batches: [[3, 0], [0, 0]], faults, ..Config::BASE }
}

/// Two batches, one parked; the owner crashes twice, the holder once, a call is late.
pub fn two_batches_parked_both_shards_crash() -> Config {
    let faults = Faults { parks: 1, give_ups: 1, crashes: [2, 1], ..NONE };
    Config { name: "2 batches, parked, both shards crash", batches: [[2, 0], [0, 0]], faults, ..Config::BASE }
}

/// One batch, two deliverers; a late call, three crashes, the writer's death.
pub fn two_deliverers_and_a_late_call() -> Config {
    let faults = Faults { parks: 1, give_ups: 1, crashes: [2, 1], deaths: 1, ..NONE };
    let batches = [[1, 0], [0, 0]];
    Config { name: "2 deliverers, late call, 3 crashes, death", batches, deliverers: 2, faults, ..Config::BASE }
}

/// One batch, parked twice, two deliverers; three crashes, the writer's death.
pub fn two_deliverers_and_two_parks() -> Config {
    let faults = Faults { parks: 2, crashes: [2, 1], deaths: 1, ..NONE };
    let batches = [[1, 0], [0, 0]];
    Config { name: "2 deliverers, parked twice, 3 crashes, death", batches, deliverers: 2, faults, ..Config::BASE }
}

/// Two writers, two shards, three batches; late and duplicate calls, both shards crash, a writer dies.
pub fn two_writers_two_shards() -> Config {
    let faults = Faults { give_ups: 1, duplicates: 1, crashes: [1, 1], deaths: 1, ..NONE };
    Config { name: "2 writers, 2 shards, 3 batches", batches: [[1, 1], [1, 0]], faults, ..Config::BASE }
}

/// Two writers, two shards, three batches, any of them parked; a crash, a death.
pub fn two_writers_two_shards_parked() -> Config {
    let faults = Faults { parks: 1, crashes: [1, 0], deaths: 1, ..NONE };
    Config { name: "2 writers, 2 shards, 3 batches, parked", batches: [[1, 1], [1, 0]], faults, ..Config::BASE }
}

/// Two writers on one shard, two deliverers; a late call, a crash, a death.
pub fn two_writers_two_deliverers() -> Config {
    let faults = Faults { parks: 1, give_ups: 1, crashes: [1, 0], deaths: 1, ..NONE };
    let batches = [[1, 0], [1, 0]];
    Config { name: "2 writers, 2 deliverers, late call, death", batches, deliverers: 2, faults, ..Config::BASE }
}

/// A batch for each shard, each parked on the other; a crash rolls back an owner that is a holder too.
pub fn copies_crosswise() -> Config {
    let faults = Faults { parks: 2, crashes: [1, 0], deaths: 1, ..NONE };
    Config { name: "2 shards, each parks for the other", batches: [[1, 1], [0, 0]], faults, ..Config::BASE }
}

/// One batch whose content may leave memory; the holder of its copy crashes twice, the owner once.
pub fn content_lost_with_its_holder() -> Config {
    let faults = Faults { parks: 1, evictions: 1, give_ups: 1, crashes: [1, 2], deaths: 1, ..NONE };
    Config { name: "evicted, holder crashes twice", batches: [[1, 0], [0, 0]], deliverers: 2, faults, ..Config::BASE }
}

/// Two batches, one evicted, both shards crash, the writer dies.
pub fn two_batches_evicted_and_a_death() -> Config {
    let faults = Faults { parks: 1, evictions: 1, crashes: [1, 1], deaths: 1, ..NONE };
    Config { name: "2 batches, evicted, both shards crash", batches: [[2, 0], [0, 0]], faults, ..Config::BASE }
}

/// Shows that the model is not empty: healing, delivery for the dead, deletion, all of it is reached.
pub fn everything_can_happen() -> Config {
    let faults = Faults { parks: 1, evictions: 1, give_ups: 1, crashes: [1, 0], deaths: 1, ..NONE };
    let batches = [[2, 0], [0, 0]];
    Config { name: "everything can happen", batches, faults, witness: true, ..Config::BASE }
}

/// The rules without incarnations: two batches, two deliverers, one crash of the owner.
pub fn as_written_two_batches() -> Config {
    let faults = Faults { parks: 1, give_ups: 1, crashes: [1, 0], deaths: 1, ..NONE };
    let config = Config { name: "no incarnations, owner crashes once", deliverers: 2, faults, ..Config::BASE };
    Config { batches: [[2, 0], [0, 0]], ..config }.with(Design::AsWritten)
}

/// The rules without incarnations: one batch, parked twice, two deliverers, one crash of each shard.
pub fn as_written_both_shards() -> Config {
    let faults = Faults { parks: 2, give_ups: 1, crashes: [1, 1], deaths: 1, ..NONE };
    let config = Config { name: "no incarnations, both shards crash once", deliverers: 2, faults, ..Config::BASE };
    Config { batches: [[1, 0], [0, 0]], ..config }.with(Design::AsWritten)
}
