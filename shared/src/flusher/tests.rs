use super::*;
use crate::clock::ManualClock;
use crate::page::PageId;
use crate::shard::{ShardName, Weight};
use crate::tests::{Fake, Fault};
use serde_json::Value;

const BUDGET: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_secs(30);

struct World {
    flusher: Arc<Flusher<Fake>>,
    store: Fake,
    time: ManualClock,
    ring: Ring,
    /// Lines of metrics.
    lines: Arc<Mutex<Vec<Value>>>,
}

fn world() -> World {
    world_of(&["a", "b"], 10_000)
}

fn world_of(shards: &[&str], pages: usize) -> World {
    let time = ManualClock::new();
    let store = Fake::new(shards.len(), time.clock());
    let ring = ring_of(shards.iter().map(|name| (*name, 1)));
    let (metrics, lines) = crate::tests::metrics(time.clock());
    let flusher = Arc::new(flusher(&store, &ring, &time, pages).with_metrics(metrics));
    World { flusher, store, time, ring, lines }
}

fn ring_of<'a>(shards: impl IntoIterator<Item = (&'a str, u8)>) -> Ring {
    let shard = |(name, weight): (&str, u8)| (name.parse::<ShardName>().unwrap(), Weight::new(weight).unwrap());
    Ring::new(shards.into_iter().map(shard)).unwrap()
}

fn flusher(store: &Fake, ring: &Ring, time: &ManualClock, pages: usize) -> Flusher<Fake> {
    let limits = Limits { interval: INTERVAL, pages, timing: Timing::REAL, days: true };
    Flusher::new(Arc::new(store.clone()), ring.clone(), time.clock(), limits)
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

    /// A visit of the first page of each of these shards.
    fn visit_on(&self, shards: impl IntoIterator<Item = usize>) {
        shards.into_iter().for_each(|shard| self.visit(&self.page_of(shard, 0)));
    }

    fn pass(&self, seconds: u64) {
        self.time.advance(Duration::from_secs(seconds));
    }

    async fn flush(&self) -> FlushReport {
        self.flusher.flush_if_due(BUDGET).await.unwrap()
    }

    /// A flush that never gets an answer, and the call of which has begun.
    async fn hang(&self, shard: usize) -> tokio::task::JoinHandle<Option<FlushReport>> {
        self.store.fail_next(shard, [Some(Fault::Mute)]);
        let flusher = Arc::clone(&self.flusher);
        let hanging = tokio::spawn(async move { flusher.flush_if_due(Duration::from_mins(10)).await });
        while self.store.calls(shard) == 0 {
            tokio::task::yield_now().await;
        }
        hanging
    }

    fn lines(&self) -> u64 {
        self.lines.lock().unwrap().len() as u64
    }

    /// The last line of metrics.
    fn line(&self) -> Value {
        self.lines.lock().unwrap().last().unwrap().clone()
    }

    /// Sums of metrics over all lines.
    fn told<const N: usize>(&self, metrics: [&str; N]) -> [u64; N] {
        let lines = self.lines.lock().unwrap();
        metrics.map(|metric| lines.iter().filter_map(|line| line[metric].as_u64()).sum())
    }
}

#[tokio::test]
async fn a_busy_environment_makes_one_call_a_shard_and_interval_and_writes_a_line() {
    let world = world();
    for second in 0..90 {
        world.visit_on([0, 1]);
        world.flusher.flush_if_due(BUDGET).await;
        let flushes = 1 + second / 30;
        assert_eq!((world.store.calls(0), world.lines()), (flushes, flushes), "second {second}");
        world.pass(1);
    }
    assert_eq!((world.store.sum(&world.page_of(0, 0)), world.store.calls(1)), (61, 3));
    let line = world.line();
    assert_eq!((&line["Visits"], &line["VisitsFlushed"], &line["Batches"]), (&60.into(), &60.into(), &2.into()));
    assert_eq!((&line["BufferAge"], line["RedisLatency"].as_array().map(Vec::len)), (&29_000.into(), Some(2)));
    for quiet in ["DuplicateBatches", "Gaps", "Healed", "Parked", "VisitsLost", "FlushFailures"] {
        assert!(line.get(quiet).is_none(), "{line}");
    }
}

