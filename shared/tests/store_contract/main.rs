//! Promises of the store, held against real Redis servers of several versions and a real cluster.

mod claims;
mod subject;

use std::sync::Arc;
use test_support::{RedisCluster, RedisServer, redis_program_of_version};

/// Runs each claim on the shared server; a cluster, which takes seconds to form, and a server of another version serve them one
/// after the other.
macro_rules! hold {
    ($($topic:ident: $($claim:ident)*;)*) => {
        mod redis {
            $($(
                #[tokio::test]
                async fn $claim() {
                    crate::claims::$topic::$claim(&crate::subject::Subject::new()).await;
                }
            )*)*
        }
        /// Each claim has a subject of its own.
        async fn keeps_every_promise(subject: impl Fn() -> crate::subject::Subject) {
            $($(
                println!("{}", stringify!($claim));
                Box::pin(crate::claims::$topic::$claim(&subject())).await;
            )*)*
        }
    };
}

hold! {
    exactly_once:
        a_batch_is_applied_once_however_often_it_is_sent
        a_batch_sent_twice_in_one_call_is_applied_once
        batches_are_applied_in_any_order
        a_batch_overtaken_by_a_later_one_is_still_applied
        copies_that_arrive_at_the_same_time_count_once
        writers_do_not_know_of_each_others_batches
        shards_do_not_know_of_each_others_batches
        a_full_batch_is_applied
        any_run_of_sends_gives_the_model_s_set;
    base:
        the_base_moves_the_floor_and_drops_what_is_below
        a_batch_below_the_floor_changes_nothing
        a_batch_below_the_base_it_comes_with_is_applied
        a_base_moved_back_changes_nothing
        the_floor_rises_over_what_follows_the_base;
    bad_data:
        a_batch_too_old_is_refused_and_the_others_apply
        a_batch_of_the_greatest_age_is_applied
        a_duplicate_is_never_too_old
        a_page_that_cannot_be_counted_is_reported_once_and_the_rest_applies;
    imports:
        what_was_never_begun_is_unknown
        the_first_record_of_an_import_stays
        a_finished_import_is_known_as_done
        the_set_of_an_import_is_kept_for_ever_and_never_swept;
    parking:
        a_parked_copy_reads_back
        parking_again_changes_nothing
        a_copy_ages_from_its_sealing_by_the_shards_clock
        a_shard_takes_all_copies_of_a_call_or_none
        owners_and_writers_are_kept_apart
        an_owner_is_listed_while_it_has_copies
        many_copies_come_in_pages
        a_copy_is_removed_only_with_the_mark_that_it_bears
        a_mark_for_a_copy_that_is_gone_leaves_nothing
        what_is_set_aside_is_read_no_more
        a_delivery_leaves_the_sweeps_list_as_it_is
        a_delivery_never_shortens_the_time_a_set_is_kept
        an_answer_tells_what_this_call_applied;
    rehoming:
        a_round_begins_once_and_none_begins_after_a_later_one
        a_shard_moves_on_only_from_where_it_is_known_to_be
        a_visit_by_another_ring_keeps_a_shard_from_moving_on
        records_that_are_taken_wait_with_all_their_fields_and_a_page_keeps_a_note
        only_the_ring_in_force_takes_and_only_in_the_first_stage
        records_land_once_however_often_they_are_delivered
        notes_are_cleaned_up_to_the_round_and_in_their_stage
        a_mailbox_is_listed_while_something_waits_in_it
        a_scan_finds_every_page_of_its_shard;
    rollup:
        a_finished_day_becomes_numbers_and_a_month_a_list;
    statistics:
        days_bots_and_visitors_are_counted_once_however_often_a_batch_is_sent
        the_site_is_the_sum_of_its_pages_and_has_visitors_of_its_own
        top_pages_come_by_their_visits_by_people
        a_batch_of_no_day_counts_for_totals_only
        a_days_secret_is_the_first_that_was_offered
        a_count_is_set_once_however_often_the_call_is_made
        a_page_that_is_forgotten_leaves_neither_days_nor_a_place_in_a_list
        no_count_is_set_while_pages_move;
    reading:
        an_unknown_page_has_count_0
        several_pages_are_read_as_each_of_them
        a_reading_tells_bots_apart
        page_ids_are_kept_apart_byte_by_byte
        asking_without_batches_tells_the_set
        asking_for_an_unknown_writer_tells_an_empty_set
        the_sets_visits_are_the_sum_of_its_batches;
    writers:
        an_active_writer_is_listed_with_the_time_since_its_last_flush
        a_writer_that_is_gone_or_settled_is_not_listed
        a_writer_is_listed_again_with_its_next_visit
        a_silent_writer_is_taken_off_the_list_and_keeps_its_set
        a_set_lives_14_days_after_the_last_flush_and_a_settled_writers_an_hour
        tidying_takes_many_sets_in_several_calls;
}

#[tokio::test]
async fn a_cluster_keeps_every_promise() {
    let cluster = Arc::new(RedisCluster::start());
    keeps_every_promise(|| subject::Subject::on_cluster(&cluster)).await;
}

/// Debian's 7.0, or the one that is installed, is held to them above.
async fn a_server_keeps_every_promise(version: &str) {
    let Some(program) = redis_program_of_version(version) else {
        return println!("there is no Redis {version} for this machine");
    };
    let server = Arc::new(RedisServer::builder().program(program).start());
    keeps_every_promise(|| subject::Subject::on_server(&server)).await;
}

#[tokio::test]
async fn redis_6_2_the_oldest_that_is_supported_keeps_every_promise() {
    a_server_keeps_every_promise("6.2").await;
}

#[tokio::test]
async fn redis_8_2_keeps_every_promise() {
    a_server_keeps_every_promise("8.2").await;
}
