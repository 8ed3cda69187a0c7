//! The ring changes under load, from two shards to three, back to two, and to eight: old and new environments side by
//! side, no visit lost or doubled, and no read below an earlier one.
//!
//! A `Deployment` is eight servers and generations of the functions, each with another ring. Visitors and readers note
//! what they are told of each page (`Told`); in the end `compare` holds the servers' records against it.

use crate::counts::{number, of_days, records, unfolded};
use crate::report::Row;
use crate::world::{PATIENCE, SCHEDULE, function};
use fastrand::Rng;
use futures_util::future::join_all;
use lambda_simulator::{EnvironmentState, FunctionConfig, Mode, Simulator, http_api_event};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use test_support::RedisServer;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use visits_core::batch::{Batch, MAX_BATCH_PAGES, Sequence, WriterId};
use visits_core::config::Config;
use visits_core::page::PageId;
use visits_core::ring::Ring;
use visits_core::store::redis::RedisStore;
use visits_core::store::{Apply, Ledger, WriterStatus};

/// Extent of the scenario.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Pages of the site.
    pub pages: usize,
    /// Visits a second, as far as the machine keeps up.
    pub rate: u32,
    /// Longest wait for a change to settle.
    pub patience: Duration,
}

/// Shards with pages, one after the other.
const STEPS: [usize; 4] = [2, 3, 2, 8];

/// Servers, most of them without a page at first: they are named with weight 0, as shards to come.
const SERVERS: usize = 8;

/// Events that an environment serves at once.
const AT_ONCE: usize = 16;

/// Visitors at a time. Each visits at its own pace and waits for its answer.
const CLIENTS: u32 = 40;

/// Readers at a time.
const READERS: u64 = 4;

/// Pages to which half of the visits, and all reads, go: so that a page is read again and again.
const POPULAR: usize = 500;

/// Runs all changes on one site.
pub async fn run(size: Size) -> Vec<Row> {
    let deployment = Arc::new(Deployment::start(size.pages).await);
    deployment.add_flush(STEPS[0]);
    deployment.add_functions();
    let schedule = deployment.spawn_schedule();
    deployment.wait_until_settled(size.patience).await;
    let traffic = Traffic::start(&deployment, size.rate);
    let started = Instant::now();
    let name = format!("2 -> 3 -> 2 -> 8 shards, {} pages, {} visits/s", size.pages, size.rate);
    let mut rows = Vec::new();
    for pair in STEPS.windows(2) {
        rows.push(change(&deployment, &name, pair[0], pair[1], size.patience).await);
    }
    let took = started.elapsed();
    traffic.stop().await;
    deployment.end_all_but(0).await;
    deployment.wait_until_settled(size.patience).await;
    schedule.abort();
    let figures = *lock(&deployment.figures);
    let Verdict {
        acknowledged,
        counted,
        lost,
        doubled,
        misplaced,
        of_site,
        of_site_days,
        undated,
        preloaded,
        notes_left,
    } = compare(&deployment);
    let kept_up = ratio(figures.visits) / took.as_secs_f64();
    let failed = (figures.visits_failed, figures.reads_failed);
    let wrong = (figures.reads_below, figures.reads_above);
    rows.extend([
        Row::told(&name, "visits a second that the machine kept up", format!("{kept_up:.0}")),
        Row::claimed(
            &name,
            "visits refused or without an answer / reads refused",
            format!("{} / {}", failed.0, failed.1),
            failed == (0, 0),
        ),
        Row::claimed(
            &name,
            "reads / below an earlier one / above what was sent",
            format!("{} / {} / {}", figures.reads, wrong.0, wrong.1),
            figures.reads > 0 && wrong == (0, 0),
        ),
        Row::claimed(&name, "acknowledged / counted", format!("{acknowledged} / {counted}"), acknowledged == counted),
        Row::claimed(&name, "lost / counted twice", format!("{lost} / {doubled}"), lost + doubled == 0),
        Row::claimed(
            &name,
            "the site's / of the site's days / off the pages' days",
            format!("{of_site} / {of_site_days} / {undated}"),
            of_site == counted && of_site_days + preloaded == counted && undated == 0,
        ),
        Row::claimed(
            &name,
            "records in a wrong place / notes of moves left",
            format!("{misplaced} / {notes_left}"),
            misplaced + notes_left == 0,
        ),
    ]);
    rows
}

