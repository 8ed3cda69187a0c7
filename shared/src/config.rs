//! The settings, read once from the environment at the start.
//!
//! Each value is checked here and nowhere else. One message tells all that is wrong, so that no second start is needed to
//! find the next mistake.

mod error;
mod values;
mod variables;

use error::WrongVariable;
pub use error::{ConfigError, masked};
pub(crate) use values::read_text_file;
pub use values::{CaCertificates, Counted, DoNotTrack, Durability, MetricsNamespace, Origins, PagePatterns, Timer};
use values::{ca_certificates, metrics_namespace, owner_token, shards};
pub use variables::{MAX_HISTORY_DAYS, Variable};
pub(crate) use variables::{aws_endpoint, bare_origin};
use variables::{duration, function_name, number, small, switch};

use crate::clock::Clock;
use crate::ring::Ring;
use crate::shard::{Namespace, PasswordSource, ShardConfig};
use crate::timing::Timing;
use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

/// All settings of the four functions. Each function uses those that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The shards, with distinct names, at least one of them with a weight above 0. Their order is the ring's.
    pub shards: Vec<ShardConfig>,
    /// Whom a `rediss://` server's certificate must be signed by. None: any of Mozilla's roots, which are compiled in.
    pub redis_ca: Option<CaCertificates>,
    /// First part of every key.
    pub namespace: Namespace,
    /// How old a count may be that the read cache answers with. Zero: every read asks the shard.
    pub cache_ttl: Duration,
    /// Most pages in the read cache.
    pub cache_pages: usize,
    /// How long a busy environment gathers visits before it writes them.
    pub flush_interval: Duration,
    /// The longest such time in an environment that no signal tells of its end.
    pub unregistered_interval: Duration,
    /// Most pages in the write buffer; what comes on top is answered with 503.
    pub buffer_pages: usize,
    /// When a visit is acknowledged.
    pub durability: Durability,
    /// Whether a server may be used that may evict counts and applied sets (an `allkeys-*` policy): then visits may be
    /// lost, or counted twice.
    pub allow_eviction: bool,
    /// Whether a timer flushes; see [`Config::timer_runs`].
    pub timer: Timer,
    /// Most `record-visit` environments that one round of the sweep invokes at once.
    pub sweep_concurrency: usize,
    /// Name or ARN of the function that the sweep invokes.
    pub record_function: String,
    /// Longest wait for a connection to Redis.
    pub redis_connect_timeout: Duration,
    /// Longest wait for an answer of Redis.
    pub redis_timeout: Duration,
    /// Days that are kept of each page, the present one included, at most [`MAX_HISTORY_DAYS`]. 0: no days, no visitors, no top lists.
    pub history_days: u32,
    /// Whether unique visitors are counted.
    pub visitors: bool,
    /// What a visit is taken for that asks not to be followed.
    pub do_not_track: DoNotTrack,
    /// What a page's count says.
    pub count: Counted,
    /// Whether anybody may read counts.
    pub public: bool,
    /// Where the owner's token comes from. None: nobody is the owner over HTTP.
    pub owner_token: Option<PasswordSource>,
    /// Origins that may call from a browser.
    pub origins: Origins,
    /// Pages that may be counted.
    pub pages: PagePatterns,
    /// Most new pages a day on each shard; 0: no limit.
    pub new_pages_a_day: u64,
    /// A visit of the same page by the same visitor within this time is not counted again. Zero: it is.
    pub repeat_window: Duration,
    /// The namespace of `CloudWatch` that metrics are written for. None: none are written.
    pub metrics: Option<MetricsNamespace>,
    /// How many requests Lambda hands to one environment at once. Set by Lambda, 1 unless it says more.
    pub max_concurrency: usize,
    /// For tests of the real binaries only.
    pub testing: Testing,
}

impl Config {
    /// Every variable that a site owner may set, in the order of the README's table.
    pub const VARIABLES: [&'static Variable; 26] = variables::ALL;

    /// Reads the process environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_vars(|name| std::env::var_os(name))
    }