#[tokio::test]
async fn a_flush_that_only_asks_for_confirmation_logs_no_line_of_zeros() {
    let (world, logs) = (world(), test_support::Logs::capture());
    world.visit_on([0]);
    for _ in 0..3 {
        assert_eq!(world.flush().await.calls, 1);
        world.time.advance(INTERVAL);
    }
    let text = logs.text();
    assert_eq!((text.matches(" INFO ").count(), text.matches("asked for confirmation").count()), (1, 2), "{text}");
}

#[tokio::test]
async fn an_interval_may_be_shortened_and_never_lengthened() {
    let world = world();
    for (within, flushed) in [(INTERVAL * 2, [1, 1]), (Duration::from_secs(2), [3, 4])] {
        world.flusher.flush_within(within);
        for counted in flushed {
            world.visit_on([0]);
            world.flusher.flush_if_due(BUDGET).await;
            assert_eq!(world.store.sum(&world.page_of(0, 0)), counted, "{within:?}");
            world.pass(2);
        }
    }
}

#[tokio::test]
async fn an_environment_frozen_past_the_interval_flushes_at_its_next_visit() {
    let world = world();
    world.visit_on([0]);
    world.flush().await;
    world.visit_on([0]);
    assert_eq!(world.flusher.flush_if_due(BUDGET).await, None);
    world.time.freeze(Duration::from_mins(10));
    world.visit_on([0]);
    assert_eq!(world.flush().await.visits, 2);
}

#[tokio::test]
async fn a_full_batch_goes_out_before_the_interval_and_shutdown_sends_all_and_refuses_what_comes_after() {
    let world = world();
    world.visit_on([0]);
    world.flush().await;
    let many = || (0..1200).for_each(|n| world.visit(&PageId::from_decoded(&format!("page-{n}")).unwrap()));
    many();
    let report = world.flush().await;
    assert_eq!((report.pages, report.visits, report.visits_held), (1200, 1200, 0));
    assert_eq!(report.calls, 4, "two batches a shard, a call each");
    many();
    let report = world.flusher.shutdown().await;
    assert_eq!((report.visits, report.visits_held), (1200, 0));
    assert!(matches!(world.flusher.record(world.page_of(0, 0)), Err(RecordError::Stopping)));
    assert_eq!(world.store.listed(0), 0, "nothing is left there to sweep");
}

#[tokio::test]
async fn an_answer_lost_is_asked_for_again_and_counts_once() {
    let world = world();
    world.store.fail_next(0, [Some(Fault::AnswerLost)]);
    world.visit_on([0]);
    let report = world.flush().await;
    assert_eq!((report.failed, report.visits, report.visits_held), (1, 0, 1));
    world.pass(1);
    world.visit_on([0]);
    let report = world.flush().await;
    assert_eq!((report.failed, report.visits, report.visits_held), (0, 2, 0));
    assert_eq!(world.store.sum(&world.page_of(0, 0)), 2);
    let told = world.told(["Visits", "VisitsFlushed", "Batches", "DuplicateBatches", "FlushFailures"]);
    assert_eq!(told, [2, 2, 2, 1, 1]);
}

#[tokio::test]
async fn a_shard_that_fails_is_given_growing_pauses_and_the_other_goes_on() {
    let world = world();
    world.store.set_down(0, Some(Fault::Unreachable));
    for _ in 0..600 {
        world.visit_on([0, 1]);
        world.flusher.flush_if_due(BUDGET).await;
        world.time.advance(Duration::from_millis(100));
    }
    assert!((7..=10).contains(&world.store.calls(0)), "in a minute: {}", world.store.calls(0));
    assert_eq!(world.store.calls(1), 4, "its own twice, and copies for the other twice: one call an interval");
    world.store.set_down(0, None);
    world.time.advance(INTERVAL);
    world.flush().await;
    assert_eq!(world.store.sum(&world.page_of(0, 0)), 600);
}

#[tokio::test(start_paused = true)]
async fn a_mute_shard_costs_its_budget_and_no_visit() {
    let world = world();
    world.store.fail_next(0, [Some(Fault::Mute)]);
    world.visit_on([0]);
    let report = world.flusher.flush_if_due(Duration::from_millis(300)).await.unwrap();
    assert_eq!((report.failed, report.visits_held), (1, 1));
    world.pass(1);
    assert_eq!(world.flush().await.visits, 1);
}

