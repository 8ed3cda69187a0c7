//! Visits whose shard is down: copies of their batches wait elsewhere.

use super::*;
use crate::handoff::MAILBOX_BYTES;
use crate::handoff::{Delivery, deliver};
use crate::visit::Visit;

impl World {
    fn down(&self, shard: usize) {
        self.store.set_down(shard, Some(Fault::Unreachable));
    }

    fn up(&self, shard: usize) {
        self.store.set_down(shard, None);
    }

    async fn deliver(&self) -> Delivery {
        deliver(&self.store, &self.ring, &self.time.clock(), Timing::REAL, Duration::from_secs(10)).await
    }

    /// The environment is gone, with all that it had in memory.
    fn lose_environment(&mut self) {
        self.flusher = Arc::new(self.another());
    }
}

#[tokio::test]
async fn what_a_shard_does_not_take_is_parked_at_once_and_survives_the_environment() {
    let mut world = world();
    let page = world.page_of(0, 0);
    world.down(0);
    world.visit(&page);
    let report = world.flush().await;
    assert_eq!((report.parked, report.visits_held, report.visits_parked), (1, 1, 1));
    world.lose_environment();
    world.up(0);
    assert_eq!(world.deliver().await.visits_delivered, 1);
    assert_eq!(world.store.sum(&page), 1);
}

#[tokio::test]
async fn while_a_shard_is_down_each_intervals_visits_are_parked_and_none_is_refused() {
    let mut world = world();
    let page = world.page_of(0, 0);
    world.down(0);
    for _ in 0..300 {
        world.visit(&page);
        world.flusher.flush_if_due(BUDGET).await;
        world.pass(1);
    }
    let at_risk = world.flusher.shutdown().await;
    assert_eq!((at_risk.visits_held, at_risk.visits_lost), (300, 0));
    world.lose_environment();
    world.up(0);
    assert_eq!(world.deliver().await.visits_delivered, 300);
    assert!(world.store.copies() <= 12, "one batch an interval and one for each end: {}", world.store.copies());
}

#[tokio::test]
async fn a_full_buffer_lets_go_of_what_is_parked_for_good() {
    let world = world_of(&["a", "b"], 4);
    world.down(0);
    for n in 0..20 {
        world.visit(&world.page_of(0, n));
        world.time.advance(INTERVAL);
        world.flusher.flush_if_due(BUDGET).await;
    }
    world.up(0);
    world.deliver().await;
    world.time.advance(INTERVAL);
    let report = world.flusher.sweep(BUDGET).await;
    assert_eq!((report.visits_held, report.visits_lost), (0, 0));
    for n in 0..20 {
        assert_eq!(world.store.sum(&world.page_of(0, n)), 1);
    }
}

#[tokio::test]
async fn nothing_is_let_go_for_visits_that_need_no_room_or_cannot_have_enough() {
    let world = world_of(&["a", "b"], 3);
    world.down(0);
    world.visit_on([0]);
    for _ in 0..3 {
        world.flusher.flush_if_due(BUDGET).await;
        world.pass(60);
    }
    // One page is parked for good; with two more the buffer is full.
    let (home, other) = (world.page_of(1, 0), world.page_of(1, 1));
    world.visit(&home);
    world.visit(&other);
    let held = || world.flusher.lock().held_pages();
    world.visit(&home);
    let two = |first: &PageId| vec![Visit::from(first.clone()), Visit::from(first.clone())];
    world.flusher.record(two(&other)).unwrap();
    assert_eq!(held(), 3, "they are here already");
    let many: Vec<Visit> = (2..9).map(|n| world.page_of(1, n).into()).collect();
    assert!(matches!(world.flusher.record(many), Err(RecordError::Full { .. })));
    assert_eq!(held(), 3, "letting go of one page would not have been enough");
    world.flusher.record(two(&world.page_of(1, 9))).unwrap();
    assert_eq!(held(), 3, "a new page has taken the parked one's room");
}

