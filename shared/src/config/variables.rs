//! The variables: name, default, accepted values, range, and how the plain ones among them are read. The defaults are read by
//! the same code as set values, and a test checks the README's table against this list.

use std::ops::RangeInclusive;
use std::time::Duration;
use url::{Host, Url};

/// One environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name in the environment.
    pub name: &'static str,
    /// What it is taken for when it is unset or blank.
    pub default: &'static str,
    /// What may be set, in words.
    pub accepted: &'static str,
}

pub(crate) const ALL: [&Variable; 26] = [
    &REDIS_ENDPOINTS,
    &REDIS_CA_FILE,
    &NAMESPACE,
    &CACHE_TTL,
    &CACHE_PAGES,
    &FLUSH_INTERVAL,
    &UNREGISTERED_INTERVAL,
    &BUFFER_PAGES,
    &DURABILITY,
    &ALLOW_EVICTION,
    &TIMER,
    &SWEEP_CONCURRENCY,
    &RECORD_FUNCTION,
    &REDIS_CONNECT_TIMEOUT,
    &REDIS_TIMEOUT,
    &HISTORY_DAYS,
    &VISITORS,
    &DO_NOT_TRACK,
    &COUNT,
    &PUBLIC,
    &OWNER_TOKEN,
    &ORIGINS,
    &PAGES,
    &NEW_PAGES_A_DAY,
    &REPEAT_WINDOW,
    &METRICS,
];

