//! Eight servers, and generations of the functions: each has another ring.

use super::audit::Moved;
use super::pages::preload;
use super::traffic::Told;
use crate::counts::unfolded;
use crate::function::function;
use crate::world::{PATIENCE, SCHEDULE};
use futures_util::future::join_all;
use lambda_simulator::{EnvironmentState, FunctionConfig, Mode, Simulator};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use test_support::RedisServer;
use tokio::task::JoinHandle;
use visits_core::config::Config;
use visits_core::ring::Ring;

/// Servers, most of them without a page at first: they are named with weight 0, as shards to come.
pub(super) const SERVERS: usize = 8;

/// Environments serve this many events at once.
const AT_ONCE: usize = 16;

#[derive(Debug)]
pub(super) struct Deployment {
    pub(super) lambda: Simulator,
    pub(super) servers: Vec<RedisServer>,
    /// What clients were told about each page.
    pub(super) told: Vec<Told>,
    /// The generations that take requests, and the one whose `flush-visits` is on the schedule.
    serving: Mutex<Vec<usize>>,
    flushing: AtomicUsize,
    /// Shards with pages in each generation.
    shards: Mutex<Vec<usize>>,
    runs: AtomicU64,
    /// Runs in a row that found the ring settled.
    settled: AtomicU64,
    moved: Mutex<Moved>,
    /// What the last run of the schedule said.
    last: Mutex<Value>,
}

impl Deployment {
    /// Eight servers; the first two hold `pages` pages. No function yet.
    pub(super) async fn start(pages: usize) -> Self {
        let servers = (0..SERVERS).map(|_| RedisServer::builder().append_only(true).start()).collect();
        let deployment = Self {
            lambda: Simulator::start().expect("the simulator starts"),
            servers,
            told: (0..pages).map(|_| Told::default()).collect(),
            serving: Mutex::default(),
            flushing: AtomicUsize::new(0),
            shards: Mutex::default(),
            runs: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            moved: Mutex::default(),
            last: Mutex::default(),
        };
        preload(&deployment.config(2), pages).await;
        deployment
    }

    pub(super) fn pages(&self) -> usize {
        self.told.len()
    }

    /// The ring of the last generation.
    pub(super) fn ring(&self) -> Ring {
        self.ring_of(*lock(&self.shards).last().expect("there is a generation"))
    }

    /// The ring in which the first `shards` own pages.
    pub(super) fn ring_of(&self, shards: usize) -> Ring {
        self.config(shards).ring()
    }

    fn config(&self, shards: usize) -> Config {
        let endpoints = self.endpoints(shards);
        Config::from_vars(|name| (name == "REDIS_ENDPOINTS").then(|| endpoints.clone().into())).expect("good settings")
    }

    /// All servers; the first `shards` own pages.
    fn endpoints(&self, shards: usize) -> String {
        let weight = |number| u8::from(number < shards);
        let entry = |(number, server): (usize, &RedisServer)| {
            format!("shard_{number}={};weight={}", server.url(), weight(number))
        };
        self.servers.iter().enumerate().map(entry).collect::<Vec<_>>().join(",")
    }

    /// All functions of a new generation.
    pub(super) fn add_generation(&self, shards: usize) {
        self.add_flush(shards);
        self.add_functions(shards);
    }

    /// The `flush-visits` of a new generation, on the schedule from now on.
    pub(super) fn add_flush(&self, shards: usize) {
        let generation = {
            let mut all = lock(&self.shards);
            all.push(shards);
            all.len() - 1
        };
        let mut flush = self.function("flush-visits", generation, shards);
        flush.timeout = Duration::from_secs(50);
        self.lambda.deploy(flush).expect("the function deploys");
        self.flushing.store(generation, Ordering::SeqCst);
        self.settled.store(0, Ordering::SeqCst);
    }

    /// The functions of the newest generation that answer requests, beside those of the one before.
    pub(super) fn add_functions(&self, shards: usize) {
        let generation = lock(&self.shards).len() - 1;
        for name in ["record-visit", "get-visits"] {
            let mut function = self.function(name, generation, shards);
            function.mode = Mode::ManagedInstances { max_concurrency: AT_ONCE };
            function.timeout = Duration::from_secs(10);
            self.lambda.deploy(function).expect("the function deploys");
        }
        lock(&self.serving).push(generation);
    }

