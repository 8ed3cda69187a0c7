mod fuzz;

use super::*;
use serde_json::json;
use std::sync::{Arc, Mutex};
use visits_core::batch::{Batch, Increment, Sequence, SiteIncrement, WriterId};
use visits_core::clock::ManualClock;
use visits_core::day::Day;
use visits_core::flusher::{FlushReport, Flusher, Limits};
use visits_core::page::PageId;
use visits_core::shard::Weight;
use visits_core::store::memory::{Fault, MemoryStore};
use visits_core::store::rollup::Sketch;
use visits_core::store::{Apply, Ledger, Standing};
use visits_core::sweep::{FlushOrder, InvokeError, Summary};
use visits_core::telemetry::metrics::Metrics;
use visits_core::visit::{Secret, Visitor};

const SCHEDULE: &str = include_str!("../../../../shared/tests/fixtures/aws/example-eventbridge-schedule.json");

/// One environment of `record-visit`, always reached.
#[derive(Clone)]
struct One {
    flusher: Arc<Flusher<MemoryStore>>,
    orders: Arc<Mutex<Vec<FlushOrder>>>,
}

impl Environments for One {
    async fn prepare(&self, _: usize) {}

    async fn flush(&self, order: FlushOrder) -> Result<FlushReport, InvokeError> {
        self.orders.lock().unwrap().push(order);
        Ok(self.flusher.sweep(Duration::from_secs(5)).await)
    }
}

struct World {
    handler: Handler<MemoryStore, One>,
    one: One,
    store: MemoryStore,
    time: ManualClock,
}

fn page(id: &str) -> PageId {
    PageId::from_decoded(id).unwrap()
}

/// An environment that has flushed once and holds one more visit.
async fn world() -> World {
    let config = Config::from_vars(|_| None).unwrap();
    let time = ManualClock::new();
    let store = MemoryStore::new(2, time.clock());
    let flusher = Flusher::new(Arc::new(store.clone()), config.ring(), time.clock(), Limits::from(&config));
    for _ in 0..2 {
        flusher.record(PageId::from_decoded("home").unwrap()).unwrap();
        flusher.flush_if_due(Duration::from_secs(5)).await;
    }
    let one = One { flusher: Arc::new(flusher), orders: Arc::default() };
    let handler = Handler::new(store.clone(), one.clone(), &config, time.clock());
    World { handler, one, store, time }
}

#[tokio::test]
async fn a_schedules_event_sweeps_who_has_been_idle_for_an_interval() {
    let world = world().await;
    let schedule = serde_json::from_str(SCHEDULE).unwrap();
    assert_eq!(world.handler.handle(&schedule, 0).await.unwrap().sweep, Summary::default());
    world.time.advance(Duration::from_secs(30));
    let summary = world.handler.handle(&schedule, 0).await.unwrap().sweep;
    let expected =
        Summary { writers_known: 1, writers_answered: 1, visits_flushed: 1, rounds: 1, invocations: 1, ..summary };
    assert_eq!(summary, expected);
}

#[tokio::test]
async fn an_empty_event_sweeps_everybody_at_once() {
    let world = world().await;
    assert_eq!(world.handler.handle(&json!({}), 0).await.unwrap().sweep.visits_flushed, 1);
}

#[tokio::test]
async fn what_is_parked_is_delivered_and_both_summaries_are_one_answer() {
    let world = world().await;
    let page = PageId::from_decoded("home").unwrap();
    let owner = world.handler.ring.owner(page.as_str());
    world.store.set_down(owner, Some(Fault::Unreachable));
    world.one.flusher.sweep(Duration::from_secs(5)).await;
    world.store.set_down(owner, None);
    let report = world.handler.handle(&json!({}), 0).await.unwrap();
    assert_eq!((report.delivery.visits_delivered, report.delivery.copies_tried), (1, 1));
    let answer = serde_json::to_value(report).unwrap();
    let figures = ["writers_known", "writers_answered", "visits_flushed", "rounds", "sets_removed"];
    let deliveries = ["copies_tried", "visits_delivered", "copies_removed", "copies_set_aside", "owners_waiting"];
    for figure in figures.iter().chain(&deliveries) {
        assert!(answer[figure].is_u64(), "{figure} of {answer}");
    }
}

