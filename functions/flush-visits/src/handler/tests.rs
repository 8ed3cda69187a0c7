mod fuzz;

use super::*;
use redis::Commands;
use serde_json::json;
use std::sync::Mutex;
use std::time::Instant;
use test_support::RedisServer;
use visits_core::clock::ManualClock;
use visits_core::flusher::{Flusher, Limits};
use visits_core::report::FlushReport;
use visits_core::store::{Apply, Ledger, WriterStatus};
use visits_core::sweep::{FlushOrder, InvokeError, Summary};
use visits_core::tests::{Fault, Shards, metrics, page, visit};

const SCHEDULE: &str = include_str!("../../../../shared/tests/fixtures/aws/example-eventbridge-schedule.json");

/// One environment of `record-visit`, always reached.
#[derive(Clone)]
struct One {
    flusher: Arc<Flusher<RedisStore>>,
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
    handler: Handler<One>,
    one: One,
    shards: Shards,
    time: ManualClock,
}

/// An environment that has flushed once and holds one more visit.
async fn world() -> World {
    let time = ManualClock::new();
    let (handler, one, shards) = with_clock(time.clock()).await;
    World { handler, one, shards, time }
}

async fn with_clock(clock: Clock) -> (Handler<One>, One, Shards) {
    let shards = Shards::new(2);
    let (store, config) = (shards.store(), shards.config());
    let flusher = Flusher::new(Arc::clone(store), config.ring(), clock.clone(), Limits::from(config));
    for _ in 0..2 {
        flusher.record(page("home")).unwrap();
        flusher.flush_if_due(Duration::from_secs(5)).await;
    }
    let one = One { flusher: Arc::new(flusher), orders: Arc::default() };
    (Handler::new(Arc::clone(store), one.clone(), config, clock), one, shards)
}

impl World {
    /// The shard of the page `home`.
    fn owner(&self) -> usize {
        self.handler.ring.owner("home")
    }

    /// Lets this time pass for the function, and for what the shards know of writers.
    fn pass(&self, time: Duration) {
        self.time.advance(time);
        self.shards.pass(time);
    }

    /// The deadline of an invocation with so many seconds left.
    fn deadline(&self, seconds: u64) -> u64 {
        self.time.clock().now().epoch_millis() + seconds * 1_000
    }

    /// Has a copy of one visit parked, and its owner back.
    async fn park_one(&self) {
        let owner = self.owner();
        self.shards.set_down(owner, Some(Fault::Unreachable));
        self.one.flusher.sweep(Duration::from_secs(5)).await;
        self.shards.set_down(owner, None);
    }

    async fn run(&self) -> Report {
        self.handler.handle(&json!({}), 0).await.unwrap()
    }

    /// The answer of a run.
    async fn answer(&self) -> Value {
        serde_json::to_value(self.run().await).unwrap()
    }
}

#[tokio::test]
async fn a_schedules_event_sweeps_the_writers_idle_for_an_interval_and_an_empty_one_all_at_once() {
    assert_eq!(world().await.run().await.sweep.visits_flushed, 1);
    let world = world().await;
    let schedule = serde_json::from_str(SCHEDULE).unwrap();
    assert_eq!(world.handler.handle(&schedule, 0).await.unwrap().sweep, Summary::default());
    world.pass(Duration::from_secs(30));
    let summary = world.handler.handle(&schedule, 0).await.unwrap().sweep;
    let expected =
        Summary { writers_known: 1, writers_answered: 1, visits_flushed: 1, rounds: 1, invocations: 1, ..summary };
    assert_eq!(summary, expected);
}

#[tokio::test]
async fn a_run_tells_what_was_delivered_and_how_old_the_oldest_copy_is() {
    let mut world = world().await;
    let (metrics, lines) = metrics(world.time.clock());
    world.handler = world.handler.with_metrics(metrics);
    let figures = |line: usize| {
        let line = lines.lock().unwrap()[line].clone();
        ["Delivered", "ParkedAge", "RedisMemory", "FlushFailures"].map(|metric| line[metric].as_u64())
    };
    let owner = world.owner();
    for shard in [owner, 1 - owner] {
        world.shards.set_down(shard, Some(Fault::Unreachable));
    }
    world.one.flusher.sweep(Duration::from_secs(5)).await;
    world.shards.set_down(1 - owner, None);
    world.time.advance(Duration::from_secs(90));
    world.one.flusher.sweep(Duration::from_secs(5)).await;
    world.run().await;
    let [delivered, age, memory, failures] = figures(0);
    assert_eq!((delivered, age, memory), (None, Some(90), None));
    assert!(failures.is_some_and(|failures| failures > 0));
    world.shards.set_down(owner, None);
    world.run().await;
    assert_eq!(figures(1), [Some(1), Some(0), None, None]);
}

