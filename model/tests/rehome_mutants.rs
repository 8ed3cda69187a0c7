//! The checker finds what is wrong with simpler protocols of re-homing. Each test prints a counterexample.

use protocol_model::check::{find, steps};
use protocol_model::rehome::config::Config;
use protocol_model::rehome::model::RehomeModel;
use protocol_model::rehome::mutants;
use protocol_model::rehome::properties::{
    CAN_END, NEVER_DOUBLED, NOTHING_LOST, OWNER_EXACT, READS_EXACT, SETTLED_EXACT,
};

fn assert_violates(property: &'static str, config: Config) {
    let name = config.name;
    let path = find(RehomeModel { config }, property);
    let path = path.unwrap_or_else(|| panic!("{name}: no counterexample to: {property}"));
    println!("{name}: {} steps against: {property}\n{}", path.len(), steps(&path));
}

#[test]
fn a_move_delivered_at_once_counts_twice_after_a_crash_of_its_source() {
    assert_violates(NEVER_DOUBLED, mutants::deliver_at_once());
}

#[test]
fn a_seen_mark_trusted_across_a_crash_counts_twice() {
    assert_violates(NEVER_DOUBLED, mutants::seen_across_crash());
}

#[test]
fn a_delivered_mark_trusted_across_a_crash_loses_the_move() {
    assert_violates(CAN_END, mutants::delivered_across_crash());
}

#[test]
fn a_move_deleted_at_delivery_is_lost_with_the_delivery() {
    assert_violates(NOTHING_LOST, mutants::delete_at_delivery());
}

#[test]
fn a_move_whose_writer_is_forgotten_is_delivered_twice() {
    assert_violates(CAN_END, mutants::forget_record());
}

#[test]
fn out_and_in_cleaned_together_count_twice_after_a_crash() {
    assert_violates(NEVER_DOUBLED, mutants::out_and_in_together());
}

#[test]
fn in_cleaned_without_the_wait_counts_twice_after_a_crash() {
    assert_violates(NEVER_DOUBLED, mutants::in_without_wait());
}

#[test]
fn a_cleaned_mark_trusted_across_a_crash_counts_twice() {
    assert_violates(NEVER_DOUBLED, mutants::cleaned_across_crash());
}

#[test]
fn late_writes_unnoticed_stay_where_they_are() {
    assert_violates(SETTLED_EXACT, mutants::late_unchecked());
}

#[test]
fn a_delivery_by_another_ring_unnoticed_strands_the_page() {
    assert_violates(SETTLED_EXACT, mutants::delivery_never_late());
}

#[test]
fn without_rounds_what_is_taken_later_is_hidden() {
    assert_violates(NOTHING_LOST, mutants::no_rounds());
}

#[test]
fn a_shard_settled_after_a_crash_keeps_notes_that_came_back() {
    assert_violates(CAN_END, mutants::own_run_unchecked());
}

#[test]
fn a_late_take_steals_a_page_from_its_settled_owner() {
    assert_violates(OWNER_EXACT, mutants::take_unchecked());
}

#[test]
fn without_the_maximum_cleaned_pairs_count_below_zero() {
    assert_violates(NOTHING_LOST, mutants::no_max());
}

#[test]
fn a_move_delivered_within_a_read_is_misread() {
    assert_violates(READS_EXACT, mutants::deliver_while_read());
}
