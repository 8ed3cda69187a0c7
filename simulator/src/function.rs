//! A deployed function: its environments, and the way of an invocation through it.

use crate::environment::Environment;
use crate::outcome::Answer;
use crate::slots::Event;
use crate::sync::lock;
use crate::time::request_id;
use crate::{Choice, Counts, EnvironmentId, EnvironmentInfo, FunctionConfig, Invocation, InvokeError};
use fastrand::Rng;
use hyper::body::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};

/// A deployed function. Its methods are spread over the modules of what they do: `routing`, `lifecycle`, `ending`,
/// `launch`.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) config: FunctionConfig,
    /// Where its environments have their folders.
    pub(crate) folder: PathBuf,
    /// Numbers the environments of all functions.
    pub(crate) numbers: Arc<AtomicU64>,
    pub(crate) fleet: Mutex<Fleet>,
    /// Woken when an environment may have become idle, or have room again, or is dead.
    pub(crate) changed: Notify,
}

/// The environments of a function. Held for a few microseconds at a time, never over an await.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) live: BTreeMap<EnvironmentId, Environment>,
    pub(crate) dead: BTreeMap<EnvironmentId, EnvironmentInfo>,
    pub(crate) counts: Counts,
    /// Times that an environment became idle.
    pub(crate) idle_order: u64,
    pub(crate) random: Rng,
    pub(crate) choice: Choice,
    pub(crate) start_skew: Range<Duration>,
    /// The simulator ends: nothing new starts.
    pub(crate) closed: bool,
}

/// Where an invocation went.
#[derive(Debug)]
pub(crate) struct Placement {
    pub(crate) environment: EnvironmentId,
    pub(crate) cold_start: bool,
}

impl Function {
    pub(crate) fn new(config: FunctionConfig, folder: PathBuf, numbers: Arc<AtomicU64>) -> Self {
        let fleet = Fleet {
            live: BTreeMap::new(),
            dead: BTreeMap::new(),
            counts: Counts::default(),
            idle_order: 0,
            random: Rng::with_seed(config.seed),
            choice: config.choice,
            start_skew: config.start_skew.clone(),
            closed: false,
        };
        Self { config, folder, numbers, fleet: Mutex::new(fleet), changed: Notify::new() }
    }

    /// Its Amazon resource name.
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:lambda:{}:{}:function:{}", crate::launch::REGION, crate::launch::ACCOUNT, self.config.name)
    }

    /// One synchronous invocation, from its receipt to its answer.
    pub(crate) async fn invoke(self: Arc<Self>, payload: Bytes) -> Result<Invocation, InvokeError> {
        let received = Instant::now();
        self.skew().await;
        let (event, answer) = event(payload);
        let request_id = event.request_id.clone();
        let placement = self.route(event).map_err(|(error, _)| error)?;
        let Answer { payload, function_error } = answer.await.map_err(|_| InvokeError::Stopped)?;
        let Placement { environment, cold_start } = placement;
        let (payload, time) = (payload.to_vec(), received.elapsed());
        Ok(Invocation { request_id, payload, function_error, environment, cold_start, time })
    }

    /// One asynchronous invocation: throttled, it waits, and nobody gets its answer. Not tried again if it fails.
    pub(crate) async fn invoke_event(self: Arc<Self>, payload: Bytes) {
        self.skew().await;
        let mut event = Some(event(payload).0);
        self.until(|| match self.route(event.take()?) {
            Err((InvokeError::Throttled, unrouted)) => {
                event = Some(unrouted);
                None
            }
            Ok(_) | Err(_) => Some(()),
        })
        .await;
    }

    /// Waits as long as this invocation takes to its routing.
    async fn skew(&self) {
        let skew = {
            let mut fleet = lock(&self.fleet);
            let Range { start, end } = fleet.start_skew.clone();
            let span = u64::try_from(end.saturating_sub(start).as_nanos()).unwrap_or(u64::MAX);
            start + Duration::from_nanos(if span > 0 { fleet.random.u64(..span) } else { 0 })
        };
        // A sleep of nothing would still take a turn of the timer, up to a millisecond.
        if !skew.is_zero() {
            tokio::time::sleep(skew).await;
        }
    }

    /// Looks for something now and after each change, until there is something.
    pub(crate) async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            let mut change = pin!(self.changed.notified());
            // Before the look: a change in between must wake us.
            change.as_mut().enable();
            if let Some(found) = look() {
                return found;
            }
            change.await;
        }
    }

    /// Its environments, dead ones included, in the order in which they were started.
    pub(crate) fn environments(&self) -> Vec<EnvironmentInfo> {
        let fleet = lock(&self.fleet);
        let live = fleet.live.values().map(|environment| environment.info(&self.config.name));
        let mut all: Vec<_> = fleet.dead.values().cloned().chain(live).collect();
        all.sort_by_key(|environment| environment.id);
        all
    }

    /// One of its environments.
    pub(crate) fn environment(&self, id: EnvironmentId) -> Option<EnvironmentInfo> {
        let fleet = lock(&self.fleet);
        let live = fleet.live.get(&id).map(|environment| environment.info(&self.config.name));
        live.or_else(|| fleet.dead.get(&id).cloned())
    }

    /// Whether all its environments are idle or dead.
    pub(crate) fn is_settled(&self) -> bool {
        lock(&self.fleet).live.values().all(Environment::is_idle)
    }
}

/// An event with the payload, and where its answer comes. No payload is an empty object, as on Lambda.
fn event(payload: Bytes) -> (Event, oneshot::Receiver<Answer>) {
    let (answer, client) = oneshot::channel();
    let payload = if payload.is_empty() { Bytes::from_static(b"{}") } else { payload };
    (Event { request_id: request_id(), payload, answer }, client)
}
