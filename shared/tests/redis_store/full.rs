//! A server whose memory is full can be emptied.

use crate::helpers::configure;
use redis::{Commands, Connection};
use std::sync::Arc;
use std::time::Duration;
use test_support::RedisServer;
use visits_core::batch::{Batch, Content, Sequence, WriterId};
use visits_core::clock::Clock;
use visits_core::day::Day;
use visits_core::page::PageId;
use visits_core::ring::Fingerprint;
use visits_core::store::redis::statistics::Deleted;
use visits_core::store::redis::statistics::{Set, SetCount};
use visits_core::store::{Apply, Ledger, StoreError, WriterStatus};
use visits_core::tests::{Shards, batch, call, fold_here, increment, page, visit};
use visits_core::visit::Refused;

fn ring() -> Fingerprint {
    "00000000000000aa".parse().unwrap()
}

fn today() -> Day {
    Day::of(Clock::system().now())
}

/// A shard on a server of its own.
struct World {
    server: RedisServer,
    shards: Shards,
}

impl World {
    /// Each page has a visit and a visitor, and the ring is settled.
    async fn with(pages: &[PageId]) -> Self {
        let server = RedisServer::start();
        let shards = Shards::on(&[server.url()], &[]);
        for (number, chunk) in (1..).zip(pages.chunks(500)) {
            let visitor = |n: usize| (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let visits = chunk.iter().enumerate().map(|(n, page)| increment(page.as_str(), 1, 0, &[visitor(n)]));
            let (sequence, now) = (Sequence::new(number).unwrap(), Clock::system().now());
            let batch = Batch::of(
                sequence,
                Content { day: Some(today()), increments: visits.collect(), refused: Refused::default() },
                now,
            );
            shards.store().apply(0, &call(&[(Arc::new(batch), Duration::ZERO)])).await.unwrap();
        }
        assert_eq!(fold_here(shards.store(), 0, &Clock::system()).await.fold_calls_failed, 0);
        let world = Self { server, shards };
        world.settle();
        world
    }

    fn settle(&self) {
        self.shards.set_fields(0, "shard", &[("ring", ring().to_string())]);
    }

    fn fill(&self) -> Connection {
        let mut redis = self.server.connect();
        configure(&mut redis, "maxmemory", "1");
        let refused: redis::RedisResult<()> = redis.set("filler", "x");
        assert!(refused.unwrap_err().to_string().contains("OOM"));
        redis
    }

    fn empty(&self) {
        configure(&mut self.server.connect(), "maxmemory", "0");
    }

    async fn top(&self) -> Vec<PageId> {
        let top = self.shards.store().top_pages(0, today(), today(), 1_000, None).await.unwrap();
        top.into_iter().map(|(page, _)| page).collect()
    }
}

fn pages(range: std::ops::Range<usize>, length: usize) -> Vec<PageId> {
    range.map(|n| page(&format!("{n:06}{}", "x".repeat(length - 6)))).collect()
}

#[tokio::test]
async fn a_page_is_deleted_exactly_once() {
    let home = page("home");
    let world = World::with(&[home.clone(), page("other")]).await;
    world.fill();
    let set = async |id, count, forget: bool| {
        let forget = forget.then(|| (today().minus(399), today()));
        let call = SetCount { page: &home, count, forget, ring: ring(), id: WriterId::from_u128(id) };
        world.shards.store().set_count(0, call).await
    };
    let done = |previous, repeated| Ok(Set::Done { previous, previous_bots: 0, repeated });
    assert_eq!(set(1, 0, true).await, done(1, false));
    assert_eq!((world.shards.keys(0, "*:home"), world.top().await), (Vec::new(), vec![page("other")]));
    // A visit comes while there is memory; the call made again leaves it.
    world.empty();
    world.shards.store().apply(0, &call(&[batch(2, &[("home", 1)])])).await.unwrap();
    world.fill();
    assert_eq!((set(1, 0, true).await, world.shards.sum(&home)), (done(1, true), 1));
    let more = set(2, 5, false).await;
    assert!(matches!(&more, Err(StoreError::Refused { reason, .. }) if reason.contains("OOM")), "{more:?}");
    assert_eq!(world.shards.sum(&home), 1, "what needs memory changes nothing");
}

#[tokio::test]
async fn pages_are_deleted_in_steps_with_all_that_is_kept_of_them() {
    let all = pages(0..1_000, 20);
    let world = World::with(&all).await;
    let delete = async |pages: &[PageId]| {
        world.shards.store().delete_pages(0, ring(), pages, (today().minus(399), today())).await
    };
    let _: i64 = world.fill().hdel(world.shards.key(0, "shard"), "ring").unwrap();
    assert_eq!(delete(&all).await, Ok(None), "pages may be moving");
    world.empty();
    world.settle();
    world.fill();
    assert_eq!(delete(&all[..700]).await, Ok(Some(Deleted { pages: 700, visits: 700 })));
    assert_eq!(delete(&all[..700]).await, Ok(Some(Deleted::default())));
    assert_eq!(world.shards.keys(0, "*0*x").len(), 300 * 3, "record, month and visitors of each page");
    assert!(world.top().await.iter().all(|page| all[700..].contains(page)));
}

#[tokio::test]
async fn a_writer_hears_what_a_full_server_has_and_may_settle() {
    let world = World::with(&[]).await;
    world.shards.store().apply(0, &visit()).await.unwrap();
    let mut redis = world.fill();
    for (status, listed) in [(WriterStatus::Active, 1), (WriterStatus::Settled, 0)] {
        let applied = world.shards.store().apply(0, &Apply { status, ..visit() }).await.unwrap();
        assert_eq!((applied.set.floor, applied.fresh.len()), (1, 0));
        assert_eq!(redis.zcard(world.shards.key(0, "writers")), Ok(listed));
    }
}

/// As SECURITY.md states it: on its day, and from the next day on without its visitors' sketch.
#[tokio::test]
async fn a_made_up_page_costs_what_the_documentation_says() {
    for (length, on_its_day, later) in [(20, 330..=450, 200..=300), (512, 2_000..=2_250, 1_300..=1_550)] {
        let all = pages(0..1_000, length);
        let world = World::with(&all).await;
        let [record, month, sketch] = ["page", "days", "visitors"].map(|kind| {
            let keys = world.shards.keys(0, &format!("{kind}:*x"));
            assert_eq!(keys.len(), all.len());
            let mut redis = world.server.connect();
            keys.iter()
                .map(|key| redis::cmd("MEMORY").arg(&["USAGE", key]).query::<usize>(&mut redis).unwrap())
                .sum::<usize>()
        });
        let [day, rest] = [record + month + sketch, record + month].map(|sum| sum / all.len());
        println!("{length}: {day} on its day, {rest} later");
        assert!(on_its_day.contains(&day) && later.contains(&rest), "{length}: {day} on its day, {rest} later");
    }
}
