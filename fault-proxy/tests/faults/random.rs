//! Random faults.

use crate::{PATIENCE, Setup, incr};
use fault_proxy::{Fault, Rates};
use std::time::Duration;
use test_support::wait_for;

const RATES: Rates = Rates {
    refuse: 0.05,
    mute: 0.05,
    mute_late: 0.05,
    delay: 0.05,
    cut_after_apply: 0.05,
    cut_before_apply: 0.05,
    half_open: 0.005,
    longest_delay: Duration::from_millis(2),
    stall: Duration::from_millis(1),
};

/// One client that connects again after each error. Whether each of its increments was answered, the number of
/// late ones, and the count after all.
fn run(seed: u64) -> (Vec<bool>, u64, i64) {
    let setup = Setup::new();
    setup.proxy.plan(seed, RATES);
    let connect = || {
        let redis = setup.connect();
        // Only a half open connection makes the client wait for so long.
        redis.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        redis
    };
    let mut redis = connect();
    let attempt = |_| {
        let answered = incr(&mut redis).is_ok();
        if !answered {
            redis = connect();
        }
        answered
    };
    let answered: Vec<bool> = (0..150).map(attempt).collect();
    let counters = setup.proxy.counters();
    let late = counters.faults_of(Fault::MuteLate);
    assert!(wait_for(PATIENCE, || counters.delivered_late() == late));
    let applied = answered.iter().filter(|answered| **answered).count() as u64;
    let applied = applied + counters.faults_of(Fault::CutAfterApply) + late;
    assert_eq!(u64::try_from(setup.count()).unwrap(), applied);
    (answered, counters.faults(), setup.count())
}

#[test]
fn a_random_run_repeats_with_its_seed() {
    let (first, again) = (run(1), run(1));
    assert_eq!(first, again);
    assert!(first.1 > 20, "{} faults", first.1);
}