#[tokio::test]
async fn a_run_tells_what_was_delivered_how_old_the_oldest_copy_is_and_how_full_the_fullest_server() {
    let mut world = world().await;
    let config = Config::from_vars(|name| (name == "VISITS_METRICS").then(|| "VisitCounter".into())).unwrap();
    let lines = Arc::new(Mutex::new(Vec::<serde_json::Value>::new()));
    let write = {
        let lines = Arc::clone(&lines);
        move |line: &str| lines.lock().unwrap().push(serde_json::from_str(line).unwrap())
    };
    let metrics = Metrics::to(config.metrics.clone().unwrap(), world.time.clock(), write);
    world.handler = world.handler.with_metrics(metrics);
    let figures = |line: usize| {
        let line = lines.lock().unwrap()[line].clone();
        ["Delivered", "ParkedAge", "RedisMemory", "FlushFailures"].map(|metric| line[metric].as_u64())
    };
    world.store.set_memory_percent(1, 7);
    world.store.set_memory_percent(0, 93);
    let owner = world.handler.ring.owner("home");
    world.store.set_down(owner, Some(Fault::Unreachable));
    world.one.flusher.sweep(Duration::from_secs(5)).await;
    world.time.advance(Duration::from_secs(90));
    world.handler.handle(&json!({}), 0).await.unwrap();
    let [delivered, age, memory, failures] = figures(0);
    assert_eq!((delivered, age, memory), (None, Some(90), Some(93)));
    assert!(failures.is_some_and(|failures| failures > 0));
    world.store.set_down(owner, None);
    world.handler.handle(&json!({}), 0).await.unwrap();
    assert_eq!(figures(1), [Some(1), Some(0), Some(93), None]);
}

#[tokio::test]
async fn pages_of_another_ring_are_brought_home_and_the_answer_says_how_far_that_is() {
    let world = world().await;
    let report = world.handler.handle(&json!({}), 0).await.unwrap();
    assert!(report.rehome.ring_settled, "{report:?}");
    let page = PageId::from_decoded("home").unwrap();
    let other = 1 - world.handler.ring.owner(page.as_str());
    let batch = Batch::seal(Sequence::FIRST, vec![(page, 1)], world.time.clock().now());
    let batches = vec![(Arc::new(batch), Duration::ZERO)];
    let (writer, base) = (WriterId::from_u128(7), Sequence::FIRST);
    let misplaced = Apply { writer, base, batches, standing: Standing::Gone, ring: None };
    world.store.apply(other, &misplaced).await.unwrap();
    let answer = serde_json::to_value(world.handler.handle(&json!({}), 0).await.unwrap()).unwrap();
    assert_eq!((&answer["ring_settled"], &answer["pages_taken"]), (&json!(false), &json!(1)), "{answer}");
}

#[tokio::test]
async fn a_finished_day_is_rolled_up_and_the_answer_says_so() {
    let world = world().await;
    let day = Day::of(world.time.clock().now());
    let increment = Increment { visitors: vec![Visitor(1), Visitor(2)], ..(page("home"), 2).into() };
    let now = world.time.clock().now();
    let batch = Batch::of_day(Sequence::FIRST, Some(day), vec![increment], SiteIncrement::default(), now);
    let batches = vec![(Arc::new(batch), Duration::ZERO)];
    let (writer, base) = (WriterId::from_u128(7), Sequence::FIRST);
    let call = Apply { writer, base, batches, standing: Standing::Gone, ring: None };
    let owner = world.handler.ring.owner("home");
    world.store.apply(owner, &call).await.unwrap();
    world.store.secret(owner, day, Secret::random().unwrap()).await.unwrap();
    world.handler.handle(&json!({}), 0).await.unwrap();
    assert_eq!(world.store.sketches_on(owner).len(), 1);
    world.time.advance(Duration::from_hours(26));
    let answer = serde_json::to_value(world.handler.handle(&json!({}), 0).await.unwrap()).unwrap();
    let figures = [("sketches_counted", 1), ("secrets_destroyed", 1), ("rollup_calls_failed", 0)];
    for (figure, value) in figures {
        assert_eq!(answer[figure], json!(value), "{figure} of {answer}");
    }
    assert_eq!(answer["days_rolled_up"], json!(true), "{answer}");
    let home = Sketch { day, page: Some(page("home")) };
    assert_eq!((world.store.day_count(owner, &home).visitors, world.store.sketches_on(owner).len()), (2, 0));
}

