use super::*;
use crate::clock::ManualClock;
use crate::page::PageId;
use crate::shard::{ShardName, Weight};
use crate::tests::{Fake, Fault};

const BUDGET: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_secs(30);

struct World {
    flusher: Arc<Flusher<Fake>>,
    store: Fake,
    time: ManualClock,
    ring: Ring,
}

fn world_with(pages: usize) -> World {
    world_of(&["a", "b"], pages)
}

fn world_of(shards: &[&str], pages: usize) -> World {
    let time = ManualClock::new();
    let store = Fake::new(shards.len(), time.clock());
    let name = |name: &&str| (name.parse::<ShardName>().unwrap(), Weight::default());
    let ring = Ring::new(shards.iter().map(name)).unwrap();
    let flusher = Arc::new(flusher(&store, &ring, &time, pages));
    World { flusher, store, time, ring }
}

fn flusher(store: &Fake, ring: &Ring, time: &ManualClock, pages: usize) -> Flusher<Fake> {
    let limits = Limits { interval: INTERVAL, pages, timing: Timing::REAL, days: true };
    Flusher::new(Arc::new(store.clone()), ring.clone(), time.clock(), limits)
}

fn world() -> World {
    world_with(10_000)
}

impl World {
    /// The `n`th page that the ring gives to `shard`.
    fn page_of(&self, shard: usize, n: usize) -> PageId {
        let names = (0..).map(|n| format!("page-{n}"));
        let name = names.filter(|name| self.ring.owner(name) == shard).nth(n).unwrap();
        PageId::from_decoded(&name).unwrap()
    }

    /// Another environment of the same function.
    fn another(&self) -> Flusher<Fake> {
        flusher(&self.store, &self.ring, &self.time, 10_000)
    }

    fn visit(&self, page: &PageId) {
        self.flusher.record(page.clone()).unwrap();
    }
}

#[tokio::test]
async fn a_busy_environment_makes_one_call_a_shard_and_interval() {
    let world = world();
    let pages = [world.page_of(0, 0), world.page_of(1, 0)];
    for second in 0..90 {
        for page in &pages {
            world.visit(page);
        }
        world.flusher.flush_if_due(BUDGET).await;
        assert_eq!(world.store.calls(0), 1 + second / 30);
        world.time.advance(Duration::from_secs(1));
    }
    assert_eq!((world.store.sum(&pages[0]), world.store.calls(1)), (61, 3));
}

#[tokio::test]
async fn a_flush_that_only_asks_for_confirmation_logs_no_line_of_zeros() {
    let (world, logs) = (world(), test_support::Logs::capture());
    world.visit(&world.page_of(0, 0));
    for _ in 0..3 {
        assert!(world.flusher.flush_if_due(BUDGET).await.is_some_and(|report| report.calls == 1));
        world.time.advance(INTERVAL);
    }
    let text = logs.text();
    assert_eq!((text.matches(" INFO ").count(), text.matches("asked for confirmation").count()), (1, 2), "{text}");
}

#[tokio::test]
async fn an_interval_may_be_shortened_and_never_lengthened() {
    let world = world();
    let page = world.page_of(0, 0);
    for (within, flushed) in [(INTERVAL * 2, [1, 1]), (Duration::from_secs(2), [3, 4])] {
        world.flusher.flush_within(within);
        for counted in flushed {
            world.visit(&page);
            world.flusher.flush_if_due(BUDGET).await;
            assert_eq!(world.store.sum(&page), counted, "{within:?}");
            world.time.advance(Duration::from_secs(2));
        }
    }
}

#[tokio::test]
async fn an_environment_frozen_past_the_interval_flushes_at_its_next_visit() {
    let world = world();
    let page = world.page_of(0, 0);
    world.visit(&page);
    world.flusher.flush_if_due(BUDGET).await;
    world.visit(&page);
    assert_eq!(world.flusher.flush_if_due(BUDGET).await, None);
    world.time.freeze(Duration::from_mins(10));
    world.visit(&page);
    assert_eq!(world.flusher.flush_if_due(BUDGET).await.unwrap().visits, 2);
}

#[tokio::test]
async fn a_full_batch_goes_out_before_the_interval() {
    let world = world();
    world.visit(&world.page_of(0, 0));
    world.flusher.flush_if_due(BUDGET).await;
    for n in 0..1200 {
        world.visit(&PageId::from_decoded(&format!("page-{n}")).unwrap());
    }
    let report = world.flusher.flush_if_due(BUDGET).await.unwrap();
    assert_eq!((report.pages, report.visits, report.visits_held), (1200, 1200, 0));
    assert_eq!(report.calls, 4, "two batches a shard, a call each");
}

