//! The variables: what they are called, their defaults, and what is accepted. The defaults are read by
//! the same code as what is set, and the README's table is checked against this list.

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

pub(super) const ALL: [&Variable; 26] = [
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
pub(super) static AWS_ENDPOINTS: [Variable; 6] = [
    aws_endpoint("AWS_ENDPOINT_URL"),
    aws_endpoint("AWS_ENDPOINT_URL_LAMBDA"),
    aws_endpoint("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
    aws_endpoint("AWS_ENDPOINT_URL_STS"),
    aws_endpoint("AWS_ENDPOINT_URL_SSO"),
    aws_endpoint("AWS_ENDPOINT_URL_SSO_OIDC"),
];

const fn aws_endpoint(name: &'static str) -> Variable {
    let accepted = "a URL that begins with https://, or with http:// for this machine (localhost, 127.0.0.1, [::1])";
    Variable { name, default: "AWS's own", accepted }
}

pub(super) const REDIS_ENDPOINTS: Variable = Variable {
    name: "REDIS_ENDPOINTS",
    default: "redis_7070=redis://127.0.0.1:7070,redis_7071=redis://127.0.0.1:7071",
    accepted: "a comma-separated list of name=redis://[user][:password]@host[:port][/db], \
               or rediss:// for TLS, each with an optional ;weight=N from 0 to 16, ;cluster for a node of a cluster, \
               and one of ;password-file=/path, ;password-secret=id[#key], ;iam=cache and ;iam-serverless=cache",
};

/// Stands for the certificates that are compiled in.
pub(super) const BUILT_IN_ROOTS: &str = "built-in";

pub(super) const REDIS_CA_FILE: Variable = Variable {
    name: "REDIS_CA_FILE",
    default: BUILT_IN_ROOTS,
    accepted: "the path of a PEM file with the certificates of the authorities that rediss:// servers are signed by, \
               or built-in for Mozilla's",
};

pub(super) const NAMESPACE: Variable =
    Variable { name: "VISITS_NAMESPACE", default: "visits", accepted: "1 to 64 of the characters A-Z a-z 0-9 _ -" };

pub(super) const CACHE_TTL: Variable = Variable {
    name: "VISITS_CACHE_TTL",
    default: "5s",
    accepted: "a duration from 0 (no cache) to 1h, such as 5s or 1m 30s",
};

pub(super) const CACHE_PAGES: Variable =
    Variable { name: "VISITS_CACHE_PAGES", default: "10000", accepted: "a whole number from 1 to 10000000" };

pub(super) const FLUSH_INTERVAL: Variable =
    Variable { name: "VISITS_FLUSH_INTERVAL", default: "30s", accepted: "a duration from 100ms to 10m, such as 30s" };

pub(super) const UNREGISTERED_INTERVAL: Variable = Variable {
    name: "VISITS_UNREGISTERED_INTERVAL",
    default: "2s",
    accepted: "a duration from 100ms to 10m, such as 2s",
};

pub(super) const BUFFER_PAGES: Variable =
    Variable { name: "VISITS_BUFFER_PAGES", default: "10000", accepted: "a whole number from 1 to 1000000" };

pub(super) const DURABILITY: Variable =
    Variable { name: "VISITS_DURABILITY", default: "buffered", accepted: "buffered or direct" };

pub(super) const ALLOW_EVICTION: Variable =
    Variable { name: "VISITS_ALLOW_EVICTION", default: "off", accepted: "on or off" };

pub(super) const TIMER: Variable = Variable { name: "VISITS_TIMER", default: "auto", accepted: "auto, on or off" };

pub(super) const SWEEP_CONCURRENCY: Variable =
    Variable { name: "VISITS_SWEEP_CONCURRENCY", default: "5", accepted: "a whole number from 1 to 100" };

pub(super) const RECORD_FUNCTION: Variable = Variable {
    name: "VISITS_RECORD_FUNCTION",
    default: "record-visit",
    accepted: "the name or ARN of a Lambda function, at most 170 characters",
};

pub(super) const REDIS_CONNECT_TIMEOUT: Variable = Variable {
    name: "REDIS_CONNECT_TIMEOUT",
    default: "500ms",
    accepted: "a duration from 10ms to 10s, such as 500ms",
};

pub(super) const REDIS_TIMEOUT: Variable =
    Variable { name: "REDIS_TIMEOUT", default: "1s", accepted: "a duration from 10ms to 10s, such as 1s" };

pub(super) const HISTORY_DAYS: Variable = Variable {
    name: "VISITS_HISTORY_DAYS",
    default: "400",
    accepted: "a whole number of days from 0 (no days, visitors and top lists are kept) to 400",
};

pub(super) const VISITORS: Variable = Variable { name: "VISITS_VISITORS", default: "on", accepted: "on or off" };

pub(super) const DO_NOT_TRACK: Variable =
    Variable { name: "VISITS_DO_NOT_TRACK", default: "respect", accepted: "respect or ignore" };

pub(super) const COUNT: Variable = Variable { name: "VISITS_COUNT", default: "all", accepted: "all or people" };

pub(super) const PUBLIC: Variable = Variable { name: "VISITS_PUBLIC", default: "on", accepted: "on or off" };

pub(super) const OWNER_TOKEN: Variable = Variable {
    name: "VISITS_OWNER_TOKEN",
    default: "off",
    accepted: "off, file:/path of a file that holds the token, or secret:id[#key] of AWS Secrets Manager",
};

pub(super) const ORIGINS: Variable = Variable {
    name: "VISITS_ORIGINS",
    default: "*",
    accepted: "* for any, or a comma-separated list of origins such as https://example.org, http://localhost:8000 and \
               https://*.example.org (all of its subdomains)",
};

pub(super) const PAGES: Variable = Variable {
    name: "VISITS_PAGES",
    default: "*",
    accepted: "a comma-separated list of page ids, in which * stands for any characters",
};

pub(super) const NEW_PAGES_A_DAY: Variable = Variable {
    name: "VISITS_NEW_PAGES_A_DAY",
    default: "0",
    accepted: "a whole number from 0 (no limit) to 10000000, for each shard",
};

pub(super) const REPEAT_WINDOW: Variable = Variable {
    name: "VISITS_REPEAT_WINDOW",
    default: "0",
    accepted: "a duration from 0 (each visit counts) to 1h, such as 30s",
};

pub(super) const METRICS: Variable = Variable {
    name: "VISITS_METRICS",
    default: "off",
    accepted: "off, or a CloudWatch namespace of 1 to 255 of the characters A-Z a-z 0-9 . _ / # : -, such as VisitCounter",
};
