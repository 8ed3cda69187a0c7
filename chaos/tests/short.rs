//! Each scenario in short, so that every change is tried on the real binaries. `make chaos` runs them in full.

use chaos::report::Report;
use chaos::scenario::{crash, faults, growth, idle, kill, outage, shutdown, sigterm};
use std::time::Duration;

/// Shows the rows and holds each claim.
fn assert_holds(rows: Vec<chaos::report::Row>) {
    let report = Report(rows);
    println!("{report}");
    assert!(report.holds(), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_faults_reaping_and_restarts_every_acknowledged_visit_counts_once() {
    assert_holds(faults::run(faults::Size { visits: 6_000, environments: 20, seeds: 2 }).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_is_gone_for_a_while_costs_no_visit_and_refuses_none() {
    assert_holds(outage::run(outage::Size { clients: 8, down: Duration::from_secs(90) }).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_redis_lost_is_sent_again_and_without_healing_counted_as_lost() {
    assert_holds(crash::run(crash::Size { clients: 8, crashes: 2 }).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_environment_takes_along_only_what_it_had_not_flushed_in_an_interval() {
    assert_holds(kill::run(kill::Size { environments: 8, rounds: 3 }).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_sigterm_everything_is_safe_within_half_a_second_also_with_a_shard_mute_or_refused() {
    assert_holds(shutdown::run(shutdown::Size { environments: 8 }).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visits_during_sigterm_are_refused_or_counted() {
    assert_holds(sigterm::run(sigterm::Size { environments: 3 }).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_that_changes_under_load_costs_no_visit_and_shows_no_reader_less_than_before() {
    let size = growth::Size { pages: 5_000, rate: 200, patience: Duration::from_mins(2) };
    assert_holds(growth::run(size).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_environment_pushes_what_it_holds_and_is_then_left_alone() {
    assert_holds(idle::run(idle::Size { environments: vec![1], runs: 2, runs_idle: 16 }).await);
}