#[tokio::test]
async fn a_run_tells_how_full_the_fullest_server_is() {
    let [small, large] = ["16mb", "1gb"].map(|size| RedisServer::builder().option("maxmemory", size).start());
    let endpoints = format!("a={},b={}", large.url(), small.url());
    let config = Config::from_vars(|name| (name == "REDIS_ENDPOINTS").then(|| endpoints.as_str().into())).unwrap();
    let (store, time) = (Arc::new(RedisStore::new(&config).unwrap()), ManualClock::new());
    let flusher = Arc::new(Flusher::new(Arc::clone(&store), config.ring(), time.clock(), Limits::from(&config)));
    let (metrics, lines) = metrics(time.clock());
    let one = One { flusher, orders: Arc::default() };
    let handler = Handler::new(store, one, &config, time.clock()).with_metrics(metrics);
    handler.handle(&json!({}), 0).await.unwrap();
    let line = lines.lock().unwrap()[0].clone();
    assert!((1..50).contains(&line["RedisMemory"].as_u64().unwrap()), "{line}");
}

#[tokio::test]
async fn pages_of_another_ring_are_brought_home_and_the_answer_says_how_far_that_is() {
    let world = world().await;
    let report = world.run().await;
    assert!(report.rehome.ring_settled, "{report:?}");
    let other = 1 - world.owner();
    let misplaced = Apply { status: WriterStatus::Gone, ..visit() };
    world.shards.store().apply(other, &misplaced).await.unwrap();
    let answer = world.answer().await;
    assert_eq!((&answer["ring_settled"], &answer["pages_taken"]), (&json!(false), &json!(1)), "{answer}");
}

#[tokio::test]
async fn a_finished_day_is_rolled_up_and_the_answer_says_so() {
    let world = world().await;
    let key = |name: &str| world.shards.key(world.owner(), name);
    let mut redis = world.shards.connect();
    let _: bool = redis.pfadd(key("visitors:2023-11-14:home"), &[1, 2]).unwrap();
    let _: () = redis.set(key("secret:2023-11-14"), "a secret").unwrap();
    world.run().await;
    assert_eq!(redis.exists(key("visitors:2023-11-14:home")), Ok(true));
    world.time.advance(Duration::from_hours(26));
    let answer = world.answer().await;
    let figures = [("sketches_counted", 1), ("secrets_destroyed", 1), ("rollup_calls_failed", 0)];
    for (figure, value) in figures {
        assert_eq!(answer[figure], json!(value), "{figure} of {answer}");
    }
    assert_eq!(answer["days_rolled_up"], json!(true), "{answer}");
    assert_eq!(redis.hget(key("days:2023-11:home"), "14u"), Ok(2));
}

#[tokio::test]
async fn a_shard_removed_too_early_is_an_error_once_all_else_is_done() {
    let world = world().await;
    let _: u64 = world.shards.connect().hset(world.shards.key(0, "shard"), "members", "a,b,c").unwrap();
    let error = world.handler.handle(&json!({}), 0).await.unwrap_err().to_string();
    assert!(error.contains("does not name c") && error.contains(";weight=0"), "{error}");
    assert_eq!(world.one.orders.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn each_step_is_taken_within_a_timeout_of_4_to_900_seconds_and_is_in_the_answer() {
    for seconds in [4, 10, 15, 50, 60, 900] {
        let world = world().await;
        world.park_one().await;
        let report = world.handler.handle(&json!({}), world.deadline(seconds)).await.unwrap();
        assert_eq!((report.delivery.visits_delivered, report.delivery.owners_waiting), (1, 0), "{seconds} s");
        assert_eq!((report.sweep.writers_known, report.sweep.rounds), (1, 1), "{seconds} s");
        assert!(report.rehome.ring_settled && report.rollup.days_rolled_up, "{seconds} s");
        let answer = serde_json::to_value(report).unwrap();
        let sweep = ["writers_known", "writers_answered", "visits_flushed", "rounds", "sets_removed"];
        let delivery = ["copies_tried", "visits_delivered", "copies_removed", "copies_set_aside", "owners_waiting"];
        for figure in sweep.iter().chain(&delivery) {
            assert!(answer[figure].is_u64(), "{figure} of {answer}");
        }
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
    assert_eq!((world.shards.copies(), world.one.orders.lock().unwrap().len()), (1, 0));
}

#[tokio::test]
async fn a_silent_shard_keeps_no_step_beyond_its_share_and_the_run_ends_before_its_deadline() {
    let (handler, _, shards) = with_clock(Clock::system()).await;
    shards.set_down(1 - handler.ring.owner("home"), Some(Fault::Mute));
    let (began, seconds) = (Instant::now(), 4);
    let deadline = Clock::system().now().epoch_millis() + seconds * 1_000;
    let report = handler.handle(&json!({}), deadline).await.unwrap();
    let most = Duration::from_secs(seconds) * 4 / 5 + Duration::from_millis(100);
    assert!(began.elapsed() <= most, "{:?}", began.elapsed());
    assert_eq!((report.sweep.rounds, report.sweep.shards_failed > 0), (1, true), "{report:?}");
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
