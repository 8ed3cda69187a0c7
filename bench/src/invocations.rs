//! Times of an invocation: against a handler that does nothing, against Python, and for the bill.

use crate::figures::{Group, Row};
use crate::lambda::Environment;
use crate::shards::script_calls;
use crate::subject::{FUNCTIONS, RECORD, Route, Subject, endpoints, events, events_of, id, servers};
use crate::{Effort, median, micros, percentile};
use fastrand::Rng;
use fault_proxy::{Fault, FaultProxy};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

/// Pages that events are about in turn.
const PAGES: usize = 100;

/// Invocations a second, and median and 99th percentile from event to answer in us.
struct Round {
    rate: f64,
    p50: f64,
    p99: f64,
}

impl Round {
    fn of(environment: &Environment, route: Route, count: usize) -> Self {
        let mut run = environment.run(&events(route, PAGES), 0..count);
        let [p50, p99] = [50, 99].map(|percent| percentile(&mut run.latencies, percent));
        Self { rate: count as f64 / run.wall.as_secs_f64(), p50, p99 }
    }
}

/// Has both programs take turns, after a round that is not counted. The ratio of the rates is the median over the rounds.
fn side_by_side(ours: &Subject, other: &Subject, route: Route, rounds: usize, count: usize) -> [Row; 3] {
    let (ours, other) = (ours.start(), other.start());
    let round = |_| [Round::of(&other, route, count), Round::of(&ours, route, count)];
    let measured: Vec<[Round; 2]> = (0..=rounds).map(round).skip(1).collect();
    let row = |what: &str, unit: &str, of: fn(&Round) -> f64| {
        let [other, ours] = [0, 1].map(|which| median(measured.iter().map(|round| of(&round[which]))));
        Row::compared(what, unit, ours, other)
    };
    let mut rate = row("invocations", "1/s", |round| round.rate);
    rate.ratio = Some(median(measured.iter().map(|[other, ours]| ours.rate / other.rate)));
    [rate, row("p50", "us", |round| round.p50), row("p99", "us", |round| round.p99)]
}

/// Puts the name of what is measured before that of a row.
fn of(name: &str, row: Row) -> Row {
    Row { what: format!("{name}: {}", row.what), ..row }
}

/// Measures invocations a second of one environment, against a bare handler that is given the same events.
pub fn rate(effort: Effort) -> Group {
    let mut rows = Vec::new();
    for (name, route) in FUNCTIONS {
        let servers = servers(2);
        let ours = Subject::function(name).on(&servers);
        let (rounds, count) = (effort.choose(15, 5), effort.choose(4_000, 600));
        let [rate, p50, p99] = side_by_side(&ours, &Subject::bare(), route, rounds, count);
        rows.extend([rate.at_least(0.95), p50, p99.at_most(1.1)].map(|row| of(name, row)));
    }
    Group::new("rate", "bare handler", rows)
}

/// Counts the instructions of an event and of a start with one event, against the bare handler's; and with metrics,
/// against the same function without. There are no rows where valgrind is missing.
pub fn instructions(effort: Effort) -> Group {
    let mut rows = Vec::new();
    for (name, route) in FUNCTIONS {
        let servers = servers(2);
        let events = events(route, PAGES);
        // Only the first event calls Redis, however slow valgrind makes the rest.
        let ours =
            Subject::function(name).on(&servers).with("VISITS_CACHE_TTL", "1h").with("VISITS_FLUSH_INTERVAL", "10m");
        let metered = ours.clone().with("VISITS_METRICS", "VisitCounter/bench");
        let count = |subject: &Subject| subject.instructions(&events, effort.choose(2_000, 300));
        let (Some(bare), Some(ours), Some(metered)) = (count(&Subject::bare()), count(&ours), count(&metered)) else {
            break;
        };
        rows.extend(
            [
                Row::compared("an event", "", ours[1], bare[1]).at_most(1.1),
                Row::compared("a start with one event", "", ours[0], bare[0]),
                Row::compared("an event with metrics, against one without", "", metered[1], ours[1]).at_most(1.03),
                Row::compared("a start with metrics, against one without", "", metered[0], ours[0]).at_most(1.03),
            ]
            .map(|row| of(name, row)),
        );
    }
    Group::new("instructions", "bare handler, or without metrics", rows)
}

