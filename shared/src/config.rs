//! The settings, read once from the environment at the start.
//!
//! One table has them all: what each means, its name, its default, the accepted values and its parser. The defaults are read by the same
//! parsers as set values. One message tells all that is wrong, so that no second start is needed to find the next mistake.

mod values;

pub use values::{CaCertificates, Counted, DoNotTrack, Durability, Origins, PagePatterns, ProxyHeader, Timer, masked};
pub(crate) use values::{aws_endpoint, bare_origin, read_text_file};
use values::{
    ca_certificates, client_address, duration, function_name, is_secret, metrics_namespace, number, owner_token,
    shards, switch,
};

use crate::clock::{Clock, Timing};
use crate::ring::Ring;
use crate::shard::{Namespace, PasswordSource, ShardConfig};
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::Duration;

/// One environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name in the environment.
    pub name: &'static str,
    /// The value that holds when it is unset or blank.
    pub default: &'static str,
    /// The accepted values, in words.
    pub accepted: &'static str,
    /// The meaning of the setting, in Markdown.
    pub doc: &'static str,
}

/// Most days that are kept, and that may be asked for: a year, and the same days of the year before to compare with.
pub const MAX_HISTORY_DAYS: u32 = 400;

/// Declares the settings, each as its documentation, field and type, and behind `=` its variable, default, accepted values and parser.
macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident: $type:ty = $name:literal, $default:literal, $accepted:literal, $parse:expr;)+) => {
        /// All settings of the four functions. Each function uses those that it needs.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Config {
            $($(#[doc = $doc])+ pub $field: $type,)+
            /// Most requests that Lambda hands to one environment at once. Set by Lambda, 1 unless it says more.
            pub max_concurrency: usize,
            /// Settings of tests of the real binaries.
            pub testing: Testing,
        }

        impl Config {
            /// Every variable that a site owner may set.
            pub const VARIABLES: &[Variable] =
                &[$(Variable { name: $name, default: $default, accepted: $accepted, doc: concat!($($doc),+) }),+];

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
                let mut vars = Vars { lookup, wrong: ConfigError(Vec::new()) };
                for name in AWS_ENDPOINTS {
                    vars.read(name, "", AWS_ENDPOINT, aws_endpoint);
                }
                let config = Self {
                    $($field: vars.read($name, $default, $accepted, $parse),)+
                    max_concurrency: vars.max_concurrency(),
                    testing: vars.read("VISITS_TEST", "", TEST, testing),
                };
                if vars.wrong.0.is_empty() { Ok(config) } else { Err(vars.wrong) }
            }
        }
    };
}

