//! Each scenario in short, so that every change is tried on the real binaries. `make chaos` runs them in full.

use chaos::report::Report;
use chaos::scenario::faults;

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
