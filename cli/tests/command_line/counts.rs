//! `get`, `owner` and `top`.

use crate::helpers::{NAMES, World, key, run};
use serde_json::json;

#[test]
fn get_shows_counts_in_the_order_asked_for_and_0_for_an_unknown_page() {
    let world = World::new(2);
    world.count("home", 12);
    world.count("blog/café", 3);
    assert_eq!(world.visits(&["get", "home", "nowhere", "blog/café"]).done(), "12  home\n 0  nowhere\n 3  blog/café\n");
    let lines = world.visits(&["get", "--json", "blog/café", "home"]).lines();
    assert_eq!(lines, [json!({"page": "blog/café", "count": 3}), json!({"page": "home", "count": 12})]);
}

#[test]
fn a_count_is_right_at_every_step_of_a_move() {
    let world = World::new(2);
    let (to, from) = (world.owner("home"), world.stranger("home"));
    let arrived = format!("in:{}:5", NAMES[from]);
    let counted = || {
        let count = world.visits(&["get", "home"]).done().to_owned();
        assert_eq!(world.visits(&["top"]).done(), count);
        count
    };
    world.set(from, "home", "total", 7);
    world.set(to, "home", "total", 3);
    assert_eq!(counted(), "10  home\n");
    world.set(from, "home", "total", 0);
    world.set(from, "home", "out:5", 7);
    assert_eq!(counted(), "10  home\n");
    world.set(to, "home", "total", 10);
    world.set(to, "home", &arrived, 7);
    assert_eq!(counted(), "10  home\n");
}

#[test]
fn a_damaged_page_is_told_of_and_the_others_are_shown() {
    let world = World::new(2);
    world.count("home", 12);
    world.set(world.owner("broken"), "broken", "total", "many");
    let _: () = redis::Commands::set(&mut world.servers[0].connect(), key(0, "page:other"), "x").unwrap();
    let other = world.visits(&["get", "other", "home"]);
    assert_eq!(other.stdout, "12  home\n");
    assert!(other.told(1).starts_with("error: the page other cannot be counted: its record on shard a: "), "{other:?}");
    let _: () = redis::Commands::del(&mut world.servers[0].connect(), key(0, "page:other")).unwrap();
    let run = world.visits(&["get", "broken", "home"]);
    assert_eq!(run.stdout, "12  home\n");
    assert!(run.told(1).starts_with("error: the page broken cannot be counted: "), "{run:?}");
    assert!(run.stderr.contains("many") && run.stderr.lines().count() == 1, "{run:?}");
    let run = world.visits(&["top"]);
    assert_eq!(run.stdout, "12  home\n");
    assert!(run.told(3).starts_with("warning: the page broken cannot be counted: "), "{run:?}");
}

#[test]
fn owner_tells_the_shard_of_the_ring_and_asks_none() {
    let mut world = World::new(2);
    let name = NAMES[world.owner("home")];
    let endpoint = format!("{}/0", world.servers[world.owner("home")].url());
    world.servers.iter_mut().for_each(test_support::RedisServer::stop);
    assert_eq!(world.visits(&["owner", "home"]).done(), format!("{name}  home\n"));
    let lines = world.visits(&["--json", "owner", "home"]).lines();
    assert_eq!(lines, [json!({"page": "home", "shard": name, "endpoint": endpoint})]);
}

#[test]
fn top_shows_the_most_visited_pages_of_all_shards() {
    let world = World::new(3);
    world.fill(2500);
    assert_eq!(world.visits(&["top", "--limit", "2"]).done(), "2500  page-2499\n2499  page-2498\n");
    let lines = world.visits(&["top", "--json"]).lines();
    let expected: Vec<_> = (0..20).map(|n| json!({"page": format!("page-{}", 2499 - n), "count": 2500 - n})).collect();
    assert_eq!(lines, expected);
    assert_eq!(World::new(1).visits(&["top"]).done(), "");
}

#[test]
fn whoever_only_looks_leaves_nothing_behind_and_is_told_that_the_shards_are_new() {
    let world = World::new(2);
    let endpoints = world.endpoints();
    let keys = || {
        world
            .servers
            .iter()
            .map(|server| redis::cmd("DBSIZE").query::<u64>(&mut server.connect()).unwrap())
            .sum::<u64>()
    };
    let before = keys();
    for args in [&["get", "home"][..], &["top"], &["shards"], &["export"], &["plan", &endpoints]] {
        let run = run(world.command(args).env("VISITS_NAMESPACE", "typo"));
        assert!(
            run.told(3).contains("shard b is new: nothing was ever counted on it in the namespace typo"),
            "{run:?}"
        );
        assert_eq!(keys(), before, "{args:?}");
    }
}

#[test]
fn characters_that_hide_or_reorder_text_are_escaped_everywhere_but_in_json() {
    let world = World::new(1);
    let (page, shown) = ("a\u{202e}b\u{2028}c\u{200d}d", r"a\u{202e}b\u{2028}c\u{200d}d");
    world.count(page, 12);
    world.count("é", 3);
    let both = format!("12  {shown}\n 3  é\n");
    assert_eq!(world.visits(&["get", page, "é"]).done(), both);
    assert_eq!(world.visits(&["top"]).done(), both);
    assert_eq!(world.visits(&["owner", page]).done(), format!("a  {shown}\n"));
    for args in [&["get", "--json", page][..], &["owner", "--json", page], &["top", "--json"]] {
        assert_eq!(world.visits(args).lines()[0]["page"], page);
    }
    assert!(world.visits(&["export"]).lines().iter().any(|line| line["page"] == page));
    world.set(0, page, "total", "many");
    let tells = format!(": the page {shown} ");
    assert!(world.visits(&["get", page]).told(1).starts_with(&format!("error{tells}")));
    assert!(world.visits(&["top"]).told(3).starts_with(&format!("warning{tells}")));
    let wrong = world.visits(&["get", "--\u{202e}x"]);
    assert!(wrong.told(2).contains(r"--\u{202e}x") && !wrong.stderr.contains('\u{202e}'), "{wrong:?}");
    let export = format!("{{\"format\":\"visits-export\",\"version\":1}}\n{{\"page\":\"{page}\",\"count\":1}}\n");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("export"), export).unwrap();
    let run = world.visits(&["import", folder.path().join("export").to_str().unwrap(), "--id", "a"]);
    assert!(run.told(3).contains(&format!("the page {shown} takes none: ")), "{run:?}");
}

#[test]
fn a_key_that_names_no_page_is_warned_of() {
    let world = World::new(1);
    world.count("home", 1);
    let _: () = redis::Commands::set(&mut world.servers[0].connect(), key(0, "page:a\nb"), "x").unwrap();
    let run = world.visits(&["top"]);
    assert_eq!(run.stdout, "1  home\n");
    assert_eq!(run.told(3), "warning: shard a: the key \"visits:{a}:page:a\\nb\" names no page\n");
}
