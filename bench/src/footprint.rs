//! Sizes: the counter's files, its environments' memory, and its memory in Redis.

use crate::Effort;
use crate::figures::{Group, Row};
use crate::invocations::resident_at_idle;
use crate::shards::{Shards, call, page, random_writer, sealed, visitor};
use crate::subject::{FUNCTIONS, READ, RECORD, ROOT, Subject, built, events, events_of, id, servers};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use test_support::RedisServer;
use visits_core::batch::{Content, Increment, MAX_BATCH_PAGES};
use visits_core::clock::Clock;
use visits_core::day::Day;
use visits_core::page::PageId;
use visits_core::store::redis::statistics::TOP_KEPT;
use visits_core::visit::Visitor;

/// Builds the binaries for this machine, and in full also the zips for arm64, and reads their sizes. `flush-visits`, which
/// carries the AWS SDK, has no bound, and no zip of it is built: that takes minutes.
///
/// # Panics
/// If one cannot be built.
pub fn size(effort: Effort) -> Group {
    let size =
        |file: PathBuf| fs::metadata(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).len() as f64;
    let zips = effort == Effort::Full;
    if zips {
        let script = "set -e; . scripts/lib/tools.sh; package_tools; build_request_zips";
        let zipped = Command::new("bash").args(["-c", script]).current_dir(ROOT).status();
        assert!(zipped.is_ok_and(|status| status.success()), "the zips for arm64 cannot be built");
    }
    let bare = size(built("bare", "bare"));
    let binary = |name: &str| Row {
        ratio: None,
        ..Row::compared(format!("{name}: binary, stripped"), "bytes", size(built(name, name)), bare)
    };
    let mut rows = Vec::new();
    for (name, _) in FUNCTIONS {
        rows.push(binary(name).at_most(6e6));
        if zips {
            let zip = size(Path::new(ROOT).join(format!("target/lambda/{name}/bootstrap.zip")));
            rows.push(Row::alone(format!("{name}: zip for arm64"), "bytes", zip).at_most(2.6e6));
        }
    }
    rows.push(binary("flush-visits"));
    Group::new("size", "bare handler", rows)
}

/// Measures idle environments, and how they grow with the pages that they hold.
pub fn memory(_: Effort) -> Group {
    const PAGES: usize = 10_000;
    let servers = servers(2);
    let floor = resident_at_idle(&Subject::bare(), RECORD);
    let mut rows = Vec::new();
    for (name, route) in FUNCTIONS {
        let ours = resident_at_idle(&Subject::function(name).on(&servers), route);
        rows.push(Row::compared(format!("{name}: resident at idle"), "bytes", ours, floor).at_most(2.0));
    }
    // Two shards at a port where nothing listens: nothing leaves the buffer.
    let nothing = "a=redis://127.0.0.1:9,b=redis://127.0.0.1:9";
    let buffered =
        Subject::function("record-visit").with("REDIS_ENDPOINTS", nothing).with("VISITS_BUFFER_PAGES", "1000000");
    let cached = Subject::function("get-visits").on(&servers).with("VISITS_CACHE_PAGES", "1000000");
    for (what, subject, route) in [("buffered", buffered, RECORD), ("cached", cached, READ)] {
        let environment = subject.start();
        environment.run(&events(route, 1), 0..2_000);
        let before = environment.resident();
        environment.run(&events_of(route, id), 0..PAGES);
        let each = (environment.resident() - before) / PAGES as f64 - id(0).len() as f64;
        rows.push(Row::alone(format!("for each of 10,000 {what} pages, over its id"), "bytes", each).at_most(160.0));
    }
    Group::new("memory", "bare handler", rows)
}

/// Measures the memory that counts and applied sets take in Redis, side by side with a string for each page, and that of
/// days, visitors and top lists.
pub fn redis_memory(effort: Effort) -> Group {
    let pages = effort.choose(1_000_000, 10_000);
    let mut rows = vec![
        Row::compared(format!("A page, with {pages} pages"), "bytes", hash(pages), string(pages)),
        Row::alone("A writer: its applied set and its places in two sorted sets", "bytes", writer(effort)),
        days(),
        top_list(),
        journal(),
    ];
    rows.extend([1, 100, 10_000].map(sketch));
    Group::new("redis_memory", "one string key for each page, counted up with INCRBY", rows)
}

