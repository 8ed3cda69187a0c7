//! The lines of metrics against what happened: nothing is told twice and nothing is left out, whatever goes wrong.

use super::*;
use crate::config::{Config, MetricsNamespace};
use crate::handoff::deliver;
use crate::telemetry::metrics::Metrics;
use proptest::prelude::*;
use serde_json::Value;

struct Told {
    world: World,
    lines: Arc<Mutex<Vec<Value>>>,
}

fn namespace() -> MetricsNamespace {
    Config::from_vars(|name| (name == "VISITS_METRICS").then(|| "Test".into())).unwrap().metrics.unwrap()
}

fn told() -> Told {
    let world = world();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let write = {
        let lines = Arc::clone(&lines);
        move |line: &str| lines.lock().unwrap().push(serde_json::from_str(line).unwrap())
    };
    let metrics = Metrics::to(namespace(), world.time.clock(), write);
    let flusher = Arc::new(world.another().with_metrics(metrics));
    Told { world: World { flusher, ..world }, lines }
}

impl Told {
    /// A metric's sum over all lines.
    fn sum(&self, metric: &str) -> u64 {
        self.lines.lock().unwrap().iter().filter_map(|line| line[metric].as_u64()).sum()
    }

    fn last(&self) -> Value {
        self.lines.lock().unwrap().last().unwrap().clone()
    }

    async fn flush(&self) -> FlushReport {
        self.world.time.advance(INTERVAL);
        self.world.flusher.sweep(BUDGET).await
    }
}

#[tokio::test]
async fn a_flush_writes_a_line_and_a_visit_none() {
    let told = told();
    let page = told.world.page_of(0, 0);
    for second in 0..90_usize {
        told.world.visit(&page);
        told.world.time.advance(Duration::from_secs(1));
        told.world.flusher.flush_if_due(BUDGET).await;
        assert_eq!(told.lines.lock().unwrap().len(), 1 + second / 30, "second {second}");
    }
    let line = told.last();
    assert_eq!((&line["Visits"], &line["VisitsFlushed"], &line["Batches"]), (&30.into(), &30.into(), &1.into()));
    assert_eq!(line["BufferAge"], 30_000, "the oldest visit came right after the last flush");
    assert_eq!(line["RedisLatency"].as_array().unwrap().len(), 1);
    for quiet in ["DuplicateBatches", "Gaps", "Healed", "Parked", "VisitsLost", "FlushFailures"] {
        assert!(line.get(quiet).is_none(), "{line}");
    }
}

#[tokio::test]
async fn a_lost_answer_makes_a_duplicate_batch_and_no_further_visit() {
    let told = told();
    told.world.store.fail_next(0, [Some(Fault::AnswerLost)]);
    told.world.visit(&told.world.page_of(0, 0));
    told.flush().await;
    assert_eq!((told.sum("FlushFailures"), told.sum("VisitsFlushed"), told.sum("Batches")), (1, 0, 0));
    told.flush().await;
    assert_eq!((told.sum("Batches"), told.sum("DuplicateBatches")), (1, 1));
    assert_eq!((told.sum("Visits"), told.sum("VisitsFlushed")), (1, 1));
}

#[tokio::test]
async fn what_a_shard_loses_is_a_gap_and_when_it_is_there_again_healed_and_flushed_only_once() {
    let told = told();
    let page = told.world.page_of(0, 0);
    told.world.store.save(0);
    told.world.visit(&page);
    told.world.visit(&page);
    told.flush().await;
    told.world.store.crash(0);
    told.world.visit(&page);
    told.flush().await;
    told.flush().await;
    assert_eq!((told.sum("Gaps"), told.sum("Healed"), told.sum("VisitsFlushed")), (1, 2, 3));
    assert_eq!((told.world.store.sum(&page), told.sum("VisitsLost")), (3, 0));
}

#[tokio::test]
async fn while_a_shard_is_down_the_buffers_age_grows_and_copies_are_parked() {
    let told = told();
    told.world.store.set_down(0, Some(Fault::Unreachable));
    told.world.visit(&told.world.page_of(0, 0));
    for interval in 1..=4_u64 {
        told.flush().await;
        assert_eq!(told.last()["BufferAge"], interval * 30_000);
    }
    assert!(told.sum("Parked") >= 1 && told.sum("FlushFailures") >= 4);
    told.world.store.set_down(0, None);
    told.flush().await;
    told.world.visit(&told.world.page_of(1, 0));
    told.flush().await;
    assert_eq!((told.last()["BufferAge"].as_u64(), told.sum("VisitsFlushed")), (Some(30_000), 2));
}

#[tokio::test(start_paused = true)]
async fn visits_that_end_with_their_environment_are_lost_and_told() {
    let told = told();
    for shard in [0, 1] {
        told.world.store.set_down(shard, Some(Fault::Unreachable));
        told.world.visit(&told.world.page_of(shard, 0));
    }
    told.world.flusher.shutdown().await;
    assert_eq!((told.sum("Visits"), told.sum("VisitsFlushed"), told.sum("VisitsLost")), (2, 0, 2));
}