#[tokio::test]
async fn a_shard_removed_too_early_is_an_error_once_all_else_is_done() {
    let world = world().await;
    let shard = |name: &str| (name.parse().unwrap(), Weight::default());
    world.store.settle_all(&Ring::new(["redis_7070", "redis_7071", "redis_7072"].map(shard)).unwrap());
    let error = world.handler.handle(&json!({}), 0).await.unwrap_err().to_string();
    assert!(error.contains("does not name redis_7072") && error.contains(";weight=0"), "{error}");
    assert_eq!(world.one.orders.lock().unwrap().len(), 1);
}

impl World {
    /// The deadline of an invocation with so many seconds left.
    fn deadline(&self, seconds: u64) -> u64 {
        self.time.clock().now().epoch_millis() + seconds * 1_000
    }

    /// Has a copy of one visit parked, and its owner back.
    async fn park_one(&self) {
        let owner = self.handler.ring.owner("home");
        self.store.set_down(owner, Some(Fault::Unreachable));
        self.one.flusher.sweep(Duration::from_secs(5)).await;
        self.store.set_down(owner, None);
    }
}

#[tokio::test]
async fn each_step_is_taken_within_a_timeout_of_4_to_900_seconds() {
    for seconds in [4, 10, 15, 50, 60, 900] {
        let world = world().await;
        world.park_one().await;
        let report = world.handler.handle(&json!({}), world.deadline(seconds)).await.unwrap();
        assert_eq!((report.delivery.visits_delivered, report.delivery.owners_waiting), (1, 0), "{seconds} s");
        assert_eq!((report.sweep.writers_known, report.sweep.rounds), (1, 1), "{seconds} s");
        assert!(report.rehome.ring_settled && report.rollup.days_rolled_up, "{seconds} s");
    }
}

#[tokio::test]
async fn a_run_with_too_little_time_is_an_error_that_says_what_to_set_and_begins_nothing() {
    let world = world().await;
    world.park_one().await;
    for seconds in 0..=3 {
        let error = world.handler.handle(&json!({}), world.deadline(seconds)).await.unwrap_err().to_string();
        assert!(error.contains("needs more than 3s") && error.contains("timeout to 60 s"), "{error}");
    }
    assert_eq!((world.store.copies(), world.one.orders.lock().unwrap().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_silent_shard_keeps_no_step_beyond_its_share_and_the_run_ends_before_its_deadline() {
    for seconds in [4, 10, 60] {
        let world = world().await;
        let home = world.handler.ring.owner("home");
        world.store.set_down(1 - home, Some(Fault::Mute));
        let time = world.time.clone();
        let clock = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                time.advance(Duration::from_millis(1));
            }
        });
        let began = tokio::time::Instant::now();
        let report = world.handler.handle(&json!({}), world.deadline(seconds)).await.unwrap();
        clock.abort();
        let most = Duration::from_secs(seconds) * 4 / 5 + Duration::from_millis(10);
        assert!(began.elapsed() <= most, "{:?} of {seconds} s", began.elapsed());
        assert_eq!((report.sweep.rounds, report.sweep.shards_failed > 0), (1, true), "{seconds} s: {report:?}");
    }
}

#[test]
fn a_fifth_of_the_time_at_most_15_seconds_stays_free() {
    let now = ManualClock::new().clock().now();
    let of = |seconds: u64| RunTime::new(now, now.epoch_millis() + seconds * 1_000).unwrap();
    for (seconds, steps) in [(4, 3_200), (10, 8_000), (30, 24_000), (60, 30_000), (900, 30_000)] {
        assert_eq!(of(seconds).steps.as_millis(), steps, "{seconds}");
    }
    assert_eq!((of(60).reserve.as_secs(), of(900).reserve.as_secs()), (12, 15));
    assert_eq!(of(10).until(6, now).whole().as_millis(), 8_000);
    // The emulator's deadline is in 1970.
    assert_eq!(RunTime::new(now, 600_000).unwrap().steps, LONGEST);
}

#[tokio::test]
async fn other_events_are_refused_with_what_is_accepted() {
    let world = world().await;
    for event in [json!(null), json!([]), json!(7), json!("{}"), json!({"flush": {}}), json!({"httpMethod": "GET"})] {
        let error = world.handler.handle(&event, 0).await.unwrap_err().to_string();
        assert!(error.contains("takes the event of an EventBridge schedule, or {}"), "{event}: {error}");
    }
    assert!(world.one.orders.lock().unwrap().is_empty());
}
