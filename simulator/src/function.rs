//! A deployed function: its environments, the way of an invocation through them, and how they start and end.

use crate::api::{self, Answer};
use crate::environment::{Environment, EnvironmentId, EnvironmentInfo, EnvironmentState, Phase, Process, frozen_clock};
use crate::slots::{Delivery, Event, Refused};
use crate::{ACCOUNT, Choice, Ending, FunctionConfig, Mode, OwnedTask, REGION, epoch_millis, lock, request_id};
use fastrand::Rng;
use hyper::body::Bytes;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::{Notify, oneshot};

/// Time that Lambda gives a function with internal extensions between SIGTERM and SIGKILL.
const SHUTDOWN: Duration = Duration::from_millis(500);

/// An invocation that reached an environment.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Its id, as the function saw it.
    pub request_id: String,
    /// The answer of the function, or the description of its error.
    pub payload: Vec<u8>,
    /// The kind of error, as in the header `X-Amz-Function-Error` ("Unhandled"). None: the function succeeded.
    pub function_error: Option<String>,
    /// The environment that served it.
    pub environment: EnvironmentId,
}

/// Why an invocation reached no environment.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvokeError {
    /// No function of this name is deployed.
    #[error("Function not found: {0}")]
    NotFound(String),
    /// The function's concurrency limit is reached.
    #[error("Rate Exceeded.")]
    Throttled,
    /// The simulator was dropped.
    #[error("the simulator has stopped")]
    Stopped,
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) config: FunctionConfig,
    /// Folder in which its environments have theirs.
    folder: PathBuf,
    /// Numbers the environments of all functions.
    numbers: Arc<AtomicU64>,
    pub(crate) fleet: Mutex<Fleet>,
    /// Notified when an environment may have become idle, or is dead.
    changed: Notify,
}

/// The environments of a function. Held for a few microseconds at a time, never over an await.
#[derive(Debug)]
pub(crate) struct Fleet {
    live: BTreeMap<EnvironmentId, Environment>,
    dead: BTreeMap<EnvironmentId, EnvironmentInfo>,
    /// Times that an environment became idle.
    idle_order: u64,
    random: Rng,
    pub(crate) choice: Choice,
    pub(crate) start_skew: Range<Duration>,
    /// The simulator ends: nothing new starts.
    closed: bool,
}

impl Function {
    pub(crate) fn new(config: FunctionConfig, folder: PathBuf, numbers: Arc<AtomicU64>) -> Self {
        let fleet = Fleet {
            live: BTreeMap::new(),
            dead: BTreeMap::new(),
            idle_order: 0,
            random: Rng::with_seed(config.seed),
            choice: config.choice,
            start_skew: config.start_skew.clone(),
            closed: false,
        };
        Self { config, folder, numbers, fleet: Mutex::new(fleet), changed: Notify::new() }
    }