    fn function(&self, name: &str, generation: usize, shards: usize) -> FunctionConfig {
        let env = [
            ("REDIS_ENDPOINTS", self.endpoints(shards)),
            // Eight servers and the load share two processors.
            ("REDIS_CONNECT_TIMEOUT", "5s".to_owned()),
            ("REDIS_TIMEOUT", "5s".to_owned()),
            ("VISITS_CACHE_TTL", "0s".to_owned()),
            ("VISITS_RECORD_FUNCTION", numbered("record-visit", generation)),
        ];
        function(&self.lambda, (name, &numbered(name, generation)), "", env)
    }

    /// The function of one of the generations that take requests; `draw` says which.
    pub(super) fn serving(&self, name: &str, draw: usize) -> String {
        let serving = lock(&self.serving);
        numbered(name, serving[draw % serving.len()])
    }

    /// Sends no more requests to the older generations, and has Lambda end their environments.
    pub(super) async fn retire_old(&self) {
        let old: Vec<usize> = {
            let mut serving = lock(&self.serving);
            let newest = serving.pop().expect("there is a generation");
            std::mem::replace(&mut serving, vec![newest])
        };
        for generation in old {
            self.end(generation).await;
        }
    }

    /// Ends every environment that answers requests.
    pub(super) async fn reap_all(&self) {
        let serving = lock(&self.serving).clone();
        for generation in serving {
            self.end(generation).await;
        }
    }

    async fn end(&self, generation: usize) {
        for name in ["record-visit", "get-visits"] {
            let name = numbered(name, generation);
            assert!(self.lambda.settled(&name, PATIENCE).await, "{name} does not come to rest");
            let mut environments = self.lambda.environments();
            environments.retain(|one| one.function == name && one.state == EnvironmentState::Idle);
            join_all(environments.iter().map(|one| self.lambda.reap(one.id))).await;
        }
    }

    /// Runs the schedule until the task is aborted.
    pub(super) fn spawn_schedule(self: &Arc<Self>) -> JoinHandle<()> {
        let deployment = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                deployment.flush().await;
                tokio::time::sleep(SCHEDULE).await;
            }
        })
    }

    async fn flush(&self) {
        let (flush, started) = (numbered("flush-visits", self.flushing.load(Ordering::SeqCst)), Instant::now());
        let event = r#"{"detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": "{}"}"#;
        let answer = self.lambda.invoke(&flush, event).await.expect("flush-visits is deployed");
        let took = started.elapsed();
        let summary: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
        if answer.function_error.is_some() {
            eprintln!("a scheduled flush failed: {summary}");
        }
        *lock(&self.last) = summary.clone();
        let taken = summary["pages_taken"].as_u64().unwrap_or(0);
        if taken > 0 {
            let mut moved = lock(&self.moved);
            moved.taken += taken;
            moved.busy += took;
        }
        let unfolded =
            |(number, server): (usize, &RedisServer)| unfolded(&mut server.connect(), &format!("shard_{number}"));
        let folded = self.servers.iter().enumerate().map(unfolded).sum::<u64>() == 0;
        let settled = folded && summary["ring_settled"].as_bool().unwrap_or(false);
        if flush == numbered("flush-visits", self.flushing.load(Ordering::SeqCst)) {
            self.settled.store(if settled { self.settled.load(Ordering::SeqCst) + 1 } else { 0 }, Ordering::SeqCst);
            self.runs.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits for so many more runs of the schedule.
    pub(super) async fn wait_for_runs(&self, runs: u64) {
        let enough = self.runs.load(Ordering::SeqCst) + runs;
        self.wait(PATIENCE, || self.runs.load(Ordering::SeqCst) >= enough).await;
    }

    /// Waits until two runs of the schedule in a row, both begun from now on, have found the ring settled.
    pub(super) async fn wait_until_settled(&self, patience: Duration) {
        self.settled.store(0, Ordering::SeqCst);
        self.wait(patience, || self.settled.load(Ordering::SeqCst) >= 3).await;
    }

    async fn wait(&self, patience: Duration, reached: impl Fn() -> bool) {
        let started = Instant::now();
        while !reached() {
            assert!(started.elapsed() < patience, "not reached within {patience:?}: {}", lock(&self.last));
            tokio::time::sleep(SCHEDULE / 10).await;
        }
    }

    pub(super) fn moved(&self) -> Moved {
        *lock(&self.moved)
    }
}

fn numbered(name: &str, generation: usize) -> String {
    format!("{name}-{generation}")
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
