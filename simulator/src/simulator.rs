//! The simulator: deployed functions, the ways to invoke them, and commands to their environments.

use crate::function::{Function, Invocation, InvokeError};
use crate::{
    ACCOUNT, Choice, Ending, EnvironmentId, EnvironmentInfo, EnvironmentState, FunctionConfig, REGION, api,
    epoch_millis, lock, request_id,
};
use hyper::body::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fs, io};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Threads that serve the endpoints. They leave the processor to the functions that are tested.
const THREADS: usize = 2;

/// An invocation that has begun. Await it for its outcome, in any runtime.
#[derive(Debug)]
#[must_use = "an invocation goes on without it, but its answer is lost"]
pub struct PendingInvocation(JoinHandle<Result<Invocation, InvokeError>>);

impl Future for PendingInvocation {
    type Output = Result<Invocation, InvokeError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // The task itself fails only with the simulator's runtime.
        Pin::new(&mut self.0).poll(context).map(|outcome| outcome.unwrap_or(Err(InvokeError::Stopped)))
    }
}

/// The functions of a simulator, by name.
#[derive(Debug, Default)]
pub(crate) struct Functions(Mutex<BTreeMap<String, Arc<Function>>>);

impl Functions {
    /// Finds the function of this name or ARN, with or without a version.
    pub(crate) fn find(&self, name_or_arn: &str) -> Result<Arc<Function>, InvokeError> {
        let (_, after) = name_or_arn.rsplit_once("function:").unwrap_or(("", name_or_arn));
        let name = after.split(':').next().unwrap_or_default();
        lock(&self.0).get(name).cloned().ok_or_else(|| InvokeError::NotFound(name_or_arn.to_owned()))
    }

    fn all(&self) -> Vec<Arc<Function>> {
        lock(&self.0).values().cloned().collect()
    }
}

/// Runs functions as Lambda does. Everything that it started is killed when it is dropped.
///
/// The simulator works on threads of its own: its futures can be awaited in any runtime, and a test may block its thread.
#[derive(Debug)]
pub struct Simulator {
    /// None only while it is dropped.
    runtime: Option<Runtime>,
    functions: Arc<Functions>,
    /// Numbers the environments of all functions.
    numbers: Arc<AtomicU64>,
    invoke_address: SocketAddr,
    /// Removed after the processes that have files in it.
    folder: TempDir,
}

