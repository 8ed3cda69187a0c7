use super::*;
use crate::clock::{ManualClock, Timing};
use crate::flusher::{Flusher, Limits};
use crate::tests::{Fault, Shards, page};
use std::sync::{Arc, Mutex};

const INTERVAL: Duration = Duration::from_secs(30);

/// Environments that Lambda routes to: an order goes to an idle one, and while it holds, to another.
struct Fleet {
    environments: Vec<Flusher<RedisStore>>,
    idle: Mutex<Vec<usize>>,
    orders: Mutex<Vec<FlushOrder>>,
}

struct World {
    fleet: Fleet,
    store: Shards,
    ring: Ring,
    time: ManualClock,
}

fn world(environments: usize) -> World {
    let (time, store) = (ManualClock::new(), Shards::new(2));
    let ring = store.ring();
    // A minute of Redis' own clock takes 60 ms.
    let timing = Timing { confirm_after: Duration::from_millis(60), ..Timing::REAL };
    let limits = Limits { interval: INTERVAL, pages: 10_000, timing, days: true };
    let environment = |_| Flusher::new(Arc::clone(store.store()), ring.clone(), time.clock(), limits);
    let fleet = Fleet {
        environments: (0..environments).map(environment).collect(),
        idle: Mutex::new((0..environments).collect()),
        orders: Mutex::default(),
    };
    World { fleet, store, ring, time }
}

impl Environments for Fleet {
    async fn prepare(&self, _: usize) {}

    async fn flush(&self, order: FlushOrder) -> Result<FlushReport, InvokeError> {
        self.orders.lock().unwrap().push(order);
        let idle = self.idle.lock().unwrap().pop();
        // None idle: Lambda starts a new one, which has had no visit.
        let Some(index) = idle else { return Ok(FlushReport::default()) };
        let report = self.environments[index].sweep(Duration::from_secs(5)).await;
        if order.hold_until > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.idle.lock().unwrap().push(index);
        Ok(report)
    }
}

impl World {
    fn settings(concurrency: usize) -> Settings {
        Settings { interval: INTERVAL, concurrency, budget: Duration::from_secs(30).into() }
    }

    async fn sweep(&self, concurrency: usize) -> Summary {
        sweep(self.store.store(), &self.ring, &self.fleet, &self.time.clock(), Self::settings(concurrency)).await
    }

    /// Every environment takes a visit that goes out at once, and one that it keeps.
    async fn leave_a_visit_behind(&self) {
        for environment in &self.fleet.environments {
            environment.record(page("home")).unwrap();
            environment.flush_if_due(Duration::from_secs(5)).await.unwrap();
            environment.record(page("home")).unwrap();
        }
    }

    /// Lets time pass for all.
    fn pass(&self, time: Duration) {
        self.time.advance(time);
        self.store.pass(time);
    }

    fn counted(&self) -> u64 {
        self.store.sum(&page("home"))
    }
}

#[tokio::test]
async fn idle_environments_push_what_they_hold_in_a_round_that_shares_one_moment_and_others_are_left_alone() {
    let world = world(5);
    world.leave_a_visit_behind().await;
    world.pass(INTERVAL.saturating_sub(Duration::from_secs(1)));
    assert_eq!(world.sweep(5).await, Summary::default());
    assert!(world.fleet.orders.lock().unwrap().is_empty() && world.counted() == 5);
    world.pass(Duration::from_secs(1));
    let summary = world.sweep(5).await;
    assert_eq!((summary.writers_known, summary.writers_answered, summary.rounds), (5, 5, 1));
    assert_eq!((summary.visits_flushed, world.counted()), (5, 10));
    let hold_until = world.time.clock().now().epoch_millis() + 1_000;
    assert_eq!(*world.fleet.orders.lock().unwrap(), [FlushOrder { hold_until }; 5]);
}

#[tokio::test]
async fn an_idle_site_is_not_kept_warm_and_its_settled_sets_are_removed_after_an_hour() {
    let world = world(3);
    world.leave_a_visit_behind().await;
    let mut done = Vec::new();
    for minutes in [1, 1, 1, 58, 1] {
        world.pass(Duration::from_mins(minutes));
        tokio::time::sleep(Duration::from_millis(61)).await;
        let summary = world.sweep(5).await;
        done.push((summary.invocations, summary.sets_removed));
    }
    assert_eq!(done, [(3, 0), (3, 0), (0, 0), (0, 0), (0, 3)], "one to push, one to confirm a minute later");
}