/// Returns batches that count each page from 1 to 100,000, evenly.
fn batches(pages: usize) -> Vec<Vec<(PageId, u64)>> {
    let count = |number: usize| 1 + (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 100_000;
    let increments: Vec<_> = (0..pages).map(|number| (page(number), count(number))).collect();
    increments.chunks(MAX_BATCH_PAGES).map(<[_]>::to_vec).collect()
}

/// Returns the bytes of a page, a hash.
fn hash(pages: usize) -> f64 {
    let mut shards = Shards::new(vec![RedisServer::start()]);
    // The first batch brings the script, the connection and the sets.
    shards.apply(0, None, vec![(page(0), 1)]);
    let empty = shards.memory();
    for increments in batches(pages) {
        shards.apply(0, None, increments);
    }
    (shards.memory() - empty) / pages as f64
}

/// Returns the bytes of a page that is a string.
fn string(pages: usize) -> f64 {
    let shards = Shards::new(vec![RedisServer::start()]);
    let (empty, mut redis) = (shards.memory(), shards.servers[0].connect());
    for increments in batches(pages) {
        let mut pipeline = redis::pipe();
        for (page, visits) in &increments {
            pipeline.cmd("INCRBY").arg(format!("visits:{page}")).arg(*visits).ignore();
        }
        pipeline.exec(&mut redis).expect("the server answers");
    }
    (shards.memory() - empty) / pages as f64
}

/// Returns the bytes of a writer with one applied batch.
fn writer(effort: Effort) -> f64 {
    let shards = Shards::new(vec![RedisServer::start()]);
    let visit = |writer: u32| {
        let content = Content { increments: vec![(page(0), 300).into()], ..Content::default() };
        shards.send(0, &call(random_writer(writer), sealed(1, content)));
    };
    visit(0);
    let (empty, writers) = (shards.memory(), effort.choose(10_000, 1_000));
    (1..=writers).for_each(visit);
    (shards.memory() - empty) / f64::from(writers)
}

/// Returns the bytes of keys of this pattern once these visitors of pages have come on the day that is so many days ago,
/// in flushes of their own.
fn after(pattern: &str, fold: bool, flushes: impl IntoIterator<Item = (u32, Vec<Vec<Visitor>>)>) -> f64 {
    let (mut shards, today) = (Shards::new(vec![RedisServer::start()]), Day::of(Clock::system().now()));
    for (days_ago, pages) in flushes {
        let increment = |(number, visitors)| Increment { page: page(number), visits: 30, bots: 5, visitors };
        shards.apply(0, Some(today.minus(days_ago)), pages.into_iter().enumerate().map(increment).collect());
        // Redis makes room for more than it needs at once: folded as often as in use.
        if fold {
            shards.fold();
        }
    }
    shards.usage(pattern)
}

fn days() -> Row {
    let bytes = after("*:days:*", true, (0..400).map(|day| (day, vec![Vec::new(); 100]))) / 100.0;
    Row::alone("A page's 400 days: people and bots", "bytes", bytes)
}

fn top_list() -> Row {
    let bytes = after("*:top:*", true, [(0, vec![Vec::new(); TOP_KEPT])]);
    Row::alone(format!("A day's top list, {TOP_KEPT} pages"), "bytes", bytes)
}

fn journal() -> Row {
    let batch = || (0..MAX_BATCH_PAGES as u64).map(|number| vec![Visitor(number)]).collect();
    let bytes = after("*:journal", false, (0..100).map(|_| (0, batch()))) / 100.0;
    Row::alone(format!("A batch in the journal, {MAX_BATCH_PAGES} pages with a visitor each"), "bytes", bytes)
}

/// Measures ten pages' visitors of one day, a hundred in a flush.
fn sketch(visitors: u64) -> Row {
    let of_page = |page: u64, part: u64| {
        let numbers = part * 100..visitors.min(part * 100 + 100);
        let mut some: Vec<Visitor> = numbers.map(|number| visitor(1, (page << 32) + number)).collect();
        some.sort_unstable();
        some
    };
    let flushes = (0..visitors.div_ceil(100)).map(|part| (0, (0..10).map(|page| of_page(page, part)).collect()));
    let what = format!("A page's visitors of a day that is not rolled up, {visitors} of them");
    Row::alone(what, "bytes", after("*:visitors:*:*", true, flushes) / 10.0)
}