/// Measures starts in turn: to the first event asked for, and to the first answer.
pub fn init(effort: Effort) -> Group {
    let servers = servers(2);
    let ours = FUNCTIONS.map(|(name, route)| (Subject::function(name).on(&servers), route));
    let bare = [(Subject::bare(), RECORD), (Subject::bare_that_hears_sigterm(), RECORD)];
    let subjects = [bare, ours].concat();
    let mut starts = vec![Vec::new(); subjects.len()];
    for _ in 0..effort.choose(60, 15) {
        for ((subject, route), starts) in subjects.iter().zip(&mut starts) {
            let environment = subject.start();
            let init = environment.init();
            let answer = init + environment.run(&events(*route, 1), 0..1).latencies[0];
            starts.push([micros(init), micros(answer)]);
        }
    }
    let medians: Vec<[f64; 2]> =
        starts.iter().map(|starts| [0, 1].map(|what| median(starts.iter().map(|start| start[what])))).collect();
    let mut rows = Vec::new();
    for (number, (name, _)) in (2..).zip(FUNCTIONS) {
        for (what, to) in [(0, "to the first /next"), (1, "to the first answer")] {
            for (floor, against) in [(0, ""), (1, ", against a bare handler that hears SIGTERM")] {
                // `get-visits` has nothing to do at a SIGTERM, and is not told of it.
                if floor == 0 || name == "record-visit" {
                    let (ours, floor) = (medians[number][what], medians[floor][what]);
                    rows.push(of(name, Row::compared(format!("{to}{against}"), "us", ours, floor).at_most(1.25)));
                }
            }
        }
        let connections = Row::alone("connections to Redis before the first event", "", connections_at_start(name));
        rows.push(of(name, connections.at_most(0.0)));
    }
    Group::new("init", "bare handler", rows)
}

