//! The hot script's commands: a page costs one, and a batch one entry, whatever is counted of them.

use crate::world::{World, first_day};
use redis::Connection;
use std::collections::BTreeMap;
use test_support::RedisServer;
use visits_core::batch::Increment;
use visits_core::tests::{Shards, increment};
use visits_core::visit::Refused;

/// Calls of each command since the last reset.
fn commands(redis: &mut Connection) -> BTreeMap<String, u64> {
    let text: String = redis::cmd("INFO").arg("commandstats").query(redis).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="));
    lines.map(|(name, fields)| (name.to_owned(), fields.split(',').next().unwrap().parse().unwrap())).collect()
}

/// Pages with three visits each, by so many visitors.
fn pages(pages: usize, visitors: u64) -> Vec<Increment> {
    let visitors: Vec<u64> = (0..visitors).collect();
    (0..pages).map(|page| increment(&format!("page {page}"), 3, 0, &visitors)).collect()
}

#[tokio::test]
async fn a_page_costs_one_command_and_a_batch_one_entry_whatever_is_counted() {
    let mut seen = Vec::new();
    let refused = Refused { origin: 1, page: 2, repeat: 3, new_page: 0 };
    for (day, visitors, refused) in [(None, 0, Refused::default()), (Some(first_day()), 9, refused)] {
        let server = RedisServer::start();
        let mut world = World::with(Shards::on(&[server.url()], &[]));
        let mut redis = server.connect();
        world.seal(0, day, pages(100, visitors), refused);
        world.send(0, &[]).await.unwrap();
        let () = redis::cmd("CONFIG").arg("RESETSTAT").query(&mut redis).unwrap();
        world.send(0, &[0]).await.unwrap();
        let calls = commands(&mut redis);
        // A page each, the visits of the set, and the bytes of the journal.
        assert_eq!((calls["hincrby"], calls["xadd"], calls["evalsha"]), (100 + 2, 1, 1));
        seen.push(calls);
    }
    assert_eq!(seen[0], seen[1]);
}
