//! `delete`.

use crate::helpers::{NAMES, World, key};
use redis::Commands as _;
use serde_json::json;

fn pages(world: &World) -> u64 {
    let counts = world.visits(&["export"]);
    counts.done().lines().count() as u64 - 1
}

#[test]
fn what_matches_is_deleted_with_its_days_also_on_full_servers_and_the_rest_stays() {
    let world = World::new(2);
    world.fill(3_000);
    for id in ["spam/1", "spam/a,b"] {
        world.count(id, 7);
        let shard = world.owner(id);
        let mut redis = world.servers[shard].connect();
        let _: i64 = redis.hset(key(shard, &format!("days:2026-11:{id}")), "3", 7).unwrap();
    }
    world.ring_settles();
    for server in &world.servers {
        let _: () = redis::cmd("CONFIG").arg(&["SET", "maxmemory", "1"]).query(&mut server.connect()).unwrap();
    }
    let trial = world.visits(&["delete", "page-1*", "--dry-run", "--json"]);
    let expected: u64 = (0..3_000_u64).filter(|n| n.to_string().starts_with('1')).map(|n| n + 1).sum();
    assert_eq!(trial.document()["result"], "dry-run");
    assert_eq!(
        (trial.document()["pages"].clone(), trial.document()["visits"].clone()),
        (json!(1_111), json!(expected))
    );
    assert_eq!(pages(&world), 3_002, "a trial deletes nothing");

    let run = world.visits(&["delete", "page-1*", "--yes"]);
    let told = format!("1111 pages with {expected} visits deleted.\n");
    assert!(run.stdout == told && (run.code == 0 || run.stderr.contains("of memory")), "{run:?}");
    assert_eq!(pages(&world), 1_891);

    assert_eq!(world.visits(&["delete", "spam/a,b", "--yes"]).stdout, "1 page with 7 visits deleted.\n");
    assert_eq!(world.visits(&["delete", "spam/*", "--yes"]).stdout, "1 page with 7 visits deleted.\n");
    for (shard, server) in world.servers.iter().enumerate() {
        assert_eq!(server.connect().keys(key(shard, "*spam*")), Ok(Vec::<String>::new()), "{}", NAMES[shard]);
    }
    assert_eq!(world.visits(&["delete", "spam/*", "--yes"]).stdout, "0 pages with 0 visits deleted.\n");
}

#[test]
fn without_a_terminal_nothing_is_deleted_unless_told_so() {
    let world = World::new(1);
    world.count("home", 7);
    world.ring_settles();
    assert!(world.visits(&["delete", "home"]).told(2).contains("give --yes, or --dry-run"));
    assert!(world.visits(&["delete", "", "--yes"]).told(2).contains("the pattern is empty"));
    let trial = world.visits(&["delete", "h*", "--dry-run"]);
    assert_eq!(trial.done(), "7  home\n1 page with 7 visits would be deleted.\n");
    assert_eq!(world.visits(&["get", "home"]).done(), "7  home\n");
}

#[test]
fn while_pages_move_nothing_is_deleted() {
    let world = World::new(2);
    world.count("home", 7);
    for moving in [false, true] {
        if moving {
            world.ring_moves();
        }
        assert!(world.visits(&["delete", "*", "--yes"]).told(1).contains("run `visits rehome` first"));
        assert_eq!(world.visits(&["get", "home"]).done(), "7  home\n");
    }
}