    /// Reads the variables that `lookup` knows; one that is unset or blank has its default.
    ///
    /// ```
    /// # use visits_core::config::Config;
    /// let config = Config::from_vars(|name| (name == "VISITS_CACHE_TTL").then(|| "1m 30s".into()))?;
    /// assert_eq!(config.cache_ttl.as_secs(), 90);
    /// assert_eq!(config.flush_interval.as_secs(), 30);
    /// # Ok::<(), visits_core::config::ConfigError>(())
    /// ```
    pub fn from_vars(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let mut vars = Vars::new(lookup);
        for endpoint in &variables::AWS_ENDPOINTS {
            vars.read(endpoint, aws_endpoint);
        }
        let config = Self {
            shards: vars.read(&variables::REDIS_ENDPOINTS, shards),
            redis_ca: vars.read(&variables::REDIS_CA_FILE, ca_certificates),
            namespace: vars.read(&variables::NAMESPACE, str::parse),
            cache_ttl: vars.read(&variables::CACHE_TTL, duration(variables::CACHE_TTL_RANGE)),
            cache_pages: vars.read(&variables::CACHE_PAGES, number(variables::CACHE_PAGES_RANGE)),
            flush_interval: vars.read(&variables::FLUSH_INTERVAL, duration(variables::FLUSH_INTERVAL_RANGE)),
            unregistered_interval: vars
                .read(&variables::UNREGISTERED_INTERVAL, duration(variables::FLUSH_INTERVAL_RANGE)),
            buffer_pages: vars.read(&variables::BUFFER_PAGES, number(variables::BUFFER_PAGES_RANGE)),
            durability: vars.read(&variables::DURABILITY, str::parse),
            allow_eviction: vars.read(&variables::ALLOW_EVICTION, switch),
            timer: vars.read(&variables::TIMER, str::parse),
            sweep_concurrency: vars.read(&variables::SWEEP_CONCURRENCY, number(variables::SWEEP_CONCURRENCY_RANGE)),
            record_function: vars.read(&variables::RECORD_FUNCTION, function_name),
            redis_connect_timeout: vars
                .read(&variables::REDIS_CONNECT_TIMEOUT, duration(variables::REDIS_TIMEOUT_RANGE)),
            redis_timeout: vars.read(&variables::REDIS_TIMEOUT, duration(variables::REDIS_TIMEOUT_RANGE)),
            history_days: vars.read(&variables::HISTORY_DAYS, small(variables::HISTORY_DAYS_RANGE)),
            visitors: vars.read(&variables::VISITORS, switch),
            do_not_track: vars.read(&variables::DO_NOT_TRACK, str::parse),
            count: vars.read(&variables::COUNT, str::parse),
            public: vars.read(&variables::PUBLIC, switch),
            owner_token: vars.read(&variables::OWNER_TOKEN, owner_token),
            origins: vars.read(&variables::ORIGINS, str::parse),
            pages: vars.read(&variables::PAGES, str::parse),
            new_pages_a_day: vars.read(&variables::NEW_PAGES_A_DAY, small(variables::NEW_PAGES_A_DAY_RANGE)).into(),
            repeat_window: vars.read(&variables::REPEAT_WINDOW, duration(variables::REPEAT_WINDOW_RANGE)),
            metrics: vars.read(&variables::METRICS, metrics_namespace),
            max_concurrency: vars.max_concurrency(),
            testing: vars.read(&TEST, testing),
        };
        vars.finish(config)
    }

    /// Whether a timer is to flush the buffer. Where Lambda freezes the environment between requests, a timer
    /// would stop with it, so `auto` wants one only where requests run side by side and nothing freezes.
    pub fn timer_runs(&self) -> bool {
        match self.timer {
            Timer::On => true,
            Timer::Off => false,
            Timer::Auto => self.max_concurrency > 1,
        }
    }