/// Counts the connections that a function makes to its Redis before there is an event.
fn connections_at_start(name: &'static str) -> f64 {
    let redis = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    redis.set_nonblocking(true).expect("a socket can be asked without waiting");
    let url = format!("redis://{}", redis.local_addr().expect("it is bound"));
    let environment = Subject::function(name).with("REDIS_ENDPOINTS", format!("a={url},b={url}")).start();
    environment.init();
    thread::sleep(Duration::from_millis(100));
    let mut connections = 0.0;
    loop {
        match redis.accept() {
            Ok(_) => connections += 1.0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return connections,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Measures Managed Instances: 64 requests at once in one environment, against one at a time; in `direct` with Redis one to
/// two milliseconds away.
pub fn concurrency(effort: Effort) -> Group {
    let [buffered, many_buffered] = [1, 64].map(|at_once| at_once_rate("buffered", at_once, effort).0);
    let [(direct, calls), (many_direct, many_calls)] = [1, 64].map(|at_once| at_once_rate("direct", at_once, effort));
    let bare = Subject::bare().with("AWS_LAMBDA_MAX_CONCURRENCY", "64").on_any_processor().start();
    Round::of(&bare, RECORD, 500);
    let bare = Round::of(&bare, RECORD, effort.choose(40_000, 2_000)).rate;
    let rows = vec![
        Row::compared("buffered: visits with 64 at once", "1/s", many_buffered, buffered).at_least(1.0),
        Row::compared("buffered: visits with 64 at once, against the bare handler with 64", "1/s", many_buffered, bare)
            .at_least(0.92),
        Row::compared("direct: visits with 64 at once", "1/s", many_direct, direct).at_least(1.0),
        Row::compared("direct: calls of Redis a visit with 64 at once", "", many_calls, calls).at_most(1.0 / 16.0),
    ];
    Group::new("concurrency", "one at a time", rows)
}

/// Returns visits a second with so many at once, and calls of Redis for each.
fn at_once_rate(durability: &str, at_once: usize, effort: Effort) -> (f64, f64) {
    let servers = servers(2);
    let mut far = endpoints(&servers);
    let mut proxies = Vec::new();
    if durability == "direct" {
        for server in &servers {
            let proxy = FaultProxy::start(([127, 0, 0, 1], server.port()).into());
            proxy.set(Fault::Delay(Duration::from_millis(1)));
            // Under the names that the servers know: another name's visits would be refused.
            far = far.replace(&server.url(), &proxy.url());
            proxies.push(proxy);
        }
    }
    let environment = Subject::function("record-visit")
        .with("REDIS_ENDPOINTS", far)
        .with("VISITS_DURABILITY", durability)
        .with("AWS_LAMBDA_MAX_CONCURRENCY", at_once.to_string())
        .on_any_processor()
        .start();
    Round::of(&environment, RECORD, 500);
    let before = script_calls(&servers);
    let count = match durability {
        "direct" => effort.choose(1_500 * at_once.min(16), 100 * at_once),
        _ => effort.choose(40_000, 2_000),
    };
    let rate = Round::of(&environment, RECORD, count).rate;
    let after = script_calls(&servers);
    assert!(after > 0, "no visit reached Redis");
    (rate, (after - before).max(1) as f64 / count as f64)
}

/// Measures both functions against one Python function with both routes.
pub fn python(effort: Effort) -> Group {
    let servers = servers(2);
    let python = Subject::python(&servers, 30);
    // Once before anything is measured: the first start compiles the fixture.
    python.start().init();
    let mut rows = Vec::new();
    for (name, route) in FUNCTIONS {
        let ours = Subject::function(name).on(&servers);
        let [rate, _, p99] = side_by_side(&ours, &python, route, effort.choose(5, 1), effort.choose(2_000, 300));
        let start = |subject: &Subject| median((0..effort.choose(7, 2)).map(|_| micros(subject.start().init())));
        let (start, floor) = (start(&ours), start(&python));
        let [memory, other] = [&ours, &python].map(|subject| resident_at_idle(subject, route));
        rows.extend(
            [
                rate.at_least(2.5),
                p99,
                Row::compared("start to the first /next", "us", start, floor).at_most(1.0 / 80.0),
                Row::compared("memory at idle", "bytes", memory, other).at_most(1.0 / 6.0),
            ]
            .map(|row| of(name, row)),
        );
    }
    Group::new("python", "Python", rows)
}

/// Returns the memory of an environment after 2,000 events.
pub(crate) fn resident_at_idle(subject: &Subject, route: Route) -> f64 {
    let environment = subject.start();
    environment.run(&events(route, 10), 0..2_000);
    environment.resident()
}

/// Counts the calls of Redis for a site of 1,000 pages in 10 environments, each with 10 visits a second, at 25 times the
/// speed of life: interval, protocol and visits.
pub fn calls(effort: Effort) -> Group {
    const ENVIRONMENTS: usize = 10;
    const SCALE: u32 = 25;
    let (pace, interval) = (Duration::from_millis(100) / SCALE, Duration::from_secs(30) / SCALE);
    let each = effort.choose(10_000, 500);
    let servers = servers(2);
    let before = script_calls(&servers);
    let subject = Subject::function("record-visit")
        .on(&servers)
        .with("VISITS_FLUSH_INTERVAL", format!("{}ms", interval.as_millis()))
        .with("VISITS_TEST", format!("scale={SCALE}"))
        .on_any_processor();
    let (subject, popular) = (&subject, Popular::new(1_000));
    thread::scope(|scope| {
        for number in 0..ENVIRONMENTS {
            let popular = popular.clone();
            scope.spawn(move || {
                let chosen = move |visit| id(popular.draw(&mut Rng::with_seed((number * 1_000_000 + visit) as u64)));
                let (environment, events, mut due) = (subject.start(), events_of(RECORD, chosen), Instant::now());
                for visit in 0..each {
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    environment.run(&events, visit..visit + 1);
                    due += pace;
                }
            });
        }
    });
    let (calls, visits) = ((script_calls(&servers) - before) as f64, (ENVIRONMENTS * each) as f64);
    let intervals = visits * pace.as_secs_f64() / interval.as_secs_f64() * 2.0;
    let rows = vec![
        Row::compared(format!("{visits} visits, against one write a visit"), "calls", calls, visits),
        Row::alone("calls for each environment, shard and interval", "calls", calls / intervals),
    ];
    Group::new("calls", "another way", rows)
}

/// Pages of a site by rank, from 0. The visits of a page fall with its rank as 1 / (rank + 1), which is Zipf's law; sites
/// follow it with exponents from 0.6 to 1.0 (Breslau and others, "Web caching and Zipf-like distributions", INFOCOM 1999).
#[derive(Clone)]
pub(crate) struct Popular(Vec<f64>);

impl Popular {
    pub(crate) fn new(pages: u32) -> Self {
        let sums = (1..=pages).scan(0.0, |sum, rank| {
            *sum += 1.0 / f64::from(rank);
            Some(*sum)
        });
        Self(sums.collect())
    }

    /// Draws the page of a visit.
    pub(crate) fn draw(&self, random: &mut Rng) -> usize {
        let drawn = random.f64() * self.0[self.0.len() - 1];
        // A rounding at the very end is the last page's.
        self.0.partition_point(|&sum| sum <= drawn).min(self.0.len() - 1)
    }
}

/// List prices in US dollars, us-east-1, without free tiers: a million requests of Lambda, a GB-second of arm64, a million
/// requests of an HTTP API, a million writes of `DynamoDB` on demand (up to 1 KB each).
const PRICES: [f64; 4] = [0.20, 0.000_013_333_4, 1.00, 0.625];

/// Measures the processor time of a visit with its share of the flushes, and makes a month's bill of it at 128 MB, which
/// get that share of the processor that comes with 1,769 MB. Lambda bills whole milliseconds.
pub fn money(effort: Effort) -> Group {
    let servers = servers(2);
    let environment = Subject::function("record-visit").on(&servers).with("VISITS_FLUSH_INTERVAL", "100ms").start();
    environment.run(&events(RECORD, PAGES), 0..500);
    let (count, before) = (effort.choose(30_000, 2_000), environment.cpu());
    environment.run(&events(RECORD, PAGES), 0..count);
    let busy = (environment.cpu() - before) / count as f64;
    let billed = (busy * 1769.0 / 128.0).ceil().max(1.0);
    let [requests, gb_second, http_api, write] = PRICES;
    let lambda = requests + billed * 1e3 * 0.125 * gb_second;
    let mut rows = vec![
        Row::alone("processor time of a visit, its share of the flushes included", "ms", busy),
        Row::alone("billed for a visit at 128 MB", "ms", billed),
    ];
    for (way, million) in [("function URL", lambda), ("HTTP API", lambda + http_api)] {
        let what = format!("1 M visits a month, {way}, in dollars");
        rows.push(Row::compared(what, "$", million, million + write));
    }
    Group::new("money", "DynamoDB, one write a visit", rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visits_of_a_page_fall_with_its_rank_and_every_page_is_drawn() {
        let (popular, mut random, mut visits) = (Popular::new(100), Rng::with_seed(1), vec![0.0; 100]);
        for _ in 0..300_000 {
            visits[popular.draw(&mut random)] += 1.0;
        }
        // Sums over ranks around 5 and around 50, so that chance is small.
        let around = |rank: usize| visits[rank / 2..rank * 2].iter().sum::<f64>();
        let exponent = 1.0 - f64::log10(around(50) / around(5));
        assert!((exponent - 1.0).abs() < 0.15 && visits.iter().all(|visits| *visits > 0.0), "{exponent}: {visits:?}");
    }
}
