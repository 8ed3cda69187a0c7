//! The ring changes under load, from two shards to three, back to two, and to eight: old and new environments side by
//! side, no visit lost or doubled, and no read below an earlier one.

mod audit;
mod deployment;
mod pages;
mod traffic;

use crate::report::Row;
use crate::world::SCHEDULE;
use audit::number;
use deployment::Deployment;
use std::sync::Arc;
use std::time::{Duration, Instant};
use traffic::Traffic;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Pages of the site.
    pub pages: usize,
    /// Visits a second, as far as the machine keeps up.
    pub rate: u32,
    /// Longest wait for a change to settle.
    pub patience: Duration,
}

/// Shards with pages, one after the other.
const STEPS: [usize; 4] = [2, 3, 2, 8];

/// How long environments of both rings take visits.
const SIDE_BY_SIDE: Duration = SCHEDULE.saturating_mul(3);

/// Runs all changes on one site.
pub async fn run(size: Size) -> Vec<Row> {
    let deployment = Arc::new(Deployment::start(size.pages).await);
    deployment.add_generation(STEPS[0]);
    let schedule = deployment.spawn_schedule();
    deployment.wait_until_settled(size.patience).await;
    let traffic = Traffic::start(&deployment, size.rate);
    let started = Instant::now();
    let name = format!("2 -> 3 -> 2 -> 8 shards, {} pages, {} visits/s", size.pages, size.rate);
    let mut rows = Vec::new();
    for pair in STEPS.windows(2) {
        rows.push(change(&deployment, &name, pair[0], pair[1], size.patience).await);
    }
    let took = started.elapsed();
    let report = traffic.stop().await;
    deployment.reap_all().await;
    deployment.wait_until_settled(size.patience).await;
    schedule.abort();
    let verdict = audit::compare(&deployment);
    let rate = number(report.visits) / took.as_secs_f64();
    rows.extend([
        Row::told(&name, "visits a second that the machine kept up", format!("{rate:.0}")),
        Row::claimed(
            &name,
            "visits refused or without an answer / reads refused",
            format!("{} / {}", report.visits_failed, report.reads_failed),
            report.visits_failed + report.reads_failed == 0,
        ),
        Row::claimed(
            &name,
            "reads / below an earlier one / above what was sent",
            format!("{} / {} / {}", report.reads, report.reads_below, report.reads_above),
            report.reads > 0 && report.reads_below + report.reads_above == 0,
        ),
        Row::claimed(
            &name,
            "acknowledged / counted",
            format!("{} / {}", verdict.acknowledged, verdict.counted),
            verdict.acknowledged == verdict.counted,
        ),
        Row::claimed(
            &name,
            "lost / counted twice",
            format!("{} / {}", verdict.lost, verdict.doubled),
            verdict.lost + verdict.doubled == 0,
        ),
        Row::claimed(
            &name,
            "the site's / of the site's days / off the pages' days",
            format!("{} / {} / {}", verdict.of_site, verdict.of_site_days, verdict.undated),
            verdict.of_site == verdict.counted
                && verdict.of_site_days + verdict.preloaded == verdict.counted
                && verdict.undated == 0,
        ),
        Row::claimed(
            &name,
            "records in a wrong place / notes of moves left",
            format!("{} / {}", verdict.misplaced, verdict.notes_left),
            verdict.misplaced + verdict.notes_left == 0,
        ),
    ]);
    rows
}

/// Has a new ring take over, as a careful operator does: `flush-visits` is given it first, then the others.
async fn change(deployment: &Arc<Deployment>, name: &str, from: usize, to: usize, patience: Duration) -> Row {
    let before = deployment.moved();
    deployment.add_flush(to);
    deployment.wait_for_runs(2).await;
    deployment.add_functions(to);
    tokio::time::sleep(SIDE_BY_SIDE).await;
    deployment.retire_old().await;
    let started = Instant::now();
    deployment.wait_until_settled(patience).await;
    let moved = deployment.moved().since(before);
    let ideal = audit::ideal(deployment.pages(), from, to);
    // Only what the ring places elsewhere is ever taken, and in the end all of it was: see `misplaced`.
    let must_move = audit::differently_placed(deployment.pages(), &deployment.ring_of(from), &deployment.ring_of(to));
    let ratio = number(must_move) / ideal;
    let found = format!(
        "{must_move} pages, {ratio:.3} of the ideal {ideal:.0}; {} takes, some again for visits by the old ring; \
         {:.0} pages/s in runs that took some; settled {:.1?} after the last old environment",
        moved.taken,
        moved.rate(),
        started.elapsed()
    );
    let figure = match (from, to) {
        (2, 3) => "moved from 2 to 3 shards",
        (3, 2) => "moved from 3 to 2 shards",
        _ => "moved from 2 to 8 shards",
    };
    Row::claimed(name, figure, found, ratio <= 1.05 && moved.taken >= must_move)
}
