//! Within every configuration re-homing keeps its promises. Each test prints what it covered
//! (`cargo test -p protocol-model -- --nocapture`).

use protocol_model::check::{check, steps};
use protocol_model::rehome::config::Config;
use protocol_model::rehome::configs;
use protocol_model::rehome::model::RehomeModel;
use protocol_model::rehome::mutants;

fn assert_holds(config: Config) {
    let outcome = check(RehomeModel { config }, 2);
    println!("{outcome}");
    if let Some((property, path)) = outcome.violations.first() {
        panic!("{}: does not hold: {property}\n{}", outcome.name, steps(path));
    }
    assert!(outcome.missed.is_empty(), "{}: never happens: {:?}", outcome.name, outcome.missed);
}

#[test]
fn reads_are_exact_while_pages_move() {
    assert_holds(configs::reads_and_late_visits());
    assert_holds(configs::reads_while_the_source_crashes());
    assert_holds(configs::reads_while_the_destination_crashes());
}

#[test]
fn crashes_double_and_lose_no_moved_visit() {
    assert_holds(configs::both_shards_crash());
    assert_holds(configs::the_source_crashes_twice());
    assert_holds(configs::the_destination_crashes_twice());
}

#[test]
fn two_flushers_at_once_do_what_one_does() {
    assert_holds(configs::two_flushers_and_a_late_visit());
    assert_holds(configs::two_flushers_and_a_crash_of_the_source());
    assert_holds(configs::two_flushers_and_a_crash_of_the_destination());
}

#[test]
fn flushers_with_old_and_new_rings_side_by_side_lose_nothing() {
    assert_holds(configs::old_and_new_flusher());
}

#[test]
fn a_shard_listed_again_to_be_drained_is_emptied() {
    assert_holds(configs::a_shard_is_drained());
}

#[test]
fn a_third_shard_takes_part() {
    assert_holds(configs::three_shards());
}

#[test]
fn the_model_reaches_what_it_is_about() {
    assert_holds(configs::everything_can_happen());
}

#[test]
fn a_take_before_all_shards_are_marked_harms_no_read() {
    mutants::take_before_all_marked().into_iter().for_each(assert_holds);
}