/// Variables by which AWS's SDK, and the calls of this crate, find another server than AWS's own. They are AWS's, so they are not in
/// [`ALL`].
pub(crate) static AWS_ENDPOINTS: [Variable; 6] = [
    aws_variable("AWS_ENDPOINT_URL"),
    aws_variable("AWS_ENDPOINT_URL_LAMBDA"),
    aws_variable("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
    aws_variable("AWS_ENDPOINT_URL_STS"),
    aws_variable("AWS_ENDPOINT_URL_SSO"),
    aws_variable("AWS_ENDPOINT_URL_SSO_OIDC"),
];

const fn aws_variable(name: &'static str) -> Variable {
    let accepted = "a URL that begins with https://, or with http:// for this machine (localhost, 127.0.0.1, [::1])";
    Variable { name, default: "AWS's own", accepted }
}

pub(crate) const REDIS_ENDPOINTS: Variable = Variable {
    name: "REDIS_ENDPOINTS",
    default: "redis_7070=redis://127.0.0.1:7070,redis_7071=redis://127.0.0.1:7071",
    accepted: "a comma-separated list of name=redis://[user][:password]@host[:port][/db], \
               or rediss:// for TLS, each with an optional ;weight=N from 0 to 16, ;cluster for a node of a cluster, \
               and one of ;password-file=/path, ;password-secret=id[#key], ;iam=cache and ;iam-serverless=cache",
};

/// Stands for the certificates that are compiled in.
pub(crate) const BUILT_IN_ROOTS: &str = "built-in";

pub(crate) const REDIS_CA_FILE: Variable = Variable {
    name: "REDIS_CA_FILE",
    default: BUILT_IN_ROOTS,
    accepted: "the path of a PEM file with the certificates of the authorities that rediss:// servers are signed by, \
               or built-in for Mozilla's",
};

pub(crate) const NAMESPACE: Variable =
    Variable { name: "VISITS_NAMESPACE", default: "visits", accepted: "1 to 64 of the characters A-Z a-z 0-9 _ -" };

pub(crate) const CACHE_TTL: Variable = Variable {
    name: "VISITS_CACHE_TTL",
    default: "5s",
    accepted: "a duration from 0 (no cache) to 1h, such as 5s or 1m 30s",
};

pub(crate) const CACHE_PAGES: Variable =
    Variable { name: "VISITS_CACHE_PAGES", default: "10000", accepted: "a whole number from 1 to 10000000" };

pub(crate) const FLUSH_INTERVAL: Variable =
    Variable { name: "VISITS_FLUSH_INTERVAL", default: "30s", accepted: "a duration from 100ms to 10m, such as 30s" };

pub(crate) const UNREGISTERED_INTERVAL: Variable = Variable {
    name: "VISITS_UNREGISTERED_INTERVAL",
    default: "2s",
    accepted: "a duration from 100ms to 10m, such as 2s",
};

pub(crate) const BUFFER_PAGES: Variable =
    Variable { name: "VISITS_BUFFER_PAGES", default: "10000", accepted: "a whole number from 1 to 1000000" };

pub(crate) const DURABILITY: Variable =
    Variable { name: "VISITS_DURABILITY", default: "buffered", accepted: "buffered or direct" };

pub(crate) const ALLOW_EVICTION: Variable =
    Variable { name: "VISITS_ALLOW_EVICTION", default: "off", accepted: "on or off" };

pub(crate) const TIMER: Variable = Variable { name: "VISITS_TIMER", default: "auto", accepted: "auto, on or off" };

pub(crate) const SWEEP_CONCURRENCY: Variable =
    Variable { name: "VISITS_SWEEP_CONCURRENCY", default: "5", accepted: "a whole number from 1 to 100" };

pub(crate) const RECORD_FUNCTION: Variable = Variable {
    name: "VISITS_RECORD_FUNCTION",
    default: "record-visit",
    accepted: "the name or ARN of a Lambda function, at most 170 characters",
};

pub(crate) const REDIS_CONNECT_TIMEOUT: Variable = Variable {
    name: "REDIS_CONNECT_TIMEOUT",
    default: "500ms",
    accepted: "a duration from 10ms to 10s, such as 500ms",
};

pub(crate) const REDIS_TIMEOUT: Variable =
    Variable { name: "REDIS_TIMEOUT", default: "1s", accepted: "a duration from 10ms to 10s, such as 1s" };

pub(crate) const HISTORY_DAYS: Variable = Variable {
    name: "VISITS_HISTORY_DAYS",
    default: "400",
    accepted: "a whole number of days from 0 (no days, visitors and top lists are kept) to 400",
};

pub(crate) const VISITORS: Variable = Variable { name: "VISITS_VISITORS", default: "on", accepted: "on or off" };

pub(crate) const DO_NOT_TRACK: Variable =
    Variable { name: "VISITS_DO_NOT_TRACK", default: "respect", accepted: "respect or ignore" };

pub(crate) const COUNT: Variable = Variable { name: "VISITS_COUNT", default: "all", accepted: "all or people" };

pub(crate) const PUBLIC: Variable = Variable { name: "VISITS_PUBLIC", default: "on", accepted: "on or off" };

pub(crate) const OWNER_TOKEN: Variable = Variable {
    name: "VISITS_OWNER_TOKEN",
    default: "off",
    accepted: "off, file:/path of a file that holds the token, or secret:id[#key] of AWS Secrets Manager",
};

pub(crate) const ORIGINS: Variable = Variable {
    name: "VISITS_ORIGINS",
    default: "*",
    accepted: "* for any, or a comma-separated list of origins such as https://example.org, http://localhost:8000 and \
               https://*.example.org (all of its subdomains)",
};

pub(crate) const PAGES: Variable = Variable {
    name: "VISITS_PAGES",
    default: "*",
    accepted: "a comma-separated list of page ids, in which * stands for any characters",
};

pub(crate) const NEW_PAGES_A_DAY: Variable = Variable {
    name: "VISITS_NEW_PAGES_A_DAY",
    default: "0",
    accepted: "a whole number from 0 (no limit) to 10000000, for each shard",
};

pub(crate) const REPEAT_WINDOW: Variable = Variable {
    name: "VISITS_REPEAT_WINDOW",
    default: "0",
    accepted: "a duration from 0 (each visit counts) to 1h, such as 30s",
};

pub(crate) const METRICS: Variable = Variable {
    name: "VISITS_METRICS",
    default: "off",
    accepted: "off, or a CloudWatch namespace of 1 to 255 of the characters A-Z a-z 0-9 . _ / # : -, such as VisitCounter",
};

/// Zero turns the cache off. Above an hour a count would look stuck rather than cached.
pub(crate) const CACHE_TTL_RANGE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);

/// A cached page takes some 150 bytes with its id, so the most that is accepted needs 1.5 GB: more than a
/// function that answers counts should be given. A TTL of 0 turns the cache off, so 0 pages is a mistake.
pub(crate) const CACHE_PAGES_RANGE: RangeInclusive<usize> = 1..=10_000_000;