#[tokio::test(start_paused = true)]
async fn what_a_flush_learned_that_was_cut_off_goes_with_the_next_line() {
    let told = told();
    told.world.visit(&told.world.page_of(0, 0));
    told.world.visit(&told.world.page_of(1, 0));
    told.world.store.fail_next(1, [Some(Fault::Mute)]);
    let cut = tokio::time::timeout(Duration::from_millis(5), told.world.flusher.sweep(BUDGET)).await;
    assert!(cut.is_err() && told.lines.lock().unwrap().is_empty());
    told.flush().await;
    assert_eq!((told.sum("Visits"), told.sum("VisitsFlushed"), told.sum("FlushFailures")), (2, 2, 1));
}

#[tokio::test]
async fn direct_visits_are_told_once_an_interval() {
    let told = told();
    for _ in 0..300 {
        told.world.flusher.record_direct(told.world.page_of(0, 0)).await.unwrap();
        told.world.flusher.flush_if_due(BUDGET).await;
    }
    assert_eq!(told.lines.lock().unwrap().len(), 1);
    told.flush().await;
    assert_eq!((told.sum("Visits"), told.sum("VisitsFlushed"), told.sum("Batches")), (300, 300, 300));
    assert!(told.last()["RedisLatency"].as_array().unwrap().len() <= 100);
}

#[derive(Clone, Debug)]
enum Step {
    Visit(usize, usize),
    FlushIfDue,
    Sweep,
    /// A sweep that is given up while a shard is mute.
    Cut(usize),
    Deliver,
    Fail(usize, Fault),
    Save(usize),
    Crash(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![Just(Fault::Unreachable), Just(Fault::AnswerLost), Just(Fault::Mute)];
    prop_oneof![
        8 => (0..2_usize, 0..4_usize).prop_map(|(shard, n)| Step::Visit(shard, n)),
        4 => Just(Step::FlushIfDue),
        2 => Just(Step::Sweep),
        1 => (0..2_usize).prop_map(Step::Cut),
        1 => Just(Step::Deliver),
        3 => (0..2_usize, fault).prop_map(|(shard, fault)| Step::Fail(shard, fault)),
        1 => (0..2_usize).prop_map(Step::Save),
        1 => (0..2_usize).prop_map(Step::Crash),
        4 => (1..90_u64).prop_map(Step::Pass),
    ]
}

impl Told {
    async fn take(&self, step: Step) {
        let World { flusher, store, time, ring } = &self.world;
        match step {
            Step::Visit(shard, n) => self.world.visit(&self.world.page_of(shard, n)),
            Step::FlushIfDue => drop(flusher.flush_if_due(BUDGET).await),
            Step::Sweep => drop(flusher.sweep(BUDGET).await),
            Step::Cut(shard) => {
                store.fail_next(shard, [Some(Fault::Mute)]);
                let _ = tokio::time::timeout(Duration::from_millis(5), flusher.sweep(BUDGET)).await;
            }
            Step::Deliver => {
                // A mute shard in memory is mute for ever, where Redis' client would give up.
                let clock = time.clock();
                let delivery = deliver(store, ring, &clock, Timing::REAL, BUDGET);
                let _ = tokio::time::timeout(BUDGET, delivery).await;
            }
            Step::Fail(shard, fault) => store.fail_next(shard, [Some(fault)]),
            Step::Save(shard) => store.save(shard),
            Step::Crash(shard) => store.crash(shard),
            Step::Pass(seconds) => time.advance(Duration::from_secs(seconds)),
        }
    }

    /// Nothing goes wrong any more, until nothing is held.
    async fn come_to_rest(&self) {
        (0..2).for_each(|shard| self.world.store.clear_faults(shard));
        for _ in 0..10 {
            if self.flush().await.visits_held == 0 {
                return;
            }
        }
        panic!("visits are still held");
    }
}

async fn add_up(steps: Vec<Step>) {
    let told = told();
    let visits = steps.iter().filter(|step| matches!(step, Step::Visit(..))).count() as u64;
    let crashes = steps.iter().any(|step| matches!(step, Step::Crash(_)));
    for step in steps {
        told.take(step).await;
    }
    told.come_to_rest().await;
    // One more, so that what a shard had lost is noticed and sent again.
    told.come_to_rest().await;
    assert_eq!((told.sum("Visits"), told.sum("VisitsFlushed")), (visits, visits));
    let pages = (0..2).flat_map(|shard| (0..4).map(move |n| (shard, n)));
    let counted: u64 = pages.map(|(shard, n)| told.world.store.sum(&told.world.page_of(shard, n))).sum();
    // What a crash took from a writer that has nothing more to ask for is noticed by nobody, and a parked copy may bring back what
    // its writer has told as lost: with crashes there is only the bound.
    assert!(counted <= visits);
    if !crashes {
        assert_eq!((counted, told.sum("Gaps"), told.sum("Healed"), told.sum("VisitsLost")), (visits, 0, 0, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn all_lines_together_say_what_was_counted(steps in prop::collection::vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(add_up(steps));
    }
}