#[tokio::test]
async fn one_call_at_a_time_is_on_its_way_to_a_shard() {
    let world = world();
    world.visit_on([0]);
    let first = world.hang(0).await;
    world.pass(60);
    world.visit_on([0]);
    assert_eq!(world.flusher.flush_if_due(BUDGET).await, None);
    assert_eq!(world.store.calls(0), 1);
    // Given up, its place is free again.
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    world.pass(1);
    assert_eq!(world.flush().await.visits, 2);
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_a_call_on_its_way() {
    let world = world();
    world.visit_on([0]);
    let stuck = world.hang(0).await;
    world.visit_on([0]);
    assert_eq!(world.flusher.shutdown().await.visits_held, 0);
    assert_eq!(world.store.sum(&world.page_of(0, 0)), 2);
    stuck.abort();
}

#[tokio::test(start_paused = true)]
async fn what_a_flush_learned_that_was_cut_off_goes_with_the_next_line() {
    let world = world();
    world.visit_on([0, 1]);
    world.store.fail_next(1, [Some(Fault::Mute)]);
    let cut = tokio::time::timeout(Duration::from_millis(5), world.flusher.sweep(BUDGET)).await;
    assert!(cut.is_err() && world.lines() == 0);
    world.flusher.sweep(BUDGET).await;
    assert_eq!(world.told(["Visits", "VisitsFlushed", "FlushFailures"]), [2, 2, 1]);
}

#[tokio::test]
async fn a_full_buffer_refuses_new_pages_and_keeps_what_it_took() {
    let world = world_of(&["a", "b"], 2);
    (0..2).for_each(|shard| world.store.set_down(shard, Some(Fault::Unreachable)));
    world.visit_on([0]);
    world.flush().await;
    world.visit(&world.page_of(0, 1));
    let refused = world.flusher.record(world.page_of(0, 2));
    assert!(matches!(refused, Err(RecordError::Full { retry_after }) if retry_after > Duration::ZERO));
    world.visit(&world.page_of(0, 1));
    world.store.set_down(0, None);
    world.pass(60);
    assert_eq!(world.flush().await.visits, 3);
    world.visit(&world.page_of(0, 2));
}

/// By the sweep, or by a visit of another shard after a freeze.
#[tokio::test]
async fn an_environment_without_a_new_visit_of_a_shard_heals_what_it_lost_and_tells_it_once() {
    for swept in [true, false] {
        let world = world();
        world.store.save(0);
        world.visit_on([0, 0]);
        world.flush().await;
        world.store.crash(0);
        world.time.freeze(Duration::from_mins(10));
        let report = if swept {
            world.flusher.sweep(BUDGET).await
        } else {
            world.visit_on([1]);
            world.flush().await
        };
        assert_eq!((report.visits_healing, report.visits_lost, report.visits_held), (2, 0, 0), "{swept}");
        assert!(!report.unregistered, "sent again, it is to be confirmed again");
        assert_eq!(world.store.sum(&world.page_of(0, 0)), 2, "{swept}");
        assert_eq!(world.told(["Gaps", "Healed", "VisitsLost"]), [1, 2, 0]);
        assert_eq!(world.told(["VisitsFlushed"]), world.told(["Visits"]), "{swept}");
    }
}

#[tokio::test]
async fn a_swept_environment_with_nothing_left_is_no_more_swept() {
    let world = world();
    let nothing = world.flusher.sweep(BUDGET).await;
    assert_eq!(nothing, FlushReport { unregistered: true, ..FlushReport::default() }, "no visit, no writer");
    assert_eq!(world.store.calls(0) + world.store.calls(1), 0);
    world.visit_on([0]);
    let first = world.flusher.sweep(BUDGET).await;
    assert_eq!((first.visits, first.unconfirmed, first.unregistered), (1, 1, false));
    assert_eq!(world.store.listed(0), 1);
    world.pass(60);
    let second = world.flusher.sweep(BUDGET).await;
    assert_eq!((second.unconfirmed, second.unregistered, second.writer), (0, true, first.writer));
    assert_eq!(world.store.listed(0), 0);
    // Its next visit goes out at once, without waiting for an interval, and lists it again.
    world.visit_on([0]);
    assert_eq!((world.flush().await.visits, world.store.listed(0)), (1, 1));
    assert_eq!(world.store.sum(&world.page_of(0, 0)), 2);
}

#[tokio::test]
async fn a_sweep_does_not_wait_for_a_pause() {
    let world = world();
    world.store.fail_next(0, [Some(Fault::Unreachable)]);
    world.visit_on([0]);
    world.flush().await;
    assert_eq!(world.flusher.sweep(BUDGET).await.visits, 1);
}

#[tokio::test]
async fn direct_visits_are_in_their_shard_before_they_are_acknowledged_and_those_that_wait_share_the_next_call() {
    let world = world();
    let page = world.page_of(0, 0);
    let visits = (0..64).map(|_| world.flusher.record_direct(page.clone()));
    let outcomes = join_all(visits).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!((world.store.sum(&page), world.store.calls(0)), (64, 2));
}

#[tokio::test]
async fn direct_visits_are_told_once_an_interval() {
    let world = world();
    for _ in 0..300 {
        world.flusher.record_direct(world.page_of(0, 0)).await.unwrap();
        world.flusher.flush_if_due(BUDGET).await;
    }
    assert_eq!(world.lines(), 1);
    world.flusher.sweep(BUDGET).await;
    assert_eq!(world.told(["Visits", "VisitsFlushed", "Batches"]), [300, 300, 300]);
    assert!(world.line()["RedisLatency"].as_array().unwrap().len() <= 100);
}

/// Where no copy can be parked.
#[tokio::test]
async fn a_direct_visit_is_kept_if_it_is_not_confirmed_and_refused_while_its_shard_pauses() {
    let world = world();
    let page = world.page_of(0, 0);
    world.store.set_down(1, Some(Fault::Unreachable));
    for fault in [Fault::AnswerLost, Fault::Unreachable] {
        world.store.fail_next(0, [Some(fault)]);
        let outcome = world.flusher.record_direct(page.clone()).await;
        assert!(matches!(outcome, Err(RecordError::NotConfirmed)), "{fault:?}: {outcome:?}");
        let refused = world.flusher.record_direct(page.clone()).await;
        assert!(matches!(refused, Err(RecordError::Unavailable { .. })), "{fault:?}: {refused:?}");
        world.pass(1);
    }
    world.flusher.record_direct(page.clone()).await.unwrap();
    assert_eq!(world.store.sum(&page), 3, "the refused ones are not counted");
    // The followers of a call that fails are told so.
    world.store.fail_next(0, [None, Some(Fault::AnswerLost)]);
    let visits = (0..10).map(|_| world.flusher.record_direct(page.clone()));
    let outcomes = join_all(visits).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(outcomes.iter().skip(1).all(|outcome| matches!(outcome, Err(RecordError::NotConfirmed))));
}

#[tokio::test]
async fn bad_pages_cost_no_other_and_a_flush_names_twenty_of_all_shards_and_how_many_more_there_were() {
    let world = world();
    let good = world.page_of(0, 100);
    world.visit(&good);
    for (shard, n) in (0..2).flat_map(|shard| (0..100).map(move |n| (shard, n))) {
        let page = world.page_of(shard, n);
        world.visit(&page);
        world.store.break_page(shard, page);
    }
    let logs = test_support::Logs::capture();
    let report = world.flush().await;
    assert_eq!((report.visits, report.visits_rejected, report.visits_held), (201, 200, 0));
    assert_eq!((world.store.sum(&world.page_of(0, 0)), world.store.sum(&good)), (0, 1));
    assert_eq!(logs.text().matches("cannot be counted up").count(), 20);
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
    let report = world.flush().await;
    assert_eq!((report.visits_refused, report.visits_rejected, report.visits_lost), (49, 0, 0));
    assert_eq!(world.told(["VisitsLost"]), [0], "no alarm");
    let text = logs.text();
    assert_eq!((text.matches("visits_refused=49").count(), text.matches("ERROR").count()), (1, 0), "{text}");
    assert!(pages.iter().all(|page| !text.contains(page.as_str())), "{text}");
}

#[tokio::test]
async fn a_poisoned_lock_costs_no_visit() {
    let world = world();
    world.visit_on([0]);
    let flusher = Arc::clone(&world.flusher);
    let panicked = std::thread::spawn(move || {
        let _state = flusher.state.lock().unwrap();
        panic!("on purpose, with the lock held");
    });
    panicked.join().unwrap_err();
    assert!(world.flusher.state.is_poisoned());
    world.visit_on([0]);
    assert_eq!(world.flush().await.visits, 2);
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

mod parking;
mod statistics;
