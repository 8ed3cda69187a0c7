//! One deployment: three functions in a simulator, two servers behind proxies, and the ledger.

use crate::ledger::{Ledger, Outcome, Verdict};
use crate::servers::Servers;
use futures_util::future::join_all;
use lambda_simulator::{
    Choice, EnvironmentId, EnvironmentState, FunctionConfig, Invocation, InvokeError, Mode, Simulator, http_api_event,
};
use serde_json::{Value, json};
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_support::release_program;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// Factor by which the protocol runs faster than in production.
pub const SCALE: u32 = 100;

/// The flush interval: 30 s.
pub const INTERVAL: Duration = Duration::from_millis(30_000 / SCALE as u64);

/// The schedule of `flush-visits`: a minute.
pub const SCHEDULE: Duration = Duration::from_millis(60_000 / SCALE as u64);

/// The function that counts.
pub const RECORD: &str = "record-visit";

const FLUSH: &str = "flush-visits";

/// Longest wait for something that must come true in the end.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Environments that are told to end at the same time.
const REAPED_AT_ONCE: usize = 4;

/// Differences of a world from the usual one.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Seed of all that is drawn.
    pub seed: u64,
    /// Mode in which `record-visit` gets its events.
    pub mode: Mode,
    /// Which idle environment is chosen.
    pub choice: Choice,
    /// Delay between an invocation and its start.
    pub start_skew: Range<Duration>,
    /// Whether applied batches are remembered.
    pub healing: bool,
    /// Most environments of `record-visit` at work at once; a visit beyond is refused by Lambda.
    pub concurrency: Option<usize>,
    /// Further variables of the functions.
    pub env: Vec<(&'static str, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            seed: 1,
            mode: Mode::OnDemand,
            choice: Choice::Random,
            start_skew: Duration::ZERO..Duration::ZERO,
            healing: true,
            concurrency: None,
            env: Vec::new(),
        }
    }
}

/// The deployment. Everything is stopped when it is dropped.
#[derive(Debug)]
pub struct World {
    /// The functions.
    pub lambda: Simulator,
    /// The Redis servers.
    pub servers: Servers,
    /// Answers to clients.
    pub ledger: Ledger,
}

impl World {
    /// Deploys the functions.
    ///
    /// # Panics
    /// If something of it cannot be started.
    pub fn start(setup: &Setup) -> Self {
        let (lambda, servers) = (Simulator::start().expect("the simulator starts"), Servers::start());
        let world = Self { lambda, servers, ledger: Ledger::default() };
        let record = FunctionConfig {
            timeout: Duration::from_secs(10),
            mode: setup.mode,
            choice: setup.choice,
            start_skew: setup.start_skew.clone(),
            concurrency_limit: setup.concurrency,
            ..world.function(RECORD, setup)
        };
        let flush = FunctionConfig { timeout: Duration::from_secs(50), ..world.function(FLUSH, setup) };
        for function in [record, flush] {
            world.lambda.deploy(function).expect("the function deploys");
        }
        world
    }

    fn function(&self, name: &str, setup: &Setup) -> FunctionConfig {
        let healing = if setup.healing { "" } else { ",healing=off" };
        let env = [
            ("REDIS_ENDPOINTS", self.servers.endpoints()),
            ("REDIS_CONNECT_TIMEOUT", "200ms".to_owned()),
            ("REDIS_TIMEOUT", "200ms".to_owned()),
            ("VISITS_RECORD_FUNCTION", RECORD.to_owned()),
        ];
        let env = env.into_iter().chain(setup.env.iter().cloned());
        FunctionConfig { seed: setup.seed, ..function(&self.lambda, (name, name), healing, env) }
    }

    /// Sends one visit and writes down what its client is told.
    pub async fn visit(&self, page: &str) -> Outcome {
        let event = http_api_event("POST", &format!("/visit/{page}")).to_string();
        let sent = Instant::now();
        let answer = self.lambda.invoke(RECORD, event).await;
        let outcome = match &answer {
            Ok(answer) => told(answer),
            // It has reached no environment.
            Err(InvokeError::Throttled) => Outcome::Refused,
            Err(_) => Outcome::Unknown,
        };
        self.ledger.note(page, sent, outcome, answer.ok().map(|answer| answer.environment));
        outcome
    }

    /// Runs `flush-visits` as its schedule does; the summary, or the error's text.
    pub async fn scheduled_flush(&self) -> Result<Value, String> {
        self.flush(&json!({"detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": "{}"})).await
    }

    /// Runs `flush-visits` as `make flush` does: all writers are swept.
    pub async fn flush_all(&self) -> Result<Value, String> {
        self.flush(&json!({})).await
    }

