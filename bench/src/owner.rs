//! The owner's questions, through the code of the dashboard's function: their time, and the error of estimates.

use crate::figures::{Group, Row};
use crate::shards::{Shards, page, visitor};
use crate::subject::servers;
use crate::{Effort, percentile};
use std::sync::Arc;
use std::time::{Duration, Instant};
use visits_core::batch::{Increment, MAX_BATCH_PAGES};
use visits_core::clock::Clock;
use visits_core::day::Day;
use visits_core::rollup::roll_up;
use visits_core::statistics::{Figures, TopQuery};
use visits_core::visit::{Visitor, site_key};

/// Pages that have visitors: enough for a roll-up to have work, few enough for the servers' memory.
const WITH_VISITORS: usize = 20;

/// Distinct visitors of a day, for the accuracy.
const VISITORS: u64 = 100_000;

/// Measures the answers over eight servers, one question after the other, and the error of unique visitors.
///
/// # Panics
/// If a shard does not answer.
pub fn statistics(effort: Effort) -> Group {
    let (pages, days) = (effort.choose(10_000, 500), effort.choose(400, 60));
    let mut shards = Shards::new(servers(8));
    let today = Day::of(Clock::system().now());
    fill(&mut shards, pages, today, days);
    let figures = Figures::new(Arc::clone(&shards.store), shards.ring.clone(), shards.config.clock(), &shards.config);
    let top = |search: Option<&str>| {
        let query = TopQuery { days, limit: 100, search: search.map(str::to_owned) };
        let top = shards.runtime.block_on(figures.top(&query)).expect("the shards answer");
        assert!(!top.pages.is_empty() && top.pages.len() <= 100, "{top:?}");
    };
    let history = |round: usize| {
        let history = shards.runtime.block_on(figures.history(&page(round * 37 % pages), days));
        assert!(history.expect("its shard answers").visits >= u64::from(days));
    };
    let summary = |_| assert!(shards.runtime.block_on(figures.summary(days)).complete, "all shards answer");
    let questions: [(String, &dyn Fn(usize)); 4] = [
        (format!("History of {days} days of a page"), &history),
        (format!("Top 100 of {days} days"), &|_| top(None)),
        (format!("Top 100 of {days} days, with a search"), &|_| top(Some("page-00001"))),
        (format!("Summary of {days} days"), &summary),
    ];
    let mut rows: Vec<Row> = questions
        .iter()
        .map(|(what, ask)| {
            // The first one connects and brings the scripts.
            ask(0);
            let mut times = (0..effort.choose(200, 20)).map(|round| {
                let began = Instant::now();
                ask(round);
                began.elapsed()
            });
            Row::alone(format!("{what}: p99"), "us", percentile(&mut times.by_ref().collect::<Vec<_>>(), 99))
                .at_most(50_000.0)
        })
        .collect();
    let tried: u32 = effort.choose(50, 3);
    let squares: f64 = (1..=tried).map(|day| error(&mut shards, today.plus(day)).powi(2)).sum();
    let what = format!("Unique visitors, {VISITORS} distinct: standard error");
    rows.push(Row::alone(what, "%", (squares / f64::from(tried)).sqrt()).at_most(2.0));
    Group::new("statistics", "", rows)
}

/// Gives every page visits on each of the days that end with the present one, and rolls them up.
fn fill(shards: &mut Shards, pages: usize, today: Day, days: u32) {
    let mut of_shard: Vec<Vec<usize>> = vec![Vec::new(); shards.ring.len()];
    for number in 0..pages {
        of_shard[shards.ring.owner(page(number).as_str())].push(number);
    }
    for (shard, pages) in of_shard.iter().enumerate() {
        for day in today.minus(days - 1).to(today) {
            for pages in pages.chunks(MAX_BATCH_PAGES) {
                shards.apply(shard, Some(day), pages.iter().map(|number| increment(*number, day)).collect());
            }
        }
    }
    shards.fold();
    let (clock, days) = (shards.config.clock(), shards.config.history_days);
    let rolling_up = roll_up(&shards.store, &shards.ring, &clock, days, Duration::from_mins(5));
    let rolled_up = shards.runtime.block_on(rolling_up);
    assert!(rolled_up.days_rolled_up, "{rolled_up:?}");
}

/// Returns a page's visits of a day: more for the first pages, and not the same every day.
fn increment(number: usize, day: Day) -> Increment {
    let visits = 1 + (1_000 + u64::from(day.number()) % 97) / (1 + number as u64);
    let visitors = [Visitor(number as u64), Visitor(u64::from(day.number()) << 32)];
    let visitors = if number < WITH_VISITORS { visitors.to_vec() } else { Vec::new() };
    Increment { page: page(number), visits, bots: u64::from(visits > 1), visitors }
}

/// Returns how far off the site's visitors of a day are, in percent. Each day has a secret of its own, as in use.
fn error(shards: &mut Shards, day: Day) -> f64 {
    let mut known: Vec<Visitor> = (0..VISITORS).map(|number| visitor(day.number().into(), number)).collect();
    known.sort_unstable();
    let owner = shards.ring.owner(page(0).as_str());
    for visitors in known.chunks(10_000) {
        let increment = Increment { visitors: visitors.to_vec(), ..(page(0), visitors.len() as u64).into() };
        shards.apply(owner, Some(day), vec![increment]);
    }
    shards.fold();
    let site = shards.store.days(shards.ring.owner(&site_key(day)), None, day, day);
    let found = shards.runtime.block_on(site).expect("the shard answers");
    (found.days[0].visitors as f64 / VISITORS as f64 - 1.0) * 100.0
}