settings! {
    /// The shards, of which one at least has a weight above 0. The name decides which pages a shard owns: keep it when a server moves.
    /// `;weight=0` drains a shard, `;cluster` marks a node of a Redis or Valkey Cluster, and the password may come from
    /// [elsewhere](LOGINS.md).
    shards: Vec<ShardConfig> = "REDIS_ENDPOINTS", "redis_7070=redis://127.0.0.1:7070,redis_7071=redis://127.0.0.1:7071",
        "a comma-separated list of name=redis://[user][:password]@host[:port][/db], or rediss:// for TLS, each with an \
         optional ;weight=N from 0 to 16, ;cluster for a node of a cluster, and one of ;password-file=/path, \
         ;password-secret=id[#key], ;iam=cache and ;iam-serverless=cache", shards;
    /// The authorities that may sign the certificate of a `rediss://` server: Mozilla's, which are compiled in, or those of a file.
    redis_ca: Option<CaCertificates> = "REDIS_CA_FILE", "built-in",
        "the path of a PEM file with the certificates of the authorities that rediss:// servers are signed by, or \
         built-in for Mozilla's", ca_certificates;
    /// The first part of every key.
    namespace: Namespace = "VISITS_NAMESPACE", "visits", "1 to 64 of the characters A-Z a-z 0-9 _ -", str::parse;
    /// Greatest age of a count from memory.
    // Above an hour a count would look stuck rather than cached.
    cache_ttl: Duration = "VISITS_CACHE_TTL", "5s", "a duration from 0 (no cache) to 1h, such as 5s or 1m 30s",
        duration("0", "1h");
    /// Most pages in the read cache.
    // A cached page takes some 150 bytes with its id: the most that is accepted needs 1.5 GB.
    cache_pages: usize = "VISITS_CACHE_PAGES", "10000", "a whole number from 1 to 10000000", number(1, 10_000_000);
    /// Time for which a busy environment gathers visits before it writes them.
    // Below 100 ms nearly every visit would be written at once, which `direct` is for. Above 10 minutes Lambda often ends an idle
    // environment (after some 5 to 15) before the flush is due.
    flush_interval: Duration = "VISITS_FLUSH_INTERVAL", "30s", "a duration from 100ms to 10m, such as 30s",
        duration("100ms", "10m");
    /// The longest such time where the Extensions API is missing or refuses, so that no SIGTERM announces an environment's end.
    unregistered_interval: Duration = "VISITS_UNREGISTERED_INTERVAL", "2s", "a duration from 100ms to 10m, such as 2s",
        duration("100ms", "10m");
    /// Most pages in the write buffer; a visit of one more is answered with 503.
    // A buffered page takes up to 600 bytes: the most that is accepted needs 600 MB.
    buffer_pages: usize = "VISITS_BUFFER_PAGES", "10000", "a whole number from 1 to 1000000", number(1, 1_000_000);
    /// Acknowledgement of a visit. `buffered`: from memory; `direct`: when Redis has it, or a copy is parked there.
    durability: Durability = "VISITS_DURABILITY", "buffered", "buffered or direct", str::parse;
    /// Whether a Redis with `maxmemory-policy allkeys-*` is used, with a warning: visits that it evicts may be lost, or counted twice.
    allow_eviction: bool = "VISITS_ALLOW_EVICTION", "off", "on or off", switch;
    /// Whether a timer flushes. `auto`: only where Lambda does not freeze the environment.
    timer: Timer = "VISITS_TIMER", "auto", "auto, on or off", str::parse;
    /// Most environments of `record-visit` that the schedule invokes at once.
    // An account has 1,000 at once by default, and the site needs them too.
    sweep_concurrency: usize = "VISITS_SWEEP_CONCURRENCY", "5", "a whole number from 1 to 100", number(1, 100);
    /// The function that the schedule invokes.
    record_function: String = "VISITS_RECORD_FUNCTION", "record-visit",
        "the name or ARN of a Lambda function, at most 170 characters", function_name;
    /// Longest wait for a connection to Redis.
    // Below 10 ms a healthy Redis in another zone would be given up; above 10 s the function itself is.
    redis_connect_timeout: Duration = "REDIS_CONNECT_TIMEOUT", "500ms", "a duration from 10ms to 10s, such as 500ms",
        duration("10ms", "10s");
    /// Longest wait for an answer of Redis.
    redis_timeout: Duration = "REDIS_TIMEOUT", "1s", "a duration from 10ms to 10s, such as 1s", duration("10ms", "10s");
    /// Days that are kept of each page, the present one included.
    history_days: u32 = "VISITS_HISTORY_DAYS", "400",
        "a whole number of days from 0 (no days, visitors and top lists are kept) to 400", number(0, MAX_HISTORY_DAYS);
    /// Whether the unique visitors of each day are counted.
    visitors: bool = "VISITS_VISITORS", "on", "on or off", switch;
    /// Treatment of a visit with `DNT: 1` or `Sec-GPC: 1`. `respect`: it counts, its visitor does not; `ignore`: it is like any other.
    do_not_track: DoNotTrack = "VISITS_DO_NOT_TRACK", "respect", "respect or ignore", str::parse;
    /// Client's address, by which visitors are told: `source`, from which the connection was opened, or the one that a
    /// [proxy](../SECURITY.md#what-a-stranger-can-cost) tells in this header. The header counts only in a request with `X-Visits-Proxy: VALUE`, which only the
    /// proxy sends; it holds one address, with or without a port, and no list.
    client_address: Option<ProxyHeader> = "VISITS_CLIENT_ADDRESS", "source",
        "source, or HEADER;secret=VALUE with a secret of at least 20 visible ASCII characters, such as \
         CloudFront-Viewer-Address;secret=VALUE", client_address;
    /// Visits that `count` has: `all`, or those of `people`.
    count: Counted = "VISITS_COUNT", "all", "all or people", str::parse;
    /// Whether reading counts needs no owner's token.
    public: bool = "VISITS_PUBLIC", "on", "on or off", switch;
    /// Place of the owner's token, which has 20 bytes at least. `off`: there is no owner over HTTP.
    owner_token: Option<PasswordSource> = "VISITS_OWNER_TOKEN", "off",
        "off, file:/path of a file that holds the token, or secret:id[#key] of AWS Secrets Manager", owner_token;
    /// Origins that may call from a browser.
    origins: Origins = "VISITS_ORIGINS", "*",
        "* for any, or a comma-separated list of origins such as https://example.org, http://localhost:8000 and \
         https://*.example.org (all of its subdomains)", str::parse;
    /// Pages that may be counted.
    pages: PagePatterns = "VISITS_PAGES", "*",
        "a comma-separated list of page ids, in which * stands for any characters", str::parse;
    /// Most new pages a day on each shard.
    new_pages_a_day: u64 = "VISITS_NEW_PAGES_A_DAY", "0",
        "a whole number from 0 (no limit) to 10000000, for each shard", number(0, 10_000_000);
    /// Time within which a reload of a page by the same visitor is no further visit.
    // Above an hour a reload is a visit by any measure, and an environment would have to remember it for that long.
    repeat_window: Duration = "VISITS_REPEAT_WINDOW", "0", "a duration from 0 (each visit counts) to 1h, such as 30s",
        duration("0", "1h");
    /// The `CloudWatch` namespace that [metrics](OPERATIONS.md#metrics-and-logs) are written to the log for. `off`: none are written.
    metrics: Option<String> = "VISITS_METRICS", "off",
        "off, or a CloudWatch namespace of 1 to 255 of the characters A-Z a-z 0-9 . _ / # : -, such as VisitCounter",
        metrics_namespace;
}

