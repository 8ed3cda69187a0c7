//! A deployment: a function's program and its settings.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

/// A function to deploy. Start from [`FunctionConfig::new`] and set what differs:
///
/// ```
/// use lambda_simulator::{FunctionConfig, Mode};
/// use std::time::Duration;
///
/// let config = FunctionConfig {
///     timeout: Duration::from_secs(10),
///     mode: Mode::ManagedInstances { max_concurrency: 16 },
///     ..FunctionConfig::new("record-visit", "target/release/record-visit")
/// };
/// assert_eq!(config.concurrency_limit, None);
/// ```
#[derive(Clone, Debug)]
pub struct FunctionConfig {
    /// Its name, unique in a simulator.
    pub name: String,
    /// The program that serves it: the `bootstrap` of a deployment.
    pub program: PathBuf,
    /// Environment variables of the function. They win over those that the simulator sets.
    ///
    /// In a value `{frozen_clock}` stands for the path of a file with the time for which the environment was frozen in
    /// all, in nanoseconds, as 20 decimal digits. On Lambda the monotonic clock may stand still meanwhile; SIGSTOP leaves
    /// it running. The file is rewritten in place, with one write, before each SIGCONT: a program that subtracts it from
    /// the system's clock has one that stops while it is frozen.
    pub env: Vec<(String, String)>,
    /// Longest invocation, from the event to the runtime's next `/next`. Default: 3 s, as Lambda's.
    pub timeout: Duration,
    /// Longest start, from the process' start to its first `/next`; a slower one is killed, and the invocation
    /// that waits for it times out. Default: 10 s and the default timeout. (Lambda tries again after 10 s, within the
    /// function's timeout.)
    pub init_limit: Duration,
    /// Mode in which events reach an environment. Default: [`Mode::OnDemand`].
    pub mode: Mode,
    /// Which idle environment serves an event. Default: [`Choice::MostRecentlyUsed`].
    pub choice: Choice,
    /// Most invocations at once; further ones are throttled. Default: no limit.
    pub concurrency_limit: Option<usize>,
    /// Time between an invocation's receipt and its routing, drawn anew for each from this range with
    /// [`seed`](Self::seed). Default: none.
    pub start_skew: Range<Duration>,
    /// Seed of everything that is drawn for this function. Default: 0.
    pub seed: u64,
    /// Answers of the Extensions API. Default: as Lambda's.
    pub extensions: ExtensionsApi,
}

impl FunctionConfig {
    /// The function `name`, served by `program`, with the default of every setting.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            env: Vec::new(),
            timeout: Duration::from_secs(3),
            init_limit: Duration::from_secs(13),
            mode: Mode::OnDemand,
            choice: Choice::MostRecentlyUsed,
            concurrency_limit: None,
            start_skew: Duration::ZERO..Duration::ZERO,
            seed: 0,
            extensions: ExtensionsApi::Works,
        }
    }
}

/// Answers of the Extensions API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionsApi {
    /// As Lambda's.
    Works,
    /// With this status to every call: 404 where there is none.
    Refuses(u16),
    /// Closes the connection.
    HangsUp,
    /// Never.
    IsSilent,
}

/// Mode in which events reach an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One event at a time, frozen in between.
    OnDemand,
    /// Lambda Managed Instances: several events at the same time, never frozen.
    ManagedInstances {
        /// Most events in one environment at the same time; at least 1.
        max_concurrency: usize,
    },
}

impl Mode {
    /// Most events in one environment at the same time.
    pub(crate) fn slots(self) -> usize {
        match self {
            Self::OnDemand => 1,
            Self::ManagedInstances { max_concurrency } => max_concurrency.max(1),
        }
    }
}

/// Which of several idle environments serves an event. Lambda promises nothing; in practice the one used
/// last is preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The one that served last.
    MostRecentlyUsed,
    /// The one that has been idle for longest.
    LeastRecentlyUsed,
    /// Any, drawn with the function's seed.
    Random,
}
