//! `rehome`, with the protocol's minutes at 1/100.

use crate::helpers::{NAMES, Run, World, run, server};
use serde_json::json;

/// Calls the binary with the first `shards` of the world's shards.
fn with_first(world: &World, shards: usize, args: &[&str]) -> Run {
    let endpoints = world.endpoints().split(',').take(shards).collect::<Vec<_>>().join(",");
    run(world.command(args).env("REDIS_ENDPOINTS", endpoints).env("VISITS_TEST", "scale=100"))
}

fn counts(world: &World, shards: usize) -> Vec<String> {
    let export = with_first(world, shards, &["export"]);
    let mut lines: Vec<String> = export.stdout.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Three shards, with pages that were counted while there were two.
fn grown() -> World {
    let (two, mut world) = (World::new(2), World::new(0));
    two.fill(600);
    world.servers = two.servers;
    world.servers.push(server());
    world
}

#[test]
fn every_page_is_brought_to_its_shard_and_no_count_changes() {
    let world = grown();
    let before = counts(&world, 2);
    let misplaced = with_first(&world, 3, &["plan", &world.endpoints(), "--json"]).document()["moving"].clone();
    let run = with_first(&world, 3, &["rehome", "--json"]);
    run.done();
    let done = run.document();
    assert_eq!((&done["ring_settled"], &done["warnings"]), (&json!(true), &json!([])));
    assert_eq!((&done["pages_taken"], &done["pages_delivered"]), (&misplaced, &misplaced));
    assert_eq!(counts(&world, 3), before);
    let shards = with_first(&world, 3, &["shards", "--json"]);
    shards.done();
    for (shard, name) in shards.document()["shards"].as_array().unwrap().iter().zip(NAMES) {
        assert_eq!(
            (&shard["shard"], &shard["ring"], &shard["misplaced"]),
            (&json!(name), &json!("settled"), &json!(0))
        );
    }
    let again = with_first(&world, 3, &["rehome"]);
    assert_eq!(again.done(), "0 pages with 0 visits moved; every page is where the ring places it.\n");
}

#[test]
fn a_shard_that_was_left_out_is_missed_by_every_command_that_counts() {
    let world = grown();
    with_first(&world, 3, &["rehome"]).done();
    let run = with_first(&world, 2, &["rehome"]);
    assert!(run.told(1).starts_with("error: REDIS_ENDPOINTS does not name c, which may still hold counts"), "{run:?}");
    for args in [&["get", "home"][..], &["top"], &["export"]] {
        let run = with_first(&world, 2, args);
        let told = "warning: shard c may hold counts and is not listed: list it, with ;weight=0 if it is to go\n";
        assert_eq!(run.told(3), told);
    }
    let shards = with_first(&world, 2, &["shards"]);
    assert!(shards.told(3).contains("shard a: another ring is in force"), "{shards:?}");
}

#[test]
fn a_record_that_cannot_be_moved_is_named_and_stays() {
    let world = World::new(2);
    world.set(world.stranger("broken"), "broken", "total", "many");
    let run = with_first(&world, 2, &["rehome"]);
    assert!(run.told(3).contains("a record cannot be moved") && run.stderr.contains("broken"), "{run:?}");
    assert!(run.stderr.contains("warning: records that hold something else than visits were left"), "{run:?}");
}

#[test]
fn a_shard_that_stays_away_ends_it() {
    let mut world = World::new(2);
    world.servers[1].stop();
    let run = with_first(&world, 2, &["rehome"]);
    assert!(run.told(1).starts_with("error: shard b cannot be reached: "), "{run:?}");
}
