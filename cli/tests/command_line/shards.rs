//! `shards`.

use crate::helpers::{NAMES, Run, World, binary, key, run};
use redis::Commands as _;
use serde_json::{Value, json};

fn shard(run: &Run, index: usize) -> Value {
    run.document()["shards"][index].clone()
}

#[test]
fn a_healthy_shard_tells_what_it_holds() {
    let world = World::new(2);
    world.fill(200);
    let run = world.visits(&["shards", "--json"]);
    run.done();
    let document = run.document();
    assert_eq!((&document["namespace"], &document["warnings"]), (&json!("visits"), &json!([])));
    let own = (0..200).filter(|number| world.owner(&format!("page-{number}")) == 0).count();
    let mut first = shard(&run, 0);
    let measured: Vec<_> = ["round_trip_us", "memory_bytes"].map(|name| first[name].take()).into();
    assert!(measured.iter().all(Value::is_u64), "{measured:?}");
    let expected = json!({
        "shard": "a", "endpoint": format!("{}/0", world.servers[0].url()), "weight": 1, "share": 0.5, "state": "ok",
        "error": null, "round_trip_us": null, "pages": own, "misplaced": 0, "ring": "none", "writers": 0, "parked": [],
        "moves": [],
        "memory_bytes": null, "memory_limit_bytes": 0, "eviction_policy": "noeviction",
    });
    assert_eq!(first, expected);
    let table = world.visits(&["shards"]);
    let rows: Vec<Vec<&str>> = table.done().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((rows[0][0], rows[1][0], rows[1][1], rows[2][0]), ("SHARD", "a", "ok", "b"));
    assert_eq!(rows[1][4], own.to_string());
}

#[test]
fn writers_parked_copies_and_copies_set_aside_are_counted() {
    let world = World::new(2);
    let mut redis = world.servers[0].connect();
    let _: () = redis.zadd(key(0, "writers"), "0".repeat(32), 1).unwrap();
    let _: () = redis.hset(key(0, "out:batches:b"), "x:1", "copy").unwrap();
    let _: () = redis.hset(key(0, "out:batches:b"), "x:2", "copy").unwrap();
    let _: () = redis.hset(key(0, "outgoing"), "batches:b", 2048).unwrap();
    let _: () = redis.hset(key(0, "aside"), "y:1", "reason").unwrap();
    let run = world.visits(&["shards", "--json"]);
    assert_eq!(run.code, 3);
    assert_eq!(shard(&run, 0)["writers"], 1);
    assert_eq!(shard(&run, 0)["parked"], json!([{"owner": "b", "copies": 2, "bytes": 2048}]));
    assert_eq!(run.document()["warnings"], json!(["shard a: 1 copy set aside, see the key visits:{a}:aside"]));
    let text = world.visits(&["shards"]);
    assert!(text.stdout.ends_with("a keeps 2 parked copies (2.0KiB) for b\n"), "{text:?}");
    assert_eq!(text.told(3), "warning: shard a: 1 copy set aside, see the key visits:{a}:aside\n");
}

#[test]
fn a_server_that_keeps_nothing_on_disk_is_warned_of() {
    let world = World::new(2);
    let _: () = redis::cmd("CONFIG").arg(&["SET", "appendonly", "no"]).query(&mut world.servers[1].connect()).unwrap();
    let run = world.visits(&["shards"]);
    assert_eq!(
        run.told(3),
        "warning: shard b: it keeps nothing on disk, a restart loses all counts: set appendonly yes\n"
    );
}

#[test]
fn pages_that_the_ring_places_elsewhere_are_counted_and_traces_of_moves_are_not() {
    let world = World::new(2);
    world.fill(50);
    let (stays, went) = ("page-1", "page-2");
    let stranger = world.stranger(stays);
    world.set(stranger, stays, "total", 4);
    world.set(world.stranger(went), went, "out:5", 4);
    let run = world.visits(&["shards", "--json"]);
    assert_eq!(run.code, 3);
    let misplaced = [0, 1].map(|index| shard(&run, index)["misplaced"].as_u64().unwrap());
    assert_eq!((misplaced[stranger], misplaced.iter().sum::<u64>()), (1, 1));
    assert_eq!([0, 1].map(|index| shard(&run, index)["pages"].as_u64().unwrap()).iter().sum::<u64>(), 51);
    let warning = format!("shard {}: the ring places 1 of its pages elsewhere; re-homing moves them", NAMES[stranger]);
    assert_eq!(run.document()["warnings"], json!([warning]));
}

#[test]
fn a_shard_that_is_down_hides_none_of_the_others() {
    let mut world = World::new(2);
    world.fill(10);
    world.servers[0].stop();
    let run = world.visits(&["shards", "--json"]);
    assert_eq!(run.code, 1);
    assert_eq!((&shard(&run, 0)["state"], &shard(&run, 1)["state"]), (&json!("unreachable"), &json!("ok")));
    assert!(shard(&run, 0)["error"].as_str().unwrap().starts_with("shard a cannot be reached: "));
    assert!(shard(&run, 0).get("pages").is_none());
    let text = world.visits(&["shards"]);
    assert!(text.told(1).starts_with("error: shard a cannot be reached: "), "{text:?}");
    assert!(text.stdout.lines().any(|line| line.starts_with("b      ok")), "{text:?}");
}

#[test]
fn a_mute_shard_and_an_unfit_server_are_told_apart() {
    let mut world = World::new(2);
    let _: () = redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory-policy", "allkeys-lru"])
        .query(&mut world.servers[1].connect())
        .unwrap();
    world.servers[0].freeze();
    let run = run(world.command(&["shards", "--json"]).env("REDIS_TIMEOUT", "100ms"));
    world.servers[0].thaw();
    assert_eq!(run.code, 1);
    assert_eq!((&shard(&run, 0)["state"], &shard(&run, 1)["state"]), (&json!("unreachable"), &json!("unfit")));
    assert!(shard(&run, 1)["error"].as_str().unwrap().contains("allkeys-lru"));
}

#[test]
fn passwords_are_never_shown() {
    let world = World::new(1);
    let server = &world.servers[0];
    let _: () = redis::cmd("CONFIG").arg(&["SET", "requirepass", "SECRET"]).query(&mut server.connect()).unwrap();
    let with = |password: &str| format!("a=redis://:{password}@127.0.0.1:{}", server.port());
    for (password, code) in [("SECRET", 0), ("SECRET2", 1)] {
        for args in [&["shards"][..], &["shards", "--json"], &["owner", "x", "--json"], &["get", "x"]] {
            let run = run(binary(args).env("REDIS_ENDPOINTS", with(password)));
            assert!(!format!("{run:?}").contains("SECRET"), "{run:?}");
            assert_eq!(run.code, if args[0] == "owner" { 0 } else { code }, "{run:?}");
        }
    }
    let shown = run(binary(&["shards"]).env("REDIS_ENDPOINTS", with("SECRET")));
    assert!(shown.done().contains("redis://:***@127.0.0.1"), "{shown:?}");
}
