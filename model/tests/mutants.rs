//! The checker finds what is wrong with simpler protocols. Each test prints the shortest counterexample.

use protocol_model::check::{refute, steps};
use protocol_model::config::Config;
use protocol_model::model::ProtocolModel;
use protocol_model::mutants;
use protocol_model::properties::{LIVING_COUNTED, NEVER_TWICE, PARKED_COUNTED};

fn assert_violates(property: &'static str, config: &Config) {
    let path = refute(&ProtocolModel { config: config.clone() }, property);
    let path = path.unwrap_or_else(|| panic!("{}: no counterexample to: {property}", config.name));
    println!("{}: {} steps against: {property}\n{}", config.name, path.len(), steps(&path));
}

#[test]
fn a_high_water_mark_loses_a_batch_that_was_overtaken() {
    assert_violates(LIVING_COUNTED, &mutants::high_water_mark());
}

#[test]
fn a_base_that_passes_a_parked_batch_at_first_sight_loses_it() {
    assert_violates(LIVING_COUNTED, &mutants::base_at_first_sight());
}

#[test]
fn a_copy_deleted_on_delivery_is_lost_with_the_delivery() {
    assert_violates(PARKED_COUNTED, &mutants::delete_at_delivery());
}

#[test]
fn a_batch_forgotten_at_first_sight_is_lost_in_a_crash() {
    assert_violates(LIVING_COUNTED, &mutants::forget_at_first_sight());
}

#[test]
fn merging_an_unclear_batch_back_counts_it_twice() {
    assert_violates(NEVER_TWICE, &mutants::merge_back());
}

#[test]
fn a_late_answer_mistaken_for_the_current_one_loses_a_batch() {
    assert_violates(LIVING_COUNTED, &mutants::mistake_late_answers());
}

#[test]
fn a_base_sent_by_a_deliverer_loses_what_is_below() {
    assert_violates(LIVING_COUNTED, &mutants::deliverer_sends_base());
}

#[test]
fn a_sight_trusted_across_a_crash_loses_a_batch_in_the_next() {
    assert_violates(LIVING_COUNTED, &mutants::sight_across_crash());
}

#[test]
fn a_mark_trusted_across_a_crash_loses_a_batch_in_the_next() {
    assert_violates(PARKED_COUNTED, &mutants::mark_across_crash());
}

#[test]
fn content_dropped_on_the_first_acknowledgement_is_lost_with_its_holder() {
    assert_violates(LIVING_COUNTED, &mutants::evict_at_once());
}
