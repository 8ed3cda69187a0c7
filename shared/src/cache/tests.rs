use super::*;
use crate::batch::{Batch, Sequence, WriterId};
use crate::clock::ManualClock;
use crate::shard::Weight;
use crate::store::AppliedSet;
use crate::store::{Apply, Ledger, WriterStatus};
use crate::tests::{Fault, Shards, page};

struct World {
    cache: CountCache,
    store: Shards,
    time: ManualClock,
    /// Calls to each shard before the test's first.
    before: [u64; 2],
}

/// All pages are at home.
async fn world(settings: &[(&str, &str)]) -> World {
    let store = Shards::with(2, settings);
    store.settle(&store.ring()).await;
    around(store)
}

fn around(store: Shards) -> World {
    let time = ManualClock::new();
    let cache = CountCache::new(Arc::clone(store.store()), store.ring(), time.clock(), store.config());
    let before = [0, 1].map(|shard| store.calls(shard));
    World { cache, store, time, before }
}

impl World {
    fn owner(&self, page: &PageId) -> ShardIndex {
        self.cache.ring.owner(page.as_str())
    }

    fn calls(&self, shard: ShardIndex) -> u64 {
        self.store.calls(shard) - self.before[shard]
    }

    async fn visit(&self, page: &PageId, writer: u128) {
        let sealed_at = self.time.clock().now();
        let batch = Arc::new(Batch::seal(Sequence::FIRST, vec![(page.clone(), 1)], sealed_at));
        let apply = Apply {
            writer: WriterId::from_u128(writer),
            base: Sequence::FIRST,
            batches: vec![(batch, Duration::ZERO)],
            status: WriterStatus::Active,
            ring: Some(self.cache.fingerprint),
        };
        let applied = self.store.store().apply(self.owner(page), &apply).await.unwrap();
        assert_eq!(applied.set, AppliedSet { floor: 1, visits: 1, ..AppliedSet::default() });
    }
}

#[tokio::test]
async fn while_pages_move_all_shards_are_asked_and_all_must_answer() {
    let world = around(Shards::new(2));
    let home = page("home");
    world.visit(&home, 1).await;
    let (owner, calls) = (world.owner(&home), [0, 1].map(|shard| world.calls(shard)));
    assert_eq!(world.cache.get(&home).await.unwrap().count, 1);
    assert_eq!(world.calls(1 - owner), calls[1 - owner] + 1);
    world.store.set_down(1 - owner, Some(Fault::Unreachable));
    assert!(world.cache.get(&page("other")).await.is_err());
    world.time.advance(Duration::from_mins(1));
    let known = world.cache.get(&home).await.unwrap();
    assert_eq!((known.count, known.stale), (1, true));
}

#[tokio::test]
async fn without_a_shard_that_may_hold_counts_no_count_is_made_up() {
    let store = Shards::new(3);
    store.settle(&store.ring()).await;
    let time = ManualClock::new();
    let ring = Ring::new(store.names()[..2].iter().map(|name| (name.clone(), Weight::default()))).unwrap();
    let cache = CountCache::new(Arc::clone(store.store()), ring, time.clock(), store.config());
    assert!(cache.get(&page("home")).await.is_err());
}

#[tokio::test]
async fn a_count_is_served_from_memory_until_its_time_is_over() {
    let world = world(&[]).await;
    let home = page("home");
    world.visit(&home, 1).await;
    let owner = world.store.names()[world.owner(&home)].clone();
    assert_eq!(world.cache.get(&home).await.unwrap().source, Source::Shard(owner));
    world.visit(&home, 2).await;
    world.time.advance(Duration::from_millis(4_999));
    let cached = world.cache.get(&home).await.unwrap();
    assert_eq!((cached.count, &cached.source), (1, &Source::Memory));
    assert_eq!((cached.fresh_for, cached.stale), (Duration::from_millis(1), false));
    world.time.advance(Duration::from_millis(1));
    assert_eq!(world.cache.get(&home).await.unwrap().count, 2);
}

#[tokio::test]
async fn a_thawed_environment_does_not_show_old_counts_as_fresh() {
    let world = world(&[]).await;
    world.cache.get(&page("home")).await.unwrap();
    world.visit(&page("home"), 1).await;
    world.time.freeze(Duration::from_mins(10));
    assert_eq!(world.cache.get(&page("home")).await.unwrap().count, 1);
}

