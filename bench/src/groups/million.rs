//! One million visits a second on two Redis endpoints: the flushes of 100,000 environments with 10 visits a second
//! each, half of whose pages are on one server.

mod load;
mod report;
mod traffic;
mod zipf;

use crate::effort::Effort;
use crate::figures::Group;
use crate::statistics::median;
use load::{How, Load, Reached};
use serde_json::json;
use traffic::{Interval, Site};
use visits_core::clock::Clock;
use visits_core::day::Day;

/// Environments of standard Lambda, which takes 10 requests a second in each.
const ENVIRONMENTS: u32 = 100_000;

/// Requests at once in an environment of Managed Instances.
const SLOTS: u32 = 64;

/// Writers that the server knows: as many as these, and some that send with statistics.
const KNOWN: u32 = ENVIRONMENTS + 30_000;

/// Environments of Managed Instances for as many visits.
const MANAGED: u32 = ENVIRONMENTS.div_ceil(SLOTS);

/// Time between two flushes of an environment, in s.
const INTERVAL: f64 = 30.0;

/// Visits of an environment of standard Lambda in it.
const VISITS: u32 = 300;

/// Pages of the sites.
const SITES: [u32; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];

/// The one of the table.
const SITE: u32 = 100_000;

/// Measures it.
pub fn run(effort: Effort) -> Group {
    let sites = effort.choose(&SITES[..], &SITES[1..4]);
    let (environments, rounds) = (effort.choose(3_500, 200), effort.choose(5, 1));
    let largest = sites.iter().copied().max().unwrap_or(SITE);
    let mut load = Load::new(largest, effort.choose(KNOWN, 2_000));
    let mut sites: Vec<Measured> = sites.iter().map(|&pages| Measured::new(pages, &load, effort)).collect();
    let (counted, mut reconnecting) = (with_statistics(&load, effort), Vec::new());
    for _ in 0..rounds {
        for site in &mut sites {
            site.standard.push(load.run(&site.quiet, environments, How::Plain));
            site.managed.push(load.run(&site.busy, effort.choose(100, 10), How::Plain));
            if site.pages == SITE {
                reconnecting.push(load.run(&site.quiet, effort.choose(500, 50), How::Reconnecting));
                site.counting.push(load.run(&counted, environments, How::Counting));
                site.folds.push(load.fold());
                site.folding.push(load.run(&counted, environments, How::Folding));
            }
        }
    }
    let statistics = sites.iter().find(|site| site.pages == SITE).map(|site| Statistics::of(site, environments));
    let sites: Vec<Found> = sites.iter().map(Measured::found).collect();
    let reconnecting = middle(&reconnecting);
    Group {
        id: "million".into(),
        title: "One million visits a second on two Redis endpoints".into(),
        compared_with: "needed or allowed".into(),
        rows: report::rows(&sites, &reconnecting, statistics.as_ref()),
        plots: report::plots(&sites),
        notes: report::notes(),
        raw: json!({ "sites": sites, "new_connection_each": reconnecting, "statistics": statistics }),
        ..Group::default()
    }
}

/// A site, the intervals to choose from, and what each round reached with them.
struct Measured {
    pages: u32,
    quiet: Vec<Interval>,
    busy: Vec<Interval>,
    standard: Vec<Reached>,
    managed: Vec<Reached>,
    /// With statistics, the processor time of Redis for their fold (in s), and with folds beside: for one site.
    counting: Vec<Reached>,
    folds: Vec<f64>,
    folding: Vec<Reached>,
}

/// What is found for a site: the medians.
#[derive(serde::Serialize)]
struct Found {
    pages: u32,
    standard: Reached,
    managed: Reached,
    /// Batches of an environment of Managed Instances for one shard in an interval.
    managed_batches: f64,
}

impl Measured {
    fn new(pages: u32, load: &Load, effort: Effort) -> Self {
        let mut site = Site::new(pages);
        let mut pool = |count: usize, visits| (0..count).map(|_| site.interval(&load.ring, visits, None)).collect();
        let quiet = pool(effort.choose(2_000, 100), VISITS);
        let busy = pool(effort.choose(40, 5), VISITS * SLOTS);
        let (standard, managed, counting, folds, folding) = Default::default();
        Self { pages, quiet, busy, standard, managed, counting, folds, folding }
    }

    fn found(&self) -> Found {
        let batches = self.busy.iter().map(Vec::len).sum::<usize>() as f64;
        Found {
            pages: self.pages,
            standard: middle(&self.standard),
            managed: middle(&self.managed),
            managed_batches: batches / self.busy.len() as f64,
        }
    }
}

/// Intervals of an environment with days, visitors and bots.
fn with_statistics(load: &Load, effort: Effort) -> Vec<Interval> {
    let (mut site, today) = (Site::new(SITE), Day::of(Clock::system().now()));
    (0..effort.choose(2_000, 100)).map(|_| site.interval(&load.ring, VISITS, Some(today))).collect()
}

/// Costs of statistics at the traffic of one site.
#[derive(serde::Serialize)]
struct Statistics {
    /// Batches with statistics, which are folded afterwards.
    counting: Reached,
    /// Processor time of Redis for the fold of a batch, in us.
    fold: f64,
    /// Batches with statistics while others are folded; processor time and rate include the fold of all of them.
    folding: Reached,
}

impl Statistics {
    fn of(site: &Measured, environments: u32) -> Self {
        Self {
            counting: middle(&site.counting),
            fold: median(&site.folds) * 1e6 / f64::from(environments),
            folding: middle(&site.folding),
        }
    }
}

/// The medians; but the rate is the best round's, with how busy Redis was in it: whatever else the machine does can only
/// lower it.
fn middle(rounds: &[Reached]) -> Reached {
    let best = rounds.iter().max_by(|left, right| left.rate.total_cmp(&right.rate)).expect("there is a round");
    let of = |figure: fn(&Reached) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
    Reached {
        rate: best.rate,
        cpu: of(|round| round.cpu),
        busy: best.busy,
        increments: of(|round| round.increments),
        visits: of(|round| round.visits),
    }
}
