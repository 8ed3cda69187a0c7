//! Memory that counts and applied sets take in Redis, side by side with a string for each page.

mod days;

use crate::effort::Effort;
use crate::figures::{Axis, Group, Plot, Row, Series};
use crate::server::{Server, apply, call, one_thread, page};
use serde_json::json;
use test_support::RedisServer;
use tokio::runtime::Runtime;
use visits_core::batch::{MAX_BATCH_PAGES, WriterId};
use visits_core::page::PageId;

/// Pages, for the curve.
const PAGES: [usize; 6] = [10_000, 60_000, 100_000, 260_000, 300_000, 1_000_000];

/// Writers whose sets are weighed.
const WRITERS: u32 = 10_000;

/// Measures it.
pub fn run(effort: Effort) -> Group {
    let (pages, writers) = (effort.choose(&PAGES[..], &PAGES[..1]), effort.choose(WRITERS, WRITERS / 10));
    let runtime = one_thread();
    let (ours, set) = (ours(&runtime, pages), applied_set(&runtime, writers));
    let strings = strings(&runtime, pages);
    let most = pages.len() - 1;
    let mut rows = vec![
        Row::compared(format!("A page, with {} pages", pages[most]), "bytes", ours[most].1, strings[most].1, None),
        Row::alone("A writer: its applied set and its places in two sorted sets", "bytes", set, None),
    ];
    rows.extend(days::rows(&runtime));
    Group {
        id: "redis_memory".into(),
        title: "Memory in Redis".into(),
        compared_with: "one string key for each page, counted up with INCRBY".into(),
        rows,
        plots: vec![Plot::new(
            "redis-memory",
            "Memory of Redis for each page",
            Axis::log("pages"),
            Axis::linear("bytes"),
            [("a hash each (ours)", &ours), ("a string each", &strings)]
                .map(|(name, points)| Series { name: name.into(), points: points.clone() })
                .to_vec(),
        )],
        notes: notes(writers),
        raw: json!({ "hashes": ours, "strings": strings, "applied_set": set }),
        ..Group::default()
    }
}

/// (pages, bytes for each) as the pages come.
type Curve = Vec<(f64, f64)>;

fn ours(runtime: &Runtime, pages: &[usize]) -> Curve {
    let mut server = Server::new(RedisServer::start());
    let (store, mut sequence) = (server.store(), 0);
    curve(&mut server, pages, |increments| {
        sequence += 1;
        let call = call(WriterId::from_u128(1), sequence, increments.to_vec());
        runtime.block_on(apply(&store, &call));
    })
}

fn strings(runtime: &Runtime, pages: &[usize]) -> Curve {
    let mut server = Server::new(RedisServer::start());
    let mut client = server.client(runtime);
    curve(&mut server, pages, |increments| {
        let mut pipeline = redis::pipe();
        for (page, visits) in increments {
            pipeline.cmd("INCRBY").arg(format!("visits:{page}")).arg(*visits).ignore();
        }
        runtime.block_on(pipeline.exec_async(&mut client)).expect("the server answers");
    })
}

/// Writes pages and weighs at each of these numbers.
fn curve(server: &mut Server, pages: &[usize], mut write: impl FnMut(&[(PageId, u64)])) -> Curve {
    let (mut written, mut curve) = (0, Vec::new());
    // The first batch brings the script, the connection and the sets.
    write(&[(page(0), 1)]);
    let empty = server.memory();
    for &pages in pages {
        let increments: Vec<(PageId, u64)> = (written..pages).map(|number| (page(number), visits(number))).collect();
        increments.chunks(MAX_BATCH_PAGES).for_each(&mut write);
        written = pages;
        curve.push((pages as f64, (server.memory() - empty) / pages as f64));
    }
    curve
}

/// Memory of one writer.
fn applied_set(runtime: &Runtime, writers: u32) -> f64 {
    let mut server = Server::new(RedisServer::start());
    let store = server.store();
    let visit = |writer: u32| {
        // As random as those that the system draws.
        let writer = u128::from(writer + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        runtime.block_on(apply(&store, &call(WriterId::from_u128(writer), 1, vec![(page(0), 300)])));
    };
    visit(0);
    let empty = server.memory();
    (1..=writers).for_each(visit);
    (server.memory() - empty) / f64::from(writers)
}

/// Counts from 1 to 100,000, evenly.
fn visits(page: usize) -> u64 {
    1 + (page as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 100_000
}

fn notes(writers: u32) -> Vec<String> {
    vec![
        "Growth of used_memory of INFO, after MEMORY PURGE and the end of a rehash, with ids of 21 bytes and counts from 1 to \
         100,000."
            .into(),
        format!("A writer's memory is the growth over {writers} writers with one applied batch each."),
        "Days, sketches and lists are what MEMORY USAGE says of their keys. A day is rolled up two hours after its end: its sketch \
         is then one more field of its month."
            .into(),
        "A hash takes room for its field's name, and our keys carry namespace, shard and kind, so that one server can \
         hold many shards and a cluster keeps each in one slot."
            .into(),
        "The table of all keys has 8 bytes for each place and doubles when it is full: just above 65,536 or 262,144 pages \
         a page pays for two places, just below for one."
            .into(),
    ]
}
