//! The simulator: deployed functions, the ways to invoke them, and commands to their environments.

use crate::ending::EndError;
use crate::functions::{Functions, check};
use crate::sync::lock;
use crate::{
    Choice, Counts, Ending, EnvironmentId, EnvironmentInfo, FunctionConfig, InvokeError, PendingInvocation, http,
    invoke_api,
};
use hyper::body::Bytes;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};
use tempfile::TempDir;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Threads that serve the endpoints. They leave the processor to the functions that are tested.
const THREADS: usize = 2;

/// Why a function was not deployed.
#[derive(Debug, Error)]
pub enum DeployError {
    /// There is one of this name.
    #[error("a function {0} is deployed already")]
    NameTaken(String),
    /// There is no such program.
    #[error("the program {0} cannot be found: {1}")]
    NoProgram(String, #[source] io::Error),
}

/// Runs functions as Lambda does. Everything that it started is killed when it is dropped.
///
/// It works on threads of its own: its futures can be awaited in any runtime, and a test may block its thread.
#[derive(Debug)]
pub struct Simulator {
    /// None only while it is dropped.
    runtime: Option<Runtime>,
    functions: Arc<Functions>,
    invoke_address: SocketAddr,
    /// Removed after the processes that have files in it.
    folder: TempDir,
}

impl Simulator {
    /// A simulator without functions. Its Invoke API listens on a free loopback port.
    pub fn start() -> io::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(THREADS).thread_name("lambda-simulator").enable_all().build()?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let invoke_address = listener.local_addr()?;
        let functions = Arc::new(Functions::default());
        let of_api = Arc::clone(&functions);
        let guard = runtime.enter();
        let api = http::serve(TcpListener::from_std(listener)?, move |request| {
            invoke_api::handle(Arc::clone(&of_api), request)
        });
        drop(guard);
        runtime.spawn(api);
        let folder = TempDir::with_prefix("lambda-simulator-")?;
        Ok(Self { runtime: Some(runtime), functions, invoke_address, folder })
    }

    /// Deploys a function. Nothing is started before it is invoked.
    pub fn deploy(&self, config: FunctionConfig) -> Result<(), DeployError> {
        self.functions.deploy(config, self.folder.path())
    }

    /// The URL of the Invoke API: the value for `AWS_ENDPOINT_URL_LAMBDA`.
    pub fn invoke_endpoint(&self) -> String {
        format!("http://{}", self.invoke_address)
    }

    /// Invokes a function, by name or ARN, and waits for its answer. It runs on when the future is dropped.
    pub fn invoke(&self, function: &str, payload: impl Into<Vec<u8>>) -> PendingInvocation {
        let payload = Bytes::from(payload.into());
        let function = self.functions.find(function).and_then(|function| check(&payload).map(|()| function));
        PendingInvocation(self.spawn(async move { function?.invoke(payload).await }))
    }

    /// Starts an environment before there is an event for it, as provisioned concurrency does. It freezes
    /// when its start is complete.
    pub async fn prewarm(&self, function: &str) -> Result<EnvironmentId, InvokeError> {
        let function = self.functions.find(function)?;
        self.spawn(async move { function.prewarm() }).await.unwrap_or(Err(InvokeError::Stopped))
    }

    /// Takes an idle environment away as Lambda does: SIGTERM and 500 ms if it has an extension, then, or
    /// at once, SIGKILL. Tells how it ended.
    pub async fn reap(&self, environment: EnvironmentId) -> Result<Ending, EndError> {
        let function = self.functions.of(environment).ok_or(EndError::NotAlive(environment))?;
        let task = self.spawn(async move { function.reap(environment).await });
        task.await.unwrap_or(Err(EndError::NotAlive(environment)))
    }

    /// Reaps all environments of all functions that are idle, at the same time, and tells how each ended.
    pub async fn reap_all(&self) -> Vec<(EnvironmentId, Ending)> {
        let idle: Vec<_> = self.functions.all().iter().flat_map(|function| function.idle()).collect();
        let reaped: Vec<_> = idle.into_iter().map(|id| (id, self.start_reaping(id))).collect();
        let mut endings = Vec::new();
        for (id, task) in reaped {
            // One that got an event in the meantime lives.
            endings.extend(task.await.ok().and_then(Result::ok).map(|ending| (id, ending)));
        }
        endings
    }

    fn start_reaping(&self, id: EnvironmentId) -> JoinHandle<Result<Ending, EndError>> {
        let function = self.functions.of(id).ok_or(EndError::NotAlive(id));
        self.spawn(async move { function?.reap(id).await })
    }

    /// Kills an environment (SIGKILL), whatever it does, as a crash or the loss of its host would.
    pub async fn crash(&self, environment: EnvironmentId) -> Result<Ending, EndError> {
        let function = self.functions.of(environment).ok_or(EndError::NotAlive(environment))?;
        function.crash(environment).await
    }

    /// All environments that were ever started, in order.
    pub fn environments(&self) -> Vec<EnvironmentInfo> {
        let mut all: Vec<_> = self.functions.all().iter().flat_map(|function| function.environments()).collect();
        all.sort_by_key(|environment| environment.id);
        all
    }

    /// One environment.
    pub fn environment(&self, id: EnvironmentId) -> Option<EnvironmentInfo> {
        self.functions.of(id)?.environment(id)
    }

    /// What the process of an environment wrote to stdout and stderr so far. Empty if there is none.
    pub fn output(&self, environment: EnvironmentId) -> String {
        let log = self.environment(environment).and_then(|environment| fs::read(environment.log).ok());
        String::from_utf8_lossy(&log.unwrap_or_default()).into_owned()
    }

    /// From now on, another idle environment of the function is chosen.
    pub fn set_choice(&self, function: &str, choice: Choice) -> Result<(), InvokeError> {
        let function = self.functions.find(function)?;
        lock(&function.fleet).choice = choice;
        Ok(())
    }

    /// From now on, the time between an invocation's receipt and its routing is drawn from this range.
    pub fn set_start_skew(&self, function: &str, start_skew: Range<Duration>) -> Result<(), InvokeError> {
        let function = self.functions.find(function)?;
        lock(&function.fleet).start_skew = start_skew;
        Ok(())
    }

    /// The figures of a function. None if there is no such function.
    pub fn counts(&self, function: &str) -> Option<Counts> {
        self.functions.find(function).ok().map(|function| lock(&function.fleet).counts)
    }

    /// Waits until each environment of the function is idle (on demand: frozen) or dead, for at most `bound`.
    /// Returns whether it came true. What does not exist is idle.
    #[must_use = "an environment that goes on working is what the test is about"]
    pub async fn settled(&self, function: &str, bound: Duration) -> bool {
        let Ok(function) = self.functions.find(function) else { return true };
        let settled = self.spawn(async move {
            let settled = function.until(|| function.is_settled().then_some(()));
            tokio::time::timeout(bound, settled).await.is_ok()
        });
        settled.await.unwrap_or(false)
    }

    fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.runtime.as_ref().expect("the simulator is not being dropped").spawn(task)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let processes: Vec<_> = self.functions.all().iter().flat_map(|function| function.close()).collect();
        for process in processes {
            process.wait_until_gone();
        }
        if let Some(runtime) = self.runtime.take() {
            // Not a plain drop: that would panic inside an asynchronous test.
            runtime.shutdown_background();
        }
    }
}