/// Has a new ring take over, as a careful operator does: `flush-visits` is given it first, then the others, and both rings
/// take visits for some runs of the schedule.
async fn change(deployment: &Arc<Deployment>, name: &str, from: usize, to: usize, patience: Duration) -> Row {
    let before = lock(&deployment.state).moved;
    deployment.add_flush(to);
    deployment.wait_for_runs(2).await;
    deployment.add_functions();
    tokio::time::sleep(SCHEDULE * 3).await;
    deployment.end_all_but(1).await;
    let started = Instant::now();
    deployment.wait_until_settled(patience).await;
    let moved = lock(&deployment.state).moved;
    let (taken, busy) = (moved.0 - before.0, moved.1.saturating_sub(before.1));
    // Shards of one weight: the share of those that come or go.
    let pages = deployment.told.len();
    let ideal = ratio(pages as u64) * ratio(from.abs_diff(to) as u64) / ratio(from.max(to) as u64);
    // Only what the ring places elsewhere is ever taken, and in the end all of it was: see `misplaced`.
    let (one, other) = (deployment.config(from).ring(), deployment.config(to).ring());
    let must_move = (0..pages).map(page).filter(|page| one.owner(page) != other.owner(page)).count() as u64;
    let share = ratio(must_move) / ideal;
    let found = format!(
        "{must_move} pages, {share:.3} of the ideal {ideal:.0}; {taken} takes, some again for visits by the old ring; \
         {:.0} pages/s in runs that took some; settled {:.1?} after the last old environment",
        ratio(taken) / busy.as_secs_f64().max(f64::MIN_POSITIVE),
        started.elapsed()
    );
    let figure = match (from, to) {
        (2, 3) => "moved from 2 to 3 shards",
        (3, 2) => "moved from 3 to 2 shards",
        _ => "moved from 2 to 8 shards",
    };
    Row::claimed(name, figure, found, share <= 1.05 && taken >= must_move)
}

