//! One fold at a time.

use crate::world::{World, first_day};
use redis::Commands;
use std::sync::Arc;
use std::time::Duration;
use test_support::RedisServer;
use visits_core::batch::{Sequence, WriterId};
use visits_core::clock::{Clock, Timing};
use visits_core::fold::{self, Folded};
use visits_core::handoff::deliver;
use visits_core::store::{Apply, Ledger, WriterStatus};
use visits_core::tests::{Fault, Shards, fold_here, increment, page};
use visits_core::visit::Refused;

fn world(shards: usize) -> World {
    World::with(Shards::new(shards))
}

/// One batch of the first day on shard 0: `home` has 3 visits, one by a bot.
async fn visited(shards: usize) -> World {
    let mut world = world(shards);
    let refused = Refused { origin: 1, page: 2, repeat: 3, new_page: 0 };
    world.seal(0, Some(first_day()), vec![increment("home", 3, 1, &[7, 8])], refused);
    world.send(0, &[0]).await.unwrap();
    world
}

#[tokio::test]
async fn a_fold_puts_each_number_in_its_place_and_empties_the_journal() {
    let world = visited(1).await;
    assert_eq!((world.waiting(), world.days().len()), (1, 0));
    let folded = world.fold().await;
    assert_eq!((folded.entries_folded, folded.visits_folded, folded.pieces, folded.fold_calls_failed), (1, 3, 1, 0));
    assert_eq!(world.days(), [((first_day(), page("home")), (2, 1))].into());
    let fields = ["29", "29b", "29o", "29p", "29r"].map(|field| world.site("site:2026-11", &[field]));
    assert_eq!((fields, world.site("site", &["total"]), world.site("site", &["bots"])), ([2, 1, 1, 2, 3], 3, 1));
    let (mut redis, key) = (world.shards.connect(), |key| world.shards.key(0, key));
    let sketches = ["visitors:2026-11-29", "visitors:2026-11-29:home"].map(|name| redis.pfcount(key(name)));
    assert_eq!(sketches, [Ok(2), Ok(2)]);
    assert_eq!(redis.zrange_withscores(key("top:2026-11-29"), 0, -1), Ok(vec![("home".to_owned(), 2.0)]));
    assert_eq!((world.waiting(), redis.hexists(key("shard"), "journal")), (0, Ok(false)));
    assert_eq!(world.fold().await, Folded::default());
}

#[tokio::test]
async fn visitors_are_counted_on_the_shards_that_own_them_and_here_where_these_do_not_answer() {
    for is_down in [false, true] {
        let world = visited(2).await;
        let ring = world.shards.ring_of(&[0, 1]);
        world.shards.store().apply(1, &Apply { ring: None, ..empty() }).await.unwrap();
        if is_down {
            world.shards.set_down(1, Some(Fault::Unreachable));
        }
        visits_core::tests::fold(world.shards.store(), &ring, &Clock::system()).await;
        let on = |shard| world.shards.keys(shard, "visitors:*").len();
        assert_eq!((on(0), on(1)), if is_down { (2, 0) } else { (0, 2) });
        assert_eq!((world.shards.keys(0, "days:*").len(), world.shards.keys(1, "days:*").len()), (1, 0));
    }
}

/// Thousands go as one sketch, a few one by one, and both into the same key.
#[tokio::test]
async fn visitors_are_known_again_however_many_came_with_them() {
    let mut world = world(1);
    for visitors in [0..50, 0..5_000, 4_990..5_010] {
        let visitors: Vec<u64> = visitors.map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        world.seal(0, Some(first_day()), vec![increment("home", 9_000, 0, &visitors)], Refused::default());
        world.send(0, &[world.batches[0].len() - 1]).await.unwrap();
        world.fold().await;
    }
    for name in ["visitors:2026-11-29", "visitors:2026-11-29:home"] {
        let counted: u64 = world.shards.connect().pfcount(world.shards.key(0, name)).unwrap();
        assert!((4_900..5_120).contains(&counted), "{name}: {counted}");
    }
}

fn empty() -> Apply {
    let (writer, base) = (WriterId::from_u128(9), Sequence::FIRST);
    Apply { writer, base, batches: Vec::new(), status: WriterStatus::Active, ring: None }
}

#[tokio::test]
async fn an_entry_that_is_no_batch_is_set_aside_and_stops_nothing() {
    let world = visited(1).await;
    let (mut redis, journal) = (world.shards.connect(), world.shards.key(0, "journal"));
    for (field, value) in [("b", "no batch"), ("other", "field")] {
        let _: String = redis::cmd("XADD").arg(&journal).arg("*").arg(field).arg(value).query(&mut redis).unwrap();
    }
    let folded = world.fold().await;
    assert_eq!((folded.entries_set_aside, folded.visits_folded, world.waiting()), (2, 3, 0));
    let aside: Vec<String> = redis.hvals(world.shards.key(0, "aside")).unwrap();
    assert!(aside.iter().any(|text| text.ends_with("\nno batch")) && aside.len() == 2, "{aside:?}");
}