/// Below 100 ms a busy environment would write with nearly every visit: that is what `direct` is for. Above
/// 10 minutes Lambda often ends an idle environment (after some 5 to 15) before the flush is due.
pub(crate) const FLUSH_INTERVAL_RANGE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(10);

/// A buffered page takes up to 600 bytes, so the most that is accepted needs 600 MB.
pub(crate) const BUFFER_PAGES_RANGE: RangeInclusive<usize> = 1..=1_000_000;

/// Each is an invocation at the same moment; an account has 1,000 by default, and the site needs them too.
pub(crate) const SWEEP_CONCURRENCY_RANGE: RangeInclusive<usize> = 1..=100;

/// Below 10 ms a healthy Redis in another zone would be given up; above 10 s the function itself is.
pub(crate) const REDIS_TIMEOUT_RANGE: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(10);

/// Longest name or ARN, in bytes, that Lambda's `Invoke` takes.
pub(crate) const FUNCTION_NAME_BYTES: RangeInclusive<usize> = 1..=170;

/// Most days that are kept, and that may be asked for: a year, and the same days of the year before to compare with.
pub const MAX_HISTORY_DAYS: u32 = 400;

/// Days beyond those that may be asked for would be kept and never shown.
pub(crate) const HISTORY_DAYS_RANGE: RangeInclusive<usize> = 0..=MAX_HISTORY_DAYS as usize;

/// Zero is no limit; a shard with more pages than the most that is accepted would need gigabytes a day.
pub(crate) const NEW_PAGES_A_DAY_RANGE: RangeInclusive<usize> = 0..=10_000_000;

/// Above an hour a reload is a visit by any measure, and an environment would have to remember it for that long.
pub(crate) const REPEAT_WINDOW_RANGE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);

/// Human-readable, such as `500ms` or `1m 30s`; of the bare numbers only `0`.
pub(crate) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&str) -> Result<Duration, &'static str> {
    move |text| {
        let duration = humantime::parse_duration(text).map_err(|error| match error {
            humantime::DurationError::UnknownUnit { unit, .. } if unit.is_empty() => "its unit is missing",
            _ => "not a duration",
        })?;
        if range.contains(&duration) { Ok(duration) } else { Err("out of range") }
    }
}

pub(crate) fn number(range: RangeInclusive<usize>) -> impl Fn(&str) -> Result<usize, &'static str> {
    move |text| {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("not a whole number");
        }
        // Digits that do not parse are too many.
        text.parse().ok().filter(|number| range.contains(number)).ok_or("out of range")
    }
}

/// A number that fits 32 bits, whatever the platform's word is.
pub(crate) fn small(range: RangeInclusive<usize>) -> impl Fn(&str) -> Result<u32, &'static str> {
    let number = number(range);
    move |text| number(text).and_then(|number| u32::try_from(number).map_err(|_| "out of range"))
}

pub(crate) fn switch(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("unknown word"),
    }
}

/// Refuses a URL by which a call of AWS would cross a network without TLS: its headers, the credentials' session among them, and the
/// secret in the answer could be read on the way.
pub(crate) fn aws_endpoint(text: &str) -> Result<(), &'static str> {
    let is_plain = text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"));
    let url = text.parse::<Url>().ok();
    let is_here = match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if is_plain && !is_here { Err("plain http to another machine would show what is sent to AWS") } else { Ok(()) }
}

/// Returns the URL of a server: scheme, host and, if it is not the scheme's own, port. None for another scheme than HTTP's, and for
/// more than these.
pub(crate) fn bare_origin(text: &str) -> Option<String> {
    let url: Url = text.parse().ok()?;
    let bare = format!("{}/", url.origin().ascii_serialization());
    (matches!(url.scheme(), "http" | "https") && url.as_str() == bare).then_some(bare)
}

/// The characters of a name, a partial ARN or an ARN, with or without a version. Lambda knows the rest.
pub(crate) fn function_name(text: &str) -> Result<String, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:$".contains(&byte);
    if !FUNCTION_NAME_BYTES.contains(&text.len()) {
        return Err("too long");
    }
    if text.bytes().all(allowed) { Ok(text.to_owned()) } else { Err("a character that no function name has") }
}