/// A count for a ratio. None here comes near four billion.
fn ratio(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn page(number: usize) -> String {
    format!("page-{number}")
}

/// Visits that a page has from the start.
fn preloaded(number: usize) -> u64 {
    1 + number as u64 % 7
}

#[derive(Debug)]
struct Deployment {
    lambda: Simulator,
    servers: Vec<RedisServer>,
    /// Answers to clients about each page, and about all.
    told: Vec<Told>,
    figures: Mutex<Figures>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Shards with pages in each generation; the `flush-visits` of the last one is on the schedule.
    shards: Vec<usize>,
    /// The generations that take requests.
    serving: Vec<usize>,
    runs: u64,
    /// Runs in a row that found the ring settled.
    settled: u64,
    /// Pages taken, and the time of the runs that took some.
    moved: (u64, Duration),
    /// Summary of the last run of the schedule.
    last: Value,
}

impl Deployment {
    /// Starts eight servers; the first two hold `pages` pages. No function yet.
    async fn start(pages: usize) -> Self {
        let deployment = Self {
            lambda: Simulator::start().expect("the simulator starts"),
            servers: (0..SERVERS).map(|_| RedisServer::builder().append_only(true).start()).collect(),
            told: (0..pages).map(|_| Told::default()).collect(),
            figures: Mutex::default(),
            state: Mutex::default(),
        };
        preload(&deployment.config(STEPS[0]), pages).await;
        deployment
    }

    /// Returns settings in which the first `shards` own pages.
    fn config(&self, shards: usize) -> Config {
        let endpoints = self.endpoints(shards);
        Config::from_vars(|name| (name == "REDIS_ENDPOINTS").then(|| endpoints.clone().into())).expect("good settings")
    }

    fn endpoints(&self, shards: usize) -> String {
        let entry = |(number, server): (usize, &RedisServer)| {
            format!("shard_{number}={};weight={}", server.url(), u8::from(number < shards))
        };
        self.servers.iter().enumerate().map(entry).collect::<Vec<_>>().join(",")
    }

    /// Puts the `flush-visits` of a new generation on the schedule.
    fn add_flush(&self, shards: usize) {
        let mut state = lock(&self.state);
        let generation = state.shards.len();
        let flush =
            FunctionConfig { timeout: Duration::from_secs(50), ..self.function("flush-visits", generation, shards) };
        self.lambda.deploy(flush).expect("the function deploys");
        state.shards.push(shards);
        state.settled = 0;
    }

    /// Adds the functions of the newest generation that answer requests, beside those of the one before.
    fn add_functions(&self) {
        let mut state = lock(&self.state);
        let (generation, shards) = (state.shards.len() - 1, state.shards[state.shards.len() - 1]);
        for name in ["record-visit", "get-visits"] {
            let function = self.function(name, generation, shards);
            let mode = Mode::ManagedInstances { max_concurrency: AT_ONCE };
            let function = FunctionConfig { mode, timeout: Duration::from_secs(10), ..function };
            self.lambda.deploy(function).expect("the function deploys");
        }
        state.serving.push(generation);
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

    /// Invokes a function of one of the generations that take requests; returns its name, and status and body of its answer
    /// (0 for none).
    async fn request(&self, name: &str, method: &str, path: &str, rng: &mut Rng) -> (String, u64, Value) {
        let function = numbered(name, *rng.choice(&lock(&self.state).serving).expect("there is a generation"));
        let answer = self.lambda.invoke(&function, http_api_event(method, path).to_string()).await;
        let payload = answer.as_ref().map(|answer| answer.payload.as_slice()).unwrap_or_default();
        let answer: Value = serde_json::from_slice(payload).unwrap_or_default();
        let body = answer["body"].as_str().and_then(|body| serde_json::from_str(body).ok());
        (function, answer["statusCode"].as_u64().unwrap_or(0), body.unwrap_or_default())
    }

    /// Sends no more requests to the older generations, all but so many, and has Lambda end their environments.
    async fn end_all_but(&self, kept: usize) {
        let old: Vec<usize> = {
            let serving = &mut lock(&self.state).serving;
            serving.drain(..serving.len() - kept).collect()
        };
        for name in
            old.iter().flat_map(|generation| ["record-visit", "get-visits"].map(|name| numbered(name, *generation)))
        {
            assert!(self.lambda.settled(&name, PATIENCE).await, "{name} does not come to rest");
            let mut environments = self.lambda.environments();
            environments.retain(|one| one.function == name && one.state == EnvironmentState::Idle);
            join_all(environments.iter().map(|one| self.lambda.reap(one.id))).await;
        }
    }

    /// Runs the schedule until the task is aborted.
    fn spawn_schedule(self: &Arc<Self>) -> JoinHandle<()> {
        let deployment = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                deployment.flush().await;
                tokio::time::sleep(SCHEDULE).await;
            }
        })
    }

    async fn flush(&self) {
        let (generation, started) = (lock(&self.state).shards.len() - 1, Instant::now());
        let event = r#"{"detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": "{}"}"#;
        let answer = self.lambda.invoke(&numbered("flush-visits", generation), event).await;
        let (answer, took) = (answer.expect("flush-visits is deployed"), started.elapsed());
        let summary: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
        if answer.function_error.is_some() {
            eprintln!("a scheduled flush failed: {summary}");
        }
        let entries =
            |(number, server): (usize, &RedisServer)| unfolded(&mut server.connect(), &format!("shard_{number}"));
        let folded = self.servers.iter().enumerate().map(entries).sum::<u64>() == 0;
        let mut state = lock(&self.state);
        let taken = summary["pages_taken"].as_u64().unwrap_or(0);
        if taken > 0 {
            state.moved = (state.moved.0 + taken, state.moved.1 + took);
        }
        if generation == state.shards.len() - 1 {
            state.settled = if folded && summary["ring_settled"] == true { state.settled + 1 } else { 0 };
            state.runs += 1;
        }
        state.last = summary;
    }

    /// Waits for so many more runs of the schedule.
    async fn wait_for_runs(&self, runs: u64) {
        let enough = lock(&self.state).runs + runs;
        self.wait(PATIENCE, |state| state.runs >= enough).await;
    }

    /// Waits until two runs of the schedule in a row, both begun from now on, have found the ring settled.
    async fn wait_until_settled(&self, patience: Duration) {
        lock(&self.state).settled = 0;
        self.wait(patience, |state| state.settled >= 3).await;
    }

    async fn wait(&self, patience: Duration, reached: impl Fn(&State) -> bool) {
        let started = Instant::now();
        while !reached(&lock(&self.state)) {
            assert!(started.elapsed() < patience, "not reached within {patience:?}: {}", lock(&self.state).last);
            tokio::time::sleep(SCHEDULE / 10).await;
        }
    }
}

