//! The hot script's commands: a page costs one, and a batch one entry, whatever is counted of them.

use crate::world::{World, first_day, increment};
use redis::Connection;
use std::collections::BTreeMap;
use std::time::Instant;
use test_support::RedisServer;
use visits_core::batch::Increment;
use visits_core::clock::Clock;
use visits_core::day::Day;
use visits_core::tests::{Shards, fold_here};
use visits_core::visit::Refused;

/// Calls and microseconds of each command since the last reset.
fn commands(redis: &mut Connection) -> BTreeMap<String, (u64, f64)> {
    let text: String = redis::cmd("INFO").arg("commandstats").query(redis).unwrap();
    let number = |fields: &str, name: &str| -> f64 {
        let value = fields.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        value.unwrap().parse().unwrap()
    };
    let lines = text.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'));
    lines.map(|(name, fields)| (name.to_owned(), (number(fields, "calls") as u64, number(fields, "usec")))).collect()
}

fn reset(redis: &mut Connection) {
    let () = redis::cmd("CONFIG").arg("RESETSTAT").query(redis).unwrap();
}

/// Pages with a visit each, by so many visitors.
fn pages(pages: usize, visitors: u64) -> Vec<Increment> {
    let visitors: Vec<u64> = (0..visitors).collect();
    (0..pages).map(|page| increment(&format!("page {page}"), 3, 0, &visitors)).collect()
}

/// A world on a server of its own: what others do there does not count.
fn world(settings: &[(&str, &str)]) -> (RedisServer, World) {
    let server = RedisServer::start();
    let shards = Shards::on(&server.url(), 1, settings);
    (server, World::with(shards))
}

#[tokio::test]
async fn a_page_costs_one_command_and_a_batch_one_entry_whatever_is_counted() {
    let mut seen = Vec::new();
    let refused = Refused { origin: 1, page: 2, repeat: 3, new_page: 0 };
    for (day, visitors, refused) in [(None, 0, Refused::default()), (Some(first_day()), 9, refused)] {
        let (server, mut world) = world(&[]);
        let mut redis = server.connect();
        world.seal(0, day, pages(100, visitors), refused);
        world.send(0, &[]).await.unwrap();
        reset(&mut redis);
        world.send(0, &[0]).await.unwrap();
        let calls: BTreeMap<String, u64> =
            commands(&mut redis).into_iter().map(|(name, (calls, _))| (name, calls)).collect();
        // A page each, the visits of the set, and the bytes of the journal.
        assert_eq!((calls["hincrby"], calls["xadd"], calls["evalsha"]), (100 + 2, 1, 1));
        seen.push(calls);
    }
    assert_eq!(seen[0], seen[1]);
}

/// Microseconds of Redis for each flush of so many pages, and for the fold of all.
async fn measure(settings: &[(&str, &str)], number: usize, of: usize, day: Option<Day>) -> (f64, f64, f64) {
    let (server, mut world) = world(settings);
    let mut redis = server.connect();
    for _ in 0..=number {
        world.seal(0, day, pages(of, 2), Refused::default());
    }
    world.send(0, &[0]).await.unwrap();
    reset(&mut redis);
    let began = Instant::now();
    for place in 1..=number {
        world.send(0, &[place]).await.unwrap();
    }
    let wall = began.elapsed().as_secs_f64() * 1e6;
    let hot = commands(&mut redis)["evalsha"].1;
    reset(&mut redis);
    fold_here(world.shards.store(), 0, &Clock::system()).await;
    let commands = commands(&mut redis);
    println!("{commands:?}");
    let cold =
        ["evalsha", "xrange", "pfadd"].iter().filter_map(|name| commands.get(*name)).map(|(_, usec)| usec).sum::<f64>();
    (hot / number as f64, wall / number as f64, cold / number as f64)
}

#[tokio::test]
#[ignore = "a measurement"]
async fn a_flush_of_500_pages_with_statistics_and_without() {
    for round in 0..3 {
        let plain = measure(&[("VISITS_HISTORY_DAYS", "0")], 200, 500, None).await;
        let full = measure(&[], 200, 500, Some(first_day())).await;
        println!(
            "{round}: plain {plain:.0?} full {full:.0?} µs of Redis and wall for a flush, and of Redis for its fold"
        );
        println!(
            "   {:.2} {:.2}; with the fold {:.2}",
            full.0 / plain.0,
            full.1 / plain.1,
            (full.0 + full.2) / plain.0
        );
    }
}