#[tokio::test]
async fn an_answer_lost_is_asked_for_again_and_counts_once() {
    let world = world();
    let page = world.page_of(0, 0);
    world.store.fail_next(0, [Some(Fault::AnswerLost)]);
    world.visit(&page);
    let report = world.flusher.flush_if_due(BUDGET).await.unwrap();
    assert_eq!((report.failed, report.visits, report.visits_held), (1, 0, 1));
    world.time.advance(Duration::from_secs(1));
    world.visit(&page);
    let report = world.flusher.flush_if_due(BUDGET).await.unwrap();
    assert_eq!((report.failed, report.visits, report.visits_held), (0, 2, 0));
    assert_eq!(world.store.sum(&page), 2);
}

#[tokio::test]
async fn a_shard_that_fails_is_given_growing_pauses_and_the_other_goes_on() {
    let world = world();
    world.store.set_down(0, Some(Fault::Unreachable));
    for _ in 0..600 {
        world.visit(&world.page_of(0, 0));
        world.visit(&world.page_of(1, 0));
        world.flusher.flush_if_due(BUDGET).await;
        world.time.advance(Duration::from_millis(100));
    }
    assert!((7..=10).contains(&world.store.calls(0)), "in a minute: {}", world.store.calls(0));
    assert_eq!(world.store.calls(1), 4, "its own twice, and copies for the other twice: one call an interval");
    world.store.set_down(0, None);
    world.time.advance(Duration::from_secs(30));
    world.flusher.flush_if_due(BUDGET).await;
    assert_eq!(world.store.sum(&world.page_of(0, 0)), 600);
}

#[tokio::test(start_paused = true)]
async fn a_mute_shard_costs_its_budget_and_no_visit() {
    let world = world();
    let page = world.page_of(0, 0);
    world.store.fail_next(0, [Some(Fault::Mute)]);
    world.visit(&page);
    let report = world.flusher.flush_if_due(Duration::from_millis(300)).await.unwrap();
    assert_eq!((report.failed, report.visits_held), (1, 1));
    world.time.advance(Duration::from_secs(1));
    assert_eq!(world.flusher.flush_if_due(BUDGET).await.unwrap().visits, 1);
}

#[tokio::test]
async fn one_call_at_a_time_is_on_its_way_to_a_shard() {
    let world = world();
    let page = world.page_of(0, 0);
    world.store.fail_next(0, [Some(Fault::Mute)]);
    world.visit(&page);
    let first = tokio::spawn({
        let flusher = Arc::clone(&world.flusher);
        async move { flusher.flush_if_due(Duration::from_mins(10)).await }
    });
    while world.store.calls(0) == 0 {
        tokio::task::yield_now().await;
    }
    world.time.advance(Duration::from_mins(1));
    world.visit(&page);
    assert_eq!(world.flusher.flush_if_due(BUDGET).await, None);
    assert_eq!(world.store.calls(0), 1);
    // Given up, its place is free again.
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    world.time.advance(Duration::from_secs(1));
    assert_eq!(world.flusher.flush_if_due(BUDGET).await.unwrap().visits, 2);
}

#[tokio::test]
async fn a_full_buffer_refuses_new_pages_and_keeps_what_it_took() {
    let world = world_with(2);
    world.store.set_down(0, Some(Fault::Unreachable));
    world.store.set_down(1, Some(Fault::Unreachable));
    world.visit(&world.page_of(0, 0));
    world.flusher.flush_if_due(BUDGET).await;
    world.visit(&world.page_of(0, 1));
    let refused = world.flusher.record(world.page_of(0, 2));
    assert!(matches!(refused, Err(RecordError::Full { retry_after }) if retry_after > Duration::ZERO));
    world.visit(&world.page_of(0, 1));
    world.store.set_down(0, None);
    world.time.advance(Duration::from_mins(1));
    assert_eq!(world.flusher.flush_if_due(BUDGET).await.unwrap().visits, 3);
    world.visit(&world.page_of(0, 2));
}

#[tokio::test]
async fn an_environment_frozen_for_ten_minutes_heals_at_its_thaw() {
    let world = world();
    let page = world.page_of(0, 0);
    world.store.save(0);
    world.visit(&page);
    world.flusher.flush_if_due(BUDGET).await;
    world.store.crash(0);
    world.time.freeze(Duration::from_mins(10));
    world.visit(&world.page_of(1, 0));
    let report = world.flusher.flush_if_due(BUDGET).await.unwrap();
    assert_eq!((report.visits_healing, report.visits_lost), (1, 0));
    assert_eq!(world.store.sum(&page), 1);
}