fn numbered(name: &str, generation: usize) -> String {
    format!("{name}-{generation}")
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts the first visits of `pages` pages, as one writer would.
async fn preload(config: &Config, pages: usize) {
    let (store, ring, clock) = (RedisStore::new(config).expect("good endpoints"), config.ring(), config.clock());
    let mut owned: Vec<Vec<(PageId, u64)>> = vec![Vec::new(); ring.len()];
    for number in 0..pages {
        let id = PageId::from_decoded(&page(number)).expect("a page id");
        owned[ring.owner(id.as_str())].push((id, preloaded(number)));
    }
    for (owner, pages) in owned.into_iter().enumerate() {
        for (number, pages) in (1..).zip(pages.chunks(MAX_BATCH_PAGES)) {
            let batch = Batch::seal(Sequence::new(number).expect("from 1"), pages.to_vec(), clock.now());
            let call = Apply {
                writer: WriterId::from_u128(1),
                base: Sequence::FIRST,
                batches: vec![(Arc::new(batch), Duration::ZERO)],
                status: WriterStatus::Gone,
                ring: Some(ring.fingerprint()),
            };
            store.apply(owner, &call).await.expect("the server takes it");
        }
    }
}

/// Answers to clients about a page.
#[derive(Debug, Default)]
struct Told {
    sent: AtomicU64,
    acknowledged: AtomicU64,
    /// The highest count that was read.
    read: AtomicU64,
}

/// Answers to clients about all pages.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    visits: u64,
    visits_failed: u64,
    reads: u64,
    reads_failed: u64,
    reads_below: u64,
    reads_above: u64,
}

