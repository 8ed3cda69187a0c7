//! A server whose memory is full can be emptied.

use crate::helpers::{apply, batch, call, configure, fold, page, store_on, visit};
use redis::{Commands, Connection};
use std::sync::Arc;
use std::time::Duration;
use test_support::RedisServer;
use visits_core::batch::{Batch, Increment, Sequence, WriterId};
use visits_core::clock::Clock;
use visits_core::day::Day;
use visits_core::page::PageId;
use visits_core::ring::Fingerprint;
use visits_core::store::redis::RedisStore;
use visits_core::store::redis::statistics::Deleted;
use visits_core::store::statistics::{Set, SetCount};
use visits_core::store::{Apply, Standing, StoreError};
use visits_core::visit::{Fingerprint as Agent, Refused, Secret};

const SHARD: &str = "visits:{redis_7070}:shard";

fn ring() -> Fingerprint {
    "00000000000000aa".parse().unwrap()
}

fn today() -> Day {
    Day::of(Clock::system().now())
}

fn fill(redis: &mut Connection) {
    configure(redis, "maxmemory", "1");
    let refused: redis::RedisResult<()> = redis.set("filler", "x");
    assert!(refused.unwrap_err().to_string().contains("OOM"));
}

/// A visit of each page, with a visitor, and the ring settled.
async fn visited(server: &RedisServer, pages: &[PageId]) -> RedisStore {
    let store = store_on(server);
    let secret = Secret::random().unwrap();
    let visitor = |n: usize| vec![secret.pseudonym(Agent::of(&n.to_string(), "Mozilla/5.0"))];
    for (number, chunk) in (1..).zip(pages.chunks(500)) {
        let one =
            |(n, page): (usize, &PageId)| Increment { page: page.clone(), visits: 1, bots: 0, visitors: visitor(n) };
        let increments = chunk.iter().enumerate().map(one).collect();
        let sequence = Sequence::new(number).unwrap();
        let batch = Batch::of_day(sequence, Some(today()), increments, Refused::default(), Clock::system().now());
        apply(&store, &call(&[(Arc::new(batch), Duration::ZERO)])).await.unwrap();
    }
    fold(&store).await;
    let _: i64 = server.connect().hset(SHARD, "ring", ring().to_string()).unwrap();
    store
}

fn pages(range: std::ops::Range<usize>, length: usize) -> Vec<PageId> {
    range.map(|n| page(&format!("{n:06}{}", "x".repeat(length - 6)))).collect()
}

#[tokio::test]
async fn a_page_is_deleted_exactly_once() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let home = page("home");
    let store = visited(&server, &[home.clone(), page("other")]).await;
    fill(&mut redis);
    let set = async |id, count, forget: bool| {
        let forget = forget.then(|| (today().minus(399), today()));
        let call = SetCount { page: &home, count, forget, ring: ring(), id: WriterId::from_u128(id) };
        store.set_count(0, call).await
    };
    let done = |previous, repeated| Ok(Set::Done { previous, previous_bots: 0, repeated });
    assert_eq!(set(1, 0, true).await, done(1, false));
    assert_eq!(redis.keys("visits:{redis_7070}:*:home"), Ok(Vec::<String>::new()));
    let top = store.top_pages(0, today(), today(), 9, None).await.unwrap();
    assert_eq!(top, [(page("other"), 1)]);
    // A visit comes while there is memory; the call made again leaves it.
    configure(&mut redis, "maxmemory", "0");
    apply(&store, &call(&[batch(2, &[("home", 1)])])).await.unwrap();
    fill(&mut redis);
    assert_eq!(set(1, 0, true).await, done(1, true));
    assert_eq!(redis.hget("visits:{redis_7070}:page:home", "total"), Ok(1));
    let more = set(2, 5, false).await;
    assert!(matches!(&more, Err(StoreError::Refused { reason, .. }) if reason.contains("OOM")), "{more:?}");
    assert_eq!(redis.hget("visits:{redis_7070}:page:home", "total"), Ok(1), "what needs memory changes nothing");
}

#[tokio::test]
async fn pages_are_deleted_in_steps_with_all_that_is_kept_of_them() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let all = pages(0..1_000, 20);
    let store = visited(&server, &all).await;
    fill(&mut redis);
    let days = (today().minus(399), today());
    let _: i64 = redis.hdel(SHARD, "ring").unwrap();
    assert_eq!(store.delete_pages(0, ring(), &all, days).await, Ok(None), "pages may be moving");
    configure(&mut redis, "maxmemory", "0");
    let _: i64 = redis.hset(SHARD, "ring", ring().to_string()).unwrap();
    fill(&mut redis);
    let deleted = store.delete_pages(0, ring(), &all[..700], days).await;
    assert_eq!(deleted, Ok(Some(Deleted { pages: 700, visits: 700 })));
    assert_eq!(store.delete_pages(0, ring(), &all[..700], days).await, Ok(Some(Deleted::default())));
    let left: Vec<String> = redis.keys("visits:{redis_7070}:*0*x").unwrap();
    assert_eq!(left.len(), 300 * 3, "record, month and visitors of each page");
    let listed = store.top_pages(0, today(), today(), 1_000, None).await.unwrap();
    assert!(listed.iter().all(|(page, _)| all[700..].contains(page)));
}

#[tokio::test]
async fn a_writer_hears_what_a_full_server_has_and_may_settle() {
    let server = RedisServer::start();
    let mut redis = server.connect();
    let store = store_on(&server);
    apply(&store, &visit()).await.unwrap();
    fill(&mut redis);
    for (standing, listed) in [(Standing::Active, 1), (Standing::Settled, 0)] {
        let applied = apply(&store, &Apply { standing, ..visit() }).await.unwrap();
        assert_eq!((applied.set.floor, applied.fresh.len()), (1, 0));
        assert_eq!(redis.zcard("visits:{redis_7070}:writers"), Ok(listed));
    }
}

/// As SECURITY.md states it: on its day, and from the next day on without its visitors' sketch.
#[tokio::test]
async fn a_made_up_page_costs_what_the_documentation_says() {
    for (length, on_its_day, later) in [(20, 330..=450, 200..=300), (512, 2_000..=2_250, 1_300..=1_550)] {
        let server = RedisServer::start();
        let mut redis = server.connect();
        let all = pages(0..1_000, length);
        visited(&server, &all).await;
        let mut bytes = |kind: &str| -> usize {
            let keys: Vec<String> = redis.keys(format!("visits:{{redis_7070}}:{kind}:*x")).unwrap();
            assert_eq!(keys.len(), all.len());
            keys.iter().map(|key| redis::cmd("MEMORY").arg(&["USAGE", key]).query::<usize>(&mut redis).unwrap()).sum()
        };
        let (record, month, sketch) = (bytes("page"), bytes("days"), bytes("visitors"));
        let cost = |sum: usize| sum / all.len();
        println!("{length}: {} on its day, {} later", cost(record + month + sketch), cost(record + month));
        assert!(on_its_day.contains(&cost(record + month + sketch)), "{}", cost(record + month + sketch));
        assert!(later.contains(&cost(record + month)), "{}", cost(record + month));
    }
}
