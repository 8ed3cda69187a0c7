//! Runs real function binaries as AWS Lambda runs them, on one machine, for tests.
//!
//! Code on Lambda is hard to get right not for its calls but for its life: an environment is frozen between
//! two events, thawed hours later or never, reaped with a warning of 500 ms or none, killed by a timeout or lost
//! with its host; and a second request at the same time meets another process. [`Simulator`] does all of this to a
//! release binary, on command or by the same rules as Lambda, and tells what it saw.
//!
//! ```no_run
//! use lambda_simulator::{FunctionConfig, Simulator, http_api_event};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let simulator = Simulator::start()?;
//! simulator.deploy(FunctionConfig {
//!     env: vec![("REDIS_ENDPOINTS".into(), "a=redis://127.0.0.1:7070".into())],
//!     ..FunctionConfig::new("record-visit", "target/release/record-visit")
//! })?;
//!
//! let event = http_api_event("POST", "/visit/home").to_string();
//! let invocation = simulator.invoke("record-visit", event).await?;
//!
//! // Its environment is frozen by now, or soon. Take it away as Lambda does:
//! assert!(simulator.settled("record-visit", std::time::Duration::from_secs(5)).await);
//! let ending = simulator.reap(invocation.environment).await;
//! println!("{ending:?}: {}", simulator.output(invocation.environment));
//! # Ok(())
//! # }
//! ```
//!
//! # What is simulated
//! | Lambda | here |
//! | --- | --- |
//! | execution environment | one process with a Runtime API (2018-06-01) and an Extensions API (2020-01-01) of its own, a working folder, and Lambda's environment variables; of the caller's it sees `PATH` and `HOME` only |
//! | freeze and thaw | SIGSTOP when the runtime has asked for its next event (at the start: and each extension, too); SIGCONT before the next event |
//! | a monotonic clock that stops | a file with the frozen time: [`FunctionConfig::env`] |
//! | answer | the client has it as soon as `/response` has come, not at the next `/next` |
//! | an Extensions API that is missing, refuses or hangs up, as under some emulators | [`ExtensionsApi`] |
//! | routing | an idle environment ([`Choice`]), else a new one; until the next `/next`, an environment takes nothing else |
//! | reaping | [`Simulator::reap`]: thaw, SIGTERM, 500 ms, SIGKILL; without an extension SIGKILL at once |
//! | timeout | from the event to the next `/next`, work after the response included: SIGKILL; the client gets `Sandbox.Timedout` |
//! | crash, lost host | [`Simulator::crash`]: SIGKILL; the client gets `Runtime.ExitError` |
//! | Managed Instances | [`Mode::ManagedInstances`]: many events in one environment, no freeze; a timeout is told to the client and leaves the environment alone |
//! | Invoke API (2015-03-31) | [`Simulator::invoke_endpoint`]: `RequestResponse`; the AWS SDK finds it by `AWS_ENDPOINT_URL_LAMBDA` |
//! | network | [`FunctionConfig::start_skew`], drawn with a seed |
//!
//! # What is not
//! Memory and processor limits, external extensions, the Telemetry API, `SnapStart`, response streaming (a
//! streamed response is handed over in one piece), function versions, asynchronous invocations, and events for extensions. A managed instance that is full is joined by another at once;
//! Lambda would refuse the invocation until it has scaled.
//!
//! # Cost
//! Measured on two cores, release build, function included: an invocation with its thaw and freeze takes 0.3 ms of
//! processor time (6,000 a second over 20 environments), one on a managed instance 0.1 ms. An environment costs a
//! process and one listening socket. Dead environments are remembered until the simulator is dropped, with their output. If the test itself
//! is killed (SIGKILL), no process is left to kill what it started: processes that are frozen then stay.

mod api;
mod config;
mod environment;
mod function;
mod simulator;
mod slots;

pub use config::{Choice, ExtensionsApi, FunctionConfig, Mode};
pub use environment::{Ending, EnvironmentId, EnvironmentInfo, EnvironmentState};
pub use function::{Invocation, InvokeError};
pub use simulator::{PendingInvocation, Simulator, http_api_event};

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::AbortHandle;

/// The region that functions believe to be in.
const REGION: &str = "eu-central-1";

/// The account that functions believe to belong to.
const ACCOUNT: &str = "123456789012";

/// Locks without poison: state is changed in whole steps, so that a panic elsewhere leaves it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task that ends with its handle.
#[derive(Debug)]
struct OwnedTask(AbortHandle);

impl Drop for OwnedTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Returns the milliseconds since the Unix epoch, `from_now` from now.
fn epoch_millis(from_now: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from((now + from_now).as_millis()).unwrap_or(u64::MAX)
}

/// Returns a random id of the form of a UUID, version 4.
fn request_id() -> String {
    let hex = format!("{:032x}", fastrand::u128(..));
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}