/// Clients that go on until they are stopped.
struct Traffic {
    stopped: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Traffic {
    fn start(deployment: &Arc<Deployment>, rate: u32) -> Self {
        let (stopped, mut tasks) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for client in 0..CLIENTS {
            let (deployment, stopped) = (Arc::clone(deployment), Arc::clone(&stopped));
            let mut pace = tokio::time::interval(Duration::from_secs(1) * CLIENTS / rate);
            pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut rng = Rng::with_seed(client.into());
            tasks.spawn(async move {
                while !stopped.load(Ordering::SeqCst) {
                    pace.tick().await;
                    visit(&deployment, &mut rng).await;
                }
            });
        }
        for reader in 0..READERS {
            let (deployment, stopped) = (Arc::clone(deployment), Arc::clone(&stopped));
            let mut rng = Rng::with_seed(1_000 + reader);
            tasks.spawn(async move {
                while !stopped.load(Ordering::SeqCst) {
                    read(&deployment, &mut rng).await;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
        }
        Self { stopped, tasks }
    }

    /// Stops all clients; each has the answer to its last request.
    async fn stop(mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a client does not panic");
        }
    }
}

async fn visit(deployment: &Deployment, rng: &mut Rng) {
    let all = deployment.told.len();
    let among = if rng.bool() { POPULAR.min(all) } else { all };
    let number = rng.usize(..among);
    let told = &deployment.told[number];
    told.sent.fetch_add(1, Ordering::SeqCst);
    let (_, status, _) = deployment.request("record-visit", "POST", &format!("/visit/{}", page(number)), rng).await;
    told.acknowledged.fetch_add(u64::from(status == 200), Ordering::SeqCst);
    let mut figures = lock(&deployment.figures);
    figures.visits += 1;
    figures.visits_failed += u64::from(status != 200);
}

async fn read(deployment: &Deployment, rng: &mut Rng) {
    let number = rng.usize(..POPULAR.min(deployment.told.len()));
    let told = &deployment.told[number];
    let before = told.read.load(Ordering::SeqCst).max(preloaded(number));
    let path = format!("/visits/{}", page(number));
    let (function, status, body) = deployment.request("get-visits", "GET", &path, rng).await;
    let mut figures = lock(&deployment.figures);
    let Some(count) = body["count"].as_u64().filter(|_| status == 200) else {
        figures.reads_failed += 1;
        return;
    };
    let sent = preloaded(number) + told.sent.load(Ordering::SeqCst);
    if !(before..=sent).contains(&count) {
        eprintln!("{function}: {path} is {count}; it was {before} before, and {sent} visits were sent");
    }
    figures.reads += 1;
    figures.reads_below += u64::from(count < before);
    figures.reads_above += u64::from(count > sent);
    told.read.fetch_max(count, Ordering::SeqCst);
}

/// Final counts of the servers, against the answers to clients.
#[derive(Clone, Copy, Debug, Default)]
struct Verdict {
    acknowledged: u64,
    counted: u64,
    lost: u64,
    doubled: u64,
    /// Records of pages and their months that their owner does not have, or that another shard has, too.
    misplaced: u64,
    /// Visits of the site, over all shards.
    of_site: u64,
    /// Visits of all days of the site.
    of_site_days: u64,
    /// Visits that pages' days have too few or too many of.
    undated: u64,
    /// Visits without a day: the ones from the start.
    preloaded: u64,
    /// Fields of records that tell of moves.
    notes_left: u64,
}

fn compare(deployment: &Deployment) -> Verdict {
    let shards = *lock(&deployment.state).shards.last().expect("there is a generation");
    let (ring, mut verdict): (Ring, _) = (deployment.config(shards).ring(), Verdict::default());
    let (mut counts, mut days): (HashMap<String, u64>, HashMap<String, u64>) = Default::default();
    for (shard, server) in deployment.servers.iter().enumerate() {
        let mut redis = server.connect();
        let mut all = |kind: &str| records(&mut redis, &format!("visits:{{shard_{shard}}}:{kind}"));
        for (page, fields) in all("page:") {
            verdict.misplaced += u64::from(ring.owner(&page) != shard);
            let is_note = |field: &&String| field.starts_with("in:") || field.starts_with("out:");
            verdict.notes_left += fields.keys().filter(is_note).count() as u64;
            *counts.entry(page).or_default() += number(&fields, "total");
        }
        for (name, fields) in all("days:") {
            let (_, page) = name.split_once(':').expect("a month, and a page");
            verdict.misplaced += u64::from(ring.owner(page) != shard);
            *days.entry(page.to_owned()).or_default() += of_days(&fields);
        }
        for (name, fields) in all("site") {
            verdict.misplaced += u64::from(ring.is_draining(shard));
            if name.is_empty() {
                verdict.of_site += number(&fields, "total");
            } else {
                verdict.of_site_days += of_days(&fields);
            }
        }
    }
    for (number, told) in deployment.told.iter().enumerate() {
        let count = counts.get(&page(number)).copied().unwrap_or(0);
        let dated = days.get(&page(number)).copied().unwrap_or(0) + preloaded(number);
        verdict.undated += dated.abs_diff(count);
        let [least, most] =
            [&told.acknowledged, &told.sent].map(|visits| preloaded(number) + visits.load(Ordering::SeqCst));
        verdict.acknowledged += least;
        verdict.preloaded += preloaded(number);
        verdict.counted += count;
        verdict.lost += least.saturating_sub(count);
        verdict.doubled += count.saturating_sub(most);
    }
    verdict
}
