//! `import`.

use crate::helpers::{Run, World, binary, run};
use serde_json::json;
use std::fs::{self, File};

/// Calls the binary with the file `content`; `-` among the arguments is that file.
fn import(world: &World, content: &str, args: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    fs::write(&file, content).unwrap();
    let args: Vec<&str> = args.iter().map(|arg| if *arg == "-" { file.to_str().unwrap() } else { arg }).collect();
    world.visits(&args)
}

const LOG: &str = "\
    127.0.0.1 - - [24/Nov/2026:00:00:00 +0000] \"GET /home HTTP/1.1\" 200 5 \"-\" \"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\"\n\
    127.0.0.1 - - [24/Nov/2026:00:00:01 +0000] \"GET /home HTTP/1.1\" 200 5 \"-\" \"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\"\n\
    127.0.0.1 - - [24/Nov/2026:00:00:02 +0000] \"GET /missing HTTP/1.1\" 404 5 \"-\" \"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\"\n";

#[test]
fn what_was_exported_is_imported_elsewhere_once() {
    let (from, to) = (World::new(2), World::new(1));
    from.fill(1200);
    let export = from.visits(&["export"]).done().to_owned();
    let run = import(&to, &export, &["import", "-", "--id", "move-1", "--json"]);
    run.done();
    let document = run.document();
    assert_eq!((&document["id"], &document["result"]), (&json!("move-1"), &json!("imported")));
    assert_eq!((&document["visits"], &document["warnings"]), (&json!(1200 * 1201 / 2), &json!([])));
    let again = import(&to, &export, &["import", "-", "--id", "move-1"]);
    assert_eq!(again.done(), "This import was done before; nothing was counted again.\n");
    assert_eq!(to.visits(&["get", "page-0", "page-1199"]).done(), "   1  page-0\n1200  page-1199\n");
}

#[test]
fn a_log_is_read_and_its_bad_lines_are_warned_of() {
    let world = World::new(2);
    let log = format!("{LOG}no log\n");
    let run = import(&world, &log, &["import", "-", "--from", "nginx", "--id", "log"]);
    assert_eq!(run.stdout, "Imported 2 visits, 0 of them by bots, in 2 of 4 records (1 stand for none, 1 are bad).\n");
    assert!(run.told(3).starts_with("warning: 1 of 4 records cannot be read\nwarning: line 4: "), "{run:?}");
    assert_eq!(world.visits(&["get", "home"]).done(), "2  home\n");
}

#[test]
fn visits_by_bots_stay_bots_through_an_import_an_export_and_another_import() {
    let (from, to) = (World::new(2), World::new(1));
    let log = format!("{LOG}{}", LOG.replace("Mozilla/5.0 (X11", "Googlebot/2.1 (X11"));
    let run = import(&from, &log, &["import", "-", "--from", "nginx", "--id", "log", "--json"]);
    assert_eq!((&run.document()["visits"], &run.document()["bots"]), (&json!(4), &json!(2)));
    let export = from.visits(&["export"]);
    assert_eq!(export.lines()[1], json!({"page": "home", "count": 4, "bots": 2}));
    import(&to, export.done(), &["import", "-", "--id", "move"]).done();
    assert_eq!(to.visits(&["export"]).done(), export.done());
    let people = import(&to, &log, &["import", "-", "--from", "nginx", "--id", "log", "--skip-bots", "--json"]);
    assert_eq!((&people.document()["visits"], &people.document()["bots"]), (&json!(2), &json!(0)));
}

#[test]
fn slashes_at_the_end_are_stripped_unless_they_are_to_stay() {
    let world = World::new(1);
    let log = LOG.replace("/home ", "/blog/ ");
    let goats = "2Path,Event,Bot\n/blog/,false,0\n";
    let run = |id: &str, from: &str, content: &str, more: &[&str]| {
        let args = [&["import", "-", "--id", id, "--from", from], more].concat();
        import(&world, content, &args).done();
        world.visits(&["get", "blog", "blog/"]).done().to_owned()
    };
    assert_eq!(run("log", "nginx", &log, &[]), "2  blog\n0  blog/\n");
    assert_eq!(run("goats", "goatcounter", goats, &[]), "3  blog\n0  blog/\n");
    assert_eq!(run("kept-log", "nginx", &log, &["--keep-slash"]), "3  blog\n2  blog/\n");
    assert_eq!(run("kept-goats", "goatcounter", goats, &["--keep-slash"]), "3  blog\n3  blog/\n");
}

#[test]
fn a_trial_asks_no_shard_and_a_pipe_is_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    fs::write(&file, LOG).unwrap();
    let trial = ["import", "-", "--from", "apache", "--dry-run"];
    let run = run(binary(&trial).env("REDIS_ENDPOINTS", "a=redis://127.0.0.1:1").stdin(File::open(&file).unwrap()));
    assert_eq!(
        run.done(),
        "Would import 2 visits, 0 of them by bots, in 2 of 3 records (1 stand for none, 0 are bad).\n"
    );
    let world = World::new(1);
    let args = ["import", "-", "--from", "apache", "--id", "log"];
    crate::helpers::run(world.command(&args).stdin(File::open(&file).unwrap())).done();
    assert_eq!(world.visits(&["get", "home"]).done(), "2  home\n");
}

#[test]
fn another_input_under_the_same_id_is_refused() {
    let world = World::new(1);
    import(&world, LOG, &["import", "-", "--from", "nginx", "--id", "log"]).done();
    let run = import(&world, &format!("{LOG}{LOG}"), &["import", "-", "--from", "nginx", "--id", "log"]);
    assert!(run.told(1).starts_with("error: under this import id another input was begun"), "{run:?}");
    assert_eq!(world.visits(&["get", "home"]).done(), "2  home\n");
}

#[test]
fn mistakes_are_told_before_anything_is_imported() {
    let world = World::new(1);
    let usage: [&[&str]; 5] = [
        &["import", "-"],
        &["import", "-", "--id", "a b"],
        &["import", "-", "--id", "a", "--from", "awstats"],
        &["import", "-", "--id", "a", "--from", "nginx", "--count-bots"],
        &["import", "-", "--id", "a", "--from", "countapi", "--keep-slash"],
    ];
    for args in usage {
        let run = import(&world, LOG, args);
        assert!(!run.told(2).is_empty(), "{run:?}");
    }
    let run = import(&world, LOG, &["import", "-", "--id", "a"]);
    assert!(run.told(1).starts_with("error: not an export of this counter"), "{run:?}");
    let run = world.visits(&["import", "/no/such/file", "--id", "a"]);
    assert!(run.told(1).starts_with("error: /no/such/file cannot be read: No such file"), "{run:?}");
    assert_eq!(world.visits(&["top"]).done(), "");
}
