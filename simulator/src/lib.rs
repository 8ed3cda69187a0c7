//! Runs real function binaries as AWS Lambda runs them, on one machine, for tests.
//!
//! What makes code on Lambda hard to get right is not its calls but its life: an environment is frozen between
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
//! assert!(invocation.cold_start);
//!
//! // Its environment is frozen by now, or soon. Take it away as Lambda does:
//! assert!(simulator.settled("record-visit", std::time::Duration::from_secs(5)).await);
//! let ending = simulator.reap(invocation.environment).await?;
//! println!("{ending:?}: {}", simulator.output(invocation.environment));
//! # Ok(())
//! # }
//! ```
//!
//! # What is simulated
//! | Lambda | here |
//! | --- | --- |
//! | execution environment | one process with a Runtime API (2018-06-01) and an Extensions API (2020-01-01) of its own, a working folder, and Lambda's environment variables; of the caller's it sees `PATH` and `HOME` only |
//! | freeze and thaw | SIGSTOP when the runtime has asked for its next event and each extension that follows invocations has, too (at the start: each extension); SIGCONT before the next event |
//! | a monotonic clock that stops | a file with the frozen time: [`FrozenClockVariable`] |
//! | answer | the client has it as soon as `/response` has come, not at the next `/next` |
//! | an Extensions API that is missing, refuses or hangs up, as under some emulators | [`ExtensionsApi`] |
//! | routing | an idle environment ([`Choice`]), else a new one; until the next `/next`, an environment takes nothing else |
//! | reaping | [`Simulator::reap`], [`FunctionConfig::idle_limit`]: thaw, SIGTERM, 500 ms, SIGKILL; without an extension SIGKILL at once |
//! | timeout | from the event to the next `/next`, work after the response included: SIGKILL; the client gets `Sandbox.Timedout` |
//! | crash, lost host | [`Simulator::crash`]: SIGKILL; the client gets `Runtime.ExitError` |
//! | Managed Instances | [`Mode::ManagedInstances`]: many events in one environment, no freeze; a timeout is told to the client and leaves the environment alone |
//! | Invoke API (2015-03-31) | [`Simulator::invoke_endpoint`]: `RequestResponse`, `Event`, `DryRun`; the AWS SDK finds it by `AWS_ENDPOINT_URL_LAMBDA` |
//! | network and start-up time | [`FunctionConfig::start_skew`] and [`FunctionConfig::cold_start_delay`], drawn with a seed |
//!
//! # What is not
//! Memory and processor limits, external extensions, the Telemetry API, `SnapStart`, response streaming (a
//! streamed response is handed over in one piece), function versions, and Lambda's second and third try of a failed
//! asynchronous invocation (a throttled one does wait for room). A managed instance that is full is joined by another at once;
//! Lambda would refuse the invocation until it has scaled.
//!
//! # Cost
//! Measured on two cores, release build, function included: an invocation with its thaw and freeze takes 0.3 ms of
//! processor time (6,000 a second over 20 environments), one on a managed instance 0.1 ms. An environment costs a
//! process and one listening socket. Dead environments are remembered until the simulator is dropped, with their output. If the test itself
//! is killed (SIGKILL), nobody is left to kill what it started: processes that are frozen then stay.

mod config;
mod ending;
mod environment;
mod event;
mod extensions;
mod freezer;
mod function;
mod functions;
mod http;
mod inspect;
mod invoke_api;
mod launch;
mod lifecycle;
mod outcome;
mod process;
mod routing;
mod runtime_api;
mod simulator;
mod slots;
mod sync;
mod time;

pub use config::{Choice, ExtensionsApi, FrozenClockVariable, FunctionConfig, Mode};
pub use ending::EndError;
pub use event::http_api_event;
pub use inspect::{Counts, Ending, EnvironmentId, EnvironmentInfo, EnvironmentState};
pub use outcome::{Invocation, InvokeError, PendingInvocation};
pub use simulator::{DeployError, Simulator};
