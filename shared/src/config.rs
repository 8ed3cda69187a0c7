//! The settings, read once from the environment at the start.
//!
//! Each value is checked here and nowhere else. All that is wrong is told in one message, so that nobody
//! has to start a function once for each mistake.

mod access;
mod ca_file;
mod endpoints;
mod error;
mod limits;
mod mask;
mod metrics;
mod modes;
pub(crate) mod parse;
mod testing;
#[cfg(test)]
mod tests;
pub(crate) mod text_file;
mod variables;
mod vars;

pub use access::{Origins, PagePatterns};
pub use ca_file::CaCertificates;
pub use error::ConfigError;
pub use limits::MAX_HISTORY_DAYS;
pub use mask::masked;
pub use metrics::MetricsNamespace;
pub use modes::{Counted, DoNotTrack, Durability, Timer};
pub use testing::Testing;
pub use variables::Variable;

use crate::clock::Clock;
use crate::ring::Ring;
use crate::shard::PasswordSource;
use crate::shard::{Namespace, ShardConfig};
use std::ffi::OsString;
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
        let mut vars = vars::Vars::new(lookup);
        for endpoint in &variables::AWS_ENDPOINTS {
            vars.read(endpoint, parse::aws_endpoint);
        }
        let config = Self {
            shards: vars.read(&variables::REDIS_ENDPOINTS, endpoints::parse),
            redis_ca: vars.read(&variables::REDIS_CA_FILE, ca_file::read),
            namespace: vars.read(&variables::NAMESPACE, str::parse),
            cache_ttl: vars.read(&variables::CACHE_TTL, parse::duration(limits::CACHE_TTL)),
            cache_pages: vars.read(&variables::CACHE_PAGES, parse::number(limits::CACHE_PAGES)),
            flush_interval: vars.read(&variables::FLUSH_INTERVAL, parse::duration(limits::FLUSH_INTERVAL)),
            unregistered_interval: vars
                .read(&variables::UNREGISTERED_INTERVAL, parse::duration(limits::FLUSH_INTERVAL)),
            buffer_pages: vars.read(&variables::BUFFER_PAGES, parse::number(limits::BUFFER_PAGES)),
            durability: vars.read(&variables::DURABILITY, str::parse),
            allow_eviction: vars.read(&variables::ALLOW_EVICTION, parse::switch),
            timer: vars.read(&variables::TIMER, str::parse),
            sweep_concurrency: vars.read(&variables::SWEEP_CONCURRENCY, parse::number(limits::SWEEP_CONCURRENCY)),
            record_function: vars.read(&variables::RECORD_FUNCTION, parse::function_name),
            redis_connect_timeout: vars.read(&variables::REDIS_CONNECT_TIMEOUT, parse::duration(limits::REDIS_TIMEOUT)),
            redis_timeout: vars.read(&variables::REDIS_TIMEOUT, parse::duration(limits::REDIS_TIMEOUT)),
            history_days: vars.read(&variables::HISTORY_DAYS, parse::small(limits::HISTORY_DAYS)),
            visitors: vars.read(&variables::VISITORS, parse::switch),
            do_not_track: vars.read(&variables::DO_NOT_TRACK, str::parse),
            count: vars.read(&variables::COUNT, str::parse),
            public: vars.read(&variables::PUBLIC, parse::switch),
            owner_token: vars.read(&variables::OWNER_TOKEN, access::owner_token),
            origins: vars.read(&variables::ORIGINS, str::parse),
            pages: vars.read(&variables::PAGES, str::parse),
            new_pages_a_day: vars.read(&variables::NEW_PAGES_A_DAY, parse::small(limits::NEW_PAGES_A_DAY)).into(),
            repeat_window: vars.read(&variables::REPEAT_WINDOW, parse::duration(limits::REPEAT_WINDOW)),
            metrics: vars.read(&variables::METRICS, metrics::namespace),
            max_concurrency: vars.max_concurrency(),
            testing: vars.read(&testing::TEST, testing::parse),
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