#[tokio::test]
async fn a_page_is_fetched_once_for_all_who_wait() {
    let world = world(&[]).await;
    let home = page("home");
    for calls in 1..=2 {
        let counts = futures_util::future::join_all((0..50).map(|_| world.cache.get(&home))).await;
        assert!(counts.iter().all(|count| count.as_ref().unwrap().count == 0));
        assert_eq!(world.calls(world.owner(&home)), calls, "absent, then expired");
        world.time.advance(Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_shard_that_is_down_leaves_the_expired_count_marked_stale() {
    let world = world(&[]).await;
    let home = page("home");
    world.visit(&home, 1).await;
    world.cache.get(&home).await.unwrap();
    world.time.advance(Duration::from_mins(10));
    world.store.set_down(world.owner(&home), Some(Fault::Unreachable));
    for _ in 0..3 {
        let count = world.cache.get(&home).await.unwrap();
        assert_eq!((count.count, count.stale, count.fresh_for), (1, true, Duration::ZERO));
        assert_eq!(count.source, Source::Memory);
    }
    world.store.set_down(world.owner(&home), None);
    world.time.advance(PAUSE_AFTER_FAILURE);
    assert!(!world.cache.get(&home).await.unwrap().stale);
}

#[tokio::test]
async fn a_shard_that_is_down_never_makes_up_a_zero() {
    let world = world(&[]).await;
    world.store.set_down(0, Some(Fault::Unreachable));
    world.store.set_down(1, Some(Fault::AnswerLost));
    for name in ["a", "b", "c", "d", "e"] {
        assert!(world.cache.get(&page(name)).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_failed_shard_is_left_alone_for_a_second() {
    let world = world(&[]).await;
    let home = page("home");
    let shard = world.owner(&home);
    world.store.fail_next(shard, [Some(Fault::Unreachable)]);
    for _ in 0..10 {
        world.cache.get(&home).await.unwrap_err();
    }
    assert_eq!(world.calls(shard), 1);
    world.time.advance(PAUSE_AFTER_FAILURE);
    assert_eq!(world.cache.get(&home).await.unwrap().count, 0);
}

#[tokio::test]
async fn the_cache_keeps_its_bound() {
    let world = world(&[("VISITS_CACHE_PAGES", "100")]).await;
    for n in 0..1_000 {
        world.cache.get(&page(&n.to_string())).await.unwrap();
    }
    assert!(world.cache.entries.len() <= 100);
}

#[tokio::test]
async fn without_a_ttl_every_read_asks_the_shard() {
    let world = world(&[("VISITS_CACHE_TTL", "0")]).await;
    let home = page("home");
    for calls in 1..=3 {
        let count = world.cache.get(&home).await.unwrap();
        assert!(matches!(count.source, Source::Shard(_)));
        assert_eq!((world.calls(world.owner(&home)), count.fresh_for), (calls, Duration::ZERO));
    }
}

/// Pages of which each shard owns some.
fn pages(count: usize) -> Vec<PageId> {
    (0..count).map(|n| page(&format!("page-{n}"))).collect()
}

#[tokio::test]
async fn several_counts_take_one_call_for_each_shard_and_keep_their_order() {
    let world = world(&[]).await;
    let pages = pages(100);
    for (n, page) in (0..).zip(&pages).take(3) {
        world.visit(page, n).await;
    }
    let calls = [0, 1].map(|shard| world.calls(shard));
    let counts = world.cache.get_all(&pages).await;
    assert_eq!([0, 1].map(|shard| world.calls(shard) - calls[shard]), [1, 1]);
    let counts: Vec<_> = counts.into_iter().map(Result::unwrap).collect();
    assert!((0..).zip(&counts).all(|(n, count)| count.count == u64::from(n < 3)), "{counts:?}");
    let from =
        |count: &Count, page: &PageId| count.source == Source::Shard(world.cache.ring.name(world.owner(page)).clone());
    assert!(counts.iter().zip(&pages).all(|(count, page)| from(count, page)));
}

#[tokio::test]
async fn several_counts_and_single_ones_share_their_memory() {
    let world = world(&[]).await;
    let pages = pages(10);
    world.cache.get(&pages[3]).await.unwrap();
    world.time.advance(Duration::from_secs(2));
    let counts = world.cache.get_all(&pages).await;
    let fresh = counts.iter().map(|count| count.as_ref().unwrap().fresh_for.as_secs()).collect::<Vec<_>>();
    assert_eq!(fresh, [5, 5, 5, 3, 5, 5, 5, 5, 5, 5]);
    assert_eq!(world.cache.get(&pages[7]).await.unwrap().source, Source::Memory);
    let calls = [0, 1].map(|shard| world.calls(shard));
    assert!(world.cache.get_all(&pages).await.iter().all(|count| count.as_ref().unwrap().source == Source::Memory));
    assert_eq!([0, 1].map(|shard| world.calls(shard)), calls);
    assert!(world.cache.get_all(&[]).await.is_empty());
}

#[tokio::test]
async fn of_several_counts_only_those_of_a_shard_that_is_down_are_missing() {
    let world = world(&[]).await;
    let pages = pages(20);
    let down = world.owner(&pages[0]);
    let known = pages.iter().rfind(|page| world.owner(page) == down).unwrap();
    world.cache.get(known).await.unwrap();
    world.time.advance(Duration::from_mins(1));
    world.store.set_down(down, Some(Fault::Unreachable));
    for _ in 0..3 {
        for (page, count) in pages.iter().zip(world.cache.get_all(&pages).await) {
            match count {
                Ok(count) => assert!(count.stale == (page == known) && (world.owner(page) != down || page == known)),
                Err(_) => assert!(world.owner(page) == down && page != known),
            }
        }
    }
}

#[tokio::test]
async fn while_pages_move_several_counts_are_gathered_too() {
    let world = around(Shards::new(2));
    let pages = pages(10);
    world.visit(&pages[0], 1).await;
    let counts = world.cache.get_all(&pages).await;
    assert_eq!(counts[0].as_ref().unwrap().count, 1);
    world.time.advance(Duration::from_mins(1));
    world.store.set_down(1 - world.owner(&pages[0]), Some(Fault::Unreachable));
    assert!(world.cache.get_all(&pages).await.iter().all(|count| count.as_ref().unwrap().stale));
}
