//! Runs real function binaries as AWS Lambda runs them, for tests.

mod config;
mod ending;
mod environment;
mod event;
mod extensions;
mod freezer;
mod function;
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

pub use config::{Choice, FrozenClockVariable, FunctionConfig, Mode};
pub use ending::EndError;
pub use event::http_api_event;
pub use inspect::{Counts, Ending, EnvironmentId, EnvironmentInfo, EnvironmentState};
pub use outcome::{Invocation, InvokeError, PendingInvocation};
pub use simulator::{DeployError, Simulator};
