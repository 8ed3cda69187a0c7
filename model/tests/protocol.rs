//! Within every configuration the protocol keeps its promises. Each test prints what it covered
//! (`cargo test -p protocol-model -- --nocapture`).

use protocol_model::check::{check, steps};
use protocol_model::config::Config;
use protocol_model::model::ProtocolModel;
use protocol_model::{configs, mutants};

fn assert_holds(config: Config) {
    let outcome = check(ProtocolModel { config }, 2);
    println!("{outcome}");
    if let Some((property, path)) = outcome.violations.first() {
        panic!("{}: does not hold: {property}\n{}", outcome.name, steps(path));
    }
    assert!(outcome.missed.is_empty(), "{}: never happens: {:?}", outcome.name, outcome.missed);
}

#[test]
fn late_and_duplicate_calls_change_nothing() {
    assert_holds(configs::three_batches_late_and_twice());
}

#[test]
fn what_a_crash_takes_is_sent_or_delivered_again() {
    assert_holds(configs::two_batches_parked_both_shards_crash());
    assert_holds(configs::copies_crosswise());
}

#[test]
fn two_deliverers_at_once_lose_and_double_nothing() {
    assert_holds(configs::two_deliverers_and_a_late_call());
    assert_holds(configs::two_deliverers_and_two_parks());
    assert_holds(configs::two_writers_two_deliverers());
}

#[test]
fn writers_and_shards_do_not_disturb_each_other() {
    assert_holds(configs::two_writers_two_shards());
    assert_holds(configs::two_writers_two_shards_parked());
}

#[test]
fn content_that_left_memory_is_counted_all_the_same() {
    assert_holds(configs::three_batches_parked_and_evicted());
    assert_holds(configs::content_lost_with_its_holder());
    assert_holds(configs::two_batches_evicted_and_a_death());
}

#[test]
fn the_model_reaches_what_it_is_about() {
    assert_holds(configs::everything_can_happen());
}

#[test]
fn with_one_crash_of_each_shard_incarnations_are_not_needed() {
    assert_holds(configs::as_written_two_batches());
    assert_holds(configs::as_written_both_shards());
}

#[test]
fn a_late_answer_is_harmless_unless_it_is_mistaken_for_another_across_a_crash() {
    mutants::harmless_late_answers().into_iter().for_each(assert_holds);
}