#[tokio::test]
async fn more_writers_than_at_once_are_swept_in_rounds() {
    let world = world(4);
    world.leave_a_visit_behind().await;
    world.pass(INTERVAL);
    // The fleet gives the next order to the environment that was idle last: the same two each round, if nothing held them.
    let summary = world.sweep(3).await;
    assert!(summary.rounds >= 2, "{summary:?}");
    assert_eq!(summary.writers_known, 4);
}

#[tokio::test]
async fn writers_that_are_gone_end_the_sweep_after_three_rounds() {
    let world = world(2);
    world.leave_a_visit_behind().await;
    world.fleet.idle.lock().unwrap().clear();
    world.pass(INTERVAL);
    let summary = world.sweep(5).await;
    assert_eq!((summary.writers_known, summary.writers_answered, summary.rounds), (2, 0, 3));
    // Three hours on they are taken off the list: this sweep still tries, then forgets them.
    world.pass(Duration::from_hours(3));
    assert_eq!(world.sweep(5).await.writers_known, 2);
    assert_eq!(world.sweep(5).await.writers_known, 0);
}

#[tokio::test]
async fn a_shard_that_is_down_is_reported_and_the_others_are_swept() {
    let world = world(1);
    let home = world.ring.owner("home");
    world.leave_a_visit_behind().await;
    world.pass(INTERVAL);
    world.store.set_down(1 - home, Some(Fault::Unreachable));
    let summary = world.sweep(5).await;
    assert_eq!((summary.writers_answered, summary.visits_flushed), (1, 1));
    assert_eq!(summary.shards_failed, 2, "neither listed nor tidied");
}

#[test]
fn an_order_holds_an_environment_two_seconds_at_most() {
    let now = Moment::new(Duration::ZERO, Duration::from_secs(1_000));
    let hold = |hold_until| FlushOrder { hold_until }.hold(now);
    assert_eq!(hold(1_000_400), Duration::from_millis(400));
    assert_eq!(hold(0), Duration::ZERO);
    assert_eq!(hold(u64::MAX), LONGEST_HOLD);
}

#[test]
fn only_an_order_to_flush_is_taken_for_one() {
    let order = |text: &str| {
        let event: serde_json::Value = serde_json::from_str(text).unwrap();
        let others = event.as_object().is_some_and(|members| members.keys().any(|name| name != "flush"));
        FlushOrder::parse(event.get("flush").cloned(), !others)
    };
    assert_eq!(order(r#"{"flush":{}}"#).unwrap().hold_until, 0);
    assert_eq!(order(r#"{"flush":{"hold_until":12}}"#).unwrap().hold_until, 12);
    // A newer flush-visits may say more.
    assert_eq!(order(r#"{"flush":{"hold_until":12,"reason":"x"}}"#).unwrap().hold_until, 12);
    let hostile = [
        "[]",
        "null",
        "{}",
        "7",
        "\"flush\"",
        r#"{"flush":null}"#,
        r#"{"flush":{"hold_until":-1}}"#,
        r#"{"flush":{"hold_until":1e30}}"#,
        r#"{"flush":{"hold_until":"1"}}"#,
        r#"{"flush":{},"httpMethod":"POST"}"#,
        r#"{"flush":[1]}"#,
    ];
    for text in hostile {
        let error = order(text).unwrap_err().to_string();
        assert!(error.contains(r#"{"flush":{"hold_until":<milliseconds since 1970>}} is accepted"#), "{text}: {error}");
    }
}

#[test]
fn reports_of_older_and_newer_environments_are_read() {
    let report: FlushReport = serde_json::from_str(r#"{"visits":3,"held_since":[1,{}]}"#).unwrap();
    assert_eq!(report, FlushReport { visits: 3, ..FlushReport::default() });
    assert_eq!(serde_json::from_str::<FlushReport>("{}").unwrap(), FlushReport::default());
}

#[tokio::test]
async fn a_silent_shard_leaves_time_for_the_writers_that_others_list_and_the_sweep_ends_in_time() {
    let world = world(1);
    let home = world.ring.owner("home");
    world.leave_a_visit_behind().await;
    world.pass(INTERVAL);
    world.store.set_down(1 - home, Some(Fault::Mute));
    let settings = Settings { budget: Budget::within(Duration::from_millis(900)), ..World::settings(5) };
    let began = std::time::Instant::now();
    let summary = sweep(world.store.store(), &world.ring, &world.fleet, &world.time.clock(), settings).await;
    assert_eq!((summary.writers_known, summary.rounds, world.counted()), (1, 1, 2), "{summary:?}");
    assert!(began.elapsed() <= Duration::from_millis(1_500), "{:?}", began.elapsed());
}
