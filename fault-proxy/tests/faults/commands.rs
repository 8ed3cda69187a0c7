//! Faults that strike commands.

use crate::{PATIENCE, Setup, get, incr, incr_in_vain};
use fault_proxy::Fault;
use std::time::{Duration, Instant};
use test_support::wait_for;

#[test]
fn a_cut_after_apply_leaves_the_increment_applied_and_the_client_without_an_answer() {
    let setup = Setup::new();
    let mut redis = setup.connect();
    setup.proxy.fail_next(1, Fault::CutAfterApply);
    assert!(incr(&mut redis).unwrap_err().is_connection_dropped());
    assert_eq!(setup.count(), 1);
    assert_eq!(incr(&mut setup.connect()).unwrap(), 2);
}

#[test]
fn a_cut_before_apply_leaves_nothing_applied() {
    let setup = Setup::new();
    let mut redis = setup.connect();
    setup.proxy.fail_next(1, Fault::CutBeforeApply);
    assert!(incr(&mut redis).unwrap_err().is_connection_dropped());
    assert_eq!(incr(&mut setup.connect()).unwrap(), 1);
}

#[test]
fn a_standing_cut_strikes_every_command_of_its_names_and_no_other() {
    let setup = Setup::new();
    setup.proxy.set(Fault::CutAfterApply);
    for done in 1..=3 {
        let mut redis = setup.connect();
        assert_eq!(get(&mut redis), done - 1);
        assert!(incr(&mut redis).is_err());
        assert_eq!(setup.count(), done);
    }
    assert_eq!(setup.proxy.counters().faults_of(Fault::CutAfterApply), 3);
    setup.proxy.heal();
    assert_eq!(incr(&mut setup.connect()).unwrap(), 4);
}

#[test]
fn commands_before_a_cut_are_answered_and_those_behind_it_never_arrive() {
    for (fault, applied) in [(Fault::CutAfterApply, 2), (Fault::CutBeforeApply, 1)] {
        let setup = Setup::new();
        let mut redis = setup.connect();
        // The first one passes, and the standing fault strikes the second.
        setup.proxy.fail_next(1, Fault::None);
        let mut pipe = redis::pipe();
        pipe.cmd("INCR").arg("count").cmd("INCR").arg("count").cmd("SET").arg("behind").arg(1);
        setup.proxy.set(fault);
        assert!(pipe.query::<(i64, i64, ())>(&mut redis).is_err());
        let mut direct = setup.server.connect();
        assert!(wait_for(PATIENCE, || setup.count() == applied), "{fault:?}");
        assert!(!redis::cmd("EXISTS").arg("behind").query::<bool>(&mut direct).unwrap());
    }
}

#[test]
fn a_delayed_command_takes_that_long_and_a_pipeline_no_longer() {
    const DELAY: Duration = Duration::from_millis(40);
    let setup = Setup::new();
    let mut redis = setup.connect();
    setup.proxy.set(Fault::Delay(DELAY));
    let mut pipe = redis::pipe();
    for _ in 0..100 {
        pipe.cmd("INCR").arg("count");
    }
    let started = Instant::now();
    let answers: Vec<i64> = pipe.query(&mut redis).unwrap();
    assert!(started.elapsed() >= DELAY);
    // One delay for each would take 4 s.
    assert!(started.elapsed() < 50 * DELAY);
    assert_eq!(answers, (1..=100).collect::<Vec<_>>());
}

#[test]
fn a_delayed_command_arrives_also_when_its_client_has_left() {
    let setup = Setup::new();
    let redis = setup.connect();
    setup.proxy.fail_next(1, Fault::Delay(Duration::from_millis(400)));
    incr_in_vain(redis);
    assert!(wait_for(PATIENCE, || setup.count() == 1));
}

#[test]
fn a_single_command_is_late_until_the_next_set() {
    let setup = Setup::new();
    let redis = setup.connect();
    setup.proxy.fail_next(1, Fault::MuteLate);
    incr_in_vain(redis);
    assert_eq!(incr(&mut setup.connect()).unwrap(), 1);
    setup.proxy.set(Fault::None);
    assert!(wait_for(PATIENCE, || setup.proxy.counters().delivered_late() == 1));
    assert_eq!(setup.count(), 2);
}

#[test]
fn a_single_command_is_refused_muted_or_lost_on_its_connection_only() {
    let setup = Setup::new();
    setup.proxy.fail_next(1, Fault::Refuse);
    assert!(incr(&mut setup.connect()).is_err());
    for fault in [Fault::Mute, Fault::HalfOpen] {
        setup.proxy.fail_next(1, fault);
        incr_in_vain(setup.connect());
    }
    setup.proxy.heal();
    assert_eq!(incr(&mut setup.connect()).unwrap(), 1);
    assert_eq!(setup.proxy.counters().faults(), 3);
}
