//! The table, the plots and the notes.

use super::load::Reached;
use super::{ENVIRONMENTS, Found, INTERVAL, MANAGED, SITE, Statistics, VISITS};
use crate::figures::{Axis, Goal, Plot, Row, Series};

/// Connections that a node of `ElastiCache` allows.
const ELASTICACHE: u32 = 65_000;

/// `maxclients` of Redis as it comes.
const REDIS: u32 = 10_000;

pub(super) fn rows(sites: &[Found], reconnecting: &Reached, statistics: Option<&Statistics>) -> Vec<Row> {
    let Some(site) = sites.iter().find(|site| site.pages == SITE) else { return Vec::new() };
    let mut rows = standard(site);
    rows.push(Row::compared(
        "Redis CPU for a batch over a connection of its own, against a kept one",
        "us",
        reconnecting.cpu,
        site.standard.cpu,
        None,
    ));
    rows.extend(statistics.into_iter().flat_map(|statistics| with_statistics(site, statistics)));
    rows.extend(managed(site));
    rows.extend(connections());
    rows
}

fn standard(site: &Found) -> Vec<Row> {
    let Reached { rate, cpu, busy, increments, visits } = site.standard;
    let needed = f64::from(ENVIRONMENTS) / INTERVAL;
    let visits_needed = needed * f64::from(VISITS) / 2.0;
    vec![
        Row::compared(
            "Batches that one server took, against those needed",
            "1/s",
            rate,
            needed,
            Some(Goal::AtLeast(1.0)),
        ),
        Row::alone("Share of the time that it was busy", "ratio", busy, None),
        Row::alone("Increments in a batch", "increments", increments, None),
        Row::alone("Visits in a batch", "visits", visits, None),
        Row::alone("Redis CPU for a batch", "us", cpu, None),
        Row::compared("Batches for which one core of it would do", "1/s", 1e6 / cpu, needed, None),
        Row::compared("Visits for which one core of it would do", "1/s", 1e6 / cpu * visits, visits_needed, None),
    ]
}

/// Days, visitors, bots and top lists on, and folders at work.
fn with_statistics(site: &Found, Statistics { counting, fold, folding }: &Statistics) -> Vec<Row> {
    let (plain, needed) = (site.standard.cpu, f64::from(ENVIRONMENTS) / INTERVAL);
    let cpu = |what: &str, ours, most| Row::compared(what, "us", ours, plain, Some(Goal::AtMost(most)));
    let rate = |what: &str, ours| Row::compared(what, "1/s", ours, needed, Some(Goal::AtLeast(1.0)));
    vec![
        cpu("With statistics: Redis CPU for a batch, against one without", counting.cpu, 1.2),
        cpu("With statistics and their fold: Redis CPU for a batch, against one without", counting.cpu + fold, 1.6),
        Row::alone("Redis CPU of the fold for a visit", "ns", fold * 1e3 / counting.visits, None),
        rate("With statistics, while others are folded: batches that one server took and folded", folding.rate),
        rate("With statistics and their fold: batches for which one core of it would do", 1e6 / folding.cpu),
    ]
}

fn managed(site: &Found) -> Vec<Row> {
    let Reached { rate, cpu, visits, increments, .. } = site.managed;
    let needed = f64::from(MANAGED) * site.managed_batches / INTERVAL;
    let ours = cpu * 1e3 / visits;
    let standard = site.standard.cpu * 1e3 / site.standard.visits;
    vec![
        Row::compared(
            "Managed Instances: batches that one server took, against those needed",
            "1/s",
            rate,
            needed,
            None,
        ),
        Row::alone("Managed Instances: increments in a batch", "increments", increments, None),
        Row::alone("Managed Instances: visits in a batch", "visits", visits, None),
        Row::compared("Managed Instances: Redis CPU for a visit, against standard Lambda", "ns", ours, standard, None),
    ]
}

/// Each environment has a connection to each endpoint, however many these are.
fn connections() -> Vec<Row> {
    let row = |what: String, environments: u32, limit: u32| {
        Row::compared(what, "connections", f64::from(environments), f64::from(limit), None)
    };
    let standard =
        |limit: &str| format!("Connections to each endpoint from {ENVIRONMENTS} environments, against {limit}");
    let visits = f64::from(ELASTICACHE) * f64::from(VISITS) / INTERVAL;
    vec![
        row(standard("ElastiCache's limit"), ENVIRONMENTS, ELASTICACHE),
        row(standard("the default of Redis"), ENVIRONMENTS, REDIS),
        row(format!("The same from {MANAGED} environments of Managed Instances"), MANAGED, REDIS),
        Row::compared(
            "Visits that ElastiCache's connections allow standard Lambda, against those needed",
            "1/s",
            visits,
            1e6,
            None,
        ),
    ]
}

pub(super) fn plots(sites: &[Found]) -> Vec<Plot> {
    let needed = f64::from(ENVIRONMENTS) / INTERVAL;
    let series = |name: &str, figure: &dyn Fn(&Found) -> f64| Series {
        name: name.into(),
        points: sites.iter().map(|site| (f64::from(site.pages), figure(site))).collect(),
    };
    let plot = |id: &str, title: &str, y: &str, series| {
        Plot::new(id, title, Axis::log("pages of the site"), Axis::log(y), series)
    };
    let rates = vec![
        series("reached", &|site| site.standard.rate),
        series("for which one core of Redis would do", &|site| 1e6 / site.standard.cpu),
        series("needed", &|_| needed),
    ];
    let visits = vec![
        series("standard Lambda", &|site| site.standard.cpu * 1e3 / site.standard.visits),
        series("Managed Instances, 64 at once", &|site| site.managed.cpu * 1e3 / site.managed.visits),
    ];
    vec![
        plot("million-batches", "Batches that one server takes", "batches a second", rates),
        plot("million-cpu", "Redis CPU for a visit", "ns", visits),
    ]
}

pub(super) fn notes() -> Vec<String> {
    let notes = [
        "The server knows 100,000 writers and all pages of the largest site; 64 connections carry one call each at a \
         time, and what is sent was put together before, by the counter's own ring and buffer.",
        "The load runs on the same machine: the best of five rounds is a lower bound wherever the server was not busy all \
         the time, and what its CPU implies (the median) is what a server with a core of its own would do.",
        "Which page a visit is of follows Zipf's law with exponent 1.0; the table is for a site of 100,000 pages.",
        "The few most visited pages decide how the visits are split: the server measured has a little less than half of \
         them, and as many batches and increments as the other.",
        "The more pages a site has, the fewer visits of an interval are of the same page: a batch has more increments, up \
         to one for each visit, and their keys are less often in the processor's cache.",
        "With statistics each visit is of the present day, one in ten by a bot, the others by one of 10,000,000 visitors. A fold \
         runs on the load's own thread for each 1,500 environments that have sent, some half of a second's; a last one ends the \
         round, and all of them count.",
        "Managed Instances gather 64 times as many visits before they send, so the popular pages are sent once for many.",
        "Every environment has a connection to every endpoint: a further endpoint takes batches off the others, and no \
         connection.",
    ];
    notes.map(str::to_owned).to_vec()
}
