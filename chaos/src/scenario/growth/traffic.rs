//! Visitors and readers, who write down what they were told.

use super::deployment::Deployment;
use super::pages::{page, preloaded};
use fastrand::Rng;
use lambda_simulator::http_api_event;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Clients at a time. Each visits at its own pace and waits for its answer.
const CLIENTS: u32 = 40;

/// Readers at a time.
const READERS: u64 = 4;

/// Half of the visits, and all reads, go to this many pages: so that a page is read again and again.
const POPULAR: usize = 500;

/// What the clients were told about each page.
#[derive(Debug, Default)]
pub(super) struct Told {
    sent: AtomicU64,
    acknowledged: AtomicU64,
    /// The highest count that was read.
    read: AtomicU64,
}

/// Figures of the whole run.
#[derive(Debug, Default)]
struct Figures {
    visits: AtomicU64,
    visits_failed: AtomicU64,
    reads: AtomicU64,
    reads_failed: AtomicU64,
    reads_below: AtomicU64,
    reads_above: AtomicU64,
}

/// The same, at the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) visits: u64,
    pub(super) visits_failed: u64,
    pub(super) reads: u64,
    pub(super) reads_failed: u64,
    pub(super) reads_below: u64,
    pub(super) reads_above: u64,
}

/// Clients that go on until they are stopped.
#[derive(Debug)]
pub(super) struct Traffic {
    figures: Arc<Figures>,
    stopped: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Traffic {
    pub(super) fn start(deployment: &Arc<Deployment>, rate: u32) -> Self {
        let (figures, stopped) = (Arc::new(Figures::default()), Arc::new(AtomicBool::new(false)));
        let mut tasks = JoinSet::new();
        for client in 0..CLIENTS {
            let (deployment, figures, stopped) = (Arc::clone(deployment), Arc::clone(&figures), Arc::clone(&stopped));
            let mut pace = tokio::time::interval(Duration::from_secs(1) * CLIENTS / rate);
            pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut rng = Rng::with_seed(client.into());
            tasks.spawn(async move {
                while !stopped.load(Ordering::SeqCst) {
                    pace.tick().await;
                    visit(&deployment, &figures, &mut rng).await;
                }
            });
        }
        for reader in 0..READERS {
            let (deployment, figures, stopped) = (Arc::clone(deployment), Arc::clone(&figures), Arc::clone(&stopped));
            let mut rng = Rng::with_seed(1_000 + reader);
            tasks.spawn(async move {
                while !stopped.load(Ordering::SeqCst) {
                    read(&deployment, &figures, &mut rng).await;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
        }
        Self { figures, stopped, tasks }
    }

    /// Stops all clients; each has the answer to its last request.
    pub(super) async fn stop(mut self) -> Report {
        self.stopped.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a client does not panic");
        }
        let figure = |figure: &AtomicU64| figure.load(Ordering::SeqCst);
        let Figures { visits, visits_failed, reads, reads_failed, reads_below, reads_above } = &*self.figures;
        Report {
            visits: figure(visits),
            visits_failed: figure(visits_failed),
            reads: figure(reads),
            reads_failed: figure(reads_failed),
            reads_below: figure(reads_below),
            reads_above: figure(reads_above),
        }
    }
}

async fn visit(deployment: &Deployment, figures: &Figures, rng: &mut Rng) {
    let popular = rng.bool();
    let number = rng.usize(..if popular { POPULAR.min(deployment.pages()) } else { deployment.pages() });
    let told = &deployment.told[number];
    told.sent.fetch_add(1, Ordering::SeqCst);
    let function = deployment.serving("record-visit", rng.usize(..));
    let event = http_api_event("POST", &format!("/visit/{}", page(number))).to_string();
    let answer = deployment.lambda.invoke(&function, event).await;
    figures.visits.fetch_add(1, Ordering::SeqCst);
    if status(answer.as_ref().map(|answer| answer.payload.as_ref()).unwrap_or_default()).0 == 200 {
        told.acknowledged.fetch_add(1, Ordering::SeqCst);
    } else {
        figures.visits_failed.fetch_add(1, Ordering::SeqCst);
    }
}

async fn read(deployment: &Deployment, figures: &Figures, rng: &mut Rng) {
    let number = rng.usize(..POPULAR.min(deployment.pages()));
    let told = &deployment.told[number];
    let before = told.read.load(Ordering::SeqCst).max(preloaded(number));
    let function = deployment.serving("get-visits", rng.usize(..));
    let event = http_api_event("GET", &format!("/visits/{}", page(number))).to_string();
    let answer = deployment.lambda.invoke(&function, event).await;
    let (status, body) = status(answer.as_ref().map(|answer| answer.payload.as_ref()).unwrap_or_default());
    let Some(count) = body["count"].as_u64().filter(|_| status == 200) else {
        figures.reads_failed.fetch_add(1, Ordering::SeqCst);
        return;
    };
    let sent = preloaded(number) + told.sent.load(Ordering::SeqCst);
    figures.reads.fetch_add(1, Ordering::SeqCst);
    if count < before {
        eprintln!("{function}: {} was {before} before and is {count}", page(number));
        figures.reads_below.fetch_add(1, Ordering::SeqCst);
    }
    if count > sent {
        eprintln!("{function}: {} is {count}, and {sent} visits were sent", page(number));
        figures.reads_above.fetch_add(1, Ordering::SeqCst);
    }
    told.read.fetch_max(count, Ordering::SeqCst);
}

/// Status and body of an answer; 0 for none.
fn status(payload: &[u8]) -> (u64, Value) {
    let answer: Value = serde_json::from_slice(payload).unwrap_or_default();
    let body = answer["body"].as_str().and_then(|body| serde_json::from_str(body).ok());
    (answer["statusCode"].as_u64().unwrap_or(0), body.unwrap_or_default())
}

impl Told {
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}
