//! What a roll-up costs a server.

use super::{World, key, visitors};
use crate::helpers::calls_of;
use redis::{Commands, Connection};
use std::time::Instant;
use visits_core::store::rollup::COUNTED_AT_ONCE;

/// So many sketches of one page each, with so many visitors.
fn fill(redis: &mut Connection, pages: usize, count: u32) {
    let visitors: Vec<Vec<u8>> = visitors(0..count).into_iter().map(|visitor| visitor.0.to_be_bytes().into()).collect();
    let first = key("visitors:2023-11-14:page-0");
    for visitors in visitors.chunks(1_000) {
        let _: i64 = redis::cmd("PFADD").arg(&first).arg(visitors).query(redis).unwrap();
    }
    let value: Vec<u8> = redis.get(&first).unwrap();
    for pages in (0..pages).collect::<Vec<_>>().chunks(1_000) {
        let mut set = redis::pipe();
        for page in pages {
            set.set(key(&format!("visitors:2023-11-14:page-{page}")), value.as_slice()).ignore();
        }
        let _: () = set.query(redis).unwrap();
    }
}

#[tokio::test]
async fn sketches_are_counted_a_few_at_once() {
    let world = World::new();
    let mut redis = world.redis();
    fill(&mut redis, 100, 10);
    world.night();
    assert_eq!(world.run().await.sketches_counted, 100);
    let counted_at_once = 100_usize.div_ceil(COUNTED_AT_ONCE);
    assert!(calls_of(&mut redis, "evalsha") >= counted_at_once);
}

#[tokio::test]
async fn a_run_with_nothing_to_do_reads_once_and_scans_nothing() {
    let world = World::new();
    let mut redis = world.redis();
    world.run().await;
    let before = (calls_of(&mut redis, "scan"), calls_of(&mut redis, "evalsha"));
    assert!(world.run().await.days_rolled_up);
    assert_eq!((calls_of(&mut redis, "scan"), calls_of(&mut redis, "evalsha")), (before.0, before.1 + 1));
}

/// `cargo test --release … -- --ignored --nocapture a_hundred_thousand_sketches`
#[tokio::test]
#[ignore = "it measures; nothing is claimed"]
async fn a_hundred_thousand_sketches() {
    for visitors in [1, 20, 5_000] {
        let world = World::new();
        let mut redis = world.redis();
        fill(&mut redis, if visitors > 100 { 10_000 } else { 100_000 }, visitors);
        let _: () = redis::cmd("CONFIG").arg(&["SET", "slowlog-log-slower-than", "1000"]).query(&mut redis).unwrap();
        let _: () = redis::cmd("SLOWLOG").arg("RESET").query(&mut redis).unwrap();
        let _: () = redis::cmd("CONFIG").arg("RESETSTAT").query(&mut redis).unwrap();
        world.night();
        let started = Instant::now();
        let rollup = world.run().await;
        let took = started.elapsed();
        let statistics: String = redis::cmd("INFO").arg("commandstats").query(&mut redis).unwrap();
        let slow: u64 = redis::cmd("SLOWLOG").arg("LEN").query(&mut redis).unwrap();
        let started = Instant::now();
        world.run().await;
        println!(
            "{visitors} visitors: {took:?} {rollup:?}, {slow} over 1 ms; then nothing to do: {:?}",
            started.elapsed()
        );
        for line in statistics.lines().filter(|line| line.contains("evalsha") || line.contains("scan")) {
            println!("  {line}");
        }
    }
}