impl Simulator {
    /// Starts a simulator without functions. Its Invoke API listens on a free loopback port.
    pub fn start() -> io::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(THREADS).thread_name("lambda-simulator").enable_all().build()?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let invoke_address = listener.local_addr()?;
        let functions = Arc::new(Functions::default());
        let invoked = Arc::clone(&functions);
        let guard = runtime.enter();
        let api =
            api::serve(TcpListener::from_std(listener)?, move |request| api::invoke(Arc::clone(&invoked), request));
        drop(guard);
        runtime.spawn(api);
        let folder = TempDir::with_prefix("lambda-simulator-")?;
        Ok(Self { runtime: Some(runtime), functions, numbers: Arc::default(), invoke_address, folder })
    }

    /// Deploys a function. Nothing is started before it is invoked.
    ///
    /// # Errors
    /// If there is no such program.
    ///
    /// # Panics
    /// If a function of this name is deployed already.
    pub fn deploy(&self, mut config: FunctionConfig) -> io::Result<()> {
        // Absolute, since each environment has a working folder of its own.
        config.program = fs::canonicalize(&config.program)?;
        let name = config.name.clone();
        let function = Function::new(config, self.folder.path().to_owned(), Arc::clone(&self.numbers));
        let before = lock(&self.functions.0).insert(name, Arc::new(function));
        assert!(before.is_none(), "a name is deployed once");
        Ok(())
    }

    /// Returns the URL of the Invoke API: the value for `AWS_ENDPOINT_URL_LAMBDA`.
    pub fn invoke_endpoint(&self) -> String {
        format!("http://{}", self.invoke_address)
    }

    /// Invokes a function, by name or ARN, and waits for its answer. It runs on when the future is dropped.
    pub fn invoke(&self, function: &str, payload: impl Into<Vec<u8>>) -> PendingInvocation {
        let (payload, function) = (Bytes::from(payload.into()), self.functions.find(function));
        PendingInvocation(self.spawn(async move { function?.invoke(payload).await }))
    }

    /// Starts an environment before there is an event for it, as provisioned concurrency does. It freezes
    /// when its start is complete.
    pub async fn prewarm(&self, function: &str) -> Result<EnvironmentId, InvokeError> {
        let function = self.functions.find(function)?;
        self.spawn(async move { function.prewarm() }).await.unwrap_or(Err(InvokeError::Stopped))
    }

    /// Takes an idle environment away as Lambda does: SIGTERM and 500 ms if it has an extension, then, or at once, SIGKILL.
    /// Returns how it ended; `None` if it is not idle.
    pub async fn reap(&self, environment: EnvironmentId) -> Option<Ending> {
        self.start_reaping(environment).await.ok()?
    }

    fn start_reaping(&self, environment: EnvironmentId) -> JoinHandle<Option<Ending>> {
        let function = self.function_of(environment);
        self.spawn(async move { function?.reap(environment).await })
    }

    /// Reaps all environments of all functions that are idle, at the same time, and tells how each ended.
    pub async fn reap_all(&self) -> Vec<(EnvironmentId, Ending)> {
        let idle = self.environments().into_iter().filter(|environment| environment.state == EnvironmentState::Idle);
        let reaped: Vec<_> = idle.map(|environment| (environment.id, self.start_reaping(environment.id))).collect();
        let mut endings = Vec::new();
        for (id, task) in reaped {
            // One that got an event in the meantime lives.
            endings.extend(task.await.ok().flatten().map(|ending| (id, ending)));
        }
        endings
    }

    /// Kills an environment (SIGKILL), whatever it does, as a crash or the loss of its host would; `None` if it does not
    /// live.
    pub async fn crash(&self, environment: EnvironmentId) -> Option<Ending> {
        self.function_of(environment)?.crash(environment).await
    }

    /// Returns all environments that were ever started, in order.
    pub fn environments(&self) -> Vec<EnvironmentInfo> {
        let mut all: Vec<_> = self.functions.all().iter().flat_map(|function| function.environments()).collect();
        all.sort_by_key(|environment| environment.id);
        all
    }

    /// Returns one environment.
    pub fn environment(&self, id: EnvironmentId) -> Option<EnvironmentInfo> {
        self.environments().into_iter().find(|environment| environment.id == id)
    }

    fn function_of(&self, id: EnvironmentId) -> Option<Arc<Function>> {
        self.functions.find(&self.environment(id)?.function).ok()
    }

    /// Returns the output of an environment's process to stdout and stderr so far. Empty if there is none.
    pub fn output(&self, environment: EnvironmentId) -> String {
        let log = self.environment(environment).and_then(|environment| fs::read(environment.log).ok());
        String::from_utf8_lossy(&log.unwrap_or_default()).into_owned()
    }

    /// Has another idle environment of the function be chosen from now on.
    pub fn set_choice(&self, function: &str, choice: Choice) -> Result<(), InvokeError> {
        lock(&self.functions.find(function)?.fleet).choice = choice;
        Ok(())
    }

    /// Draws the time between an invocation's receipt and its routing from this range from now on.
    pub fn set_start_skew(&self, function: &str, start_skew: Range<Duration>) -> Result<(), InvokeError> {
        lock(&self.functions.find(function)?.fleet).start_skew = start_skew;
        Ok(())
    }

    /// Waits until each environment of the function is idle (on demand: frozen) or dead, for at most `bound`.
    /// Returns whether it came true. What does not exist is idle.
    #[must_use = "an environment that goes on working is what the test is about"]
    pub async fn settled(&self, function: &str, bound: Duration) -> bool {
        let Ok(function) = self.functions.find(function) else { return true };
        let settled = self.spawn(async move { tokio::time::timeout(bound, function.settled()).await.is_ok() });
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

/// Returns the event (payload version 2.0) that an API Gateway HTTP API makes of a request with this method and this
/// path. The path is given, and handed over, as HTTP APIs do it: decoded. No query, no body.
///
/// ```
/// let event = lambda_simulator::http_api_event("POST", "/visit/über uns");
/// assert_eq!(event["requestContext"]["http"]["path"], "/visit/über uns");
/// ```
pub fn http_api_event(method: &str, path: &str) -> Value {
    let domain = format!("simulated.execute-api.{REGION}.amazonaws.com");
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": { "accept": "*/*", "content-length": "0", "host": domain, "user-agent": "lambda-simulator" },
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "simulated",
            "domainName": domain,
            "domainPrefix": "simulated",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "lambda-simulator",
            },
            "requestId": request_id(),
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": epoch_millis(Duration::ZERO),
        },
        "isBase64Encoded": false,
    })
}