#[tokio::test]
async fn keys_of_another_type_cost_what_belongs_there_and_nothing_else() {
    for spoilt in ["days:2026-11:home", "site:2026-11", "site", "top:2026-11-29", "visitors:2026-11-29:home", "aside"] {
        let world = visited(1).await;
        let mut redis = world.shards.connect();
        let _: i64 = redis.rpush(world.shards.key(0, spoilt), "a list").unwrap();
        let folded = world.fold().await;
        assert_eq!((folded.visits_folded, world.waiting()), (3, 0), "{spoilt}");
        assert_eq!(folded.days_rejected, u64::from(spoilt.starts_with("days")), "{spoilt}");
        assert_eq!(world.days().len(), usize::from(!spoilt.starts_with("days")), "{spoilt}");
    }
}

#[tokio::test]
async fn a_full_server_is_folded_and_rid_of_its_journal() {
    let server = RedisServer::start();
    let mut world = World::with(Shards::on(&[server.url()], &[]));
    world.seal(0, Some(first_day()), vec![increment("home", 3, 1, &[7])], Refused::default());
    world.send(0, &[0]).await.unwrap();
    let mut redis = server.connect();
    let () = redis::cmd("CONFIG").arg(&["SET", "maxmemory", "1"]).query(&mut redis).unwrap();
    let folded = world.fold().await;
    assert_eq!((world.days().len(), world.waiting(), folded.visits_folded), (1, 0, 3), "{folded:?}");
}

#[tokio::test]
async fn visits_that_a_full_journal_left_out_are_reported_once() {
    let world = visited(1).await;
    let _: i64 = world.shards.connect().hset(world.shards.key(0, "shard"), "skipped", 70).unwrap();
    assert_eq!(world.fold().await.statistics_skipped, 70);
    world.send(0, &[0]).await.unwrap();
    assert_eq!(world.fold().await.statistics_skipped, 0);
}

#[tokio::test]
async fn a_page_that_belongs_elsewhere_by_the_ring_in_force_is_noted() {
    let world = visited(2).await;
    let (mut redis, key) = (world.shards.connect(), world.shards.key(0, "shard"));
    let ring = world.shards.ring_of(&[0, 1]);
    let _: i64 = redis.hset(&key, "ring", ring.fingerprint().to_string()).unwrap();
    let _: i64 = redis.hdel(&key, "late").unwrap();
    visits_core::tests::fold(world.shards.store(), &ring, &Clock::system()).await;
    assert_eq!(redis.hget(&key, "late"), Ok(1));
}

#[tokio::test]
async fn a_day_out_of_the_days_kept_is_left_out() {
    let world = visited(1).await;
    let settings = fold::Settings::new(1, Duration::from_secs(10));
    let (later, clock) = (Clock::system().now(), Clock::system());
    assert!(later.epoch_millis() > first_day().plus(1).begins_at(), "the tests' days are over");
    let folded = fold::fold(world.shards.store(), &world.ring, &clock, settings, [0]).await;
    assert_eq!((folded.visits_too_old, world.days().len(), world.site("site", &["total"])), (3, 0, 3));
}

#[tokio::test]
async fn a_top_list_has_the_best_two_hundred_pages() {
    let mut world = world(1);
    let pages =
        |visits: u64| (0..300).map(|page| increment(&format!("{page:03}"), 1 + page % visits, 0, &[])).collect();
    world.seal(0, Some(first_day()), pages(300), Refused::default());
    world.seal(0, Some(first_day()), pages(299), Refused::default());
    for place in 0..2 {
        world.send(0, &[place]).await.unwrap();
        fold_here(world.shards.store(), 0, &Clock::system()).await;
    }
    let top: Vec<(String, u64)> =
        world.shards.connect().zrevrange_withscores(world.shards.key(0, "top:2026-11-29"), 0, -1).unwrap();
    assert_eq!((top.len(), top[0].clone(), top[199].1), (200, ("298".to_owned(), 598), 202));
}

#[tokio::test]
async fn re_sent_and_parked_batches_of_yesterday_land_on_their_day() {
    let mut world = World::with(Shards::new(2));
    let (yesterday, home) = (first_day(), world.ring.owner("home"));
    world.seal(home, Some(yesterday), vec![increment("home", 3, 1, &[7])], Refused::default());
    world.seal(home, Some(yesterday.plus(1)), vec![increment("home", 10, 0, &[7])], Refused::default());
    // Parked on the other shard, delivered the day after, sent again by its writer, and folded in between.
    let owner = world.shards.names()[home].clone();
    let age = Duration::from_hours(20);
    let batches = vec![(Arc::clone(&world.batches[home][0]), age)];
    let park = visits_core::handoff::Park { writer: WriterId::from_u128(7), owner, batches };
    world.shards.store().park(1 - home, &park).await.unwrap();
    world.send(home, &[1]).await.unwrap();
    world.fold().await;
    let budget = visits_core::budget::Budget::from(Duration::from_secs(10));
    deliver(&**world.shards.store(), &world.ring, &Clock::system(), Timing::REAL, budget).await;
    world.fold().await;
    world.send(home, &[0, 1]).await.unwrap();
    world.fold().await;
    assert_eq!(world.days(), world.expected(|_, _| false));
}