    /// Returns its Amazon resource name.
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}", self.config.name)
    }

    /// Runs one synchronous invocation, from its receipt to its answer. No payload is an empty object, as on Lambda.
    pub(crate) async fn invoke(self: Arc<Self>, payload: Bytes) -> Result<Invocation, InvokeError> {
        self.skew().await;
        let (answer, client) = oneshot::channel();
        let payload = if payload.is_empty() { Bytes::from_static(b"{}") } else { payload };
        let request_id = request_id();
        let environment = self.route(Event { request_id: request_id.clone(), payload, answer })?;
        let Answer { payload, function_error } = client.await.map_err(|_| InvokeError::Stopped)?;
        Ok(Invocation { request_id, payload: payload.to_vec(), function_error, environment })
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

    /// Gives an event to an idle environment, or else to a new one. Needs a tokio runtime.
    fn route(self: &Arc<Self>, event: Event) -> Result<EnvironmentId, InvokeError> {
        let mut fleet = lock(&self.fleet);
        let in_work = fleet.live.values().map(|environment| environment.slots.load()).sum::<usize>();
        if self.config.concurrency_limit.is_some_and(|limit| in_work >= limit) {
            return Err(InvokeError::Throttled);
        }
        let id = match fleet.choose() {
            Some(id) => id,
            None => self.add_environment(&mut fleet)?,
        };
        if let Some(environment) = fleet.live.get_mut(&id) {
            environment.slots.push(event);
        }
        self.settle(&mut fleet, id);
        Ok(id)
    }

    /// Starts an environment that no event waits for, as provisioned concurrency does.
    pub(crate) fn prewarm(self: &Arc<Self>) -> Result<EnvironmentId, InvokeError> {
        self.add_environment(&mut lock(&self.fleet))
    }

    fn add_environment(self: &Arc<Self>, fleet: &mut Fleet) -> Result<EnvironmentId, InvokeError> {
        if fleet.closed {
            return Err(InvokeError::Stopped);
        }
        let id = EnvironmentId(self.numbers.fetch_add(1, Ordering::Relaxed));
        let environment = Environment::new(id, self.config.mode, &self.folder);
        fleet.live.insert(id, environment.expect("the simulator's folder can be written"));
        let function = Arc::clone(self);
        tokio::spawn(async move {
            let status = function.run_process(id).await.map_err(|error| error.to_string());
            function.ended(id, &status);
        });
        Ok(id)
    }

    /// Runs the process of an environment, with a Runtime API of its own, until it has ended.
    async fn run_process(self: &Arc<Self>, id: EnvironmentId) -> io::Result<ExitStatus> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (process, folder) = self
            .with(id, |environment| (Arc::clone(&environment.process), environment.folder.clone()))
            .ok_or_else(|| io::Error::other(InvokeError::Stopped))?;
        process.start(&mut self.command(id, listener.local_addr()?, &folder)?)?;
        let function = Arc::clone(self);
        let api = api::serve(listener, move |request| api::runtime(Arc::clone(&function), id, request));
        let _api = OwnedTask(tokio::spawn(api).abort_handle());
        let (function, limit) = (Arc::clone(self), self.config.init_limit);
        let limit = tokio::spawn(async move {
            tokio::time::sleep(limit).await;
            function.with(id, |environment| {
                if environment.phase == Phase::Starting {
                    time_out(environment);
                }
            });
        });
        let _limit = OwnedTask(limit.abort_handle());
        process.wait().await
    }

    /// Returns the command of a new environment, with the surroundings that Lambda gives it. Of the developer's own
    /// settings a deployed function sees none. The credentials are of no use anywhere.
    fn command(&self, id: EnvironmentId, api: SocketAddr, folder: &Path) -> io::Result<Command> {
        let FunctionConfig { name, program, env, mode, .. } = &self.config;
        let output = File::create(folder.join("output.log"))?;
        let mut command = Command::new(program);
        command.env_clear();
        for inherited in ["PATH", "HOME"] {
            command.envs(std::env::var_os(inherited).map(|value| (inherited, value)));
        }
        command.envs([
            ("AWS_LAMBDA_RUNTIME_API", api.to_string().as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", name),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{name}")),
            ("AWS_LAMBDA_LOG_STREAM_NAME", &format!("[$LATEST]{id}")),
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "simulated"),
            ("AWS_SECRET_ACCESS_KEY", "simulated"),
            ("AWS_SESSION_TOKEN", "simulated"),
            ("_HANDLER", "bootstrap"),
            ("LANG", "en_US.UTF-8"),
            ("TZ", ":UTC"),
        ]);
        if *mode == Mode::OnDemand {
            command.env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
        } else {
            command.env("AWS_LAMBDA_INITIALIZATION_TYPE", "lambda-managed-instances");
            command.env("AWS_LAMBDA_MAX_CONCURRENCY", mode.slots().to_string());
        }
        let frozen = frozen_clock(folder).to_string_lossy().into_owned();
        command.envs(env.iter().map(|(name, value)| (name, value.replace("{frozen_clock}", &frozen))));
        command.current_dir(folder).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        command.kill_on_drop(true);
        Ok(command)
    }

    /// Looks at or changes an environment that lives.
    pub(crate) fn with<T>(&self, id: EnvironmentId, change: impl FnOnce(&mut Environment) -> T) -> Option<T> {
        lock(&self.fleet).live.get_mut(&id).map(change)
    }

    /// Takes a `/invocation/next`: the receiver gets the next event.
    pub(crate) fn poll(self: &Arc<Self>, id: EnvironmentId) -> Result<oneshot::Receiver<Delivery>, Refused> {
        let mut fleet = lock(&self.fleet);
        let delivery = fleet.live.get_mut(&id).ok_or(Refused::InvalidTransition)?.slots.poll()?;
        self.settle(&mut fleet, id);
        Ok(delivery)
    }

    /// Takes an extension's first `/event/next`, which is never answered; `None` if there is no such extension.
    pub(crate) fn poll_extension(self: &Arc<Self>, id: EnvironmentId, extension: &str) -> Option<()> {
        let mut fleet = lock(&self.fleet);
        fleet.live.get_mut(&id)?.poll_extension(extension)?;
        self.settle(&mut fleet, id);
        Some(())
    }

    /// Lets an environment do what it can: get ready, freeze, take the events that wait for it.
    fn settle(self: &Arc<Self>, fleet: &mut Fleet, id: EnvironmentId) {
        let Some(environment) = fleet.live.get_mut(&id) else { return };
        environment.settle();
        while environment.can_deliver() {
            self.deliver(environment);
        }
        if environment.is_idle() {
            fleet.idle_order += 1;
            environment.idle_order = fleet.idle_order;
        }
        self.changed.notify_waiters();
    }

    fn deliver(self: &Arc<Self>, environment: &mut Environment) {
        let (id, timeout) = (environment.id, self.config.timeout);
        environment.freezer.thaw(&environment.process);
        let timer = |request_id: &str| {
            let (function, request_id) = (Arc::clone(self), request_id.to_owned());
            let task = tokio::spawn(async move {
                tokio::time::sleep(timeout).await;
                function.with(id, |environment| function.time_out(environment, &request_id));
            });
            OwnedTask(task.abort_handle())
        };
        environment.invocations += u64::from(environment.slots.deliver(epoch_millis(timeout), timer));
    }

    /// Ends an invocation at its deadline. On demand, the environment is killed, also while it only works after the
    /// response; a managed instance lets the code go on, and only the client gets the error.
    fn time_out(&self, environment: &mut Environment, request_id: &str) {
        if !environment.slots.has(request_id) || environment.is_ending() {
            return;
        }
        // Refused if the client was answered before: then there is none to tell.
        let _ = environment.slots.answer(request_id, Answer::timed_out(request_id, self.config.timeout));
        if self.config.mode == Mode::OnDemand {
            time_out(environment);
        }
    }

    /// Takes an idle environment away as Lambda does, and tells how it ended; `None` if it is not idle.
    pub(crate) async fn reap(&self, id: EnvironmentId) -> Option<Ending> {
        self.with(id, |environment| environment.is_idle().then(|| environment.ask_to_end())).flatten()?;
        if tokio::time::timeout(SHUTDOWN, self.end_of(id)).await.is_err() {
            self.with(id, |environment| {
                if let Phase::Reap { killed, .. } = &mut environment.phase {
                    *killed = true;
                }
                environment.process.signal(Signal::KILL);
            });
        }
        Some(self.end_of(id).await)
    }

    /// Kills an environment, as the loss of its host would; `None` if it does not live.
    pub(crate) async fn crash(&self, id: EnvironmentId) -> Option<Ending> {
        self.with(id, |environment| {
            environment.phase = Phase::Crash;
            environment.process.close();
        })?;
        Some(self.end_of(id).await)
    }

    /// Notes that the process of an environment has ended, or (`Err`) could not be started.
    fn ended(&self, id: EnvironmentId, status: &Result<ExitStatus, String>) {
        let mut fleet = lock(&self.fleet);
        let Some(mut environment) = fleet.live.remove(&id) else { return };
        let ending = environment.ending(status.as_ref().ok().copied());
        // Without an answer, when the simulator itself ends, clients learn that from the closed channel.
        if !fleet.closed {
            environment.slots.clear(|request_id| match (ending, status) {
                (Ending::TimedOut, _) => Answer::timed_out(request_id, self.config.timeout),
                (_, Ok(status)) => Answer::exited(request_id, *status),
                (_, Err(reason)) => Answer::not_started(request_id, reason),
            });
        }
        let mut info = environment.info(&self.config.name);
        info.state = EnvironmentState::Dead(ending);
        fleet.dead.insert(id, info);
        self.changed.notify_waiters();
    }

    /// Returns how an environment ended, once it has.
    async fn end_of(&self, id: EnvironmentId) -> Ending {
        self.until(|| match lock(&self.fleet).dead.get(&id)?.state {
            EnvironmentState::Dead(ending) => Some(ending),
            _ => None,
        })
        .await
    }

    /// Looks for something now and after each change, until there is something.
    async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
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

    /// Waits until all its environments are idle or dead.
    pub(crate) async fn settled(&self) {
        self.until(|| lock(&self.fleet).live.values().all(Environment::is_idle).then_some(())).await;
    }

    /// Returns its environments, dead ones included.
    pub(crate) fn environments(&self) -> Vec<EnvironmentInfo> {
        let fleet = lock(&self.fleet);
        let live = fleet.live.values().map(|environment| environment.info(&self.config.name));
        fleet.dead.values().cloned().chain(live).collect()
    }

    /// Kills everything and lets nothing new start; gives the processes to wait for.
    pub(crate) fn close(&self) -> Vec<Arc<Process>> {
        let mut fleet = lock(&self.fleet);
        fleet.closed = true;
        let processes: Vec<_> = fleet.live.values().map(|environment| Arc::clone(&environment.process)).collect();
        for process in &processes {
            process.close();
        }
        processes
    }
}

impl Fleet {
    /// Chooses the environment that takes the next event, if one can.
    fn choose(&mut self) -> Option<EnvironmentId> {
        let mut candidates: Vec<_> = self.live.values().filter(|environment| environment.takes_events()).collect();
        candidates.sort_by_key(|environment| environment.idle_order);
        let chosen = match self.choice {
            Choice::MostRecentlyUsed => candidates.last(),
            Choice::LeastRecentlyUsed => candidates.first(),
            Choice::Random => self.random.choice(&candidates),
        };
        chosen.map(|environment| environment.id)
    }
}

/// Kills an environment at the end of its time.
fn time_out(environment: &mut Environment) {
    environment.phase = Phase::Timeout;
    environment.process.signal(Signal::KILL);
}