#[tokio::test]
async fn an_environment_without_new_visits_heals_by_the_sweep() {
    let world = world();
    let page = world.page_of(0, 0);
    world.store.save(0);
    world.visit(&page);
    world.flusher.flush_if_due(BUDGET).await;
    world.store.crash(0);
    world.time.freeze(Duration::from_mins(1));
    let report = world.flusher.sweep(BUDGET).await;
    assert_eq!((report.visits_healing, report.visits_held, world.store.sum(&page)), (1, 0, 1));
    assert!(!report.unregistered, "sent again, it is to be confirmed again");
}

#[tokio::test]
async fn a_swept_environment_with_nothing_left_is_no_more_swept() {
    let world = world();
    let page = world.page_of(0, 0);
    world.visit(&page);
    let first = world.flusher.sweep(BUDGET).await;
    assert_eq!((first.visits, first.unconfirmed, first.unregistered), (1, 1, false));
    assert_eq!(world.store.listed(0), 1);
    world.time.advance(Duration::from_mins(1));
    let second = world.flusher.sweep(BUDGET).await;
    assert_eq!((second.unconfirmed, second.unregistered, second.writer), (0, true, first.writer));
    assert_eq!(world.store.listed(0), 0);
    // Its next visit goes out at once, without waiting for an interval, and lists it again.
    world.visit(&page);
    assert_eq!(world.flusher.flush_if_due(BUDGET).await.unwrap().visits, 1);
    assert_eq!(world.store.listed(0), 1);
    assert_eq!(world.store.sum(&page), 2);
}

#[tokio::test]
async fn a_sweep_does_not_wait_for_a_pause() {
    let world = world();
    world.store.fail_next(0, [Some(Fault::Unreachable)]);
    world.visit(&world.page_of(0, 0));
    world.flusher.flush_if_due(BUDGET).await;
    assert_eq!(world.flusher.sweep(BUDGET).await.visits, 1);
}

#[tokio::test]
async fn an_environment_without_a_visit_has_no_writer() {
    let world = world();
    let report = world.flusher.sweep(BUDGET).await;
    assert_eq!(report, FlushReport { unregistered: true, ..FlushReport::default() });
    assert_eq!(world.store.calls(0) + world.store.calls(1), 0);
}

