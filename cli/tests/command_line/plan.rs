//! `plan`.

use crate::helpers::World;
use serde_json::{Value, json};

fn with_third(world: &World) -> String {
    // Nothing is asked of a shard that is new.
    format!("{},c=redis://127.0.0.1:1", world.endpoints())
}

fn pages(list: &Value, field: &str) -> u64 {
    list.as_array().unwrap().iter().map(|entry| entry[field].as_u64().unwrap()).sum()
}

#[test]
fn a_new_shard_takes_its_share_and_nothing_else_moves() {
    let world = World::new(2);
    world.fill(900);
    let run = world.visits(&["plan", &with_third(&world), "--json"]);
    run.done();
    let plan = run.document();
    assert_eq!((&plan["pages"], &plan["warnings"]), (&json!(900), &json!([])));
    assert!(plan["moves"].as_array().unwrap().iter().all(|one| one["to"] == "c"), "{plan}");
    assert_eq!(pages(&plan["moves"], "pages"), plan["moving"].as_u64().unwrap());
    assert_eq!((pages(&plan["shards"], "pages_before"), pages(&plan["shards"], "pages_after")), (900, 900));
    let share = plan["moving_share"].as_f64().unwrap();
    assert!((share - plan["least_share"].as_f64().unwrap()).abs() < 0.06, "{plan}");
    let new = &plan["shards"][2];
    assert_eq!((&new["shard"], &new["change"], &new["weight_before"]), (&json!("c"), &json!("new"), &json!(null)));
    assert_eq!((&new["pages_before"], &new["weight_after"]), (&json!(0), &json!(1)));
}

#[test]
fn the_same_shards_move_nothing() {
    let world = World::new(2);
    world.fill(20);
    let run = world.visits(&["plan", &world.endpoints()]);
    assert!(run.done().ends_with("\n0 of 20 pages would move (0.0%); these weights need 0.0% at least.\n"), "{run:?}");
    assert!(!run.stdout.contains("FROM"), "{run:?}");
}

#[test]
fn a_shard_that_drains_gives_all_and_one_that_is_left_out_is_warned_of() {
    let world = World::new(2);
    world.fill(100);
    let on_b = (0..100).filter(|number| world.owner(&format!("page-{number}")) == 1).count();
    let draining = world.visits(&["plan", &format!("{};weight=0", world.endpoints()), "--json"]).document();
    assert_eq!(draining["moves"], json!([{"from": "b", "to": "a", "pages": on_b, "share": draining["moving_share"]}]));
    assert_eq!(draining["shards"][1]["change"], "draining");
    let removed = world.visits(&["plan", &format!("a={}", world.servers[0].url())]);
    assert_eq!(
        removed.told(3),
        format!(
            "warning: shard b still holds {on_b} pages, and nothing moves them once it is not listed: list it with \
             ;weight=0 until it is empty\n"
        )
    );
    assert!(removed.stdout.contains("removed"), "{removed:?}");
}

#[test]
fn while_pages_move_a_plan_says_that_it_may_miss_some() {
    let world = World::new(2);
    world.ring_moves();
    let run = world.visits(&["plan", &world.endpoints()]);
    assert_eq!(run.told(3), "warning: pages are moving: those on their way between two shards are not counted here\n");
    let shards = world.visits(&["shards", "--json"]).document();
    assert_eq!((&shards["shards"][0]["ring"], &shards["warnings"]), (&json!("moving"), &json!([])));
}

#[test]
fn pages_that_wait_to_be_moved_are_planned_from_where_they_are() {
    let world = World::new(2);
    let page = "home";
    world.set(world.stranger(page), page, "total", 1);
    let plan = world.visits(&["plan", &world.endpoints(), "--json"]).document();
    assert_eq!((&plan["pages"], &plan["moving"]), (&json!(1), &json!(1)));
}
