//! Wrong command lines and settings, and shards that do not do what they are asked.

use crate::helpers::{Run, World, binary, run};

/// One sentence on standard error, and nothing on standard output.
fn sentence(run: &Run, code: i32) -> &str {
    assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{run:?}");
    run.stderr.strip_prefix("error: ").and_then(|line| line.strip_suffix('\n')).unwrap_or_else(|| panic!("{run:?}"))
}

#[test]
fn a_wrong_command_line_ends_with_2_and_shows_no_password() {
    let lines: [&[&str]; 8] = [
        &[],
        &["get"],
        &["get", ""],
        &["get", "a\nb"],
        &["top", "--limit", "0"],
        &["shards", "a=redis://:SECRET@h"],
        &["--endpoint=a=redis://:SECRET@h", "shards"],
        &["completions", "a=redis://:SECRET@h"],
    ];
    for line in lines {
        let run = run(&mut binary(line));
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
        assert!(!run.stderr.is_empty() && !run.stderr.contains("SECRET"), "{run:?}");
    }
}

#[test]
fn wrong_settings_end_with_2_before_any_shard_is_asked() {
    let lines: [(&[&str], &str); 5] = [
        (&["get", "x", "--endpoints", "a=redis://:SECRET@h,b"], "REDIS_ENDPOINTS=\"***\": entry 2"),
        (&["get", "x", "--namespace", "a b"], "VISITS_NAMESPACE=\"a b\": a name is 1 to 64"),
        (&["get", "x", "--endpoints", ""], "--endpoints is empty"),
        (&["plan", "a=http://:SECRET@h"], "NEW_ENDPOINTS, read as REDIS_ENDPOINTS: the configuration is wrong:"),
        (&["plan", " "], "NEW_ENDPOINTS is empty"),
    ];
    for (line, told) in lines {
        let run = run(&mut binary(line));
        assert!(sentence(&run, 2).contains(told) && !run.stderr.contains("SECRET"), "{run:?}");
    }
    let wrong = run(binary(&["top"]).env("REDIS_TIMEOUT", "fast"));
    assert!(sentence(&wrong, 2).contains("REDIS_TIMEOUT=\"fast\""), "{wrong:?}");
}

#[test]
fn flags_go_before_variables() {
    let (world, other) = (World::new(1), World::new(1));
    world.count("home", 1);
    let endpoints = world.endpoints();
    let args = ["get", "home", "--endpoints", &endpoints, "--namespace", "visits"];
    let run = run(other.command(&args).env("VISITS_NAMESPACE", "a b"));
    assert_eq!(run.done(), "1  home\n");
}

#[test]
fn a_shard_out_of_reach_ends_with_1_and_one_sentence() {
    let mut world = World::new(2);
    world.servers[1].stop();
    let endpoints = world.endpoints();
    for args in [&["get", "home"][..], &["top"], &["plan", &endpoints], &["get", "home", "--json"]] {
        let run = world.visits(args);
        let told = sentence(&run, 1);
        assert!(told.starts_with("shard b cannot be reached: ") && told.lines().count() == 1, "{run:?}");
    }
}

#[test]
fn a_server_of_another_shard_is_told() {
    let world = World::new(1);
    let run = world.visits(&["get", "home", "--endpoints", &format!("z={}", world.servers[0].url())]);
    assert!(sentence(&run, 1).contains("its server holds shard a"), "{run:?}");
}

#[test]
fn a_user_without_permission_is_told() {
    let world = World::new(1);
    world.count("home", 4);
    let mut redis = world.servers[0].connect();
    // A user that may read and no more.
    let user = ["SETUSER", "guest", "on", ">pw", "~*", "+@read", "+ping", "+time", "+evalsha", "+script|load"];
    let _: () = redis::cmd("ACL").arg(&user).query(&mut redis).unwrap();
    let endpoints = format!("a=redis://guest:pw@127.0.0.1:{}", world.servers[0].port());
    // `INFO` is not allowed; reading is.
    let reads = run(&mut binary(&["get", "home", "--endpoints", &endpoints]));
    assert_eq!(reads.done(), "4  home\n");
    let shards = run(&mut binary(&["shards", "--endpoints", &endpoints]));
    assert!(shards.told(3).contains("shard a: its maxmemory-policy cannot be read"), "{shards:?}");
    let _: () = redis::cmd("ACL").arg(&["SETUSER", "guest", "-hgetall"]).query(&mut redis).unwrap();
    let refused = run(&mut binary(&["get", "home", "--endpoints", &endpoints]));
    assert!(sentence(&refused, 1).starts_with("shard a refused: ") && !refused.stderr.contains("pw@"), "{refused:?}");
    let _: () = redis::cmd("ACL").arg(&["SETUSER", "guest", "-scan"]).query(&mut redis).unwrap();
    let refused = run(&mut binary(&["top", "--endpoints", &endpoints]));
    assert!(sentence(&refused, 1).starts_with("shard a refused: "), "{refused:?}");
}

#[test]
fn help_version_and_completions_need_no_settings() {
    for args in [&["--help"][..], &["-h"], &["--version"], &["help", "plan"], &["export", "--help"]] {
        assert!(!run(binary(args).env("REDIS_ENDPOINTS", "wrong")).done().is_empty());
    }
    assert!(run(&mut binary(&["--help"])).done().contains("Exit codes:\n  0  done\n"));
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(binary(&["completions", shell]).env("REDIS_ENDPOINTS", "wrong"));
        assert!(script.done().contains("namespace"), "{shell}");
    }
}