/// AWS's own variables by which its SDK, and the calls of this crate, find another server than AWS's.
const AWS_ENDPOINTS: [&str; 6] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_LAMBDA",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_SSO",
    "AWS_ENDPOINT_URL_SSO_OIDC",
];

const AWS_ENDPOINT: &str =
    "a URL that begins with https://, or with http:// for this machine (localhost, 127.0.0.1, [::1])";

const TEST: &str = "scale=N from 1 to 10000, healing=off, frozen=PATH";

impl Config {
    /// Reads the process environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_vars(|name| std::env::var_os(name))
    }

    /// Returns whether a timer is to flush the buffer. Where Lambda freezes the environment between requests, a timer
    /// would stop with it, so `auto` wants one only where requests run side by side and nothing freezes.
    pub fn timer_runs(&self) -> bool {
        self.timer == Timer::On || self.timer == Timer::Auto && self.max_concurrency > 1
    }

    /// Returns the clock that everything in this environment reads.
    pub fn clock(&self) -> Clock {
        self.testing.frozen.as_ref().map_or_else(Clock::system, |file| Clock::system_but_frozen(file.clone()))
    }

    /// Returns the ring of the shards, in the same order.
    ///
    /// # Panics
    ///
    /// Never for a `Config` that was read: distinct names and a weight above 0 are checked there.
    pub fn ring(&self) -> Ring {
        let shards = self.shards.iter().map(|shard| (shard.name.clone(), shard.weight));
        Ring::new(shards).expect("the shards were checked when they were read")
    }
}

struct Vars<F> {
    lookup: F,
    wrong: ConfigError,
}

impl<F: Fn(&str) -> Option<OsString>> Vars<F> {
    /// Returns the value of a variable. A wrong one is noted, and the default stands in.
    fn read<T, E: Display>(
        &mut self,
        name: &'static str,
        default: &str,
        accepted: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> T {
        if let Some(value) = self.set(name) {
            let reason = match value.to_str().map(|text| parse(text.trim())) {
                Some(Ok(value)) => return value,
                Some(Err(reason)) => reason.to_string(),
                None => "not UTF-8".to_owned(),
            };
            let shown = shown(name, &value.to_string_lossy());
            let default = if default.is_empty() { "none" } else { default };
            let line = format!("{name}={shown:?}: {reason}; accepted: {accepted} (default {default})");
            self.wrong.0.push((name, line));
        }
        parse(default).unwrap_or_else(|reason| unreachable!("the default of {name} is accepted: {reason}"))
    }

    /// Returns the requests at a time. All but numbers above 0 mean one, as they do to the Lambda runtime.
    fn max_concurrency(&self) -> usize {
        let set = self.set("AWS_LAMBDA_MAX_CONCURRENCY");
        let number = set.and_then(|value| value.to_str()?.trim().parse().ok());
        number.filter(|&number| number > 0).unwrap_or(1)
    }

    fn set(&self, name: &str) -> Option<OsString> {
        (self.lookup)(name).filter(|value| !value.to_string_lossy().trim().is_empty())
    }
}

/// Wrong settings: each variable, its value, what is wrong, and what is accepted. A value that may hold a secret is not shown.
///
/// `Debug` is the same text as `Display`, since that is how `main` shows an error that it returns.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<(&'static str, String)>);

impl ConfigError {
    /// Returns the names of the wrong variables.
    pub fn variables(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }
}

impl Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is wrong:")?;
        self.0.iter().try_for_each(|(_, line)| write!(f, "\n  {line}"))
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}

/// Returns a wrong value as it may be shown: enough to recognise it, and nothing of a secret. A token may land in its variable itself.
fn shown(name: &str, value: &str) -> String {
    if ["VISITS_OWNER_TOKEN", "VISITS_CLIENT_ADDRESS"].contains(&name) || is_secret(value) {
        return values::MASK.to_owned();
    }
    match value.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

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