    /// The clock that everything in this environment reads.
    pub fn clock(&self) -> Clock {
        self.testing.frozen.as_ref().map_or_else(Clock::system, |file| Clock::system_but_frozen(file.clone()))
    }

    /// The ring of the shards, in the same order.
    ///
    /// # Panics
    ///
    /// Never for a `Config` that was read: distinct names and a weight above 0 are checked there.
    pub fn ring(&self) -> Ring {
        let shards = self.shards.iter().map(|shard| (shard.name.clone(), shard.weight));
        Ring::new(shards).expect("the shards were checked when they were read")
    }
}

/// Set by Lambda, never by the site owner.
const MAX_CONCURRENCY: &str = "AWS_LAMBDA_MAX_CONCURRENCY";

struct Vars<F> {
    lookup: F,
    wrong: Vec<WrongVariable>,
}

impl<F: Fn(&str) -> Option<OsString>> Vars<F> {
    fn new(lookup: F) -> Self {
        Self { lookup, wrong: Vec::new() }
    }

    /// The value of a variable. A wrong one is noted, and the default stands in until [`Vars::finish`].
    fn read<T, E: Display>(&mut self, variable: &'static Variable, parse: impl Fn(&str) -> Result<T, E>) -> T {
        if let Some(value) = self.set(variable.name) {
            match value.to_str().map(|text| parse(text.trim())) {
                Some(Ok(value)) => return value,
                Some(Err(reason)) => self.note(variable, &value, reason),
                None => self.note(variable, &value, "not UTF-8"),
            }
        }
        match parse(variable.default) {
            Ok(value) => value,
            Err(reason) => unreachable!("the default of {} is accepted: {reason}", variable.name),
        }
    }

    /// Requests at a time. Whatever is not a number above 0 means one, as it does to the Lambda runtime.
    fn max_concurrency(&self) -> usize {
        let set = self.set(MAX_CONCURRENCY);
        let number = set.and_then(|value| value.to_str()?.trim().parse().ok());
        number.filter(|&number| number > 0).unwrap_or(1)
    }

    /// `value` if every variable was right.
    fn finish<T>(self, value: T) -> Result<T, ConfigError> {
        if self.wrong.is_empty() { Ok(value) } else { Err(ConfigError::new(self.wrong)) }
    }

    fn set(&self, name: &str) -> Option<OsString> {
        (self.lookup)(name).filter(|value| !value.to_string_lossy().trim().is_empty())
    }

    fn note(&mut self, variable: &'static Variable, value: &OsString, reason: impl Display) {
        self.wrong.push(WrongVariable::new(variable, &value.to_string_lossy(), reason.to_string()));
    }
}

const TEST: Variable =
    Variable { name: "VISITS_TEST", default: "", accepted: "scale=N from 1 to 10000, healing=off, frozen=PATH" };

/// The settings of a test run; by default there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Testing {
    /// The protocol's durations.
    pub timing: Timing,
    /// The file that tells how long this environment has been frozen.
    pub frozen: Option<PathBuf>,
}

fn testing(text: &str) -> Result<Testing, &'static str> {
    let (mut testing, mut healing) = (Testing::default(), true);
    for setting in text.split(',').filter(|setting| !setting.is_empty()) {
        match setting.split_once('=') {
            Some(("scale", number)) => {
                let by = number.parse().ok().filter(|by| (1..=10_000).contains(by));
                testing.timing = Timing::REAL.faster(by.ok_or("the scale is no number from 1 to 10000")?);
            }
            Some(("frozen", path)) => testing.frozen = Some(path.into()),
            Some(("healing", "off")) => healing = false,
            _ => return Err("unknown setting"),
        }
    }
    // Last, since a scale sets all durations anew.
    if !healing {
        testing.timing.confirm_after = Duration::ZERO;
    }
    Ok(testing)
}

#[cfg(test)]
mod tests;
