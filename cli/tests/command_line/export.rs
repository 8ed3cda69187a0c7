//! `export`.

use crate::helpers::{World, run};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::process::Stdio;

fn pages(lines: &[Value]) -> HashMap<String, u64> {
    let page = |line: &Value| (line["page"].as_str().unwrap().to_owned(), line["count"].as_u64().unwrap());
    let pages: HashMap<_, _> = lines.iter().map(page).collect();
    assert_eq!(pages.len(), lines.len(), "no page comes twice");
    pages
}

#[test]
fn an_export_has_a_header_and_every_page_once() {
    let world = World::new(2);
    world.fill(3000);
    // On both shards: half of it waits to be moved.
    world.set(world.stranger("page-0"), "page-0", "total", 5);
    let run = world.visits(&["export"]);
    run.done();
    let lines = run.lines();
    assert_eq!(lines[0], json!({"format": "visits-export", "version": 1, "namespace": "visits"}));
    let pages = pages(&lines[1..]);
    assert_eq!((pages.len(), pages["page-0"], pages["page-2999"]), (3000, 6, 3000));
}

#[test]
fn while_pages_move_a_second_round_repeats_none_of_them() {
    let world = World::new(2);
    world.fill(1500);
    world.ring_moves();
    let run = world.visits(&["export"]);
    run.done();
    assert_eq!(pages(&run.lines()[1..]).len(), 1500);
    assert_eq!(world.visits(&["top", "--limit", "1"]).done(), "1500  page-1499\n");
}

#[test]
fn an_export_of_an_empty_counter_is_a_header() {
    let run = World::new(1).visits(&["export"]);
    assert_eq!(run.done(), "{\"format\":\"visits-export\",\"version\":1,\"namespace\":\"visits\"}\n");
}

#[test]
fn a_file_appears_when_it_is_complete_and_replaces_an_older_one() {
    let (mut world, folder) = (World::new(2), tempfile::tempdir().unwrap());
    world.fill(10);
    let file = folder.path().join("counts.jsonl");
    fs::write(&file, "older").unwrap();
    let args = ["export", "--output", file.to_str().unwrap()];
    assert_eq!(world.visits(&args).done(), "");
    let written = fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().count(), 11);
    world.servers[1].stop();
    assert!(world.visits(&args).told(1).starts_with("error: shard b cannot be reached: "));
    assert_eq!(fs::read_to_string(&file).unwrap(), written);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn a_page_that_cannot_be_read_is_left_out_and_warned_of() {
    let world = World::new(1);
    world.count("home", 1);
    world.set(0, "broken", "total", "many");
    let run = world.visits(&["export"]);
    assert_eq!(run.lines().len(), 2);
    assert!(run.told(3).starts_with("warning: the page broken is left out: "), "{run:?}");
}

#[test]
fn an_output_that_cannot_be_written_is_told() {
    let world = World::new(1);
    world.count("home", 1);
    let run = world.visits(&["export", "-o", "/no/such/folder/file"]);
    assert!(run.told(1).starts_with("error: the output cannot be written: No such file"), "{run:?}");
    let run = world.visits(&["export", "-o", "/dev/full"]);
    assert!(run.told(1).starts_with("error: the output cannot be written: No space left"), "{run:?}");
}

#[test]
fn a_reader_that_wants_no_more_is_no_error() {
    let world = World::new(1);
    world.fill(5000);
    let mut child = world.command(&["export"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Gone before the first line is written, as `head` is after its last one.
    drop(child.stdout.take());
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!((child.wait().unwrap().code(), told.as_str()), (Some(0), ""));
}

#[test]
fn no_bar_is_drawn_where_standard_error_is_no_terminal() {
    let world = World::new(2);
    world.fill(3000);
    let run = run(world.command(&["export", "-o", "/dev/null"]).env("TERM", "xterm"));
    assert_eq!(run.done(), "");
}