#[tokio::test]
async fn a_direct_visit_is_acknowledged_when_a_copy_is_parked() {
    let mut world = world();
    let page = world.page_of(0, 0);
    world.down(0);
    for _ in 0..3 {
        world.flusher.record_direct(page.clone()).await.unwrap();
    }
    world.lose_environment();
    world.up(0);
    assert_eq!(world.deliver().await.visits_delivered, 3);
}

#[tokio::test(start_paused = true)]
async fn shutdown_parks_in_time_what_a_shard_mute_or_refused_does_not_take() {
    for fault in [Fault::Mute, Fault::Unreachable, Fault::Late] {
        let mut world = world();
        world.store.set_down(0, Some(fault));
        for n in 0..40 {
            world.visit(&world.page_of(n % 2, n));
        }
        let started = Instant::now();
        let report = world.flusher.shutdown().await;
        assert!(started.elapsed() <= SHUTDOWN_BUDGET + Duration::from_millis(2), "{fault:?}");
        assert_eq!((report.visits, report.visits_parked, report.visits_lost), (20, 20, 0), "{fault:?}");
        world.lose_environment();
        world.up(0);
        world.store.deliver_late(0);
        world.deliver().await;
        let counted: u64 = (0..40).map(|n| world.store.sum(&world.page_of(n % 2, n))).sum();
        assert_eq!(counted, 40, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_finds_the_shard_that_takes_copies_behind_one_that_is_mute() {
    let world = world_of(&["a", "b", "c"], 10_000);
    for mute in [1, 2] {
        world.store.set_down(mute, Some(Fault::Mute));
    }
    world.visit_on([1, 2]);
    let report = world.flusher.shutdown().await;
    assert_eq!((report.visits_parked, report.visits_lost), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_as_soon_as_all_is_parked_or_a_slow_shard_has_answered() {
    let world = world();
    world.store.set_down(0, Some(Fault::Mute));
    world.visit_on([0]);
    let started = Instant::now();
    assert_eq!(world.flusher.shutdown().await.visits_parked, 1);
    assert_eq!(started.elapsed().as_millis() / 10, 12);

    let world = self::world();
    world.store.fail_next(0, [Some(Fault::Slow(Duration::from_millis(150)))]);
    world.store.set_down(1, Some(Fault::Mute));
    world.visit_on([0]);
    let started = Instant::now();
    assert_eq!(world.flusher.shutdown().await.visits, 1);
    assert_eq!(started.elapsed().as_millis() / 10, 15, "the slow shard's answer, while the other is mute");
}

#[tokio::test(start_paused = true)]
async fn shutdown_tries_again_while_there_is_time() {
    let world = world();
    world.store.fail_next(0, [Some(Fault::Unreachable), Some(Fault::AnswerLost), Some(Fault::Unreachable)]);
    world.store.fail_next(1, [Some(Fault::Unreachable), Some(Fault::AnswerLost)]);
    world.visit_on([0]);
    let report = world.flusher.shutdown().await;
    assert_eq!((report.visits_held - report.visits_parked, report.visits_lost), (0, 0));
}

#[tokio::test]
async fn a_shard_without_room_takes_no_copies_and_the_next_one_does() {
    let world = world_of(&["a", "b", "c"], 10_000);
    world.down(0);
    world.visit_on([0]);
    for full in [1, 2] {
        world.store.take_parking_room(full, MAILBOX_BYTES);
    }
    let report = world.flusher.sweep(BUDGET).await;
    assert_eq!((report.parked, report.visits_held, report.visits_parked), (0, 1, 0));
    world.store.take_parking_room(2, 0);
    world.pass(1);
    let report = world.flusher.sweep(BUDGET).await;
    assert_eq!((report.parked, report.visits_held, report.visits_parked), (1, 1, 1));
}

#[tokio::test]
async fn copies_whose_answer_was_lost_are_parked_again_elsewhere_and_count_once() {
    let mut world = world_of(&["a", "b", "c"], 10_000);
    let page = world.page_of(0, 0);
    world.down(0);
    world.store.fail_next(1, [Some(Fault::AnswerLost)]);
    world.store.fail_next(2, [Some(Fault::AnswerLost)]);
    world.visit(&page);
    let report = world.flusher.sweep(BUDGET).await;
    assert_eq!((report.visits_parked, world.store.copies()), (0, 2), "both may have them, none is known to");
    world.pass(1);
    assert_eq!(world.flusher.sweep(BUDGET).await.visits_parked, 1);
    world.lose_environment();
    world.up(0);
    assert_eq!(world.deliver().await.visits_delivered, 1);
    assert_eq!(world.store.sum(&page), 1);
}

#[tokio::test]
async fn the_set_of_a_writer_that_has_parked_outlives_its_copies() {
    let world = world();
    let page = world.page_of(0, 0);
    world.down(0);
    world.visit(&page);
    world.flusher.sweep(BUDGET).await;
    world.up(0);
    for _ in 0..2 {
        world.flusher.sweep(BUDGET).await;
        world.pass(60);
    }
    assert!(world.flusher.sweep(BUDGET).await.unregistered);
    // The copy was out of reach all the while, and for an hour more.
    world.time.advance(Timing::REAL.settled_set_kept * 2);
    for shard in 0..2 {
        world.store.tidy(shard);
    }
    assert_eq!(world.deliver().await.visits_delivered, 0);
    assert_eq!(world.store.sum(&page), 1);
}

#[tokio::test(start_paused = true)]
async fn what_can_be_neither_sent_nor_parked_ends_with_its_environment_and_is_told_as_lost() {
    for shards in [&["a"][..], &["a", "b"]] {
        let world = world_of(shards, 10_000);
        (0..shards.len()).for_each(|shard| world.down(shard));
        world.visit_on([0]);
        let report = world.flusher.shutdown().await;
        assert_eq!((report.parked, report.visits_lost), (0, 1), "{shards:?}");
        assert_eq!(world.told(["Visits", "VisitsFlushed", "VisitsLost"]), [1, 0, 1], "{shards:?}");
    }
}

#[tokio::test]
async fn while_a_shard_is_down_the_buffers_age_grows_and_copies_are_told() {
    let world = world();
    world.down(0);
    world.visit_on([0]);
    for interval in 1..=4_u64 {
        world.time.advance(INTERVAL);
        world.flusher.sweep(BUDGET).await;
        assert_eq!(world.line()["BufferAge"], interval * 30_000);
    }
    let [parked, failures] = world.told(["Parked", "FlushFailures"]);
    assert!(parked >= 1 && failures >= 4, "{parked} {failures}");
    world.up(0);
    for shard in [0, 1] {
        world.visit_on([shard]);
        world.time.advance(INTERVAL);
        world.flusher.sweep(BUDGET).await;
    }
    assert_eq!((world.line()["BufferAge"].as_u64(), world.told(["VisitsFlushed"])), (Some(30_000), [3]));
}

#[tokio::test]
async fn copies_go_by_rendezvous_order_to_no_draining_shard_and_to_the_owners_endpoint_last() {
    let time = ManualClock::new();
    let store = Fake::new(5, time.clock()).with_one_endpoint_for(&[0, 1]);
    let ring = ring_of([("a", 1), ("b", 1), ("c", 1), ("d", 1), ("draining", 0)]);
    let flusher = flusher(&store, &ring, &time, 10);
    let mut first = [0; 5];
    for writer in 0..200 {
        let writer = WriterId::from_u128(writer);
        let refuges = flusher.refuges(0, writer);
        assert_eq!((refuges.len(), refuges[2]), (3, 1), "not the owner, not the draining one; the neighbour last");
        let preferred = ring.preference(&format!("a {writer}"));
        let elsewhere: Vec<_> = preferred.into_iter().filter(|shard| [2, 3].contains(shard)).collect();
        assert_eq!(refuges[..2], elsewhere);
        first[refuges[0]] += 1;
    }
    assert!(first[2] > 60 && first[3] > 60, "writers spread over the other shards: {first:?}");
}