    async fn flush(&self, event: &Value) -> Result<Value, String> {
        let answer = self.lambda.invoke(FLUSH, event.to_string()).await.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&answer.payload).into_owned();
        match answer.function_error {
            None => serde_json::from_str(&text).map_err(|error| format!("{error}: {text}")),
            Some(_) => Err(text),
        }
    }

    /// Runs the schedule until the task is aborted. A run that is under way then goes on.
    pub fn spawn_schedule(self: &Arc<Self>) -> JoinHandle<()> {
        let world = Arc::clone(self);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(SCHEDULE);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if let Err(error) = world.scheduled_flush().await {
                    eprintln!("a scheduled flush failed: {error}");
                }
            }
        })
    }

    /// The environments of `record-visit` that wait for an event.
    pub fn idle(&self) -> Vec<EnvironmentId> {
        let mut environments = self.lambda.environments();
        environments.retain(|one| one.function == RECORD && one.state == EnvironmentState::Idle);
        environments.into_iter().map(|one| one.id).collect()
    }

    /// Waits until no environment of `record-visit` works any more.
    ///
    /// # Panics
    /// If that takes a minute.
    pub async fn settle(&self) {
        assert!(self.lambda.settled(RECORD, PATIENCE).await, "the environments do not settle");
    }

    /// The sum of a figure over all lines that an environment has logged.
    pub fn logged(&self, environment: EnvironmentId, message: &str, figure: &str) -> u64 {
        let log = self.lambda.output(environment);
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).filter_map(|line| line[figure].as_u64()).sum()
    }

    /// Copies what the functions have logged to the folder that `CHAOS_LOGS` names, if it names one: to be called
    /// where a claim does not hold.
    pub fn keep_logs(&self, name: &str) {
        let Some(folder) = std::env::var_os("CHAOS_LOGS") else { return };
        let folder = Path::new(&folder).join(name);
        // Evidence only: without it the claim fails all the same.
        let _ = fs::create_dir_all(&folder);
        for environment in self.lambda.environments() {
            let _ = fs::copy(&environment.log, folder.join(format!("{}-{}.log", environment.function, environment.id)));
        }
    }

    /// Holds what the servers count, and its days, against what was acknowledged.
    pub fn verdict(&self) -> Verdict {
        let counts = self.servers.counts();
        Verdict { undated: counts.undated(), ..self.ledger.compare(&counts.pages) }
    }

    /// The end of a run: no more faults, every environment is told to end, what is parked is delivered, and every journal
    /// is folded.
    ///
    /// # Panics
    /// If that does not come to an end.
    pub async fn come_to_rest(&self) {
        (0..2).for_each(|shard| self.servers.proxy(shard).heal());
        self.settle().await;
        // A few at a time: each is to have the processor that it would have on Lambda.
        for environments in self.idle().chunks(REAPED_AT_ONCE) {
            join_all(environments.iter().map(|one| self.lambda.reap(*one))).await;
        }
        let started = Instant::now();
        while self.servers.copies() + self.servers.unfolded() > 0 {
            assert!(started.elapsed() < PATIENCE, "copies or entries are left: {:?}", self.flush_all().await);
            let _ = self.flush_all().await;
            tokio::time::sleep(SCHEDULE).await;
        }
    }
}

/// Returns the release binary `program`, deployed as `name`, with these variables on top of those that every function of a
/// scenario has. `test`: what `VISITS_TEST` says besides scale and clock.
pub(crate) fn function<'a>(
    lambda: &Simulator,
    (program, name): (&str, &str),
    test: &str,
    env: impl IntoIterator<Item = (&'a str, String)>,
) -> FunctionConfig {
    let common = [
        ("VISITS_FLUSH_INTERVAL", format!("{}ms", INTERVAL.as_millis())),
        ("AWS_ENDPOINT_URL_LAMBDA", lambda.invoke_endpoint()),
        ("AWS_ACCESS_KEY_ID", "simulated".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "simulated".to_owned()),
        ("VISITS_TEST", format!("scale={SCALE}{test},frozen={{frozen_clock}}")),
    ];
    let env = common.into_iter().chain(env).map(|(name, value)| (name.to_owned(), value)).collect();
    FunctionConfig { env, ..FunctionConfig::new(name, release_program(program)) }
}

/// Returns the statement of an answer about the visit.
fn told(answer: &Invocation) -> Outcome {
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
    match (answer["statusCode"].as_u64(), answer["body"].as_str()) {
        (Some(200), _) => Outcome::Acknowledged,
        (Some(503), Some(body)) if body.contains("not counted") => Outcome::Refused,
        _ => Outcome::Unknown,
    }
}