#[tokio::test]
async fn shutdown_sends_everything_and_refuses_what_comes_after() {
    let world = world();
    for n in 0..1200 {
        world.visit(&PageId::from_decoded(&format!("page-{n}")).unwrap());
    }
    let report = world.flusher.shutdown().await;
    assert_eq!((report.visits, report.visits_held), (1200, 0));
    assert!(matches!(world.flusher.record(world.page_of(0, 0)), Err(RecordError::Stopping)));
    assert_eq!(world.store.listed(0), 0, "nothing is left there to sweep");
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_a_call_on_its_way() {
    let world = world();
    let page = world.page_of(0, 0);
    world.store.fail_next(0, [Some(Fault::Mute)]);
    world.visit(&page);
    let flusher = Arc::clone(&world.flusher);
    let stuck = tokio::spawn(async move { flusher.flush_if_due(Duration::from_mins(10)).await });
    while world.store.calls(0) == 0 {
        tokio::task::yield_now().await;
    }
    world.visit(&page);
    assert_eq!(world.flusher.shutdown().await.visits_held, 0);
    assert_eq!(world.store.sum(&page), 2);
    stuck.abort();
}

#[tokio::test]
async fn a_direct_visit_is_in_its_shard_before_it_is_acknowledged() {
    let world = world();
    let page = world.page_of(0, 0);
    world.flusher.record_direct(page.clone()).await.unwrap();
    assert_eq!(world.store.sum(&page), 1);
}

#[tokio::test]
async fn direct_visits_that_wait_share_the_next_call() {
    let world = world();
    let page = world.page_of(0, 0);
    let visits = (0..64).map(|_| world.flusher.record_direct(page.clone()));
    let outcomes = futures_util::future::join_all(visits).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!((world.store.sum(&page), world.store.calls(0)), (64, 2));
}

#[tokio::test]
async fn a_direct_visit_that_is_not_confirmed_is_kept_and_counts_once() {
    let world = world();
    let page = world.page_of(0, 0);
    world.store.set_down(1, Some(Fault::Unreachable));
    for fault in [Fault::AnswerLost, Fault::Unreachable] {
        world.store.fail_next(0, [Some(fault)]);
        let outcome = world.flusher.record_direct(page.clone()).await;
        assert!(matches!(outcome, Err(RecordError::NotConfirmed)), "{fault:?}: {outcome:?}");
        world.time.advance(Duration::from_secs(1));
    }
    let refused = world.flusher.record_direct(page.clone()).await;
    assert!(refused.is_ok(), "{refused:?}");
    assert_eq!(world.store.sum(&page), 3);
}

#[tokio::test]
async fn a_direct_visit_is_refused_and_not_counted_while_its_shard_pauses() {
    let world = world();
    let page = world.page_of(0, 0);
    world.store.set_down(1, Some(Fault::Unreachable));
    world.store.fail_next(0, [Some(Fault::Unreachable)]);
    world.flusher.record_direct(page.clone()).await.unwrap_err();
    let refused = world.flusher.record_direct(page.clone()).await;
    assert!(matches!(refused, Err(RecordError::Unavailable { .. })), "{refused:?}");
    world.time.advance(Duration::from_secs(1));
    world.flusher.flush_if_due(BUDGET).await;
    assert_eq!(world.store.sum(&page), 1);
}

#[tokio::test]
async fn the_followers_of_a_failed_call_are_told_so() {
    let world = world();
    let page = world.page_of(0, 0);
    world.store.set_down(1, Some(Fault::Unreachable));
    world.store.fail_next(0, [None, Some(Fault::AnswerLost)]);
    let visits = (0..10).map(|_| world.flusher.record_direct(page.clone()));
    let outcomes = futures_util::future::join_all(visits).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(outcomes.iter().skip(1).all(|outcome| matches!(outcome, Err(RecordError::NotConfirmed))));
}

#[tokio::test]
async fn a_page_with_bad_data_is_reported_and_costs_the_others_nothing() {
    let world = world();
    let (bad, good) = (world.page_of(0, 0), world.page_of(0, 1));
    world.store.break_page(0, bad.clone());
    world.visit(&bad);
    world.visit(&good);
    let report = world.flusher.flush_if_due(BUDGET).await.unwrap();
    assert_eq!((report.visits, report.visits_rejected, report.visits_held), (2, 1, 0));
    assert_eq!((world.store.sum(&bad), world.store.sum(&good)), (0, 1));
}

#[tokio::test]
async fn a_flush_names_at_most_twenty_bad_pages_of_all_shards_and_says_how_many_more_there_were() {
    let world = world();
    for shard in 0..2 {
        for page in (0..100).map(|n| world.page_of(shard, n)) {
            world.visit(&page);
            world.store.break_page(shard, page);
        }
    }
    let logs = test_support::Logs::capture();
    let report = world.flusher.flush_if_due(BUDGET).await.unwrap();
    assert_eq!((report.visits_rejected, logs.text().matches("cannot be counted up").count()), (200, 20));
    assert!(logs.text().contains("left_out=180"), "{}", logs.text());
}

#[tokio::test]
async fn a_new_page_too_many_is_refused_with_a_sum_and_neither_lost_nor_named() {
    let world = world();
    world.store.limit_new_pages(0, 1);
    let pages: Vec<PageId> = (0..50).map(|n| world.page_of(0, n)).collect();
    for page in &pages {
        world.visit(page);
    }
    let logs = test_support::Logs::capture();
    let report = world.flusher.flush_if_due(BUDGET).await.unwrap();
    assert_eq!((report.visits_refused, report.visits_rejected, report.visits_lost), (49, 0, 0));
    assert_eq!(world.flusher.lock().line.done.visits_lost, 0, "no alarm");
    let text = logs.text();
    assert_eq!((text.matches("visits_refused=49").count(), text.matches("ERROR").count()), (1, 0), "{text}");
    assert!(pages.iter().all(|page| !text.contains(page.as_str())), "{text}");
}

#[tokio::test]
async fn a_poisoned_lock_costs_no_visit() {
    let world = world();
    let page = world.page_of(0, 0);
    world.visit(&page);
    let flusher = Arc::clone(&world.flusher);
    let panicked = std::thread::spawn(move || {
        let _state = flusher.state.lock().unwrap();
        panic!("on purpose, with the lock held");
    });
    panicked.join().unwrap_err();
    assert!(world.flusher.state.is_poisoned());
    world.visit(&page);
    assert_eq!(world.flusher.flush_if_due(BUDGET).await.unwrap().visits, 2);
}

#[tokio::test(start_paused = true)]
async fn the_timer_flushes_without_a_further_visit() {
    let world = world();
    let page = world.page_of(0, 0);
    world.visit(&page);
    let flusher = Arc::clone(&world.flusher);
    let timer = tokio::spawn(async move { flusher.run_timer(BUDGET).await });
    while world.store.sum(&page) == 0 {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    timer.abort();
}

mod metrics;
mod parking;
mod statistics;
